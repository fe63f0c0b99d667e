"""Histograms for plots: counts per bin, and accuracy by confidence."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from aecli.array_types import AnyFloats


class Histogram:
    """Counts of positive values in logarithmic bins, 50 per decade."""

    LOWEST, HIGHEST, PER_DECADE = -6, 13, 50

    def __init__(self) -> None:
        self.counts = np.zeros((self.HIGHEST - self.LOWEST) * self.PER_DECADE, dtype=np.int64)

    def add(self, values: AnyFloats) -> None:
        """Add values `(n_values,)`; NaN is ignored."""
        known = values[~np.isnan(values)].clip(10.0**self.LOWEST, None)
        bins = ((np.log10(known) - self.LOWEST) * self.PER_DECADE).astype(np.int64)
        self.counts += np.bincount(
            np.minimum(bins, len(self.counts) - 1), minlength=len(self.counts)
        )

    def shown(self) -> tuple[AnyFloats, npt.NDArray[np.int64]]:
        """Return the edges and counts of the bins from the first to the last one with values."""
        used = np.flatnonzero(self.counts)
        if not len(used):
            return np.array([1.0, 10.0]), np.zeros(1, dtype=np.int64)
        first, last = int(used[0]), int(used[-1]) + 1
        edges = 10.0 ** (np.arange(first, last + 1) / self.PER_DECADE + self.LOWEST)
        return edges, self.counts[first:last]


class Reliability:
    """Share of right predictions by their probability, in bins of equal width."""

    BINS = 15

    def __init__(self) -> None:
        self._sums = np.zeros((3, self.BINS))

    def add(self, confidence: AnyFloats, right: npt.NDArray[np.bool_]) -> None:
        """Add the probabilities and whether the predictions are right, both `(n_samples,)`."""
        bins = np.minimum((confidence * self.BINS).astype(np.int64), self.BINS - 1)
        for sums, weights in zip(
            self._sums, (None, confidence, right.astype(np.float64)), strict=True
        ):
            sums += np.bincount(bins, weights, minlength=self.BINS)

    def bins(self) -> list[tuple[float, float, int]]:
        """Return the mean confidence, the accuracy and the count of each bin with samples."""
        return [(c / n, r / n, int(n)) for n, c, r in self._sums.T.tolist() if n]

    def error(self) -> float:
        """Return the expected calibration error (Guo et al. 2017, §2)."""
        count, confidence, right = self._sums
        return float(np.abs(confidence - right).sum() / max(1.0, count.sum()))
