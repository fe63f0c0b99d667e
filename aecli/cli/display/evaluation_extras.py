"""Draw what an evaluation was asked for: anomalies, probes, groups, and a second model."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

from rich.console import Console, ConsoleOptions, RenderableType, RenderResult
from rich.console import Group as Lines
from rich.table import Table
from rich.text import Text

from aecli.cli.display.widgets import BAD, DIM, clipped, figures, stacked, titled, user
from aecli.evaluation.results import Compared, Detection, Difference, EvaluateResult, Group, Probe
from aecli.formatting import count, figure, percent, safe
from aecli.metrics.classification import Classification
from aecli.metrics.detection import Interval

COLUMNS_SHOWN = 10

VIEWS = {"raw": "raw columns", "pca": "PCA", "latent": "latents"}

TITLES = {
    "total": "loss",
    "number_mse": "MSE",
    "column_accuracy": "accuracy",
    "accuracy": "label",
    "auroc": "AUROC",
}
"""Figures of the model itself in a table of groups, and how its narrow columns are called."""


def anomaly_block(found: Detection) -> RenderableType:
    """Draw how well scores tell anomalies, with 95 % intervals."""
    table = figures("figure", "value", "95 % interval", "of a score above")
    rows = (
        ("AUROC", found.auroc, None),
        ("average precision", found.average_precision, None),
        ("best F1", found.best_f1, found.best_threshold),
        ("F1 at the stored threshold", found.f1, found.threshold),
    )
    for name, interval, threshold in rows:
        above = "" if threshold is None else figure(threshold, 3)
        table.add_row(name, *_interval(interval), above)
    title = Text.assemble("anomalies by ", user(clipped(found.column, 30)))
    title.append(f", {count(found.anomalies)} of {count(found.rows)}")
    return titled(title, table)


def _interval(found: Interval | None) -> tuple[str, str]:
    if found is None:
        return "–", ""
    return _plain(found.value), f"{_plain(found.low)} to {_plain(found.high)}"


def _plain(value: float | None) -> str:
    """Write a figure between 0 and 1 with three decimals, so that a column of them aligns."""
    if value is None or not math.isfinite(value):
        return "–"
    # Adding 0 takes the sign off a zero.
    return f"{round(value, 3) + 0.0:.3f}" if abs(value) < 1000 else figure(value)


def probe_block(found: Probe) -> RenderableType:
    """Draw what is told of a column from raw columns, PCA and the latents."""
    table = figures("features", "number", "linear probe", "5 neighbours")
    for name, view in found.views.items():
        shown = (_probed(found, value) for value in (view.linear, view.knn))
        table.add_row(VIEWS[name], count(view.size), *shown)
    accuracy = found.metric == "accuracy"
    trivial = "the most frequent class" if accuracy else "the mean"
    title = Text.assemble("probes of ", user(clipped(found.column, 30)))
    title.append(", accuracy" if accuracy else ", R²")
    samples = (
        f"fitted on {count(found.fitted, 'sample')}, measured on {count(found.measured)} others"
    )
    return titled(title, table, f"{samples}; {trivial} alone: {_probed(found, found.baseline)}")


def _probed(found: Probe, value: float | None) -> str:
    return percent(value) if found.metric == "accuracy" else _plain(value)


def group_blocks(result: EvaluateResult) -> RenderableType | None:
    """Draw one line per group: the model's own figures, then anomalies, then probes."""
    if result.by is None:
        return None
    by = f"by {clipped(result.by, 30)}"
    blocks = [titled(by, _own_figures(result.groups))]
    if result.anomaly is not None:
        blocks.append(titled(f"anomalies {by}", _anomalies(result.groups)))
    if result.probe is not None:
        title = f"probes of {clipped(result.probe.column, 30)} {by}"
        blocks.append(titled(title, _probes(result.probe, result.groups)))
    return stacked(blocks)


def _own_figures(groups: Sequence[Group]) -> RenderableType:
    found = [group.figures() for group in groups]
    names = [name for name in TITLES if any(name in own for own in found)]
    table = figures("value", "rows", *(TITLES[name] for name in names))
    for group, own in zip(groups, found, strict=True):
        shown = (_own(name, own.get(name)) for name in names)
        table.add_row(_name(group), count(group.rows), *shown)
    said = {
        "number_mse": "MSE: of scaled numbers",
        "column_accuracy": "accuracy: mean of the other columns",
        "accuracy": "label, AUROC: of the classifier",
    }
    note = "; ".join(text for name, text in said.items() if name in names)
    return Lines(table, Text(note, style=DIM)) if note else table


