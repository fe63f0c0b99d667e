"""Find the row of names among the first rows of a CSV file, and note skipped lines."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from aecli.formatting import count, name_list
from aecli.schema.read_options import ReadOptions
from aecli.table.csv.header_detection import (
    count_titles,
    data_evidence,
    has_header_evidence,
    has_values,
    holds_units,
    is_strong,
    only_numbers,
)
from aecli.table.csv.rows import CsvRow, read_rows

_SHOWN_CELLS, _SHOWN_CHARACTERS = 8, 30


def find_header(
    rows: Sequence[CsvRow],
    width: int,
    above: Mapping[int, str],
    delimiter: str,
    options: ReadOptions,
    notes: list[str],
) -> tuple[CsvRow | None, int]:
    """Return the row of names, if there is one, and the position of the first row below it.

    Args:
        rows: the rows from the first line that may be names or data.
        width: the number of columns.
        above: the comments above the rows, by their position in the file.
        delimiter: between cells.
        options: of the user.
        notes: messages on skipped lines and assumptions are added to it.
    """
    if options.header == "none":
        return None, 0
    if options.header != "auto":
        named = _without_sign(rows[0], rows[0].cells[0], width) if rows[0].comment else None
        return named or rows[0], 1
    commented = _commented_header(rows, width, above, delimiter)
    if commented is not None:
        line = commented.start + 1
        if not commented.comment:
            notes.append(f"line {line:,}, a comment, contains the names of the columns")
        return commented, 0
    titles = count_titles(rows, width)
    if titles:
        notes.extend(_title_notes(rows[:titles]))
        return rows[titles], titles + 1
    evidence = data_evidence(rows[0], rows[1:]) if len(rows[0].cells) == width else None
    if is_strong(evidence):
        notes.append(_data_note(width, rows[0].start + 1 - options.skip_rows))
        return None, 0
    if evidence is not None and (evidence > 0 or only_numbers(rows[0])):
        notes.append(
            "its first line contains numbers and was read as the header; --header none reads it "
            "as a row"
        )
    return rows[0], 1


def has_open_end(header: CsvRow | None, rows: Sequence[CsvRow]) -> bool:
    """Return whether every row has one more field than the header, which is empty."""
    if header is None or not rows:
        return False
    last = len(header.cells)
    return all(
        len(row.cells) == last + 1 and not row.cells[last] and last not in row.quoted
        for row in rows
    )


def fitted_header(
    header: CsvRow, rows: Sequence[CsvRow], delimiter: str, notes: list[str]
) -> CsvRow:
    """Return a header with an added name for row names, or without an empty name at its end."""
    width = len(header.cells)
    widths = {len(row.cells) for row in rows}
    if widths == {width - 1} and width > 2 and not header.cells[-1].strip():
        return header._replace(cells=header.cells[:-1])
    if widths != {width + 1} or not _have_row_names(rows, delimiter):
        return header
    notes.append(
        "the rows have one field more than the header has names: the first is called column_1"
    )
    quoted = frozenset(position + 1 for position in header.quoted)
    name = "" if "column_1" in header.cells else "column_1"
    return header._replace(cells=[name, *header.cells], quoted=quoted)


def _have_row_names(rows: Sequence[CsvRow], delimiter: str) -> bool:
    """Return whether the first fields are row names, as R writes them without a header."""
    names = [row.cells[0] for row in rows]
    if not all(map(str.strip, names)) or len(set(names)) < len(names):
        return False
    # Without quotes, a comma may be part of a number or text.
    return all(0 in row.quoted for row in rows) or (delimiter != "," and len(rows) > 1)


def _commented_header(
    rows: Sequence[CsvRow], width: int, above: Mapping[int, str], delimiter: str
) -> CsvRow | None:
    """Return the comment directly above the data if it has a name for each column."""
    line = rows[0].start - 1
    header = _comment_cells(above, line, width, delimiter)
    if header is None or width < 2:
        return None
    if holds_units(header):
        header = _comment_cells(above, line - 1, width, delimiter) or header
    if has_header_evidence(rows[0], rows[1:]) and not holds_units(rows[0]):
        return None
    # A line such as #id,name has a name that begins with #; # id, name is a comment.
    literal = len(above) == 1 and re.match(r"#[^\s#]", above[line]) is not None
    if not (literal or width > 2 or has_values(rows[0])):
        return None
    cells = next(read_rows([above[line]], delimiter))
    return cells._replace(start=line, end=line + 1) if literal else header


def _comment_cells(
    above: Mapping[int, str], line: int, width: int, delimiter: str
) -> CsvRow | None:
    if line not in above:
        return None
    text = above[line].lstrip().lstrip("#").lstrip(" ")
    row = next(read_rows([text], delimiter))._replace(start=line, end=line + 1)
    return _without_sign(row, "#", width) if row.cells else None


def _without_sign(row: CsvRow, sign: str, width: int) -> CsvRow | None:
    """Return a comment's cells without its sign; None if there are not `width` of them."""
    name = row.cells[0].strip() if 0 in row.quoted else row.cells[0].strip().lstrip("#").strip()
    if len(row.cells) == width:
        return row._replace(cells=[name or sign, *row.cells[1:]])
    if not name and len(row.cells) == width + 1:
        quoted = frozenset(position - 1 for position in row.quoted)
        return row._replace(cells=row.cells[1:], quoted=quoted)
    return None


def _data_note(width: int, line: int) -> str:
    called = f"columns are called column_1 to column_{width}"
    if width == 1:
        called = "the column is called column_1"
    return f"the first line is data, not names: {called}; --header {line} uses it as names"


def _title_notes(titles: Sequence[CsvRow]) -> list[str]:
    texts = [" ".join(cell.strip() for cell in row.cells if cell.strip()) for row in titles]
    if not any(texts):
        return []
    first, last = titles[0].start + 1, titles[-1].end
    lines = f"lines {first:,} to {last:,} above" if last > first else f"line {first:,} above"
    return [f"{lines} the header skipped: {shown_texts([repr(text) for text in texts if text])}"]


def note_comments(skipped: int, header: CsvRow | None, notes: list[str]) -> None:
    """Insert a note on the number of comments above the header or the rows."""
    if skipped:
        subject = "rows" if header is None else "header"
        notes.insert(0, f"{count(skipped, 'comment line')} above the {subject} skipped")


def shown_texts(texts: Sequence[str]) -> str:
    """Return the first texts, long ones shortened, for a note."""
    limit = _SHOWN_CHARACTERS
    cut = [text if len(text) <= limit else text[:limit] + "…" for text in texts]
    return name_list(cut, _SHOWN_CELLS)
