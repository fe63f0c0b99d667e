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
from difflib import get_close_matches
from typing import ClassVar


class AecliError(Exception):
    """Error that a user can act on: what went wrong, with the value; facts; one thing to try."""

    exit_code: ClassVar[int] = 1

    def __init__(self, what: str, *, facts: Sequence[str] = (), hint: str | None = None) -> None:
        super().__init__(what)
        self.what = what
        self.facts = tuple(facts)
        self.hint = hint

    def lines(self) -> list[str]:
        """Return the message as at most six lines: what, facts, `try: …`."""
        room = 5 if self.hint is None else 4
        lines = [self.what, *(f"  {fact}" for fact in self.facts[:room])]
        return lines if self.hint is None else [*lines, f"  try: {self.hint}"]


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


def nearest(name: str, known: Sequence[str]) -> str | None:
    """Return the known name most like `name`, or None where none is near."""
    folded = {item.casefold(): item for item in known}
    found = get_close_matches(name.casefold(), list(folded), n=1, cutoff=0.6)
    return folded[found[0]] if found else None
