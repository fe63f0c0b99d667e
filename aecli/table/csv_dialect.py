"""Find a CSV file's delimiter, the names of its columns, and where its rows begin."""

from __future__ import annotations

import io
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from aecli.formatting import count, name_list
from aecli.schema.read_options import ReadOptions
from aecli.table.cell_kinds import is_number
from aecli.table.csv_delimiter import sampled_rows, sniff_delimiter
from aecli.table.csv_rows import CsvRow, read_rows
from aecli.table.header_detection import (
    count_titles,
    count_units_rows,
    data_evidence,
    has_header_evidence,
    has_values,
    holds_units,
    is_strong,
    only_numbers,
    usual_width,
)

_AGREEING_SHARE = 0.8
_EXAMINED_COLUMNS = 500
_MOST_COMMENTS = 8 << 20
_SEPARATOR_LINE = re.compile(r'"?sep=([^\r\n])"?(?:\r\n|\r|\n)', re.IGNORECASE)
_SHOWN_CELLS, _SHOWN_CHARACTERS = 8, 30


@dataclass(frozen=True)
class CsvDialect:
    """Delimiter of a CSV file, the names of its columns, and what its first lines are.

    `rows_at` and `lines_above` are the UTF-8 bytes and the lines above the first row. `names_line`
    is the line of the names, counted from 1; 0 without a header, when the columns are called
    `column_1` and so on.
    """

    delimiter: str
    names: list[str]
    names_line: int
    rows_at: int
    lines_above: int
    notes: list[str]
    initial_spaces: bool
    """A space follows every delimiter, and is not part of the cells."""
    comments: bool
    """Rows that begin with # and have another number of cells than there are names are comments."""
    quotes_all: bool
    """Every cell that is not empty is in quotes, numbers too."""
    header_may_be_data: bool
    """The header has a number or a time, and nothing says that it is one of the names."""
    misfit: tuple[int, str] | None
    """The number of cells that the rows have, if the header has another, and the option to try."""

    def is_comment(self, first_cell: str, cells: int) -> bool:
        """Return whether a row that begins with a cell and has so many is a comment."""
        return self.comments and cells != len(self.names) and _is_comment(first_cell)


def read_dialect(
    head: str, options: ReadOptions, *, complete: bool, lines_above: int = 0
) -> CsvDialect | None:
    """Return the dialect of a table that begins with `head`; None if its header does not end there.

    If no delimiter is given, it is the one of a first line such as `sep=;`, which spreadsheets
    write, else the one that splits most rows into as many cells as the header; a file with none of
    `, ; |` and tab outside quotes has one column.

    Args:
        head: the first characters, without byte-order mark and without the lines that options drop.
        options: those of the user.
        complete: `head` reaches the end of the file; otherwise its last line may be cut.
        lines_above: the number of lines that options drop.
    """
    lines = list(io.StringIO(head, newline=""))
    if not complete and lines and not lines[-1].endswith(("\n", "\r")):
        lines.pop()
    separator = _SEPARATOR_LINE.match(lines[0]) if lines else None
    top = 1 if separator else 0
    first = _first_line(lines, top, options, complete=complete)
    if first is None:
        return None
    delimiter = options.delimiter or (separator[1] if separator else sniff_delimiter(lines[first:]))
    rows = sampled_rows(lines[first:], delimiter, complete=complete)
    if not rows:
        return None
    above = {lines_above + i: lines[i] for i in range(top, first) if _is_comment(lines[i])}
    start = lines_above + first
    rows = [row._replace(start=row.start + start, end=row.end + start) for row in rows]
    dialect = _dialect(rows, start, above, delimiter, options)
    text = "".join(lines[: dialect.lines_above - lines_above])
    return replace(dialect, rows_at=len(text.encode()))


