"""Isolation forest of oblivious trees: how few random splits separate a sample from the others."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from aecli.array_types import Float32s, Floats

TREES = 32
"""Trees of a forest: with 64 or 100 the figures are the same (benchmarks/RESULTS.md, Outliers)."""

DEPTH = 8
"""Splits of a tree, so that a leaf's number is one byte."""

TREE_SAMPLES = 1_024
"""Samples of each tree; one split per level separates fewer than one split per node would."""

MAX_DRAWS = 16
"""Maximum number of features drawn until one varies among the samples to be split."""

Integers = npt.NDArray[np.int64]


@dataclass(frozen=True)
class IsolationForest:
    """Isolation forest (Liu, Ting and Zhou 2008) whose trees have one split per level.

    With the same split at all nodes of a level (an oblivious tree), the number of a sample's leaf
    is read off its comparisons, without a path through the tree. A split is drawn from the range of
    a random populated node, as for a usual isolation tree. `features` and `splits` are `(TREES,
    DEPTH)`; `lengths` `(TREES, 2 ** DEPTH)` are the number of splits that separated a leaf's
    samples, plus the expected number to separate the remaining ones, over that of all samples.
    """

    features: Tensor
    splits: Tensor
    lengths: Tensor

    def isolation(self, vectors: Tensor) -> Tensor:
        """Return 2 to the power of minus the mean path length `(n_samples,)`: 1 if isolated."""
        on_cpu = vectors.device.type == "cpu"
        leaves = self.leaves_by_feature(vectors) if on_cpu else self.leaves_at_once(vectors)
        return torch.exp2(self.lengths.gather(1, leaves.long()).sum(0) / -len(leaves))

    def leaves_by_feature(self, vectors: Tensor) -> Tensor:
        """Return the number of each sample's leaf by tree `(TREES, n_samples)`.

        A feature stays in the processor's cache while it is compared with all of its splits.
        """
        values = vectors.T.contiguous().numpy()
        rows, by_feature = self._splits_by_feature
        above = np.empty((rows.size, len(vectors)), dtype=np.bool_)
        for feature, part, splits in by_feature:
            np.greater(values[feature], splits, out=above[part])
        bits = above.view(np.uint8)
        leaves = bits.take(rows[0], 0)
        level = np.empty_like(leaves)
        for rows_of_level in rows[1:]:
            leaves += leaves
            leaves += bits.take(rows_of_level, 0, out=level, mode="clip")
        return torch.from_numpy(leaves)

    def leaves_at_once(self, vectors: Tensor) -> Tensor:
        """Return the same by one comparison with all splits."""
        values = vectors.index_select(1, self.features.long().flatten())
        above = values.view(len(vectors), *self.features.shape) > self.splits
        bits = 2 ** torch.arange(DEPTH - 1, -1, -1, device=vectors.device)
        return (above * bits).sum(2).T

    @cached_property
    def _splits_by_feature(self) -> tuple[Integers, list[tuple[int, slice, Float32s]]]:
        """Return where each level's splits are in the order of features, and the splits.

        The rows are `(DEPTH, TREES)`, splits `(n, 1)` of each used feature with their rows.
        """
        features = self.features.numpy().T.ravel().astype(np.int64)
        order = np.argsort(features, kind="stable")
        rows = np.empty_like(order)
        rows[order] = np.arange(len(order))
        splits = self.splits.numpy().T.reshape(-1, 1)[order]
        used, starts = np.unique(features[order], return_index=True)
        parts = [*map(slice, starts, [*starts[1:], len(order)])]
        by_feature = [(f, part, splits[part]) for f, part in zip(used, parts, strict=True)]
        return rows.reshape(self.features.T.shape), by_feature


def fit_forest(vectors: Tensor, columns: Tensor) -> IsolationForest:
    """Return a forest of the vectors of training samples `(n_samples, n_features)`.

    Args:
        vectors: of the samples.
        columns: the column of each feature; a split draws a column, then one of its features.
    """
    rng = np.random.default_rng(0)
    varying = (vectors.amax(0) > vectors.amin(0)).nonzero()[:, 0].numpy()
    owners = columns.numpy()[varying]
    features = [varying[owners == owner] for owner in np.unique(owners)]
    size = min(TREE_SAMPLES, len(vectors))
    trees = []
    for _ in range(TREES):
        chosen = torch.from_numpy(rng.choice(len(vectors), size, replace=False))
        trees.append(_tree(vectors[chosen].numpy(), features, rng))
    stacked = (torch.from_numpy(np.stack(part)).float() for part in zip(*trees, strict=True))
    return IsolationForest(*stacked)


def _tree(
    samples: Floats, features: list[Integers], rng: np.random.Generator
) -> tuple[Integers, Floats, Floats]:
    """Return the features and splits of a tree by level, and the path length of each leaf."""
    leaves = np.zeros(len(samples), dtype=np.int64)
    counts, lengths = np.array([len(samples)]), np.zeros(1)
    splits: list[tuple[int, float]] = []
    for level in range(DEPTH):
        splits.append(_split(samples, leaves, counts, features, rng))
        feature, threshold = splits[-1]
        leaves = 2 * leaves + (samples[:, feature] > threshold)
        parents, counts = counts, np.bincount(leaves, minlength=2 << level)
        siblings = counts.reshape(-1, 2)[:, ::-1].reshape(-1)
        # A split that separates nothing, or of a node with one sample, does not lengthen a path.
        separates = (np.repeat(parents, 2) > 1) & ~((siblings == 0) & (counts > 0))
        lengths = np.repeat(lengths, 2) + separates
    lengths += [_expected_length(int(count)) for count in counts]
    chosen, thresholds = zip(*splits, strict=True)
    whole = max(1.0, _expected_length(len(samples)))
    # Values of float32: a sample at the threshold must not move by rounding.
    return np.array(chosen), np.array(thresholds, dtype=np.float32), lengths / whole


def _split(
    samples: Floats,
    leaves: Integers,
    counts: Integers,
    features: list[Integers],
    rng: np.random.Generator,
) -> tuple[int, float]:
    """Return a feature, and a threshold in its range among the samples of a random node.

    The threshold is the largest float32, which separates nothing, if no drawn feature varies.
    """
    nodes = np.flatnonzero(counts > 1)
    for _ in range(MAX_DRAWS if len(nodes) and features else 0):
        node = rng.choice(nodes)
        feature = int(rng.choice(features[rng.integers(len(features))]))
        values = samples[leaves == node, feature]
        low, high = float(values.min()), float(values.max())
        if high > low:
            return feature, min(rng.uniform(low, high), np.nextafter(np.float32(high), -np.inf))
    return 0, float(np.finfo(np.float32).max)


def _expected_length(samples: int) -> float:
    """Return the mean path length of a tree that isolates all samples (Liu et al. 2008, eq. 1)."""
    if samples <= 1:
        return 0.0
    harmonic = math.log(samples - 1) + np.euler_gamma if samples > 2 else 1.0
    return 2 * harmonic - 2 * (samples - 1) / samples
