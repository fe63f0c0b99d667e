"""Data of a report: results, and samples of rows, collected before anything is drawn."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from aecli.array_types import AnyFloats, Floats, Integers
from aecli.evaluation.results import EvaluateResult
from aecli.metrics.classification import Classification
from aecli.metrics.columns import ColumnScore
from aecli.progress import SILENT, Progress
from aecli.schema.model_spec import Calibration, ModelSpec
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


Curve = Sequence[float | None]
"""A value for each epoch."""

TERM_ORDER = ("total", "reconstruction", "classification", "l1", "l2")


@dataclass(frozen=True)
class TrainingCurves:
    """Losses of every epoch: `terms` has a training and a validation curve for each term.

    A validation curve is empty where no rows were held out; `gradients` are norms by layer.
    """

    epochs: Sequence[int]
    best: int | None
    terms: Mapping[str, tuple[Curve, Curve]]
    gradients: Mapping[str, Curve]

    @classmethod
    def of(cls, history: Sequence[Mapping[str, Any]]) -> TrainingCurves:
        """Return the curves of the records of `history.jsonl`."""
        best = [record["epoch"] for record in history if record.get("best")]
        names = dict.fromkeys(name for record in history for name in record["train"])
        terms = {
            name: (_curve(history, "train", name), _curve(history, "valid", name))
            for name in sorted(names, key=lambda name: (_term_position(name), name))
        }
        curves = list(terms.values())
        if len(curves) == 2 and curves[0] == curves[1]:
            del terms["total"]  # the sum of one term with weight 1
        layers = dict.fromkeys(name for record in history for name in record.get("gradients") or {})
        return cls(
            epochs=[record["epoch"] for record in history],
            best=best[-1] if best else None,
            terms=terms,
            gradients={name: _curve(history, "gradients", name) for name in layers},
        )


def _term_position(name: str) -> int:
    return TERM_ORDER.index(name) if name in TERM_ORDER else len(TERM_ORDER)


def _curve(history: Sequence[Mapping[str, Any]], part: str, name: str) -> Curve:
    if not any(record.get(part) for record in history):
        return []
    return [(record.get(part) or {}).get(name) for record in history]


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
class ReliabilityBin:
    """Predictions of about one confidence: its mean, and the share that is right."""

    confidence: float
    accuracy: float
    count: int


@dataclass(frozen=True)
class ReliabilityCurve:
    """Calibration of the classifier: accuracy by confidence, and the expected error."""

    bins: Sequence[ReliabilityBin]
    error: float


@dataclass(frozen=True)
class RowCell:
    """One column of a row: its error as a multiple of the usual one, and both values as text."""

    column: str
    error: float
    value: str = ""
    reconstruction: str = ""


@dataclass(frozen=True)
class AnomalousRow:
    """One of the rows with the highest scores, or a window by its last row; `row` is from 1.

    `reasons` are the columns with the largest errors, `name` the first identifier.
    """

    row: int
    name: str
    score: float
    reasons: Sequence[RowCell]


@dataclass(frozen=True)
class ScoreDistribution:
    """Scores of all samples: `counts` between `edges`, those above the threshold, the highest."""

    calibration: Calibration
    edges: AnyFloats
    counts: Integers
    outliers: int
    anomalous: Sequence[AnomalousRow]

    @property
    def threshold(self) -> float:
        """Return the score above which a sample is an outlier."""
        return self.calibration.scales["mean"].threshold


@dataclass(frozen=True)
class ExampleRow:
    """One row and its reconstruction: `rank` is best, median or worst of all rows."""

    rank: str
    row: int
    error: float
    cells: Sequence[RowCell]


@dataclass(frozen=True)
class ExampleImages:
    """Rows as images `(n_rows, height, width[, 3])` from 0 to 1, and their reconstructions."""

    ranks: Sequence[str]
    inputs: AnyFloats
    outputs: AnyFloats


@dataclass(frozen=True)
class SignalColumn:
    """One column of consecutive rows in its own unit, and its reconstruction."""

    name: str
    values: AnyFloats
    reconstruction: AnyFloats


@dataclass(frozen=True)
class SignalExcerpt:
    """Rows around the most anomalous window; `scores` are None without calibration."""

    rows: Integers
    columns: Sequence[SignalColumn]
    scores: AnyFloats | None
    threshold: float | None


@dataclass(frozen=True)
class UnitTraversal:
    """One latent unit decoded at `steps` standard deviations, the others at their means.

    One of three: `images` `(n_steps, height, width[, 3])`, `signal` `(n_steps, window)` of the
    column `signal_column`, or `changes`: by how much each of the columns that change most does,
    from the first step to the last, in its own standard deviations or in probability.
    """

    unit: int
    steps: Sequence[float]
    images: AnyFloats | None = None
    signal: AnyFloats | None = None
    signal_column: str = ""
    changes: Sequence[tuple[str, float]] = ()


@dataclass(frozen=True)
class ReportData:
    """Everything that a report shows of a model; what is None or empty is not known.

    With a table, `samples` counts the rows or windows that were encoded, `evaluation` has their
    figures, and `seen` marks rows of the training.
    """

    model: Path
    spec: ModelSpec
    training: TrainingCurves
    search: SearchHistory | None = None
    data: str | None = None
    samples: int = 0
    seen: bool = False
    evaluation: EvaluateResult | None = None
    latent: LatentDistribution | None = None
    maps: Sequence[LatentMap] = ()
    reliability: ReliabilityCurve | None = None
    scores: ScoreDistribution | None = None
    examples: Sequence[ExampleRow] = ()
    images: ExampleImages | None = None
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
        """Return the columns' figures, largest error first, undefined ones last."""
        scores = self.evaluation.columns if self.evaluation else ()
        return sorted(scores, key=lambda c: (c.value is None, -(column_error(c.value) or 0.0)))

    @property
    def classification(self) -> Classification | None:
        """Return the classifier's figures; None without a classifier or a label."""
        return self.evaluation.classification if self.evaluation else None

    @property
    def label(self) -> str:
        """Return the name of the label column."""
        return self.spec.label.name if self.spec.label else ""


def column_error(value: float | None) -> float | None:
    """Return the error of a column's R² or accuracy: 0 is perfect."""
    return None if value is None else 1 - value
