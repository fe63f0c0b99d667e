"""Define what a report shows: plain figures, gathered before anything is drawn."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from aecli.array_types import AnyFloats, Integers
from aecli.schema.model_spec import ModelSpec

Line = Sequence[float | None]


@dataclass(frozen=True)
class Training:
    """Hold the loss of every epoch: `terms` has a training and a validation line for each term.

    A validation line is empty where no rows were held out; `gradients` are norms by layer.
    """

    epochs: Sequence[int]
    best: int | None
    terms: Mapping[str, tuple[Line, Line]]
    gradients: Mapping[str, Line]


@dataclass(frozen=True)
class ColumnError:
    """Hold a column's error and those of PCA and of its mean or mode: 0 is perfect.

    For numbers it is the share of variance left unexplained, else the share of wrong answers. None
    where a figure is undefined.
    """

    name: str
    kind: str
    error: float | None
    baseline: float | None
    pca: float | None


@dataclass(frozen=True)
class Explained:
    """Hold the share of all numbers' variance, in scaled units, that is explained."""

    own: float
    pca: float | None


@dataclass(frozen=True)
class Latent:
    """Hold how the latent is used: moments of all samples, `values` `(n_kept, latent)` of some.

    `means` lie on 0..1 where the latent is bounded; `rho` is their goal, None without that loss.
    """

    dead: Sequence[int]
    effective_rank: float
    near_zero_share: float
    means: AnyFloats
    deviations: AnyFloats
    correlation: AnyFloats
    rho: float | None
    values: AnyFloats

    @property
    def size(self) -> int:
        """Return how many units there are."""
        return len(self.deviations)


@dataclass(frozen=True)
class Map:
    """Hold latents in two dimensions `(n_kept, 2)`, and what colours them: groups or a score.

    `codes` `(n_kept,)` count `groups`, -1 where there is none. `shares` are the parts of the
    latents' variance that the two axes show, None where these are no directions in the latent.
    """

    points: AnyFloats
    shares: tuple[float, float] | None
    label: str
    groups: Sequence[str] = ()
    codes: Integers | None = None
    scores: AnyFloats | None = None


@dataclass(frozen=True)
class Bin:
    """Hold the answers of about one confidence: how sure they were, and how often right."""

    confidence: float
    accuracy: float
    count: int


@dataclass(frozen=True)
class Classes:
    """Hold the classifier's figures; `confusion[true, predicted]` counts samples."""

    label: str
    names: Sequence[str]
    rows: int
    accuracy: float
    baseline_accuracy: float
    confusion: Integers
    bins: Sequence[Bin]
    calibration_error: float


@dataclass(frozen=True)
class Reason:
    """Hold one column of an odd row: its error over the usual one, what it says, what was due."""

    column: str
    error: float
    value: str = ""
    reconstruction: str = ""


@dataclass(frozen=True)
class OddRow:
    """Hold one of the oddest rows, or windows by their last row: its number counts from 1."""

    row: int
    name: str
    score: float
    percentile: float
    reasons: Sequence[Reason]


@dataclass(frozen=True)
class Scores:
    """Hold how scores are spread: `counts` between `edges`, the threshold, the oddest rows."""

    edges: AnyFloats
    counts: Integers
    threshold: float
    outliers: int
    samples: int
    calibrated_on: str
    odd: Sequence[OddRow]


@dataclass(frozen=True)
class Restored:
    """Hold one row beside its reconstruction: `rank` is best, median or worst of all rows."""

    rank: str
    row: int
    error: float
    cells: Sequence[Reason]


@dataclass(frozen=True)
class Images:
    """Hold rows as images `(n_rows, height, width[, 3])` from 0 to 1, and how they came back."""

    names: Sequence[str]
    inputs: AnyFloats
    outputs: AnyFloats


@dataclass(frozen=True)
class Channel:
    """Hold one column of a stretch of rows in its own unit, and how it came back."""

    name: str
    values: AnyFloats
    reconstruction: AnyFloats


@dataclass(frozen=True)
class Signal:
    """Hold the stretch of rows around the oddest window; `scores` are None without calibration."""

    rows: Integers
    channels: Sequence[Channel]
    scores: AnyFloats | None
    threshold: float | None


@dataclass(frozen=True)
class Traversal:
    """Hold what the decoder makes of one unit at `steps` standard deviations, others at their mean.

    One of three: `images` `(n_steps, height, width[, 3])`, `signal` `(n_steps, window)` of the
    column `channel`, or `bars`: how far each of the columns that move most goes, from the first
    step to the last, in its own standard deviations or in probability.
    """

    unit: int
    steps: Sequence[float]
    images: AnyFloats | None = None
    signal: AnyFloats | None = None
    channel: str = ""
    bars: Sequence[tuple[str, float]] = ()


@dataclass(frozen=True)
class Trial:
    """Hold a trial of a search: `value` is the last one where it was not trained in `full`.

    `state` says how it ended; `options` are those searched, those left at their defaults too where
    these are known, and `told` those that differ, as on a command line.
    """

    number: int
    full: bool
    state: str
    value: float
    options: Mapping[str, str]
    told: str
    epochs: int
    seconds: float


@dataclass(frozen=True)
class Search:
    """Hold the trials that came to a value, best first, and what was found of the options.

    `value` is that of the trial number `best`, `default` that of the defaults.
    """

    objective: str
    maximize: bool
    best: int
    value: float
    default: float | None
    trials: Sequence[Trial]
    importance: Mapping[str, float]
    notes: Sequence[str]


@dataclass(frozen=True)
class Findings:
    """Hold everything that a report shows; what is None or empty could not be known.

    `samples` says what was encoded, rows or windows. `seen` marks rows that training had seen.
    """

    model: Path
    spec: ModelSpec
    training: Training
    search: Search | None = None
    data: str | None = None
    rows: int = 0
    samples: int = 0
    seen: bool = False
    explained: Explained | None = None
    columns: Sequence[ColumnError] = ()
    latent: Latent | None = None
    map: Map | None = None
    neighbours: Map | None = None
    classes: Classes | None = None
    scores: Scores | None = None
    restored: Sequence[Restored] = ()
    images: Images | None = None
    signal: Signal | None = None
    traversals: Sequence[Traversal] = ()
    notes: Sequence[str] = field(default_factory=list)

    @property
    def unit(self) -> str:
        """Return what a sample is called."""
        return "row" if self.spec.network.window == 1 else "window"
