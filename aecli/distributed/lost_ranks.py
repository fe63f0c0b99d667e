"""Errors of an exchange with the processes of other ranks."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from aecli.errors import AecliError


class LostRankError(AecliError):
    """Training that ends because the process of another rank ended."""


@contextmanager
def lost_ranks() -> Iterator[None]:
    """Raise the errors of torch and of connections as those of a rank that ended.

    Raises:
        LostRankError: the exchange inside fails.
    """
    try:
        yield
    except (RuntimeError, OSError) as error:
        raise LostRankError(
            "the exchange with the other processes of this training failed",
            facts=(str(error) or type(error).__name__).splitlines()[:1],
            hint="see the messages of the other processes",
        ) from error
