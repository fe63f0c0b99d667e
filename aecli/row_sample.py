"""Sample rows of a stream in bounded memory: those with the lowest keys, whatever the batches."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from aecli.array_types import AnyArray, Indices

Columns = Mapping[str, Any]
"""Arrays `(n_rows, …)` or record batches of `n_rows`, by name."""


def seeded_keys(seed: int = 0) -> Callable[[int], npt.NDArray[np.float64]]:
    """Return a function that draws keys for the next rows: with them a sample is uniform."""
    return np.random.Generator(np.random.Philox(key=[seed, 0])).random


def position_keys(first: int, rows: int) -> npt.NDArray[np.uint64]:
    """Return keys of the rows from position `first` on: a uniform sample without a seed.

    SplitMix64 (Steele, Lea and Flood 2014) of the position; no two rows have the same key.
    """
    keys = np.arange(first, first + rows, dtype=np.uint64)
    keys = (keys + np.uint64(1)) * np.uint64(0x9E3779B97F4A7C15)
    keys = (keys ^ (keys >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    keys = (keys ^ (keys >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return keys ^ (keys >> np.uint64(31))


class RowSample:
    """At most `limit` rows of a stream, those with the lowest keys; of equal keys the earlier row.

    `seen` counts the rows of the stream so far.
    """

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.seen = 0
        self._border: Any = None
        self._parts: list[dict[str, Any]] = []
        self._held = 0

    def add(self, keys: AnyArray, take: Callable[[Indices], Columns]) -> None:
        """Add the next rows by their keys `(n_rows,)`; a row whose key is NaN is left out.

        `take` returns the columns of the rows at some places; it is called for those that may be
        in the sample.
        """
        wanted = ~np.isnan(keys) if self._border is None else keys < self._border
        places = np.flatnonzero(wanted)
        numbers = places + self.seen
        self.seen += len(keys)
        if not len(places):
            return
        self._parts.append({**take(places), "key": keys[places], "number": numbers})
        self._held += len(places)
        if self._held > 2 * self.limit:
            self._shrink()

    def columns(self, *, by_key: bool = False) -> dict[str, Any]:
        """Return the columns of the sample in the order of the stream, or lowest key first.

        `number` is the position of each row in the stream. Empty where no row was added.
        """
        if not self._parts:
            return {}
        self._shrink()
        held = self._parts[0]
        found = {name: values for name, values in held.items() if name != "key"}
        if not by_key:
            return found
        order = np.argsort(held["key"], kind="stable")
        return {name: _taken(values, order) for name, values in found.items()}

    def _shrink(self) -> None:
        """Join the parts into one, in the order of the stream, and drop what is over the limit."""
        held = {name: _joined([part[name] for part in self._parts]) for name in self._parts[0]}
        if len(held["key"]) > self.limit:
            kept = np.sort(np.argsort(held["key"], kind="stable")[: self.limit])
            held = {name: _taken(values, kept) for name, values in held.items()}
            self._border = held["key"].max() if self.limit else -np.inf
        self._parts, self._held = [held], len(held["key"])


def _joined(parts: list[Any]) -> Any:
    if isinstance(parts[0], pa.RecordBatch):
        return pa.concat_batches(parts) if len(parts) > 1 else parts[0]
    return np.concatenate(parts)


def _taken(values: Any, places: Indices) -> Any:
    return values.take(pa.array(places)) if isinstance(values, pa.RecordBatch) else values[places]
