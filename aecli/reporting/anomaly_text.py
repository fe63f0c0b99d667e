"""Write anomalous rows as sentences, and group those that are anomalous for the same value."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from aecli.features.layout import NUMERIC
from aecli.formatting import count, safe
from aecli.reporting.data import ReportData, ReportRow
from aecli.reporting.text import MAX_NAME_LENGTH, short
from aecli.schema.model_spec import ModelSpec
from aecli.scoring.explanation import MIN_REASON, ScoreReason

GROUPS_SHOWN = 10
"""Different reasons that are listed; rows that share one stand together."""

CELLS_OF_REPEATS = 20
"""Columns listed of a row whose reason another row has, too."""

MAX_REASONS = 3

LARGE_ERROR = 4.0
"""A number is marked where its error is a larger multiple of the usual one."""


def row_groups(rows: Sequence[ReportRow]) -> list[list[ReportRow]]:
    """Return rows with the same value of their leading column together, highest score first."""
    groups: dict[object, list[ReportRow]] = {}
    for row in rows:
        lead = row.cells[0] if row.cells else None
        repeated = lead is not None and lead.value and not row.windows and row.images is None
        key = (lead.column, lead.value) if lead is not None and repeated else id(row)
        first = key not in groups
        shown = row if first else replace(row, cells=row.cells[:CELLS_OF_REPEATS])
        groups.setdefault(key, []).append(shown)
    return list(groups.values())[:GROUPS_SHOWN]


def row_name(row: ReportRow, data: ReportData, most: int = MAX_NAME_LENGTH) -> str:
    """Return what a row is called on the page: by its identifier, else by its number."""
    if row.windows:
        first, last = row.span
        span = safe(first) if first == last else f"{safe(first)} to {safe(last)}"
        return f"{short(row.identifier, most)}, {span}" if row.identifier else span
    if row.identifier:
        return f"{short(data.identified_by, most)} {short(row.identifier, most)}"
    return f"row {count(row.number)}"


def numbering(data: ReportData) -> str:
    """Return how rows are named on the page."""
    if data.spec.network.window > 1:
        time = data.spec.options.windows.time
        return f"Rows are named by {short(time)}." if time else "Rows are numbered from 0."
    if data.identified_by:
        return f"Rows are named by {short(data.identified_by)}; links number them from 0."
    return "Rows are numbered from 0, as pandas does."


def reasons(row: ReportRow) -> list[ScoreReason]:
    """Return the largest reasons for a row's score, the first always, with texts that are safe."""
    first, others = row.cells[:1], row.cells[1:MAX_REASONS]
    large = [reason for reason in others if reason.contribution >= MIN_REASON]
    return [_safe_reason(reason) for reason in (*first, *large)]


def _safe_reason(reason: ScoreReason) -> ScoreReason:
    value, expected = (
        None if text is None else safe(text) for text in (reason.value, reason.expected)
    )
    return replace(reason, column=short(reason.column), value=value, expected=expected)


def marked(cell: ScoreReason, spec: ModelSpec) -> bool:
    """Return whether a reconstruction is marked: of another category, or with a large error."""
    if cell.constant:
        return True
    if cell.value is None or cell.value in (cell.expected, "missing"):
        return False
    kinds = {column.name: column.kind for column in spec.columns}
    return kinds[cell.column] not in NUMERIC or cell.error > LARGE_ERROR