def _own(name: str, value: float | None) -> str:
    if name in ("total", "number_mse"):
        return figure(value)
    return percent(value) if name.endswith("accuracy") else _plain(value)


def _anomalies(groups: Sequence[Group]) -> RenderableType:
    table = figures("value", "anomalies", "AUROC", "95 % interval", "precision", "best F1", "F1")
    for group in groups:
        found = group.anomaly
        assert found is not None, "groups are measured as the whole is"
        means = (_interval(i)[0] for i in (found.average_precision, found.best_f1, found.f1))
        table.add_row(_name(group), count(found.anomalies), *_interval(found.auroc), *means)
    return table


def _probes(whole: Probe, groups: Sequence[Group]) -> RenderableType:
    titles = {"raw": "raw", "pca": "PCA", "latent": "latent"}
    named = [titles[name] for name in whole.views]
    table = figures("value", "rows", *named, *(f"NN {name}" for name in named))
    for group in groups:
        found = group.probe
        assert found is not None, "groups are measured as the whole is"
        views = found.views.values()
        values = [*(view.linear for view in views), *(view.knn for view in views)]
        shown = (_probed(found, value) for value in values)
        table.add_row(_name(group), count(found.measured), *shown)
    return Lines(table, Text("NN: 5 nearest neighbours; the others: linear probes", style=DIM))


def _name(group: Group) -> Text:
    if group.pooled:
        return Text(f"{count(group.pooled)} others", style=DIM)
    return Text("empty", style=DIM) if group.value is None else user(clipped(group.value, 16))


def compared_block(found: Compared, this: str, *, all_columns: bool) -> RenderableType:
    """Draw two models' figures side by side, and the columns in which they differ most."""
    title = Text.assemble("beside ", user(found.result.model))
    blocks = [
        titled(
            title, _differences("figure", found.figures), f"difference: {safe(this)} less the other"
        )
    ]
    if found.columns:
        most = sorted(found.columns, key=lambda c: -abs(c.difference))
        shown = most if all_columns else most[:COLUMNS_SHOWN]
        hidden = len(most) - len(shown)
        note = f"… and {count(hidden)} more (--columns lists all)" if hidden else ""
        heading = "columns, R² or accuracy" + (
            ", largest difference first" if len(most) > 1 else ""
        )
        blocks.append(titled(heading, _differences("column", shown), note))
    notes = list(note_lines(found.notes))
    return stacked([*blocks, Lines(*notes) if notes else None])


def _differences(title: str, found: Sequence[Difference]) -> RenderableType:
    table = figures(title, "this model", "the other", "difference")
    for item in found:
        change = item.difference
        signed = figure(change) if change <= 0 else f"+{figure(change)}"
        table.add_row(clipped(item.name, 26), figure(item.value), figure(item.other), signed)
    return table


def note_lines(notes: Sequence[str]) -> Iterator[Text]:
    """Draw sentences on what was odd."""
    return (Text(safe(note), style=DIM) for note in notes)


MOST_CLASSES = 12
PAIRS_SHOWN = 10


class Confusion:
    """Draw rows of true classes by columns of predicted ones, with each class's recall."""

    def __init__(self, found: Classification) -> None:
        self.found = found

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        matrix = self.matrix() if len(self.found.classes) <= MOST_CLASSES else None
        if matrix and console.measure(matrix).maximum <= options.max_width:
            yield matrix
        else:
            yield self.pairs()

    def matrix(self) -> Table:
        """Return the whole matrix."""
        classes = [clipped(name, 12) for name in self.found.classes]
        table = figures("true \\ predicted", *classes, "recall")
        for row, (name, counts) in enumerate(zip(classes, self.found.confusion, strict=True)):
            cells = [_cell(number, column == row) for column, number in enumerate(counts)]
            table.add_row(name, *cells, percent(_share(counts, row)))
        return table

    def pairs(self) -> Table:
        """Return the pairs of classes with most wrong rows."""
        wrong = sorted(
            (
                (number, row, column)
                for row, counts in enumerate(self.found.confusion)
                for column, number in enumerate(counts)
                if number and row != column
            ),
            reverse=True,
        )
        table = figures("true", "predicted", "rows", "of the true class", left=2)
        for number, row, column in wrong[:PAIRS_SHOWN]:
            names = (clipped(self.found.classes[place], 28) for place in (row, column))
            share = _share(self.found.confusion[row], column)
            table.add_row(*names, count(number), percent(share))
        return table


def _cell(number: int, right: bool) -> Text:
    if right:
        return Text(count(number), style="bold")
    return Text(count(number), style=BAD) if number else Text("·", style=DIM)


def _share(counts: Sequence[int], place: int) -> float | None:
    total = sum(counts)
    return counts[place] / total if total else None
