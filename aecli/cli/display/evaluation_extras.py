"""Draw the optional parts of an evaluation: anomalies, probes, groups, confusion, comparison."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from rich.console import Console, RenderableType
from rich.console import Group as Lines
from rich.table import Table
from rich.text import Text

from aecli.cli.display.quality import score_text
from aecli.cli.display.widgets import BAD, DIM, FittedBlock, clipped, figures, stacked, titled, user
from aecli.formatting import count, figure, percent, safe

if TYPE_CHECKING:
    from aecli.evaluation.results import (
        Compared,
        Detection,
        Difference,
        EvaluateResult,
        Group,
        Probe,
    )
    from aecli.metrics.classification import Classification
    from aecli.metrics.detection import Interval

DIFFERENT_COLUMNS_SHOWN = 10

PROBE_VIEW_TITLES = {"raw": "raw columns", "pca": "PCA", "latent": "latents"}

GROUP_FIGURE_TITLES = {
    "total": "loss",
    "number_r2": "R²",
    "number_mse": "MSE",
    "column_accuracy": "accuracy",
    "accuracy": "label",
    "auroc": "AUROC",
}
"""Titles of the model's own figures in the table of groups."""


def anomaly_block(detection: Detection) -> RenderableType:
    """Draw how well scores separate anomalies, with 95 % intervals."""
    table = figures("figure", "value", "95 % interval", "threshold")
    rows = (
        ("AUROC", detection.auroc, None),
        ("average precision", detection.average_precision, None),
        ("best F1", detection.best_f1, detection.best_threshold),
        ("F1 at the stored threshold", detection.f1, detection.threshold),
    )
    for name, interval, threshold in rows:
        above = "" if threshold is None else figure(threshold, 3)
        table.add_row(name, *_interval(interval), above)
    title = Text.assemble("anomalies by ", user(clipped(detection.column, 30)))
    title.append(f", {count(detection.anomalies)} of {count(detection.rows)}")
    return titled(title, table)


def _interval(interval: Interval | None) -> tuple[str, str]:
    if interval is None:
        return "–", ""
    return _figure(interval.value), f"{_figure(interval.low)} to {_figure(interval.high)}"


def _figure(value: float | None) -> str:
    """Write a figure with three decimals, so that a column of them aligns."""
    if value is None or not math.isfinite(value):
        return "–"
    # Adding 0 makes -0 positive.
    return f"{round(value, 3) + 0.0:.3f}" if abs(value) < 1000 else figure(value)


def probe_block(probe: Probe) -> RenderableType:
    """Draw how well raw columns, PCA and the latents predict a column."""
    table = figures("features", "number", "linear probe", "5 neighbours")
    for name, view in probe.views.items():
        shown = (_probe_score(probe, value) for value in (view.linear, view.knn))
        table.add_row(PROBE_VIEW_TITLES[name], count(view.size), *shown)
    accuracy = probe.metric == "accuracy"
    trivial = "most frequent class" if accuracy else "mean"
    title = Text.assemble("probes of ", user(clipped(probe.column, 30)))
    title.append(", accuracy" if accuracy else ", R²")
    samples = (
        f"fitted on {count(probe.fitted, 'sample')}, measured on {count(probe.measured)} others"
    )
    return titled(title, table, f"{samples}; {trivial}: {_probe_score(probe, probe.baseline)}")


def _probe_score(probe: Probe, value: float | None) -> str:
    return percent(value) if probe.metric == "accuracy" else _figure(value)


def group_blocks(result: EvaluateResult) -> RenderableType | None:
    """Draw one line per group: the model's own figures, then anomalies, then probes."""
    if result.by is None:
        return None
    by = f"by {clipped(result.by, 30)}"
    blocks = [titled(by, _model_figures(result.groups, result.unit))]
    if result.anomaly is not None:
        blocks.append(titled(f"anomalies {by}", _anomalies(result.groups)))
    if result.probe is not None:
        title = f"probes of {clipped(result.probe.column, 30)} {by}"
        blocks.append(titled(title, _probes(result.probe, result.groups, result.unit)))
    return stacked(blocks)


def _model_figures(groups: Sequence[Group], unit: str) -> RenderableType:
    by_group = [group.figures() for group in groups]
    names = [
        name
        for name in GROUP_FIGURE_TITLES
        if any(name in group_figures for group_figures in by_group)
    ]
    table = figures("value", f"{unit}s", *(GROUP_FIGURE_TITLES[name] for name in names))
    for group, group_figures in zip(groups, by_group, strict=True):
        shown = (_model_figure(name, group_figures.get(name)) for name in names)
        table.add_row(_name(group), count(group.samples), *shown)
    notes = {
        "number_mse": "R², MSE: of scaled numbers",
        "column_accuracy": "accuracy: mean of the other columns",
        "accuracy": "label, AUROC: of the classifier",
    }
    note = "; ".join(text for name, text in notes.items() if name in names)
    return Lines(table, Text(note, style=DIM)) if note else table


