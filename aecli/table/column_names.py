"""Give every column of a file a name of its own."""

from __future__ import annotations

import re
import shlex
from collections.abc import Sequence
from pathlib import PurePath

STANDARD_INPUT = "standard input"
IN_MEMORY = "the table"

_INDEX = re.compile(r"__index_level_\d+__")


def unique_names(names: Sequence[str], file: str, notes: list[str]) -> list[str]:
    """Return the names with the second `a` called `a_2`, and a nameless one `column_N`.

    Every change is said in `notes`.
    """
    taken = set(names)
    seen: set[str] = set()
    result = []
    for position, name in enumerate(names, start=1):
        new, count = name or f"column_{position}", 2
        while new in seen or (new != name and new in taken):
            new, count = f"{name or 'column'}_{count}", count + 1
        seen.add(new)
        result.append(new)
    changed = [(a, b) for a, b in zip(names, result, strict=True) if a != b]
    if changed:
        shown = ", ".join(f"{old!r} → {new!r}" for old, new in changed[:5])
        more = f", … ({len(changed):,} in all)" if len(changed) > 5 else ""
        notes.append(f"{file}: columns renamed, as each needs a name of its own: {shown}{more}")
    return result


def typed(name: str) -> str:
    """Return what to type in a shell for the table that messages call `name`."""
    if name in (STANDARD_INPUT, IN_MEMORY):
        return "-" if name == STANDARD_INPUT else "DATA"
    return shlex.quote(re.sub(r" \([\d,]+ files\)$", "", name))


def line_of(name: str, line: int) -> str:
    """Return the command that shows a line of the text file that messages call `name`."""
    unpack = {".gz": "zcat", ".zst": "zstdcat"}.get(PurePath(name).suffix.lower())
    return f"{unpack} {typed(name)} | sed -n {line}p" if unpack else f"sed -n {line}p {typed(name)}"


def is_pandas_index(name: str) -> bool:
    """Say whether pandas gave this name to an index that had none: it is no column."""
    return _INDEX.fullmatch(name) is not None
