"""Tiles at the top of a page: figures of a model, PCA and the trivial prediction."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from aecli.formatting import count, figure, percent
from aecli.metrics.classification import Classification
from aecli.metrics.column_scores import ColumnScore, Predictor, mean_accuracy
from aecli.metrics.detection import Interval
from aecli.metrics.intervals import CLEAR_DIFFERENCE, is_clear
from aecli.reporting.data import ReportData
from aecli.reporting.text import short
from aecli.schema.model_spec import Baseline, Summary

TileKey = Literal["numbers", "categories", "label", "anomalies"]

TILE_NAME_LENGTH = 24

LOWEST_SHOWN = -1.0
"""A share below this is written as such: R² of rows unlike the training rows may be -1,000."""

CLEAR_NUMBER_DIFFERENCE = 0.005
"""Smaller differences of one column's R² are not written as better or worse."""

MIN_COMPARED_ROWS = 20
"""Models are not compared on fewer rows."""

VISIBLE_MARGIN, WIDE_MARGIN = 0.05, 5.0
"""Half widths of intervals in points: smaller ones round to 0.0, larger ones have no decimals."""

MAX_ASYMMETRY = 0.1
"""An interval is symmetric where its middle differs from the figure by less of its half width."""

Comparison = Literal["better", "equal", "worse"]

Values = tuple[float | None, ...]
"""Figure of the model, of PCA and of the trivial prediction."""


@dataclass(frozen=True)
class Tile:
    """One figure: the share `value` of 1 as `text`, or a count with the `unit` after it.

    `pca` and `trivial` are what PCA of the latent's size and the most frequent values or the column
    means reach. `notes` are texts with what they are: `pca`, `trivial`, `better`, `worse` or
    empty. `gain` is the model's lead on PCA, or on the trivial prediction where there is no PCA;
    `few` is True where there are too few rows to compare them.
    """

    key: TileKey
    title: str
    value: float
    text: str
    unit: str = ""
    interval: Interval | None = None
    pca: float | None = None
    trivial: float | None = None
    gain: Interval | None = None
    few: bool = False
    notes: Sequence[tuple[str, str]] = ()

    @property
    def comparison(self) -> Comparison:
        """Return whether the model clearly differs from PCA, or from the trivial prediction."""
        other = self.trivial if self.pca is None else self.pca
        lead = 0.0 if other is None else self.value - other
        clear = abs(lead) >= CLEAR_DIFFERENCE if self.gain is None else is_clear(self.gain)
        if self.few or not clear:
            return "equal"
        return "better" if lead > 0 else "worse"

    @property
    def useless(self) -> bool:
        """Return whether the trivial prediction is as good."""
        return self.trivial is not None and self.value <= self.trivial + CLEAR_DIFFERENCE


def tiles(data: ReportData) -> list[Tile]:
    """Return the tiles that apply to a model, in their order: at most four.

    Without a table they show the figures of its training.
    """
    tile_of: Sequence[Callable[[ReportData], Tile | None]] = (
        _numbers, _categories, _label, _anomalies
    )  # fmt: skip
    return [tile for make in tile_of if (tile := make(data)) is not None]


def share_text(value: float | None) -> str:
    """Write a share of 1 as a percentage; one far below 0 as a bound."""
    if value is not None and value < LOWEST_SHOWN:
        return f"< −{-LOWEST_SHOWN:.0%}".replace("%", " %")
    text = percent(value)
    return "0.0 %" if text == "-0.0 %" else text.replace("-", "−")


def margin_text(interval: Interval | None) -> str:
    """Write half the width of an interval in points: ± 1.8; an asymmetric one as 60–100 %."""
    if interval is None:
        return ""
    low, high = 100 * interval.low, 100 * interval.high
    half = (high - low) / 2
    clipped = interval.low <= 0 or interval.high >= 1
    if half >= VISIBLE_MARGIN and (
        clipped
        or abs(50 * interval.low + 50 * interval.high - 100 * interval.value) > MAX_ASYMMETRY * half
    ):
        digits = 0 if half >= WIDE_MARGIN else 1
        dash = "–" if low >= 0 else " to "
        return f"{low:.{digits}f}{dash}{high:.{digits}f} %".replace("-", "−")
    return f"± {half:.1f}" if half >= VISIBLE_MARGIN else "± < 0.1"


def too_few(data: ReportData) -> bool:
    """Return whether a table has too few rows or windows to compare models."""
    return data.evaluation is not None and data.samples < MIN_COMPARED_ROWS


def column_comparison(column: ColumnScore) -> Comparison:
    """Return whether the model is clearly better or worse than PCA on one column.

    The shares of correct categories must differ by two standard errors, those of numbers by
    `CLEAR_NUMBER_DIFFERENCE`.
    """
    if column.value is None or column.pca is None or column.observed < MIN_COMPARED_ROWS:
        return "equal"
    limit = CLEAR_NUMBER_DIFFERENCE
    if column.metric == "accuracy":
        mean = (column.value + column.pca) / 2
        limit = max(CLEAR_DIFFERENCE, 2 * math.sqrt(mean * (1 - mean) / column.observed))
    if abs(column.value - column.pca) <= limit:
        return "equal"
    return "better" if column.value > column.pca else "worse"


