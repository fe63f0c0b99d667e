"""Quote names and cells of a CSV file where necessary."""

from __future__ import annotations

import re
from collections.abc import Sequence

from aecli.table.cells.conversion import SPACE
from aecli.table.csv.cell_kinds import cell_kind

_PLAIN_NAME = re.compile(r"\w+")
_SIGNS_OF_OTHERS = frozenset("\t|;,")


def header_line(names: Sequence[str], delimiter: str) -> str:
    """Return the line of the names, quoted where they would be read differently otherwise."""
    needed = [
        name_needs_quotes(name) or (len(names) == 1 and not _PLAIN_NAME.fullmatch(name))
        for name in names
    ]
    cells = [in_quotes(name) if need else name for name, need in zip(names, needed, strict=True)]
    return delimiter.join(cells) + "\n"


def name_needs_quotes(name: str) -> bool:
    """Return whether a name would be read differently, or not as a name, without quotes."""
    if cell_kind(name) != "text" or name != name.strip(SPACE) or name.startswith("#"):
        return True
    return cell_needs_quotes(name) or not _SIGNS_OF_OTHERS.isdisjoint(name)


def cell_needs_quotes(cell: str) -> bool:
    """Return whether a cell contains characters that end or open cells."""
    return any(sign in cell for sign in ',;|\t"\r\n')


def in_quotes(cell: str) -> str:
    """Return a quoted cell."""
    doubled = cell.replace('"', '""')
    return f'"{doubled}"'
