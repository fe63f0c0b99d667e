"""Find a CSV file's delimiter and its header in its first lines."""

from __future__ import annotations

import csv
import io
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice

_DELIMITERS = ",\t;|"
_ROWS = 200


@dataclass(frozen=True)
class Dialect:
    """Hold a CSV file's delimiter, its header cells, and the header's length in UTF-8 bytes."""

    delimiter: str
    header: list[str]
    length: int


def read_dialect(head: str, delimiter: str | None, *, whole: bool) -> Dialect | None:
    """Return the dialect of a file that begins with `head`; None where that has no line.

    Unless `delimiter` is given, it is the one that splits most rows into as many fields as the
    header; a file with none of `, ; |` and tab outside quotes has one column.

    Args:
        head: the first characters, without byte-order mark.
        delimiter: the one to use.
        whole: `head` is the whole file; otherwise its last line may be cut.
    """
    if not head.strip():
        return None
    sample = head if whole else _whole_lines(head)
    chosen = delimiter or _sniffed(sample)
    header, length = _first_row(sample, chosen)
    return Dialect(chosen, header, length)


def looks_like_data(header: list[str]) -> bool:
    """Say whether every header cell is a number, as in a file without a header."""
    return all(re.fullmatch(r"\s*[+-]?\d*\.?\d+([eE][+-]?\d+)?\s*", cell) for cell in header)


def _sniffed(sample: str) -> str:
    scores = {sign: _score(sample, sign) for sign in _DELIMITERS}
    best = max(scores, key=scores.__getitem__)
    return best if scores[best][0] > 0 else ","


def _score(sample: str, delimiter: str) -> tuple[float, int]:
    """Return the share of rows as wide as the header, and that width; zeros for one column."""
    try:
        rows = islice(csv.reader(io.StringIO(sample, newline=""), delimiter=delimiter), _ROWS)
        widths = [len(row) for row in rows if row]
    except csv.Error:
        return 0.0, 0
    if not widths or widths[0] < 2:
        return 0.0, 0
    return Counter(widths)[widths[0]] / len(widths), widths[0]


def _first_row(sample: str, delimiter: str) -> tuple[list[str], int]:
    stream = io.StringIO(sample, newline="")
    taken: list[str] = []

    def lines() -> Iterator[str]:
        for line in stream:
            taken.append(line)
            yield line

    reader = csv.reader(lines(), delimiter=delimiter)
    header = next((row for row in reader if row), [])
    return header, len("".join(taken).encode())


def _whole_lines(head: str) -> str:
    cut = max(head.rfind("\n"), head.rfind("\r")) + 1
    return head[:cut] or head
