"""Draw a uniform sample of a stream's rows, the same whatever its batches."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

Columns = Mapping[str, npt.NDArray[Any]]
Places = npt.NDArray[np.int64]


class Sample:
    """Hold at most `most` rows of a stream: those with the smallest of seeded random keys."""

    def __init__(self, most: int, seed: int = 0) -> None:
        self.seen = 0
        self._most = most
        self._dice = np.random.Generator(np.random.Philox(key=[seed, 0]))
        self._border = 1.0
        self._parts: list[dict[str, npt.NDArray[Any]]] = []
        self._held = 0

    def offer(self, count: int, take: Callable[[Places], Columns]) -> None:
        """Draw keys for `count` rows; `take` returns the columns of the rows that are wanted."""
        keys = self._dice.random(count)
        places = np.flatnonzero(keys < self._border)
        numbers = places + self.seen
        self.seen += count
        if not len(places):
            return
        self._parts.append({"key": keys[places], "number": numbers, **take(places)})
        self._held += len(places)
        if self._held > 2 * self._most:
            self._shrink()

    def columns(self) -> dict[str, npt.NDArray[Any]]:
        """Return the columns of the rows that were drawn, in the order of the stream.

        Their `number` is their place among the rows that were offered. Empty without any.
        """
        if not self._parts:
            return {}
        self._shrink()
        held = self._parts[0]
        order = held["number"].argsort()
        return {name: values[order] for name, values in held.items() if name != "key"}

    def _shrink(self) -> None:
        names = self._parts[0]
        held = {name: np.concatenate([part[name] for part in self._parts]) for name in names}
        if len(held["key"]) > self._most:
            kept = np.argpartition(held["key"], self._most - 1)[: self._most]
            held = {name: values[kept] for name, values in held.items()}
            self._border = float(held["key"].max())
        self._parts, self._held = [held], len(held["key"])
