"""Read the environment that torchrun gives to each process."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass

from aecli.errors import UsageError

VARIABLES = ("RANK", "WORLD_SIZE", "LOCAL_RANK", "MASTER_ADDR", "MASTER_PORT")
"""Variables that a launcher of processes sets."""


@dataclass(frozen=True)
class Launch:
    """Place of a process among those that a launcher started.

    `local_rank` is its number on its machine, which has `local_size` of them.
    """

    rank: int
    size: int
    local_rank: int
    local_size: int


def launch(environment: Mapping[str, str] = os.environ) -> Launch | None:
    """Return which process of a launch this one is; None if no launcher started it.

    Raises:
        UsageError: a variable is missing or is not a number.
    """
    if not {"RANK", "WORLD_SIZE"} <= environment.keys():
        return None
    missing = [name for name in VARIABLES if name not in environment]
    if missing and environment["WORLD_SIZE"] != "1":
        raise UsageError(
            f"WORLD_SIZE is {environment['WORLD_SIZE']}, and {missing[0]} is not set",
            hint="torchrun --standalone --nproc-per-node 2 --no-python aecli train …",
        )
    local_size = environment.get("LOCAL_WORLD_SIZE", "1")
    texts = environment["RANK"], environment["WORLD_SIZE"], environment.get("LOCAL_RANK", "0")
    try:
        found = Launch(*map(int, (*texts, local_size)))
    except ValueError:
        found = Launch(0, 0, 0, 0)
    if not 0 <= found.rank < found.size:
        raise UsageError(
            f"RANK is {texts[0]!r} and WORLD_SIZE {texts[1]!r}: not one of these processes",
            hint="unset RANK WORLD_SIZE",
        )
    return found
