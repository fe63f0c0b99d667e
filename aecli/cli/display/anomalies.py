"""Draw the result of `score`: the threshold, and the most anomalous rows with their reasons."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING

from rich.console import Console, Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from aecli.cli.display.widgets import BAD, DIM, FittedBlock, clipped, titled
from aecli.cli.display.written import stream_lines
from aecli.formatting import count, figure, percent, safe
from aecli.schema.calibration import MIN_CALIBRATION_ROWS

if TYPE_CHECKING:
    from aecli.scoring.explanation import AnomalousSample, ScoreReason
    from aecli.scoring.score import ScoreResult

MIN_TABLE_WIDTH = 72
"""Minimum number of cells for a table; with fewer the reasons are below their row."""

IDENTIFIERS_SHOWN = 3
MAX_COLUMN_NAME_LENGTH = 40


def score_report(result: ScoreResult) -> RenderableType:
    """Return what was scored, the number of outliers, and the most anomalous rows."""
    lines: list[RenderableType] = [*stream_lines(result), *_threshold_lines(result)]
    if not result.anomalous:
        return Group(*lines)
    return Group(*lines, Text(""), titled(_title(result), _samples(result)))


def _threshold_lines(result: ScoreResult) -> Iterator[Text]:
    if result.uncovered:
        yield Text(f"{count(result.uncovered, 'row')} in no window have no score", style=BAD)
    share = result.outliers / max(1, result.rows)
    rows = f"{count(result.calibrated_rows)} {safe(result.calibrated_on)}"
    outliers = f"{count(result.outliers, 'outlier')} ({percent(share)})"
    yield Text(f"{outliers} with a score above {figure(result.threshold, 4)}, fitted on {rows}")
    if result.calibrated_rows < MIN_CALIBRATION_ROWS:
        advice = "too few for a reliable threshold; aecli calibrate fits it on a larger table"
        yield Text(f"note: {count(result.calibrated_rows)} rows are {advice}", style=BAD)


def _title(result: ScoreResult) -> str:
    if result.unit == "row":
        return "most anomalous rows, numbered from 0"
    return "most anomalous windows that do not overlap, rows numbered from 0"


def _samples(result: ScoreResult) -> FittedBlock:
    def draw(console: Console, width: int) -> RenderableType:
        if width >= MIN_TABLE_WIDTH:
            return _table(result)
        return Group(*(_paragraph(sample, result) for sample in result.anomalous))

    return FittedBlock(draw)


def _table(result: ScoreResult) -> Table:
    """Return the number, identifiers, score and reasons of each row."""
    titles = list(result.anomalous[0].identifiers)[:IDENTIFIERS_SHOWN]
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style=DIM)
    table.add_column("rows" if result.unit == "window" else "row", justify="right", no_wrap=True)
    for title in titles:
        table.add_column(clipped(title, 16), no_wrap=True)
    table.add_column("score", justify="right", no_wrap=True)
    table.add_column("reasons", overflow="fold")
    for sample in result.anomalous:
        names = (clipped(sample.identifiers[title], 20) for title in titles)
        style = "bold" if sample.score > result.threshold else ""
        score = Text(figure(sample.score, 3), style=style)
        table.add_row(_numbers(sample), *names, score, _reasons(sample))
    return table


def _paragraph(sample: AnomalousSample, result: ScoreResult) -> RenderableType:
    named = [f"{result.unit} {_numbers(sample)}"]
    shown = list(sample.identifiers.items())[:IDENTIFIERS_SHOWN]
    named += [f"{clipped(name, 16)} {clipped(value, 20)}" for name, value in shown]
    style = "bold" if sample.score > result.threshold else ""
    heading = Text(f"{', '.join(named)}: score {figure(sample.score, 3)}", style=style)
    return Group(heading, Padding(_reasons(sample), (0, 0, 0, 2)))


def _numbers(sample: AnomalousSample) -> str:
    if sample.first_row == sample.row:
        return str(sample.row)
    return f"{sample.first_row}–{sample.row}"


def _reasons(sample: AnomalousSample) -> Text:
    """Return the largest reason as a sentence, and the others in brief."""
    from aecli.scoring.explanation import reason_text

    if not sample.reasons:
        return Text("")
    first, *others = map(_clipped_reason, sample.reasons)
    lines = [reason_text(first)]
    lines += ["; ".join(reason_text(reason, brief=True) for reason in others)] if others else []
    return Text("\n".join(lines), overflow="fold")


def _clipped_reason(reason: ScoreReason) -> ScoreReason:
    """Return a reason whose texts are safe to print, its column's name shortened."""
    value, expected = (
        None if text is None else safe(text) for text in (reason.value, reason.expected)
    )
    name = clipped(reason.column, MAX_COLUMN_NAME_LENGTH)
    return replace(reason, column=name, value=value, expected=expected)
