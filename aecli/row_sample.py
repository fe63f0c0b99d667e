"""Sample rows of a stream in bounded memory: those with the lowest keys, for any batch size."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from aecli.array_types import AnyArray, Indices
from aecli.ranks import Ranks

Columns = Mapping[str, Any]
"""Arrays `(n_rows, …)` or record batches of `n_rows`, by name."""


def seeded_keys(seed: int = 0) -> Callable[[int], npt.NDArray[np.float64]]:
    """Return a function that draws keys for the next rows, which make a sample uniform."""
    return np.random.Generator(np.random.Philox(key=[seed, 0])).random


def position_keys(first: int, rows: int) -> npt.NDArray[np.uint64]:
    """Return keys of the rows from position `first` on, for a uniform sample without a seed.

    A key is SplitMix64 (Steele, Lea and Flood 2014) of the position, so all keys differ.
    """
    keys = np.arange(first, first + rows, dtype=np.uint64)
    keys = (keys + np.uint64(1)) * np.uint64(0x9E3779B97F4A7C15)
    keys = (keys ^ (keys >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    keys = (keys ^ (keys >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return keys ^ (keys >> np.uint64(31))


class RowSample:
    """Sample of at most `limit` rows of a stream: the lowest keys, and of equal keys the earlier.

    `seen` is the position in the stream of the next row; the first one is `first`.
    """

    def __init__(self, limit: int, first: int = 0) -> None:
        self.limit = limit
        self.seen = first
        self._max_key: Any = None
        self._parts: list[dict[str, Any]] = []
        self._size = 0

    def add(self, keys: AnyArray, columns_at: Callable[[Indices], Columns]) -> None:
        """Add the next rows by their keys `(n_rows,)`; rows with NaN as key are left out.

        `columns_at` returns the columns of the rows at given positions; it is called only for rows
        that may enter the sample.
        """
        candidates = ~np.isnan(keys) if self._max_key is None else keys < self._max_key
        positions = np.flatnonzero(candidates)
        numbers = positions + self.seen
        self.seen += len(keys)
        if not len(positions):
            return
        self._parts.append({**columns_at(positions), "key": keys[positions], "number": numbers})
        self._size += len(positions)
        if self._size > 2 * self.limit:
            self._shrink()

    def columns(self, *, by_key: bool = False) -> dict[str, Any]:
        """Return the columns of the sample in the order of the stream, or by ascending key.

        `number` is the position of each row in the stream. Without rows the result is empty.
        """
        if not self._parts:
            return {}
        self._shrink()
        sample = self._parts[0]
        columns = {name: values for name, values in sample.items() if name != "key"}
        if not by_key:
            return columns
        order = np.argsort(sample["key"], kind="stable")
        return {name: _rows_at(values, order) for name, values in columns.items()}

    def merged(self, ranks: Ranks) -> RowSample:
        """Return the sample of the rows of all ranks, each of which has a part of the stream."""
        if self._parts:
            self._shrink()
        own = self._parts[0] if self._parts else None
        gathered = ranks.gather(None if own is None else own["key"])
        keys = np.concatenate([part for part in gathered if part is not None] or [np.empty(0)])
        # Each rank sends only rows of the merged sample, which bounds the memory.
        if own is not None and len(keys) > self.limit > 0:
            largest = np.partition(keys, self.limit - 1)[self.limit - 1]
            chosen = np.flatnonzero(own["key"] <= largest)
            own = {name: _rows_at(values, chosen) for name, values in own.items()}
        sample = RowSample(self.limit)
        sample._parts = [part for part in ranks.gather(own) if part is not None]
        sample._size = sum(len(part["key"]) for part in sample._parts)
        sample.seen = max(ranks.gather(self.seen))
        return sample

    def _shrink(self) -> None:
        """Join the parts into one, in the order of the stream, and drop rows above the limit."""
        sample = {name: _joined([part[name] for part in self._parts]) for name in self._parts[0]}
        if len(sample["key"]) > self.limit:
            lowest = np.sort(np.argsort(sample["key"], kind="stable")[: self.limit])
            sample = {name: _rows_at(values, lowest) for name, values in sample.items()}
            self._max_key = sample["key"].max() if self.limit else -np.inf
        self._parts, self._size = [sample], len(sample["key"])


def joined_columns(samples: Sequence[RowSample]) -> RowSample:
    """Return the columns of samples of the same rows as one sample, with their lowest limit."""
    first = samples[0]
    if len(samples) == 1 or not first._parts:
        return first
    limit = min(sample.limit for sample in samples)
    for sample in samples:
        sample.limit = limit
        sample._shrink()
    for name, values in first._parts[0].items():
        if isinstance(values, pa.RecordBatch):
            batches = [sample._parts[0][name] for sample in samples]
            fields = [field for batch in batches for field in batch.schema]
            columns = [column for batch in batches for column in batch.columns]
            first._parts[0][name] = pa.RecordBatch.from_arrays(columns, schema=pa.schema(fields))
    return first


def _joined(parts: list[Any]) -> Any:
    if isinstance(parts[0], pa.RecordBatch):
        return pa.concat_batches(parts) if len(parts) > 1 else parts[0]
    return np.concatenate(parts)


def _rows_at(values: Any, positions: Indices) -> Any:
    if isinstance(values, pa.RecordBatch):
        return values.take(pa.array(positions))
    return values[positions]
