"""Draw the columns of a model: grouped by kind in a few lines, or one by one."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from rich.table import Table
from rich.text import Text

from aecli.cli.display.widgets import NameList, clipped, figures, names, user
from aecli.formatting import count, percent
from aecli.schema.model_spec import Column, Identifier, Label, LeftOut

_PLURALS = {"category": "categories"}


def column_groups(columns: Sequence[Column]) -> Table:
    """Return one line per kind and scaling: `784 numbers, scaled to 0..1   px0, px1 … px783`."""
    groups: dict[tuple[str, str], list[Column]] = {}
    for column in columns:
        groups.setdefault((column.kind, scaling(column)), []).append(column)
    grid = Table.grid(padding=(0, 2))
    grid.add_column(no_wrap=True)
    grid.add_column(overflow="fold")
    for (kind, scale), members in groups.items():
        what = count(len(members), kind, _PLURALS.get(kind, ""))
        listed = NameList([_with_size(column) for column in members])
        grid.add_row(f"{what}, {scale}" if scale else what, listed)
    return grid


def scaling(column: Column) -> str:
    """Describe how a column's numbers are scaled, from the figures themselves."""
    if column.constant:
        return "constant"
    if not column.scale or not column.low:
        return ""
    cells = list(zip(column.low, column.high, column.center, column.scale, strict=False))
    if all(center == 0 and scale == 1 for _, _, center, scale in cells):
        return "as they are"
    lowest = min((low - center) / scale for low, _, center, scale in cells)
    highest = max((high - center) / scale for _, high, center, scale in cells)
    if lowest >= -1e-9 and highest <= 1 + 1e-9:
        return "scaled to 0..1"
    means = zip(column.mean, column.center, column.scale, strict=False)
    standard = all(abs(mean - center) <= 1e-6 * scale for mean, center, scale in means)
    return "standardised" if standard else "scaled by quartiles"


def column_table(columns: Iterable[Column]) -> Table:
    """Return one line per column: its kind and the reason for it."""
    table = figures("column", "became", "type", "missing", "why", left=3)
    table.columns[3].justify = "right"
    table.columns[4].justify = "left"
    table.columns[4].no_wrap = False
    for column in columns:
        missing = count(column.missing) if column.missing else "–"
        table.add_row(
            clipped(column.name, 24),
            column.kind,
            clipped(column.type, 18),
            missing,
            user(column.reason, "dim"),
        )
    return table


def left_out_lines(left_out: Sequence[LeftOut], most: int = 6) -> Text:
    """Name the columns that are not features, one reason a line."""
    reasons: dict[str, list[str]] = {}
    for item in left_out:
        reasons.setdefault(item.reason, []).append(item.name)
    shown = list(reasons.items())
    lines = [f"{names(members, 36)}: {clipped(reason, 200)}" for reason, members in shown[:most]]
    rest = sum(len(members) for _, members in shown[most:])
    return Text("\n".join([*lines, f"… and {count(rest)} more"] if rest else lines))


def label_line(label: Label) -> Text:
    """Describe the label: `income: 2 classes (<=50K 76 %, >50K 24 %)`."""
    total = sum(label.counts) or 1
    pairs = zip(label.classes, label.counts, strict=False)
    shares = [f"{clipped(name, 16)} {percent(number / total, 0)}" for name, number in pairs]
    listed = ", ".join(shares[:5]) + (", …" if len(shares) > 5 else "")
    return Text(f"{clipped(label.name, 24)}: {len(label.classes)} classes ({listed})")


def ids_line(ids: Sequence[Identifier]) -> Text:
    """Name the identifier columns."""
    return Text(f"{names([item.name for item in ids])}: carried into every output")


def _with_size(column: Column) -> str:
    if column.kind == "category" and column.categories:
        return f"{clipped(column.name, 20)} ({len(column.categories)})"
    return f"{clipped(column.name, 20)} ({column.size})" if column.kind == "vector" else column.name
