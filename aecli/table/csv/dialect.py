"""Detect a CSV file's delimiter, the names of its columns, and the start of its rows."""

from __future__ import annotations

import io
import re
import shlex
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from aecli.schema.read_options import ReadOptions
from aecli.table.cells.conversion import SPACE
from aecli.table.csv.cell_kinds import EXAMINED_COLUMNS, is_number
from aecli.table.csv.delimiter import (
    has_escapes,
    other_delimiter,
    sampled_rows,
    sniff_delimiter,
)
from aecli.table.csv.header import (
    find_header,
    fitted_header,
    has_open_end,
    note_comments,
    shown_texts,
)
from aecli.table.csv.header_detection import (
    AGREEING_SHARE,
    count_units_rows,
    has_header_evidence,
    has_values,
    usual_width,
)
from aecli.table.csv.rows import CsvRow, is_comment, is_padding, read_rows

_MAX_COMMENT_CHARACTERS = 8 << 20
_SEPARATOR_LINE = re.compile(r'("?)sep=([^\r\n"])\1(?:\r\n|\r|\n)', re.IGNORECASE)


@dataclass(frozen=True)
class CsvDialect:
    """Delimiter of a CSV file, the names of its columns, and the roles of its first lines.

    `rows_at` and `lines_above` are the UTF-8 bytes and the lines above the first row. `names_line`
    is the line of the names, counted from 1; 0 without a header: then the columns are called
    `column_1`, `column_2`, ….
    """

    delimiter: str
    names: list[str]
    names_line: int
    rows_at: int
    lines_above: int
    notes: list[str]
    initial_spaces: bool
    """Whether a space follows every delimiter, and is not part of the cells."""
    escapes: bool
    """Whether quotes within quoted cells are escaped by a backslash."""
    comments: bool
    """Whether rows that begin with # and differ in their number of cells are comments."""
    quotes_all: bool
    """Whether every cell that is not empty is quoted, including numbers."""
    open_end: bool
    """Whether every row except the header ends in a delimiter; the last field has no name."""
    header_may_be_data: bool
    """Whether the header has a number or a time, without evidence that it is a name."""
    misfit: tuple[int, str] | None
    """Number of cells of the rows if it differs from the header's, and the option to try."""

    @property
    def rewritten(self) -> bool:
        """Return whether Arrow needs the rows rewritten by `csv.stream`."""
        return self.initial_spaces or self.escapes or self.delimiter == " "

    def rows(self, lines: Iterable[str]) -> Iterator[CsvRow]:
        """Yield the rows of lines, as `read_rows` does."""
        return read_rows(
            lines, self.delimiter, escapes=self.escapes, initial_spaces=self.initial_spaces
        )

    @property
    def width(self) -> int:
        """Return the number of fields of a row."""
        return len(self.names) + self.open_end

    def is_skipped(self, first_cell: str, cells: int) -> bool:
        """Return whether a row with this first cell and number of cells is a comment or padding."""
        if cells == 1 and is_padding(first_cell):
            return True
        known = self.comments or (cells == 1 and first_cell.startswith("# "))
        return known and cells != self.width and is_comment(first_cell)


