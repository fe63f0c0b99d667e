"""Data of a report: results, and samples of rows, collected before anything is drawn."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from aecli.array_types import AnyFloats, Floats, Integers
from aecli.evaluation.results import EvaluateResult
from aecli.metrics.classification import Classification
from aecli.metrics.column_scores import ColumnScore
from aecli.metrics.detection import Interval
from aecli.metrics.histogram import Histogram
from aecli.progress import SILENT, Epoch, Progress
from aecli.schema.model_spec import ModelSpec
from aecli.scoring.explanation import ScoreReason
from aecli.tuning.trial import TrialRecord


@dataclass(frozen=True)
class CollectOptions:
    """Options for reading a table for a report, and for what is drawn.

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
    """Search that chose the options of a model.

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


SignalExcerpt = tuple[Integers, Mapping[str, tuple[AnyFloats, AnyFloats]], AnyFloats | None]
"""Rows around an anomalous window: their numbers from 0, by column the values and reconstructions
`(n_rows,)` in its own unit, and the scores; None without calibration."""


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
    `anomalous` are the points of the most anomalous samples, in their order.
    """

    points: AnyFloats
    shares: tuple[float, float] | None
    label: str
    groups: Sequence[str] = ()
    codes: Integers | None = None
    scores: AnyFloats | None = None
    anomalous: AnyFloats | None = None


@dataclass(frozen=True)
class ReportRow:
    """One row, or an episode of anomalous windows, with its columns in order.

    The columns with the largest errors are first, or those that contribute most to the score.
    `number` counts from 0; it is that of an episode's last row. `error` is the mean over its
    columns, or the score where the row is listed for its score; 1 is ordinary. `identifier` is the
    row's first identifier as text, or the series of an episode. An episode joins `windows` that
    overlap, and `highest` are the first and the last row of that with the highest score; `span` is
    its first and its last time, and `signal` the rows around it, with the first
    and last time of these.
    """

    number: int
    error: float
    cells: Sequence[ScoreReason]
    identifier: str = ""
    windows: int = 0
    highest: tuple[int, int] | None = None
    span: tuple[str, str] = ("", "")
    signal: SignalExcerpt | None = None
    signal_span: tuple[str, str] = ("", "")
    images: tuple[AnyFloats, AnyFloats] | None = None


ScoreTimeline = tuple[AnyFloats, AnyFloats, tuple[str, str]]
"""Highest scores `(n_points,)` of windows over time `(n_points,)`, and the first and last time."""


@dataclass(frozen=True)
class UnitTraversal:
    """One latent unit decoded at `steps` standard deviations, the others at their means.

    One of three: `images` `(n_steps, height, width[, 3])`, `signal`: a column and its values
    `(n_steps, window)`, or `changes`: by how much each column changes, from
    the first step to the last, in its own standard deviations or in probability; the largest first.
    """

    unit: int
    steps: Sequence[float]
    images: AnyFloats | None = None
    signal: tuple[str, AnyFloats] | None = None
    changes: Sequence[tuple[str, float]] = ()


@dataclass(frozen=True)
class ReportData:
    """Contents of the report on a model; None or empty where not known.

    With a table, `samples` counts the rows or windows that were encoded, `evaluation` has their
    figures, `group_errors` the errors and their bases of groups of rows `(n_groups, 2)` by kind,
    and `seen` marks rows of the training. `scores` are those of all samples, of which `outliers`
    lie above the threshold and `anomalous` are the highest, or their episodes over a `timeline`.
    `histograms` count the sampled values of each column. `examples`, or `images` from 0 to 1 and
    their reconstructions `(n_rows, height, width[, 3])`, are by rank: worst, median and best of all
    rows. `pixels` are mean images `(height, width)` of rows that are images, by what they show.
    """

    model: Path
    spec: ModelSpec
    history: Sequence[Epoch] = ()
    search: SearchHistory | None = None
    data: str | None = None
    samples: int = 0
    seen: bool = False
    evaluation: EvaluateResult | None = None
    group_errors: Mapping[str, Floats] = field(default_factory=dict)
    latent: LatentDistribution | None = None
    maps: Sequence[LatentMap] = ()
    scores: Histogram | None = None
    outliers: int = 0
    anomalous: Sequence[ReportRow] = ()
    timeline: ScoreTimeline | None = None
    identified_by: str = ""
    histograms: Mapping[str, Sequence[int]] = field(default_factory=dict)
    pixels: Mapping[str, AnyFloats] = field(default_factory=dict)
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
    def intervals(self) -> Mapping[str, Interval]:
        """Return the 95 % intervals of the figures that have one, by name."""
        return self.evaluation.intervals if self.evaluation else {}

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
