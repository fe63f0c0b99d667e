"""Name everything that can go wrong on purpose; each class knows its exit code.

AecliError              1   a bug, where no subclass fits
├── UsageError          2   an option, a config key, a combination of them
├── DataError           3   a table: unreadable, unfit, or lacking columns
├── ModelError          4   a model directory: missing, damaged, too new
├── DivergedError       5   training produced no finite loss
├── OutputError         6   cannot write, or out of memory
├── LockedError         7   another run holds the model directory
└── GateError           8   a condition of `--fail-if` failed

UsageError and DataError are ValueErrors too: what a caller gave was wrong.
"""

from __future__ import annotations

from collections.abc import Sequence
from difflib import SequenceMatcher, get_close_matches
from typing import ClassVar

from aecli.synonyms import OUTPUT_FILE, ours

_END_OF_LINE = 500

MAX_NAME = 1_000
"""Characters of a name that is compared with others, which takes quadratic time."""


class AecliError(Exception):
    """Error that a user can act on: what went wrong, with the value; facts; one thing to try."""

    exit_code: ClassVar[int] = 1

    def __init__(self, what: str, *, facts: Sequence[str] = (), hint: str | None = None) -> None:
        super().__init__(what)
        self.what = what
        self.facts = tuple(facts)
        self.hint = hint

    def lines(self) -> list[str]:
        """Return the message as at most six lines of bounded length: what, facts, `try: …`."""
        room = 5 if self.hint is None else 4
        lines = [self.what, *(f"  {fact}" for fact in self.facts[:room])]
        if self.hint is not None:
            lines.append(f"  try: {self.hint}")
        return list(map(shortened_line, lines))


class UsageError(AecliError, ValueError):
    """Error in an option, a config key or a combination of them."""

    exit_code = 2


class DataError(AecliError, ValueError):
    """Table that cannot be read or does not fit."""

    exit_code = 3


class ModelError(AecliError):
    """Model directory that is missing, damaged or too new."""

    exit_code = 4


class DivergedError(AecliError):
    """Training whose loss stopped being finite before any epoch was good."""

    exit_code = 5


class OutputError(AecliError):
    """Output that cannot be written, or memory that ran out."""

    exit_code = 6


class LockedError(AecliError):
    """Model directory that another run is writing."""

    exit_code = 7


class GateError(AecliError):
    """Quality gate that failed."""

    exit_code = 8


class AecliWarning(UserWarning):
    """Warning that a command prints as one line and then goes on."""


def shortened_line(line: str) -> str:
    """Return a line without the middle of a huge value that it repeats."""
    if len(line) <= 2 * _END_OF_LINE:
        return line
    return f"{line[:_END_OF_LINE]} … {line[-_END_OF_LINE:]}"


def nearest(name: str, known: Sequence[str], *, file: str | None = None) -> str | None:
    """Return the known name that `name` stands for, or None where none is close.

    It is our word for a word of another tool, else the only one that begins with `name` or the one
    that begins all of these, else one that differs by a slip of the keyboard. Case, `_` beside `-`
    and leading dashes do not count.

    Args:
        name: what was given.
        known: the names to choose from.
        file: the one that names the file or directory a command writes, where it writes one.
    """
    if len(name) > MAX_NAME:
        return None
    folded = {_folded(item): item for item in known}
    word = _folded(name)
    if word in folded:
        return folded[word]
    for synonym in map(_folded, ours(word)):
        if file and synonym == OUTPUT_FILE:
            return file
        if synonym in folded:
            return folded[synonym]
    begun = [item for item in folded if item.startswith(word)] if len(word) > 2 else []
    shortest = min(begun, key=len, default="")
    if begun and all(item.startswith(shortest) for item in begun):
        return folded[shortest]
    found = get_close_matches(word, list(folded), n=1, cutoff=0.6)
    return folded[found[0]] if found and _is_slip(word, found[0]) else None


def _folded(name: str) -> str:
    return name.casefold().replace("_", "-").lstrip("-")


def _is_slip(word: str, known: str) -> bool:
    """Return whether two words differ in one letter of five, the first only in long words.

    Of a name of two letters, one may be doubled.
    """
    letters = SequenceMatcher(None, word, known).get_matching_blocks()
    longest = max(len(word), len(known))
    if len(known) < 3 and set(word.strip()) != set(known.strip()):
        return False
    differing = longest - sum(block.size for block in letters)
    same_start = word[:1] == known[:1] or longest > 6 or len(word) < longest
    return differing <= max(1, longest // 5) and same_start