def _first_line(
    lines: Sequence[str], top: int, options: ReadOptions, *, complete: bool
) -> int | None:
    """Return the position of the first line that may hold names or data; None if there is none."""
    written = next((i for i in range(top, len(lines)) if lines[i].strip()), None)
    plain = next(
        (i for i in range(top, len(lines)) if lines[i].strip() and not _is_comment(lines[i])), None
    )
    if plain is None and not complete and sum(map(len, lines)) < _MOST_COMMENTS:
        return None
    if plain is None or isinstance(options.header, int):
        return written
    if options.header == "none":
        # A blank line of one column is a row: only comments are left out.
        return max((i + 1 for i in range(top, plain) if _is_comment(lines[i])), default=top)
    return plain


def _is_comment(line: str) -> bool:
    return line.lstrip().startswith("#")


def _dialect(
    rows: Sequence[CsvRow],
    start: int,
    above: Mapping[int, str],
    delimiter: str,
    options: ReadOptions,
) -> CsvDialect:
    """Return the dialect of a table by its first rows.

    Args:
        rows: the rows from the first line that may hold names or data.
        start: the lines above that.
        above: the comments among them, by their position in the file.
        delimiter: the one between cells.
        options: those of the user.
    """
    width = usual_width([row for row in rows if not row.comment] or rows)
    plain = [row for row in rows[1:] if width < 2 or not row.comment or len(row.cells) == width]
    comments = width > 1 and (bool(above) or len(plain) < len(rows) - 1)
    notes = ["comment lines among the rows skipped"] if len(plain) < len(rows) - 1 else []
    rows = [rows[0], *plain]
    header, begin = _find_header(rows, width, above, delimiter, options, notes)
    _note_comments(len(above) - (header is not None and header.start in above), header, notes)
    for units in rows[begin : begin + count_units_rows(rows[begin:])] if header else []:
        shown = _shown([cell for cell in map(str.strip, units.cells) if cell])
        notes.append(f"line {units.start + 1:,} holds units and is not a row: {shown}")
        begin += 1
    initial_spaces = _has_initial_spaces(rows)
    return CsvDialect(
        delimiter,
        _names(header, width, initial_spaces),
        names_line=0 if header is None else header.start + 1,
        rows_at=0,
        lines_above=rows[begin - 1].end if begin else start,
        notes=notes,
        initial_spaces=initial_spaces,
        comments=comments,
        quotes_all=_quotes_all(rows[begin:]),
        header_may_be_data=header is rows[0]
        and options.header == "auto"
        and has_values(header)
        and not has_header_evidence(header, rows[1:]),
        misfit=_misfit(header, rows[begin:], options.skip_rows),
    )


def _find_header(
    rows: Sequence[CsvRow],
    width: int,
    above: Mapping[int, str],
    delimiter: str,
    options: ReadOptions,
    notes: list[str],
) -> tuple[CsvRow | None, int]:
    """Return the row of names, if there is one, and the position of the first row below it."""
    if options.header == "none":
        return None, 0
    if options.header != "auto":
        named = _without_sign(rows[0], rows[0].cells[0], width) if rows[0].comment else None
        return named or rows[0], 1
    commented = _commented_header(rows, width, above, delimiter)
    if commented is not None:
        line = commented.start + 1
        if not commented.comment:
            notes.append(f"line {line:,}, a comment, holds the names of the columns")
        return commented, 0
    titles = count_titles(rows, width)
    if titles:
        notes.extend(_title_notes(rows[:titles]))
        return rows[titles], titles + 1
    evidence = data_evidence(rows[0], rows[1:]) if len(rows[0].cells) == width else None
    if is_strong(evidence):
        line = rows[0].start + 1 - options.skip_rows
        called = f"columns are called column_1 to column_{width}"
        notes.append(
            f"the first line holds data and no names: "
            f"{called if width > 1 else 'the column is called column_1'}; "
            f"--header {line} takes it as names"
        )
        return None, 0
    if evidence is not None and (evidence > 0 or only_numbers(rows[0])):
        notes.append(
            "its first line holds numbers and was taken for the header; --header none takes it "
            "for a row"
        )
    return rows[0], 1


