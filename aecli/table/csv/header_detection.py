"""Distinguish titles, the header, units and data in the first rows of a text table."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from itertools import pairwise

from aecli.table.csv.cell_kinds import (
    ROWS_BELOW_UNITS,
    cell_kind,
    cells_below,
    column_kinds,
    examined,
    is_number,
    number_in,
)
from aecli.table.csv.cells import cell_needs_quotes, name_needs_quotes
from aecli.table.csv.rows import CsvRow

_USUAL_NAMES = frozenset(
    {"category", "city", "class", "code", "country", "date", "day", "gene", "group", "id", "index"}
    | {"item", "key", "label", "month", "name", "product", "region", "sample", "series", "species"}
    | {"state", "station", "subject", "time", "timestamp", "type", "user", "variable", "year"}
)
_BRACKETED = re.compile(r"\[.*\]|\(.*\)|<.*>|\{.*\}")
_UNIT = re.compile(
    r"\S*[%°/²³^·]\S*|deg\w*|[kcmµunMGh]?(?:m|g|s|V|A|W|Wh|Pa|J|N|Hz|mol|K|C|F|L|l|B|bar|Ohm|eV)"
    r"|ppm|ppb|rpm|psi|mph|kn|kts?|in|ft|lbs?|min|hours?|days?|years?|seconds?|minutes?|percent"
    r"|(?:kilo|centi|milli)?(?:met(?:er|re)|gram)s?|kelvin|watts?|volts?|USD|EUR|GBP"
)
_MAX_UNITS_ROWS = 3
_MAX_TITLES = 50
AGREEING_SHARE = 0.8
"""Minimum share of rows of one width in a table."""
_STRONG_EVIDENCE = 2


def usual_width(rows: Sequence[CsvRow]) -> int:
    """Return the number of cells that most of the rows have, titles excluded."""
    below = rows[len(rows) // 2 :]
    return Counter(len(row.cells) for row in below).most_common(1)[0][0] if below else 0


def count_titles(rows: Sequence[CsvRow], width: int) -> int:
    """Return the number of rows at the top that are titles; 0 if the evidence is weak.

    Titles have fewer cells with text than the table has columns, and are above a row of names.
    """
    for count, row in enumerate(rows[: _MAX_TITLES + 1]):
        below = rows[count + 1 :]
        if count and _is_header(row, below, width):
            agree = sum(len(other.cells) == width for other in below)
            titles = rows[:count]
            sure = (
                has_values(row)
                or _has_names_over_values(row, below)
                or all(_is_plain_title(title, row, width) for title in titles)
            )
            return count if below and sure and agree >= AGREEING_SHARE * len(below) else 0
        texts = sum(bool(cell.strip()) or i in row.quoted for i, cell in enumerate(row.cells))
        if width < 2 or texts >= width or (len(row.cells) >= width and 2 * texts > width):
            return 0
    return 0


def has_header_evidence(first: CsvRow, rows: Sequence[CsvRow]) -> bool:
    """Return whether the first row has text or the only quotes, above numbers or times.

    The only unquoted text of a column is evidence too.
    """
    if any(_lacks_quotes(position, first, rows) for position in range(len(first.cells))):
        return True
    kinds = column_kinds(rows, len(first.cells))
    for position, (cell, kind) in enumerate(zip(first.cells, kinds, strict=False)):
        if kind not in ("number", "time"):
            continue
        if cell_kind(cell) not in (None, kind):
            return True
        if position in first.quoted and not any(position in row.quoted for row in rows):
            return True
    return False


def _lacks_quotes(position: int, first: CsvRow, rows: Sequence[CsvRow]) -> bool:
    if position in first.quoted or cell_kind(first.cells[position]) != "text":
        return False
    return bool(rows) and all(position in row.quoted for row in rows)


def data_evidence(first: CsvRow, rows: Sequence[CsvRow]) -> int | None:
    """Return the evidence that the first row is data, None without any; 2 is strong.

    Numbers in a sequence, such as years or numbered columns, indicate a header; numbers within the
    range of their column, times above times and repeated texts indicate data.
    """
    if not rows or has_header_evidence(first, rows):
        return None
    kinds = column_kinds(rows, len(first.cells))
    rows = examined(rows, len(first.cells))
    matched = [
        position
        for position, kind in enumerate(kinds)
        if kind in ("number", "time") and cell_kind(first.cells[position]) == kind
    ]
    if not matched:
        return None
    numbers = [position for position in matched if kinds[position] == "number"]
    evidence = 2 if len(numbers) < len(matched) else 0
    evidence += _order_evidence([first.cells[position] for position in numbers])
    evidence += _range_evidence(first, rows, numbers)
    return evidence + _text_evidence(first, rows, kinds)


def is_strong(evidence: int | None) -> bool:
    """Return whether the evidence is strong enough to read a first row as data."""
    return evidence is not None and evidence >= _STRONG_EVIDENCE


def count_units_rows(header: CsvRow, rows: Sequence[CsvRow]) -> int:
    """Return the number of rows below a header that contain units: text above numbers.

    If texts are quoted without need and names are not, the texts are cells.
    """
    if rows and not _quotes_names(header) and _quotes_texts(rows[0]):
        return 0
    count = 0
    while count < min(len(rows) - 1, _MAX_UNITS_ROWS):
        first, below = rows[count], examined(rows[count + 1 :], len(rows[0].cells))
        if not _is_units_row(first, below, certain=count > 0):
            break
        count += 1
    return count


def _quotes_names(header: CsvRow) -> bool:
    return any(not name_needs_quotes(header.cells[position]) for position in header.quoted)


def _quotes_texts(row: CsvRow) -> bool:
    texts = (row.cells[position] for position in row.quoted)
    return any(text and not cell_needs_quotes(text) for text in texts)


def _is_units_row(first: CsvRow, rows: Sequence[CsvRow], *, certain: bool) -> bool:
    brackets = [bool(_BRACKETED.fullmatch(cell.strip())) for cell in first.cells if cell.strip()]
    if len(rows) < ROWS_BELOW_UNITS and not (all(brackets) and len(brackets) > 1):
        return False
    kinds = column_kinds(rows, len(first.cells))
    values = [i for i, kind in enumerate(kinds) if kind in ("number", "time")]
    cells = [cell.strip() for cell in first.cells[: len(kinds)]]
    if any(cell_kind(cell) in ("number", "time") for cell in cells):
        return False
    units = [i for i in values if cell_kind(cells[i]) == "text"]
    dimensionless = [i for i in values if cells[i] in ("", "-")]
    if not units or 2 * (len(units) + len(dimensionless)) <= len(values):
        return False
    texts = [i for i, kind in enumerate(kinds) if kind == "text" and cell_kind(cells[i]) == "text"]
    if any(cells[i] in cells_below(rows, i) for i in texts):
        return False
    # Unknown words may mean that a number is missing or beyond a limit; a single letter may be a
    # grade.
    known = [cells[i] for i in units if _is_unit(cells[i])]
    return certain or len(known) > 1 or any(len(cell) > 1 or not cell.isalpha() for cell in known)


def holds_units(row: CsvRow) -> bool:
    """Return whether every cell of a row is a known unit, in brackets, or empty."""
    cells = [cell.strip() for cell in row.cells]
    return any(map(_is_unit, cells)) and all(_is_unit(cell) or cell in ("", "-") for cell in cells)


def has_values(row: CsvRow) -> bool:
    """Return whether a row has a number or a time."""
    return any(cell_kind(cell) in ("number", "time") for cell in row.cells)


def only_numbers(row: CsvRow) -> bool:
    """Return whether every cell of a row is a number."""
    return all(map(is_number, row.cells))


def _is_unit(cell: str) -> bool:
    return bool(_BRACKETED.fullmatch(cell) or _UNIT.fullmatch(cell))


def _is_header(row: CsvRow, rows: Sequence[CsvRow], width: int) -> bool:
    """Return whether a row has a name for each column; first and empty columns may lack one."""
    if len(row.cells) != width:
        return False
    named = [position for position, cell in enumerate(row.cells) if cell.strip()]
    whole = [other.cells for other in rows if len(other.cells) == width]
    for position in range(width):
        if position in (0, *named):
            continue
        if any(cells[position].strip() for cells in whole):
            return False
    if not row.cells[0].strip() and not _has_names_over_values(row, rows):
        return False
    cells = [row.cells[position] for position in named]
    numbers = [cell for cell in cells if cell_kind(cell) == "number"]
    times = any(cell_kind(cell) == "time" for cell in cells)
    years = all(re.fullmatch(r"\s*\d{4}\s*", number) for number in numbers) and _counts(numbers)
    return not times and (not numbers or (len(numbers) < len(cells) and years))


def _has_names_over_values(row: CsvRow, rows: Sequence[CsvRow]) -> bool:
    kinds = column_kinds(rows, len(row.cells))
    return any(
        kind in ("number", "time") and cell_kind(cell) == "text"
        for cell, kind in zip(row.cells, kinds, strict=False)
    )


def _is_plain_title(title: CsvRow, header: CsvRow, width: int) -> bool:
    """Return whether a row has one text that is unlikely in a header of so few names."""
    if len(title.cells) != 1:
        return False
    blank_below = header.start > title.end
    return width > 2 or blank_below or " " in title.cells[0].strip()


def _counts(numbers: Sequence[str]) -> bool:
    """Return whether numbers are evenly spaced, such as years or numbered columns."""
    values = [value for value in map(number_in, numbers) if value is not None]
    steps = {round(after - before, 9) for before, after in pairwise(values)}
    if len(values) > 2:
        return len(steps) == 1 and 0 not in steps
    if len(values) == 1:
        return numbers[0].strip().isdecimal() and (values[0] < 2 or 1900 <= values[0] <= 2100)
    decimals = {len(number.strip().partition(".")[2]) for number in numbers}
    return len(decimals) == 1 and {abs(step) for step in steps} <= {0.1, 0.5, 1, 5, 10}


def _order_evidence(numbers: Sequence[str]) -> int:
    values = [value for value in map(number_in, numbers) if value is not None]
    if not values:
        return 0
    if len(set(values)) < len(values):
        return 2
    years = len(values) > 1 and all(1900 <= value <= 2100 for value in values)
    if _counts(numbers) or (years and all(number.strip().isdecimal() for number in numbers)):
        return -2
    if values not in (sorted(values), sorted(values, reverse=True)):
        return 2
    if all(number.strip().isdecimal() for number in numbers):
        return -int(len(values) > 2)
    return 1 if len(values) < 4 else -1


def _range_evidence(first: CsvRow, rows: Sequence[CsvRow], numbers: Sequence[int]) -> int:
    """Return how well numbers of the first row fit the range of the numbers below."""
    inside = known = 0
    for position in numbers:
        below = map(number_in, cells_below(rows, position))
        values = [value for value in below if value is not None]
        value = number_in(first.cells[position])
        if len(values) < 3 or value is None:
            continue
        low, high = min(values), max(values)
        margin = (high - low) / 2
        known += 1
        inside += low - margin <= value <= high + margin
    if not known:
        return 0
    if inside == known:
        return 2
    return 1 if 4 * inside >= 3 * known else -int(2 * inside < known)


def _text_evidence(first: CsvRow, rows: Sequence[CsvRow], kinds: Sequence[str | None]) -> int:
    """Return the evidence of texts: repeated, new in a column of few values, or absent."""
    recurring = new = lacking = False
    for position, kind in enumerate(kinds):
        cell = first.cells[position].strip()
        below = cells_below(rows, position)
        if kind == "text" and cell:
            recurring |= cell in below
            few = len(below) > 3 and 2 * len(set(below)) <= len(below)
            new |= cell not in below and (few or cell.lower() in _USUAL_NAMES)
        lacking |= not cell and kind is not None and all(below)
    return 2 * recurring - 2 * new - 2 * lacking