def _numbers(data: ReportData) -> Tile | None:
    values: Values = tuple(_saved(data.spec.summary, name, "r2") for name in _PREDICTORS)
    if (found := data.evaluation) is not None:
        values = (found.number_r2, found.number_r2_pca, found.number_r2_baseline)
    return _reconstruction(data, "numbers", "Numbers, variance explained", "column means", values)


def _categories(data: ReportData) -> Tile | None:
    values: Values = tuple(_saved(data.spec.summary, name, "accuracy") for name in _PREDICTORS)
    if (found := data.evaluation) is not None:
        predictors: tuple[Predictor, ...] = ("model", "pca", "baseline")
        values = tuple(mean_accuracy(found.columns, name) for name in predictors)
    return _reconstruction(data, "categories", "Categories, correct", "most frequent", values)


def _reconstruction(
    data: ReportData, key: TileKey, title: str, trivial_name: str, values: Values
) -> Tile | None:
    """Return the tile of one kind of columns; `values` are of the model, PCA and trivial."""
    own, pca, trivial = values
    if own is None:
        return None
    notes = [] if pca is None else [("pca", f"PCA of {data.spec.network.latent} {share_text(pca)}")]
    if trivial is not None:
        notes.append(("trivial", f"{trivial_name} {share_text(trivial)}"))
    interval = data.intervals.get(key)
    tile = Tile(
        key, title, own, share_text(own), margin_text(interval), interval=interval, pca=pca,
        trivial=trivial, gain=data.intervals.get(f"{key}_gain"), few=too_few(data),
    )  # fmt: skip
    metric = "r2" if key == "numbers" else "accuracy"
    return replace(tile, notes=[*notes, *_column_notes(tile, data.columns, metric)])


def _label(data: ReportData) -> Tile | None:
    measured, summary = data.classification, data.spec.summary
    if data.spec.label is None:
        return None
    if measured is None:
        accuracy = summary.metrics.get("accuracy") if data.evaluation is None else None
        trivial = summary.majority_accuracy
    else:
        accuracy, trivial = measured.accuracy, measured.baseline_accuracy
    interval = data.intervals.get("label")
    if accuracy is None:
        return None
    counts = data.spec.label.counts
    majority = str(data.spec.label.classes[counts.index(max(counts))])
    always = f"always “{short(majority, TILE_NAME_LENGTH)}” {percent(trivial)}"
    notes = [] if trivial is None else [("trivial", always)]
    if measured is not None:
        notes += _classifier_notes(measured)
    return Tile(
        "label", f"Label {short(data.label, TILE_NAME_LENGTH)}, correct", accuracy,
        percent(accuracy),
        margin_text(interval), interval=interval, trivial=trivial,
        gain=data.intervals.get("label_gain"), few=too_few(data), notes=notes,
    )  # fmt: skip


def _anomalies(data: ReportData) -> Tile | None:
    if data.scores is None or data.threshold is None or not data.samples:
        return None
    share = percent(data.outliers / data.samples)
    verb = "scores" if data.outliers == 1 else "score"
    many = f"{share} {verb}" if data.outliers else "none scores"
    return Tile(
        "anomalies", f"Anomalous {data.unit}s", data.outliers, count(data.outliers),
        f"of {count(data.samples)}",
        notes=[("", f"{many} above the threshold, {figure(data.threshold, 3)}")],
    )  # fmt: skip


_PREDICTORS = ("this model", "PCA", "column means")


def _saved(summary: Summary, predictor: str, name: str) -> float | None:
    found: dict[str, Baseline] = {baseline.name: baseline for baseline in summary.baselines}
    value: float | None = getattr(found[predictor], name) if predictor in found else None
    return value


def _column_notes(
    tile: Tile, columns: Sequence[ColumnScore], metric: str
) -> Iterator[tuple[str, str]]:
    """Yield on how many columns the model is better than PCA, or worse where it is on the whole."""
    found = [column_comparison(c) for c in columns if c.metric == metric and c.pca is not None]
    if len(found) < 2 or tile.few:
        return
    side: Comparison = "worse" if tile.comparison == "worse" else "better"
    text = f"{side} on {count(found.count(side))} of {count(len(found))}"
    yield tile.comparison if found.count(side) else "", text


def _classifier_notes(measured: Classification) -> Iterator[tuple[str, str]]:
    if measured.auroc is not None:
        yield "", f"AUROC {measured.auroc:.3f}"
    support = [sum(row) for row in measured.confusion]
    if len(support) == 2 and min(support):
        rarer = support.index(min(support))
        recall = percent(measured.confusion[rarer][rarer] / support[rarer], 0)
        yield "", f"finds {recall} of “{short(measured.classes[rarer], TILE_NAME_LENGTH)}”"
