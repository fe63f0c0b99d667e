"""Errors that users see, and their exit codes.

AecliError              1   internal error
├── UsageError          2   an option, a config key, or a combination of them
├── DataError           3   a table: unreadable, unsuitable, or without required columns
├── ModelError          4   a model directory: missing, damaged, too new
├── DivergedError       5   training produced no finite loss
├── OutputError         6   a file that cannot be written, or out of memory
├── LockedError         7   another run is writing the model directory
└── GateError           8   a condition of `--fail-if` failed

UsageError and DataError are also ValueErrors.
"""

from __future__ import annotations

from collections.abc import Sequence
from difflib import SequenceMatcher, get_close_matches
from typing import ClassVar

from aecli.synonyms import OUTPUT_FILE, synonyms

_END_OF_LINE = 500

MAX_NAME = 1_000
"""Maximum length of a name that is compared with others, which takes quadratic time."""


class AecliError(Exception):
    """Error that a user can act on: what is wrong, with the value; facts; one thing to try."""

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
    """Training whose loss became non-finite before the first good epoch."""

    exit_code = 5


class OutputError(AecliError):
    """Output that cannot be written, or lack of memory."""

    exit_code = 6


class LockedError(AecliError):
    """Model directory that another run is writing."""

    exit_code = 7


class GateError(AecliError):
    """Quality gate that failed."""

    exit_code = 8


class AecliWarning(UserWarning):
    """Warning that a command prints as one line before it continues."""


def shortened_line(line: str) -> str:
    """Return a line with the middle of a very long value left out."""
    if len(line) <= 2 * _END_OF_LINE:
        return line
    return f"{line[:_END_OF_LINE]} … {line[-_END_OF_LINE:]}"


def nearest(name: str, known: Sequence[str], *, file: str | None = None) -> str | None:
    """Return the known name that `name` probably means, or None.

    The first of these: our name for another tool's word; the known name that begins with `name`
    (of several, the one that is a prefix of the others); a known name that differs by a typing
    error. Case, `_` or `-`, and leading dashes are ignored.

    Args:
        name: the unknown name.
        known: the names to choose from.
        file: the known name of the option for the output file or directory, if there is one.
    """
    if len(name) > MAX_NAME:
        return None
    folded = {_folded(item): item for item in known}
    word = _folded(name)
    if word in folded:
        return folded[word]
    for synonym in map(_folded, synonyms(word)):
        if file and synonym == OUTPUT_FILE:
            return file
        if synonym in folded:
            return folded[synonym]
    begun = [item for item in folded if item.startswith(word)] if len(word) > 2 else []
    shortest = min(begun, key=len, default="")
    if begun and all(item.startswith(shortest) for item in begun):
        return folded[shortest]
    close = get_close_matches(word, list(folded), n=1, cutoff=0.6)
    return folded[close[0]] if close and _is_typing_error(word, close[0]) else None


def _folded(name: str) -> str:
    return name.casefold().replace("_", "-").lstrip("-")


def _is_typing_error(word: str, known: str) -> bool:
    """Return whether at most one letter in five differs; the first letter only in long words.

    In a name of two letters, one letter may be doubled.
    """
    letters = SequenceMatcher(None, word, known).get_matching_blocks()
    longest = max(len(word), len(known))
    if len(known) < 3 and set(word.strip()) != set(known.strip()):
        return False
    differing = longest - sum(block.size for block in letters)
    same_start = word[:1] == known[:1] or longest > 6 or len(word) < longest
    return differing <= max(1, longest // 5) and same_start
