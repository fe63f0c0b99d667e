"""Results of an evaluation, of all rows or of a group of rows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from statistics import fmean

from aecli.metrics.classification import Classification
from aecli.metrics.column_scores import ColumnScore, character_accuracy, mean_accuracy
from aecli.metrics.detection import Interval
from aecli.metrics.gates import EVALUATE_FIGURES, Gate
from aecli.metrics.latent import LatentHealth
from aecli.schema.model_spec import ModelSpec

CLASSIFIER_FIGURES = ("accuracy", "balanced_accuracy", "macro_f1", "auroc", "log_loss", "ece")


def model_figures(spec: ModelSpec) -> list[str]:
    """Return the figures of an evaluation that a model can have, whatever the table."""
    losses = {"reconstruction", "classification", "l0", "l1", "l2", "kl", "kl_normal"}
    absent = losses - set(spec.loss_weights)
    if not spec.network.classes:
        absent |= set(CLASSIFIER_FIGURES)
    kinds = {column.kind for column in spec.columns if not column.constant}
    if not spec.decoder_trained or kinds <= {"boolean", "category", "characters"}:
        absent |= {"number_r2", "number_mse"}
    if not spec.decoder_trained or not kinds & {"boolean", "category"}:
        absent.add("column_accuracy")
    if not spec.decoder_trained or "characters" not in kinds:
        absent.add("character_accuracy")
    if not spec.decoder_trained or not kinds & {"text", "characters"}:
        absent.add("text_retrieved")
    return [name for name in EVALUATE_FIGURES if name not in absent]


@dataclass(frozen=True)
class Detection:
    """Figures of anomaly detection, for the anomalies labelled by `column`.

    `rows` is the number of samples with a known label. Figures are None if all have the same label.
    `f1` is F1 at the model's stored `threshold`, `best_f1` the highest F1, at `best_threshold`.
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
    """Figures of a linear probe and of 5 nearest neighbours on `size` features."""

    size: int
    linear: float | None
    knn: float | None


@dataclass(frozen=True)
class Probe:
    """Comparison of predictions of `column` from raw columns, PCA and the latents.

    `metric` is `accuracy`, or `r2` for a column of numbers. Probes are fitted on `fitted`
    samples and measured on `measured` others; `baseline` is the figure for the most frequent class
    or the mean of the fitted samples.
    """

    column: str
    metric: str
    fitted: int
    measured: int
    baseline: float | None
    views: Mapping[str, ProbeView]


@dataclass(frozen=True)
class LossShare:
    """Loss term: its mean over the rows, its weight, and its share of the total."""

    value: float
    weight: float
    share: float


@dataclass(frozen=True, kw_only=True)
class Measured:
    """All figures of a model on a set of rows; see the classes of its fields.

    `samples` is the number of rows, or of windows for a model of windows.
    `number_r2` is the R² of all number cells together, and `number_mse` the mean squared error of
    number columns, both in scaled units (0..1 for pixels). `limited` counts the outliers that were
    clipped for R², by column, and `retrieved` the share of texts that are returned exactly. After
    `--reconst-weight 0` the decoder has no figures.
    `intervals` are 95 % intervals of `numbers`, `categories` and `label`, and of the differences
    (`numbers_gain`, …) from PCA, for the label from the most frequent class; those of too few
    samples are absent.
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
    intervals: Mapping[str, Interval] = field(default_factory=dict)
    retrieved: Mapping[str, float] = field(default_factory=dict)

    @property
    def worst_first(self) -> list[ColumnScore]:
        """Return the columns by descending share of the error."""
        return sorted(self.columns, key=lambda column: -(column.share or 0.0))

    def figures(self) -> dict[str, float]:
        """Return every figure that `--fail-if` may name, except undefined ones."""
        figures: dict[str, float | None] = {
            "total": self.total,
            "active_share": self.latent.active_share,
            "effective_rank": self.latent.effective_rank,
            "number_r2": self.number_r2,
            "number_mse": self.number_mse,
            "column_accuracy": mean_accuracy(self.columns, "model"),
            "character_accuracy": character_accuracy(self.columns, "model"),
            "text_retrieved": fmean(self.retrieved.values()) if self.retrieved else None,
        }
        figures |= {name: share.value for name, share in self.losses.items()}
        if self.classification:
            for name in CLASSIFIER_FIGURES:
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
    """Figures of the rows with one `value` of a column, as text; None if it is missing.

    `pooled` is the number of rare values in a group of several values, else 0.
    """

    value: str | None
    pooled: int = 0


@dataclass(frozen=True)
class Difference:
    """Figure of two models, and the first minus the second."""

    name: str
    value: float
    other: float
    difference: float


@dataclass(frozen=True, kw_only=True)
class EvaluateResult(Measured):
    """Result of `evaluate`; see the classes of its fields.

    `groups` are the figures by value of the column `by`; `compared` is the comparison with another
    model. `unit` is `row` or `window`. `unseen` and `out_of_range` count cells by column, as for
    `encode`. `notes` name figures that could not be measured, or only in part, and columns with
    many cells out of range.
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
        """Return the same result with the evaluated gates."""
        return replace(self, gates=gates)


@dataclass(frozen=True)
class Compared:
    """Comparison with another model's evaluation on the same rows.

    `figures` and `columns` are the comparable ones; `notes` name the others.
    """

    result: EvaluateResult
    figures: Sequence[Difference]
    columns: Sequence[Difference]
    notes: Sequence[str]
