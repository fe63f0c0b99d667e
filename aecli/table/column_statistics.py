"""One-pass statistics of batches: moments, quartiles, counts of values, row numbers."""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Sequence
from decimal import Decimal
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from aecli.array_types import Floats
from aecli.schema.model_spec import Category
from aecli.table.arrow_types import hashable, python_values

# Sampled cells of all columns: 64 MB as float64.
MAX_SAMPLED_CELLS = 1 << 23
MAX_SAMPLED_ROWS = 65_536
# A column with more distinct values, most of them unique, is not a category: counting stops.
MAX_MOSTLY_UNIQUE = 100_000
# The same for the size in bytes of the distinct values of a batch, which may be long texts.
MAX_MOSTLY_UNIQUE_BYTES = 1 << 26
# Above this number, the rarer half is dropped; the frequent values remain.
MAX_DISTINCT = 1_000_000
# Fewer rows may be numbered by chance.
MIN_NUMBERED_ROWS = 100


class Moments:
    """Count, mean, sum of squared deviations, minimum and maximum of each of `cells` cells.

    Parts are merged as in Chan, Golub & LeVeque (1979), and each part is summed around its own
    mean, so neither the batch size nor a large offset (nanoseconds since 1970) costs accuracy. If
    sums or squares overflow, `mean` and `std` are not finite; `low` and `high` are always correct.
    """

    def __init__(self, cells: int) -> None:
        self.count: Floats = np.zeros(cells)
        self.mean: Floats = np.zeros(cells)
        self._squares: Floats = np.zeros(cells)
        self.low: Floats = np.full(cells, np.inf)
        self.high: Floats = np.full(cells, -np.inf)

    @property
    def std(self) -> Floats:
        """Return the population standard deviation `(cells,)`, 0 without observations."""
        with np.errstate(invalid="ignore"):
            return np.sqrt(self._squares / np.maximum(self.count, 1))

    def add(self, values: Floats, at: slice = slice(None)) -> None:
        """Add `values` `(cells in at, n_rows)`, NaN for missing; they are overwritten."""
        if not values.shape[1]:
            return
        with np.errstate(over="ignore", invalid="ignore"):
            absent = _absent(values)
            count = np.full(len(values), float(values.shape[1]))
            low = high = values
            if absent is not None:
                count -= absent.sum(axis=1)
                low, high = np.where(absent, np.inf, values), np.where(absent, -np.inf, values)
            np.minimum(self.low[at], low.min(axis=1), out=self.low[at])
            np.maximum(self.high[at], high.max(axis=1), out=self.high[at])
            self._merge(at, count, *_central(values, count, absent))

    def merge(self, other: Moments) -> None:
        """Add the moments of more values of the same cells."""
        with np.errstate(over="ignore", invalid="ignore"):
            np.minimum(self.low, other.low, out=self.low)
            np.maximum(self.high, other.high, out=self.high)
            self._merge(slice(None), other.count, other.mean, other._squares)

    def replace(self, cells: Sequence[int], moments: Moments) -> None:
        """Replace the moments of the given cells by other moments, which have only those cells."""
        at = np.array(cells, dtype=np.int64)
        for name in ("count", "mean", "_squares", "low", "high"):
            getattr(self, name)[at] = getattr(moments, name)

    def _merge(self, at: slice, count: Floats, mean: Floats, squares: Floats) -> None:
        total = self.count[at] + count
        share = count / np.maximum(total, 1)
        delta = mean - self.mean[at]
        self._squares[at] += squares + delta**2 * (self.count[at] * share)
        self.mean[at] += delta * share
        self.count[at] = total


