"""Data of a report: results, and samples of rows, collected before anything is drawn."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from aecli.array_types import AnyFloats, Floats, Integers
from aecli.evaluation.results import EvaluateResult
from aecli.metrics.classification import Classification
from aecli.metrics.columns import ColumnScore
from aecli.metrics.histogram import Histogram, Reliability
from aecli.progress import SILENT, Epoch, Progress
from aecli.schema.model_spec import ModelSpec
from aecli.tuning.trial import TrialRecord


@dataclass(frozen=True)
class CollectOptions:
    """How a table is read for a report, and what is drawn of it.

    `shape` is the height, width and channels of rows that are images, as in 28x28; `seen` marks
    rows of the training; `umap` adds a second map of the latent, which takes long.
    """

    shape: str | None = None
    seen: bool = False
    umap: bool = False
    batch_size: int | None = None
    device: str = "auto"
    threads: int | None = None
    progress: Progress = SILENT


@dataclass(frozen=True)
class SearchHistory:
    """Search that the options of a model come from.

    `trials` are those with a value, best first; a pruned trial has its last value. `value` is that
    of trial number `best`, `default` that of the default options, whose texts, where they do not
    depend on the table, are `default_options`.
    """

    objective: str
    maximize: bool
    best: int
    value: float
    default: float | None
    trials: Sequence[TrialRecord]
    default_options: Mapping[str, str]
    importance: Mapping[str, float]
    notes: Sequence[str]


@dataclass(frozen=True)
class LatentDistribution:
    """Latent units over all samples: `deviations` `(n_units,)`, `correlation` of each two units.

    The correlation of dead units is NaN. `values` `(n_sampled, n_units)` are a sample of latents.
    """

    deviations: Floats
    correlation: Floats
    values: Floats

    @property
    def size(self) -> int:
        """Return the number of units."""
        return len(self.deviations)


@dataclass(frozen=True)
class LatentMap:
    """Latents in two dimensions `(n_sampled, 2)`, and what colours them: groups or a score.

    `codes` `(n_sampled,)` are positions in `groups`, -1 where unknown. `shares` of the latents'
    variance lie along the two axes; None where the axes are not directions in the latent.
    """

    points: AnyFloats
    shares: tuple[float, float] | None
    label: str
    groups: Sequence[str] = ()
    codes: Integers | None = None
    scores: AnyFloats | None = None


@dataclass(frozen=True)
class RowCell:
    """One column of a row: its error as a multiple of the usual one, and both values as text."""

    column: str
    error: float
    value: str = ""
    reconstruction: str = ""


@dataclass(frozen=True)
class ReportRow:
    """One row, or a window by its last row, with the columns whose errors are largest.

    `number` is from 1. `error` is the mean over its columns, or the score where the row is shown
    for its score; 1 is ordinary. `identifier` is the first of these, as text.
    """

    number: int
    error: float
    cells: Sequence[RowCell]
    identifier: str = ""


SignalExcerpt = tuple[Integers, Mapping[str, tuple[AnyFloats, AnyFloats]], AnyFloats | None]
"""Rows around the most anomalous window: their numbers, by column the values and reconstructions
`(n_rows,)` in its own unit, and the scores; None without calibration."""


@dataclass(frozen=True)
class UnitTraversal:
    """One latent unit decoded at `steps` standard deviations, the others at their means.

    One of three: `images` `(n_steps, height, width[, 3])`, `signal`: a column and its values
    `(n_steps, window)`, or `changes`: by how much each of the columns that change most does, from
    the first step to the last, in its own standard deviations or in probability.
    """

    unit: int
    steps: Sequence[float]
    images: AnyFloats | None = None
    signal: tuple[str, AnyFloats] | None = None
    changes: Sequence[tuple[str, float]] = ()


@dataclass(frozen=True)
class ReportData:
    """Everything that a report shows of a model; what is None or empty is not known.

    With a table, `samples` counts the rows or windows that were encoded, `evaluation` has their
    figures, and `seen` marks rows of the training. `scores` are those of all samples, of which
    `outliers` lie above the threshold and `anomalous` are the highest. `examples`, or `images` from
    0 to 1 and their reconstructions `(n_rows, height, width[, 3])`, are by rank: worst, median and
    best of all rows.
    """

    model: Path
    spec: ModelSpec
    history: Sequence[Epoch] = ()
    search: SearchHistory | None = None
    data: str | None = None
    samples: int = 0
    seen: bool = False
    evaluation: EvaluateResult | None = None
    latent: LatentDistribution | None = None
    maps: Sequence[LatentMap] = ()
    reliability: Reliability | None = None
    scores: Histogram | None = None
    outliers: int = 0
    anomalous: Sequence[ReportRow] = ()
    examples: Mapping[str, ReportRow] = field(default_factory=dict)
    images: Mapping[str, tuple[AnyFloats, AnyFloats]] = field(default_factory=dict)
    signal: SignalExcerpt | None = None
    traversals: Sequence[UnitTraversal] = ()
    notes: Sequence[str] = ()

    @property
    def unit(self) -> str:
        """Return what a sample is called."""
        return "row" if self.spec.network.window == 1 else "window"

    @property
    def rows(self) -> int:
        """Return how many rows the table has."""
        return self.evaluation.rows if self.evaluation else 0

    @property
    def columns(self) -> list[ColumnScore]:
        """Return the columns' figures, that with the largest share of the error first."""
        return self.evaluation.worst_first if self.evaluation else []

    @property
    def classification(self) -> Classification | None:
        """Return the classifier's figures; None without a classifier or a label."""
        return self.evaluation.classification if self.evaluation else None

    @property
    def threshold(self) -> float | None:
        """Return the score above which a sample is an outlier; None without calibration."""
        calibration = self.spec.calibration
        return calibration.scales["mean"].threshold if calibration else None

    @property
    def label(self) -> str:
        """Return the name of the label column."""
        return self.spec.label.name if self.spec.label else ""


@dataclass(frozen=True)
class ModelComparison:
    """Several models that read the same columns.

    `figures` are those that mean the same in all of them: the value in each model, by name.
    """

    names: Sequence[str]
    models: Sequence[ReportData]
    figures: Mapping[str, Sequence[float]] = field(default_factory=dict)
    notes: Sequence[str] = ()


def column_error(value: float | None) -> float | None:
    """Return the error of a column's R² or accuracy: 0 is perfect."""
    return None if value is None else 1 - value
