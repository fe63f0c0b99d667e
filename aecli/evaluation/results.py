"""Define the figures that an evaluation measures, over all rows or a group of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from aecli.metrics.classification import Classification
from aecli.metrics.columns import ColumnScore, mean_accuracy
from aecli.metrics.detection import Interval
from aecli.metrics.gates import Gate
from aecli.metrics.latent import LatentHealth


@dataclass(frozen=True)
class Detection:
    """How well scores tell the anomalies of `column` from other samples.

    `rows` are the samples whose label is known. Figures are None where all are of one side. `f1` is
    F1 above the model's stored `threshold`, `best_f1` the highest, above `best_threshold`.
    """

    column: str
    rows: int
    anomalies: int
    auroc: Interval | None
    average_precision: Interval | None
    best_f1: Interval | None
    best_threshold: float | None
    f1: Interval | None
    threshold: float


@dataclass(frozen=True)
class ProbeView:
    """How well a linear probe and 5 nearest neighbours predict from `size` features."""

    size: int
    linear: float | None
    knn: float | None


@dataclass(frozen=True)
class Probe:
    """Predictions of `column` from raw columns, PCA and the latents, compared.

    `metric` is `accuracy`, or `r2` where the column holds numbers. Probes are fitted on `fitted`
    samples and measured on `measured` others; `baseline` is the figure of the most frequent class
    or of the mean among the former.
    """

    column: str
    metric: str
    fitted: int
    measured: int
    baseline: float | None
    views: Mapping[str, ProbeView]


@dataclass(frozen=True)
class LossShare:
    """One loss term: its mean over the rows, its weight, and its share of the total."""

    value: float
    weight: float
    share: float


@dataclass(frozen=True, kw_only=True)
class Measured:
    """Every figure of a model on some rows; see the classes of its fields.

    `samples` counts what the figures are of: the rows, or the windows of a model of windows.
    `number_r2` is the R² of all number cells together, and `number_mse` the mean squared error of
    number columns, both in scaled units (0..1 for pixels). `limited` counts the outliers that were
    limited for R², by column. After `--reconst-weight 0` nothing of the decoder is measured.
    """

    rows: int
    samples: int
    losses: Mapping[str, LossShare]
    total: float
    number_r2: float | None
    number_r2_baseline: float | None
    number_r2_pca: float | None
    number_mse: float | None
    number_mse_baseline: float | None
    number_mse_pca: float | None
    limited: Mapping[str, int]
    columns: Sequence[ColumnScore]
    classification: Classification | None
    latent: LatentHealth
    anomaly: Detection | None = None
    probe: Probe | None = None

    @property
    def worst_first(self) -> list[ColumnScore]:
        """Return the columns, that with the largest share of the error first."""
        return sorted(self.columns, key=lambda column: -(column.share or 0.0))

    def figures(self) -> dict[str, float]:
        """Return every figure that `--fail-if` may name; those undefined here are absent."""
        figures: dict[str, float | None] = {
            "total": self.total,
            "active_share": self.latent.active_share,
            "effective_rank": self.latent.effective_rank,
            "number_r2": self.number_r2,
            "number_mse": self.number_mse,
            "column_accuracy": mean_accuracy(self.columns, "model"),
        }
        figures |= {name: share.value for name, share in self.losses.items()}
        if self.classification:
            for name in ("accuracy", "balanced_accuracy", "macro_f1", "auroc", "log_loss"):
                figures[name] = getattr(self.classification, name)
        if self.anomaly:
            for name in ("auroc", "average_precision", "best_f1", "f1"):
                interval: Interval | None = getattr(self.anomaly, name)
                figures[f"anomaly_{name}"] = interval.value if interval else None
        for name, view in self.probe.views.items() if self.probe else ():
            figures |= {f"probe_{name}": view.linear, f"knn_{name}": view.knn}
        return {name: value for name, value in figures.items() if value is not None}


@dataclass(frozen=True, kw_only=True)
class Group(Measured):
    """Figures of the rows with one `value` of a column, as text; None where it is missing.

    `pooled` counts the rare values that were put together in this group, 0 for a group of its own.
    """

    value: str | None
    pooled: int = 0


@dataclass(frozen=True)
class Difference:
    """A figure of two models, and by how much the first one's is larger."""

    name: str
    value: float
    other: float
    difference: float


@dataclass(frozen=True, kw_only=True)
class EvaluateResult(Measured):
    """Result of `evaluate`; see the classes of its fields.

    `groups` split every figure by the column `by`; `compared` sets another model beside this one.
    `unit` says whether a sample is a row or a window.
    `unseen` and `out_of_range` count cells by column, as for `encode`. `notes` say what could not
    be measured, or only in part, and which columns have many cells out of range.
    """

    model: Path
    unseen: Mapping[str, int]
    out_of_range: Mapping[str, int]
    gates: Sequence[Gate]
    seconds: float
    unit: str = "row"
    by: str | None = None
    groups: Sequence[Group] = ()
    compared: Compared | None = None
    notes: Sequence[str] = ()

    def with_gates(self, gates: Sequence[Gate]) -> EvaluateResult:
        """Return the same result with the judged gates."""
        return replace(self, gates=gates)


@dataclass(frozen=True)
class Compared:
    """Another model's evaluation on the same rows, compared.

    `figures` and `columns` are those that both have and that mean the same in both; `notes` name
    the others.
    """

    result: EvaluateResult
    figures: Sequence[Difference]
    columns: Sequence[Difference]
    notes: Sequence[str]
