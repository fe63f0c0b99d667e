"""Keep a few of the rows that pass by: a seeded sample, the oddest, the best and the worst."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

Floats = npt.NDArray[np.floating[Any]]


@dataclass(frozen=True)
class Kept:
    """Hold some samples: row numbers from 0, columns as read, and what the model made of each.

    With windows `row` and `batch` are of the last row. `cells` and `outputs` are `(n_samples,
    window, …)`, `errors` and `reasons` `(n_samples, n_columns)` as in `Scored`, `codes` the
    label's, -1 where unknown.
    """

    row: npt.NDArray[np.int64]
    batch: pa.RecordBatch
    cells: Floats
    outputs: Floats
    latent: Floats
    codes: npt.NDArray[np.int64]
    scores: Floats
    errors: Floats
    reasons: Floats

    def __len__(self) -> int:
        return len(self.row)

    def take(self, places: Sequence[int] | npt.NDArray[np.int64]) -> Kept:
        """Return the samples at some places."""
        chosen = np.asarray(places, dtype=np.int64)
        found = {f.name: getattr(self, f.name) for f in fields(self)}
        batch = found.pop("batch")
        return Kept(
            **{name: values[chosen] for name, values in found.items()},
            batch=batch.take(pa.array(chosen)),
        )


class Keeper:
    """Keep the samples with the lowest keys, at most `limit` of them."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self._keys: Floats = np.empty(0)
        self._kept: Kept | None = None

    def add(self, keys: Floats, samples: Kept) -> None:
        """Take a batch in; samples whose key `(n_samples,)` is NaN are left out."""
        full = len(self._keys) >= self.limit
        ceiling = self._keys.max() if full and self.limit else np.inf
        places = np.flatnonzero(keys < ceiling if full else ~np.isnan(keys))
        if not len(places):
            return
        places = np.sort(places[np.argsort(keys[places], kind="stable")[: self.limit]])
        chosen, keys = samples.take(places), keys[places]
        if self._kept is not None:
            chosen, keys = _joined(self._kept, chosen), np.concatenate([self._keys, keys])
        order = np.argsort(keys, kind="stable")[: self.limit]
        self._kept, self._keys = chosen.take(order), keys[order]

    def kept(self) -> Kept | None:
        """Return the samples, lowest key first; None where there were none."""
        return self._kept


def _joined(first: Kept, second: Kept) -> Kept:
    parts = {
        f.name: np.concatenate([getattr(first, f.name), getattr(second, f.name)])
        for f in fields(Kept)
        if f.name != "batch"
    }
    return Kept(**parts, batch=pa.concat_batches([first.batch, second.batch]))


class Reliability:
    """Count, by confidence, how often the likeliest class was right."""

    BINS = 10

    def __init__(self) -> None:
        self._sums = np.zeros((3, self.BINS))

    def add(self, confidence: Floats, right: npt.NDArray[np.bool_]) -> None:
        """Take in the probability of the answer and whether it was right, both `(n_samples,)`."""
        bins = np.minimum((confidence * self.BINS).astype(np.int64), self.BINS - 1)
        for sums, weights in zip(
            self._sums, (None, confidence, right.astype(np.float64)), strict=True
        ):
            sums += np.bincount(bins, weights, minlength=self.BINS)

    def bins(self) -> list[tuple[float, float, int]]:
        """Return the mean confidence, the accuracy and the count of each bin that has samples."""
        return [(c / n, r / n, int(n)) for n, c, r in self._sums.T.tolist() if n]

    def error(self) -> float:
        """Return the expected calibration error (Naeini, Cooper, Hauskrecht 2015)."""
        count, confidence, right = self._sums
        return float(np.abs(confidence - right).sum() / max(1.0, count.sum()))


class Histogram:
    """Count positive values in bins of one fiftieth of a power of ten."""

    LOWEST, HIGHEST, PER_DECADE = -6, 13, 50

    def __init__(self) -> None:
        self.counts = np.zeros((self.HIGHEST - self.LOWEST) * self.PER_DECADE, dtype=np.int64)

    def add(self, values: Floats) -> None:
        """Take values `(n_values,)` in; NaN is left out."""
        known = values[~np.isnan(values)].clip(10.0**self.LOWEST, None)
        bins = ((np.log10(known) - self.LOWEST) * self.PER_DECADE).astype(np.int64)
        self.counts += np.bincount(
            np.minimum(bins, len(self.counts) - 1), minlength=len(self.counts)
        )

    def shown(self) -> tuple[Floats, npt.NDArray[np.int64]]:
        """Return the edges and counts of the bins from the first that has values to the last."""
        used = np.flatnonzero(self.counts)
        if not len(used):
            return np.array([1.0, 10.0]), np.zeros(1, dtype=np.int64)
        first, last = int(used[0]), int(used[-1]) + 1
        edges = 10.0 ** (np.arange(first, last + 1) / self.PER_DECADE + self.LOWEST)
        return edges, self.counts[first:last]
