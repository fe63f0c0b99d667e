"""Define what each verb returns: plain frozen data, ready for `--json`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from aecli.progress import Epoch
from aecli.search.tried import Tried
from aecli.spec.model import Calibration, Column, Identifier, Label, LeftOut, ModelSpec
from aecli.verbs.measured import Difference, Group, Measured


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
class TuneResult:
    """Hold what `tune` found: the saved model, and every trial of its journal.

    `value` is the objective's of the `best` trial, `default` that of the first one, which takes the
    defaults; `command` trains the same model again. `importance` is the share of each parameter of
    the search in what made trials good, nothing with few trials. `signal` ended the search early.
    """

    model: Path
    spec: ModelSpec
    objective: str
    direction: str
    folds: int
    best: int
    value: float
    default: float | None
    trials: Sequence[Tried]
    importance: Mapping[str, float]
    command: str
    journal: Path
    seconds: float
    notes: Sequence[str]
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
class ReportResult:
    """Hold what `report` wrote: a page with so many figures, of a table or of the model alone.

    `compared` are the other models on the page.
    """

    model: Path
    compared: Sequence[Path]
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


@dataclass(frozen=True, kw_only=True)
class EvaluateResult(Measured):
    """Hold an honest evaluation of a model on a table; see the classes of its fields.

    `groups` split every figure by the column `by`; `compared` sets another model beside this one.
    `notes` say what could not be measured, or only in part.
    """

    model: Path
    unseen: Mapping[str, int]
    gates: Sequence[Gate]
    seconds: float
    by: str | None = None
    groups: Sequence[Group] = ()
    compared: Compared | None = None
    notes: Sequence[str] = ()

    def with_gates(self, gates: Sequence[Gate]) -> EvaluateResult:
        """Return the same result with the judged gates."""
        return replace(self, gates=gates)


@dataclass(frozen=True)
class Compared:
    """Set another model's evaluation on the same rows beside one.

    `figures` and `columns` are those that both have and that mean the same in both; `notes` name
    the others.
    """

    result: EvaluateResult
    figures: Sequence[Difference]
    columns: Sequence[Difference]
    notes: Sequence[str]


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