def read_dialect(
    head: str, options: ReadOptions, *, complete: bool, lines_above: int = 0
) -> CsvDialect | None:
    """Return the dialect of a table that begins with `head`; None if its header does not end there.

    The delimiter is the option, else that of a first line such as `sep=;`, which spreadsheets
    write, else the one that splits most rows into as many cells as the header; a file without any
    of `, ; |` and tab outside quotes has one column.

    Args:
        head: the first characters, without byte-order mark and without lines skipped by options.
        options: of the user.
        complete: whether `head` is the whole file; otherwise its last line may be incomplete.
        lines_above: the number of lines skipped by options.
    """
    lines = list(io.StringIO(head, newline=""))
    if not complete and lines and not lines[-1].endswith(("\n", "\r")):
        lines.pop()
    separator = _separator(lines)
    top = 1 if separator else 0
    first = _first_line(lines, top, options, complete=complete)
    if first is None:
        return None
    below = lines[first:]
    escapes = has_escapes(below)
    delimiter = options.delimiter or separator
    delimiter = delimiter or sniff_delimiter(below, escapes=escapes)
    rows = sampled_rows(below, delimiter, complete=complete, escapes=escapes)
    if not rows:
        return None
    initial_spaces = delimiter != " " and _has_initial_spaces(rows)
    if initial_spaces:
        rows = sampled_rows(
            below, delimiter, complete=complete, escapes=escapes, initial_spaces=True
        )
    above = {lines_above + i: lines[i] for i in range(top, first) if is_comment(lines[i])}
    start = lines_above + first
    rows = [row._replace(start=row.start + start, end=row.end + start) for row in rows]
    dialect = _dialect(rows, start, above, delimiter, options, initial_spaces=initial_spaces)
    delimiter_notes = [] if options.delimiter else _delimiter_notes(dialect, below)
    text = "".join(lines[: dialect.lines_above - lines_above])
    return replace(
        dialect,
        rows_at=len(text.encode()),
        escapes=escapes,
        notes=[*dialect.notes, *delimiter_notes],
    )


def _separator(lines: Sequence[str]) -> str | None:
    """Return the delimiter that a first line defines; a quoted line may be a name."""
    match = _SEPARATOR_LINE.match(lines[0]) if lines else None
    if match is None or (match[1] and match[2] not in "".join(lines[1:3])):
        return None
    return match[2]


def _first_line(
    lines: Sequence[str], top: int, options: ReadOptions, *, complete: bool
) -> int | None:
    """Return the position of the first line that may be names or data; None if there is none."""
    written = next((i for i in range(top, len(lines)) if lines[i].strip()), None)
    plain = next(
        (i for i in range(top, len(lines)) if lines[i].strip() and not is_comment(lines[i])), None
    )
    if plain is None and not complete and sum(map(len, lines)) < _MAX_COMMENT_CHARACTERS:
        return None
    if plain is None or isinstance(options.header, int):
        return written
    if options.header == "none":
        # A blank line is a row if there is one column: only comments are skipped.
        return max((i + 1 for i in range(top, plain) if is_comment(lines[i])), default=top)
    return plain


def _dialect(
    rows: Sequence[CsvRow],
    start: int,
    above: Mapping[int, str],
    delimiter: str,
    options: ReadOptions,
    *,
    initial_spaces: bool,
) -> CsvDialect:
    """Return the dialect of a table by its first rows.

    Args:
        rows: the rows from the first line that may be names or data.
        start: the lines above that line.
        above: the comments among them, by their position in the file.
        delimiter: between cells.
        options: of the user.
        initial_spaces: for `CsvDialect.initial_spaces`.
    """
    width = usual_width([row for row in rows if not row.comment] or rows)
    plain = [row for row in rows[1:] if width < 2 or not row.comment or len(row.cells) == width]
    comments = width > 1 and (bool(above) or len(plain) < len(rows) - 1)
    notes = ["comment lines among the rows skipped"] if len(plain) < len(rows) - 1 else []
    rows = [rows[0], *plain]
    header, begin = find_header(rows, width, above, delimiter, options, notes)
    note_comments(len(above) - (header is not None and header.start in above), header, notes)
    units_rows = count_units_rows(header, rows[begin:]) if header else 0
    for units in rows[begin : begin + units_rows]:
        shown = shown_texts([cell for cell in map(str.strip, units.cells) if cell])
        notes.append(f"line {units.start + 1:,} contains units and is not a row: {shown}")
        begin += 1
    open_end = has_open_end(header, rows[begin:])
    if header is not None and not open_end:
        header = fitted_header(header, rows[begin:], delimiter, notes)
    return CsvDialect(
        delimiter,
        _names(header, width, initial_spaces),
        names_line=0 if header is None else header.start + 1,
        rows_at=0,
        lines_above=rows[begin - 1].end if begin else start,
        notes=notes,
        initial_spaces=initial_spaces,
        escapes=False,
        comments=comments,
        quotes_all=_quotes_all(header, rows[begin:]),
        open_end=open_end,
        header_may_be_data=header is rows[0]
        and options.header == "auto"
        and has_values(header)
        and not has_header_evidence(header, rows[1:]),
        misfit=None if open_end else _misfit(header, rows[begin:], options.skip_rows),
    )