def _model_figure(name: str, value: float | None) -> str:
    if name in ("total", "number_mse"):
        return figure(value)
    if name == "number_r2":
        return score_text("r2", value)
    return percent(value) if name.endswith("accuracy") else _figure(value)


def _anomalies(groups: Sequence[Group]) -> RenderableType:
    table = figures("value", "anomalies", "AUROC", "95 % interval", "precision", "best F1", "F1")
    for group in groups:
        detection = group.anomaly
        assert detection is not None, "groups have the figures of the whole table"
        means = (
            _interval(i)[0] for i in (detection.average_precision, detection.best_f1, detection.f1)
        )
        table.add_row(_name(group), count(detection.anomalies), *_interval(detection.auroc), *means)
    return table


def _probes(probe: Probe, groups: Sequence[Group], unit: str) -> RenderableType:
    titles = {"raw": "raw", "pca": "PCA", "latent": "latent"}
    named = [titles[name] for name in probe.views]
    table = figures("value", f"{unit}s", *named, *(f"NN {name}" for name in named))
    for group in groups:
        measured = group.probe
        assert measured is not None, "groups have the figures of the whole table"
        views = measured.views.values()
        values = [*(view.linear for view in views), *(view.knn for view in views)]
        shown = (_probe_score(measured, value) for value in values)
        table.add_row(_name(group), count(measured.measured), *shown)
    return Lines(table, Text("NN: 5 nearest neighbours; the others: linear probes", style=DIM))


def _name(group: Group) -> Text:
    if group.pooled:
        return Text(f"{count(group.pooled)} others", style=DIM)
    return Text("missing", style=DIM) if group.value is None else user(clipped(group.value, 16))


def compared_block(compared: Compared, this: str, *, all_columns: bool) -> RenderableType:
    """Draw the figures of two models, and the columns in which they differ most."""
    title = Text.assemble("compared with ", user(compared.result.model))
    blocks = [
        titled(
            title,
            _differences("figure", compared.figures),
            f"difference: {safe(this)} minus the other",
        )
    ]
    if compared.columns:
        most = sorted(compared.columns, key=lambda c: -abs(c.difference))
        shown = most if all_columns else most[:DIFFERENT_COLUMNS_SHOWN]
        hidden = len(most) - len(shown)
        note = f"… and {count(hidden)} more (--all-columns lists all)" if hidden else ""
        heading = "columns, R² or accuracy" + (
            ", largest difference first" if len(most) > 1 else ""
        )
        blocks.append(titled(heading, _differences("column", shown), note))
    notes = list(note_lines(compared.notes))
    return stacked([*blocks, Lines(*notes) if notes else None])


def _differences(title: str, differences: Sequence[Difference]) -> RenderableType:
    table = figures(title, "this model", "the other", "difference")
    for item in differences:
        change = item.difference
        signed = figure(change) if change <= 0 else f"+{figure(change)}"
        table.add_row(clipped(item.name, 26), figure(item.value), figure(item.other), signed)
    return table


def note_lines(notes: Sequence[str]) -> Iterator[Text]:
    """Draw notes, one a line."""
    return (Text(safe(note), style=DIM) for note in notes)


MAX_MATRIX_CLASSES = 12
CLASS_PAIRS_SHOWN = 10


def confusion_table(result: Classification, unit: str = "row") -> FittedBlock:
    """Draw the confusion matrix where it fits, else the pairs of classes most often confused."""

    def draw(console: Console, width: int) -> Table:
        matrix = _matrix(result) if len(result.classes) <= MAX_MATRIX_CLASSES else None
        fits = matrix is not None and console.measure(matrix).maximum <= width
        return matrix if matrix is not None and fits else _pairs(result, unit)

    return FittedBlock(draw)


def _matrix(result: Classification) -> Table:
    """Return rows of true classes by columns of predicted ones, with the recall of each class."""
    classes = [clipped(name, 12) for name in result.classes]
    table = figures("true \\ predicted", *classes, "recall")
    for row, (name, counts) in enumerate(zip(classes, result.confusion, strict=True)):
        cells = [_cell(number, column == row) for column, number in enumerate(counts)]
        table.add_row(name, *cells, percent(_share(counts, row)))
    return table


def _pairs(result: Classification, unit: str) -> Table:
    """Return the pairs of classes that are confused most often."""
    wrong = sorted(
        (
            (number, row, column)
            for row, counts in enumerate(result.confusion)
            for column, number in enumerate(counts)
            if number and row != column
        ),
        reverse=True,
    )
    table = figures("true", "predicted", f"{unit}s", "of the true class", left=2)
    for number, row, column in wrong[:CLASS_PAIRS_SHOWN]:
        names = (clipped(result.classes[index], 28) for index in (row, column))
        share = _share(result.confusion[row], column)
        table.add_row(*names, count(number), percent(share))
    return table


def _cell(number: int, right: bool) -> Text:
    if right:
        return Text(count(number), style="bold")
    return Text(count(number), style=BAD) if number else Text("·", style=DIM)


def _share(counts: Sequence[int], index: int) -> float | None:
    total = sum(counts)
    return counts[index] / total if total else None