def _commented_header(
    rows: Sequence[CsvRow], width: int, above: Mapping[int, str], delimiter: str
) -> CsvRow | None:
    """Return the comment right above the data that has a name for each column, if there is one."""
    line = rows[0].start - 1
    header = _comment_cells(above, line, width, delimiter)
    if header is None or width < 2:
        return None
    if holds_units(header):
        header = _comment_cells(above, line - 1, width, delimiter) or header
    if has_header_evidence(rows[0], rows[1:]) and not holds_units(rows[0]):
        return None
    # One line such as #id,name has a name that begins with the sign; # id, name is a comment.
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
    """Return a comment's cells without the sign; None if there are not as many as columns."""
    name = row.cells[0].strip() if 0 in row.quoted else row.cells[0].strip().lstrip("#").strip()
    if len(row.cells) == width:
        return row._replace(cells=[name or sign, *row.cells[1:]])
    if not name and len(row.cells) == width + 1:
        quoted = frozenset(position - 1 for position in row.quoted)
        return row._replace(cells=row.cells[1:], quoted=quoted)
    return None


def _title_notes(titles: Sequence[CsvRow]) -> list[str]:
    texts = [" ".join(cell.strip() for cell in row.cells if cell.strip()) for row in titles]
    if not any(texts):
        return []
    first, last = titles[0].start + 1, titles[-1].end
    lines = f"lines {first:,} to {last:,} above" if last > first else f"line {first:,} above"
    return [f"{lines} the header skipped: {_shown([repr(text) for text in texts if text])}"]


def _note_comments(skipped: int, header: CsvRow | None, notes: list[str]) -> None:
    if skipped:
        place = "rows" if header is None else "header"
        notes.insert(0, f"{count(skipped, 'comment line')} above the {place} skipped")


def _shown(texts: Sequence[str]) -> str:
    limit = _SHOWN_CHARACTERS
    cut = [text if len(text) <= limit else text[:limit] + "…" for text in texts]
    return name_list(cut, _SHOWN_CELLS)


def _names(header: CsvRow | None, width: int, initial_spaces: bool) -> list[str]:
    """Return the names of the columns; a space around one is part of it only in quotes."""
    if header is None:
        return [f"column_{position}" for position in range(1, width + 1)]
    names = list(header.cells)
    for position, cell in enumerate(names):
        if position in header.quoted:
            continue
        names[position] = cell.strip()
        if initial_spaces and re.fullmatch(r'".*"', names[position], re.DOTALL):
            names[position] = names[position][1:-1].replace('""', '"')
    return names


def _has_initial_spaces(rows: Sequence[CsvRow]) -> bool:
    """Return whether every cell after a delimiter begins with a space, or is empty."""
    found = False
    for row in rows:
        for position, cell in enumerate(row.cells[1:], start=1):
            if cell and (not cell.startswith(" ") or position in row.quoted):
                return False
            found = found or bool(cell)
    return found


def _quotes_all(rows: Sequence[CsvRow]) -> bool:
    """Return whether all cells with text are in quotes, in one column at least numbers."""
    numbers: dict[int, bool] = {}
    for row in rows:
        for position, cell in enumerate(row.cells[:_EXAMINED_COLUMNS]):
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
    """Return what `CsvDialect.misfit` is."""
    if header is None or len(rows) < 2:
        return None
    width = usual_width(rows)
    agreeing = sum(len(row.cells) == width for row in rows)
    if len(header.cells) == width or agreeing < _AGREEING_SHARE * len(rows):
        return None
    first = rows[0]
    if len(first.cells) == width and not has_values(first) and all(map(str.strip, first.cells)):
        return width, f"--header {first.start + 1 - skipped_rows}"
    return width, f"--skip-rows {header.end}"