def _names(header: CsvRow | None, width: int, initial_spaces: bool) -> list[str]:
    """Return the names of the columns; spaces around a name are part of it only in quotes."""
    if header is None:
        return [f"column_{position}" for position in range(1, width + 1)]
    names = list(header.cells)
    for position, cell in enumerate(names):
        if position in header.quoted:
            continue
        names[position] = cell.strip(SPACE)
        if initial_spaces and re.fullmatch(r'".*"', names[position], re.DOTALL):
            names[position] = names[position][1:-1].replace('""', '"')
    return names


def _has_initial_spaces(rows: Sequence[CsvRow]) -> bool:
    """Return whether every cell after a delimiter begins with a space, or is empty."""
    has_spaces = False
    for row in rows:
        in_quotes = False
        for position, cell in enumerate([] if row.comment else row.cells[1:], start=1):
            if in_quotes:
                in_quotes = not cell.endswith('"')
                continue
            if cell and (not cell.startswith(" ") or position in row.quoted):
                return False
            has_spaces = has_spaces or bool(cell)
            text = cell.lstrip(" ")
            in_quotes = text.startswith('"') and not (len(text) > 1 and text.endswith('"'))
    return has_spaces


def _delimiter_notes(dialect: CsvDialect, lines: Sequence[str]) -> list[str]:
    if dialect.delimiter == " ":
        return ["the fields are split at runs of spaces"]
    sign = other_delimiter(lines) if len(dialect.names) == 1 else None
    if sign is None:
        return []
    option = shlex.quote(sign) if sign.isprintable() else f"$'\\x{ord(sign):02x}'"
    return [f"all of its first lines can be split at {sign!r}: --delimiter {option}"]


def _quotes_all(header: CsvRow | None, rows: Sequence[CsvRow]) -> bool:
    """Return whether all cells with text are quoted, with numbers in at least one column."""
    if header is not None and len(header.quoted) < sum(map(bool, header.cells)):
        return False
    numbers: dict[int, bool] = {}
    for row in rows:
        for position, cell in enumerate(row.cells[:EXAMINED_COLUMNS]):
            if not cell:
                continue
            if position not in row.quoted:
                return False
            if numbers.get(position, True):
                numbers[position] = is_number(cell)
    return any(numbers.values())


def _misfit(
    header: CsvRow | None, rows: Sequence[CsvRow], skipped_rows: int
) -> tuple[int, str] | None:
    """Return the value of `CsvDialect.misfit`."""
    if header is None or len(rows) < 2:
        return None
    width = usual_width(rows)
    agreeing = sum(len(row.cells) == width for row in rows)
    if len(header.cells) == width or agreeing < AGREEING_SHARE * len(rows):
        return None
    if any(map(_has_apostrophes, rows)):
        return None
    first = rows[0]
    if len(first.cells) == width and not has_values(first) and all(map(str.strip, first.cells)):
        return width, f"--header {first.start + 1 - skipped_rows}"
    return width, f"--skip-rows {header.end}"


def _has_apostrophes(row: CsvRow) -> bool:
    """Return whether a cell in single quotes is split at a delimiter within it."""
    return any(cell.count("'") == 1 and cell.lstrip().startswith("'") for cell in row.cells)