def sample_rows(cells: int) -> int:
    """Return the maximum number of rows of `cells` cells in a sample."""
    return max(1024, min(MAX_SAMPLED_ROWS, MAX_SAMPLED_CELLS // max(1, cells)))


def quartiles(values: Floats) -> tuple[Floats, Floats, Floats]:
    """Return the three quartiles, each `(cells,)`, of the finite `values` `(cells, n_rows)`.

    They are interpolated linearly between two values, and NaN without observations.
    """
    ordered = np.sort(np.where(np.isfinite(values), values, np.nan), axis=1)  # NaN sorts last
    last = np.maximum(np.isfinite(ordered).sum(axis=1) - 1, 0)
    return (
        _quantile(ordered, last, 0.25),
        _quantile(ordered, last, 0.5),
        _quantile(ordered, last, 0.75),
    )


def _quantile(ordered: Floats, last: npt.NDArray[np.int64], share: float) -> Floats:
    position = last * share
    below = np.floor(position).astype(np.int64)
    rows = np.arange(len(ordered))
    left, right = ordered[rows, below], ordered[rows, np.minimum(below + 1, last)]
    part = position - below
    between: Floats = left * (1 - part) + right * part
    return between


def _absent(values: Floats) -> npt.NDArray[np.bool_] | None:
    # The sum of a row is NaN if one of its values is: one pass instead of a mask.
    if not np.isnan(values.sum(axis=1)).any():
        return None
    return np.isnan(values)


def _central(
    values: Floats, count: Floats, absent: npt.NDArray[np.bool_] | None
) -> tuple[Floats, Floats]:
    divisor = np.maximum(count, 1)
    if absent is not None:
        values[absent] = 0
    mean = values.sum(axis=1) / divisor
    values -= mean[:, None]
    if absent is not None:
        values[absent] = 0
    drift = values.sum(axis=1) / divisor  # rounding error of the mean
    squares = np.einsum("ij,ij->i", values, values) - divisor * drift**2
    return mean + drift, np.maximum(squares, 0)


class ValueCounts:
    """Number of occurrences of each value of a text, integer or boolean column.

    Args:
        column: its name, for errors.
        keep: continue counting even if nearly every value is distinct.
    """

    def __init__(self, column: str, *, keep: bool = False) -> None:
        self.column = column
        self.keep = keep
        self.counts: dict[Category, int] = {}
        self.observed = 0
        self.missing = 0
        self.stopped = False
        self.pruned = False
        self.fraction: float | None = None

    @property
    def distinct(self) -> int:
        """Return the number of distinct values, a lower bound if `stopped` or `pruned`."""
        return len(self.counts)

    def add(self, array: pa.Array) -> None:
        """Count one batch's values.

        Raises:
            DataError: a text is not valid UTF-8.
        """
        if self.stopped:
            self.observed += len(array) - array.null_count
            self.missing += array.null_count
            return
        if pa.types.is_floating(array.type):
            array = self._as_integers(array)
        counted = pc.value_counts(hashable(array))
        values, counts = python_values(counted.field(0), self.column), counted.field(1).to_pylist()
        totals: dict[Any, int] = self.counts
        for value, count in zip(values, counts, strict=True):
            if isinstance(value, Decimal):
                self.fraction = float(value)
            totals[value] = totals.get(value, 0) + count
        missing = totals.pop(None, 0)
        self.missing += missing
        self.observed += len(array) - missing
        self._limit(long=counted.nbytes > MAX_MOSTLY_UNIQUE_BYTES)

    def merge(self, other: ValueCounts) -> None:
        """Add the counts of the values of later rows.

        They are those of one pass if neither part has stopped counting nor dropped values.
        """
        totals: dict[Any, int] = self.counts
        for value, count in other.counts.items():
            totals[value] = totals.get(value, 0) + count
        self.observed += other.observed
        self.missing += other.missing
        self.fraction = self.fraction if other.fraction is None else other.fraction
        self.stopped |= other.stopped
        self.pruned |= other.pruned
        self._limit()

    def _limit(self, *, long: bool = False) -> None:
        """Stop counting mostly unique values, many or `long` ones; of others drop the rarer."""
        unique = self.distinct > self.observed / 2 and not self.keep
        if unique and (self.distinct > MAX_MOSTLY_UNIQUE or long):
            self.stopped = True
        elif self.distinct > MAX_DISTINCT:
            self.counts = dict(self.most_common(MAX_DISTINCT // 2))
            self.pruned = True

    def most_common(self, limit: int) -> list[tuple[Category, int]]:
        """Return the `limit` most frequent values with counts; equal counts are sorted by value."""
        return heapq.nsmallest(limit, self.counts.items(), key=lambda item: (-item[1], item[0]))

    def _as_integers(self, array: pa.Array) -> pa.Array:
        values = array.cast(pa.float64()).to_numpy(zero_copy_only=False)
        present = ~np.isnan(values)
        # Beyond 2**53 every float is integral, and beyond 2**63 no integer type fits.
        fractional = present & ~((np.rint(values) == values) & (np.abs(values) < 2.0**63))
        if fractional.any():
            self.fraction = float(values[fractional][0])
        return pa.array(np.where(present & ~fractional, values, 0).astype(np.int64), mask=~present)


class RowNumbers:
    """Integer columns of a stream that may number the rows from 0 or 1.

    `before` is the number of rows of the table before those of the stream.
    """

    def __init__(self, columns: Iterable[int], before: int = 0) -> None:
        self._before = before
        self._last: dict[int, int | None] = dict.fromkeys(columns)
        self._rows: dict[int, int] = dict.fromkeys(self._last, 0)

    def add(self, column: int, values: npt.NDArray[Any]) -> None:
        """Check the next values of a column, NaN for null."""
        if column not in self._last or not len(values):
            return
        last = self._last[column]
        is_integer = values.dtype.kind in "iu"  # a float had nulls
        first, final = (int(values[0]), int(values[-1])) if is_integer else (0, 0)
        starts = first - self._before in (0, 1) if last is None else first == last + 1
        steps = is_integer and starts and final - first == len(values) - 1
        if steps and (np.diff(values) == 1).all():
            self._last[column] = final
            self._rows[column] += len(values)
        else:
            del self._last[column]

    def merge(self, other: RowNumbers) -> None:
        """Add the columns of the rows after these."""
        for column, last in list(self._last.items()):
            final = other._last.get(column)
            if column not in other._last:
                del self._last[column]
            elif final is not None:
                if last is not None and final - other._rows[column] != last:
                    del self._last[column]
                    continue
                self._last[column] = final
                self._rows[column] += other._rows[column]

    def starts(self) -> dict[int, int]:
        """Return the first number of each column that numbers the rows."""
        return {
            column: last - self._rows[column] + 1
            for column, last in self._last.items()
            if last is not None and self._rows[column] >= MIN_NUMBERED_ROWS
        }
