"""Define what each verb returns: plain frozen data, ready for `--json`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from aecli.progress import Epoch
from aecli.spec.model import Calibration, Column, Identifier, Label, LeftOut, ModelSpec


@dataclass(frozen=True)
class TrainResult:
    """Hold what `train` made: the saved model's directory, its spec and its loss per epoch.

    `signal` is the SIGINT or SIGTERM that ended the training early, if one did; the model is valid.
    """

    model: Path
    spec: ModelSpec
    history: Sequence[Epoch]
    signal: int | None = None


@dataclass(frozen=True)
class StreamResult:
    """Hold what `encode`, `reconstruct` or `predict` wrote.

    `unseen` counts cells whose category the training rows did not have, `missing` counts empty
    cells in columns that had none, both per column; `ignored` are columns the model does not know.
    `notes` say how rows were cut into windows and what else was odd; `uncovered` rows lie in no
    window. `filled` and `unfilled` count, per column, the missing cells that `reconstruct` with
    `fill` had an answer for and those it had none for.
    """

    model: Path
    output: str
    rows: int
    columns: Sequence[str]
    seconds: float
    unseen: Mapping[str, int]
    missing: Mapping[str, int]
    ignored: Sequence[str]
    notes: Sequence[str] = ()
    uncovered: int = 0
    filled: Mapping[str, int] = field(default_factory=dict)
    unfilled: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class DecodeResult:
    """Hold what `decode` wrote: rows, or windows of rows, for the latents it read."""

    model: Path
    output: str
    latents: int
    rows: int
    columns: Sequence[str]
    seconds: float


@dataclass(frozen=True)
class ScoreResult(StreamResult):
    """Hold what `score` wrote, and how many rows or windows lie above the threshold.

    `calibrated_on` names the rows that percentiles and the threshold come from, `calibrated_rows`
    of them.
    """

    outliers: int = 0
    threshold: float = 0.0
    calibrated_on: str = ""
    calibrated_rows: int = 0


@dataclass(frozen=True)
class CalibrateResult:
    """Hold what `calibrate` fitted: the calibration now stored, and what was there before.

    With labels the figures are those of the mean aggregate's threshold on the labelled rows.
    """

    model: Path
    calibration: Calibration
    before: Calibration
    rows: int
    anomalies: int | None
    precision: float | None
    recall: float | None
    f1: float | None
    false_positive_rate: float | None
    seconds: float


@dataclass(frozen=True)
class SampleResult:
    """Hold what `sample` wrote."""

    model: Path
    output: str
    rows: int
    columns: Sequence[str]
    of_class: str | None
    seconds: float


@dataclass(frozen=True)
class LossShare:
    """Hold one loss term: its mean over the rows, its weight, and its share of the total."""

    value: float
    weight: float
    share: float


@dataclass(frozen=True)
class ColumnScore:
    """Compare one column's reconstruction with the trivial answer and with PCA of the same size.

    `metric` is `r2` for number, time and vector, `accuracy` for boolean and category. `baseline` is
    the training mean's (0 on training rows by definition) or mode's figure on these rows. A figure
    is None where it is undefined: no observed cell, or R² of a column that is constant here.
    """

    name: str
    kind: str
    metric: str
    value: float | None
    baseline: float | None
    pca: float | None
    mse: float | None
    observed: int


@dataclass(frozen=True)
class Classification:
    """Hold the label's figures over the labelled rows; `confusion[true][predicted]` counts rows.

    `auroc` is one-vs-rest, the mean over classes with both sides; None where there is none.
    """

    rows: int
    classes: Sequence[str]
    accuracy: float
    balanced_accuracy: float
    macro_f1: float
    auroc: float | None
    log_loss: float
    baseline_accuracy: float
    confusion: Sequence[Sequence[int]]


@dataclass(frozen=True)
class LatentHealth:
    """Hold how the latent is used; `active` units vary at least 1e-4 as much as the most active.

    `means` is each unit's mean activation, which `rho` is the goal of; None without that loss.
    """

    size: int
    active: int
    active_share: float
    dead: Sequence[int]
    effective_rank: float
    mean_abs: float
    near_zero_share: float
    means: Sequence[float]
    rho: float | None


@dataclass(frozen=True)
class ReportResult:
    """Hold what `report` wrote: a page with so many figures, of a table or of the model alone."""

    model: Path
    output: str
    data: str | None
    rows: int
    figures: int
    bytes: int
    seconds: float


@dataclass(frozen=True)
class PlotResult:
    """Hold what `plot` drew: how many panels, and in words what each shows."""

    model: Path
    output: str
    kind: str
    panels: int
    shows: Sequence[str]
    bytes: int
    seconds: float


@dataclass(frozen=True)
class Gate:
    """Hold one `--fail-if` condition, the figure it looked at, and whether it failed."""

    condition: str
    value: float
    failed: bool


@dataclass(frozen=True)
class EvaluateResult:
    """Hold an honest evaluation of a model on a table; see the classes of its fields.

    `number_mse` is the mean squared error of number columns in scaled units (0..1 for pixels).
    """

    model: Path
    rows: int
    losses: Mapping[str, LossShare]
    total: float
    number_mse: float | None
    number_mse_baseline: float | None
    number_mse_pca: float | None
    columns: Sequence[ColumnScore]
    classification: Classification | None
    latent: LatentHealth
    unseen: Mapping[str, int]
    gates: Sequence[Gate]
    seconds: float

    def figures(self) -> dict[str, float]:
        """Return every figure that `--fail-if` may name; those undefined here are absent."""
        found: dict[str, float | None] = {
            "total": self.total,
            "active_share": self.latent.active_share,
            "effective_rank": self.latent.effective_rank,
            "number_mse": self.number_mse,
        }
        found |= {name: share.value for name, share in self.losses.items()}
        for metric in ("r2", "accuracy"):
            values = [c.value for c in self.columns if c.metric == metric and c.value is not None]
            found[f"column_{metric}"] = sum(values) / len(values) if values else None
        if self.classification:
            for name in ("accuracy", "balanced_accuracy", "macro_f1", "auroc", "log_loss"):
                found[name] = getattr(self.classification, name)
        return {name: value for name, value in found.items() if value is not None}

    def with_gates(self, gates: Sequence[Gate]) -> EvaluateResult:
        """Return the same result with the judged gates."""
        return replace(self, gates=gates)


@dataclass(frozen=True)
class ModelInspection:
    """Hold a model directory as found: its spec, the network layer by layer, its size on disk.

    `history` are the lines of history.jsonl, None unless they were asked for.
    """

    model: Path
    spec: ModelSpec
    layers: Sequence[Layer]
    parameters: int
    bytes: int
    history: Sequence[Mapping[str, Any]] | None = None


@dataclass(frozen=True)
class Layer:
    """Describe one layer of the network: the part it belongs to, its shape and parameter count."""

    part: str
    name: str
    inputs: int
    outputs: int
    parameters: int


@dataclass(frozen=True)
class DataInspection:
    """Hold what each column of a table would become, and why."""

    data: str
    format: str
    rows: int
    columns: Sequence[Column]
    ids: Sequence[Identifier]
    left_out: Sequence[LeftOut]
    label: Label | None
    notes: Sequence[str]
