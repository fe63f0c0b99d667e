"""Distance of samples to their nearest prototypes, or to stored training rows."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from aecli.nn.linear_products import convolved_rows, linear

MAX_PROTOTYPES = 128
"""Prototypes of a model; more cost more and gain less (benchmarks/RESULTS.md, Outliers)."""

MIN_MEMBERS = 5
"""Minimum number of samples whose mean is a prototype: no prototype is a row of training."""

SAMPLES_PER_PROTOTYPE = 10
"""Mean number of samples per prototype of a small table."""

MAX_STORED = 10_000
"""Maximum number of stored rows; of more training rows, evenly spaced ones."""

NEIGHBOUR = 5
"""Neighbour whose distance counts among stored rows (Ramaswamy, Rastogi and Shim 2000)."""

FITTED_SAMPLES = 16_384
"""Maximum number of samples for k-means."""

MAX_DISTANCES = 1 << 18
"""Maximum number of distances in memory, few enough for the processor's cache."""

ITERATIONS = 15
"""Iterations of k-means."""


@dataclass(frozen=True)
class Neighbours:
    """Vectors `points` `(n_points, n_elements)`, and which of the nearest ones is compared.

    `rank` `(1,)` is 1 for prototypes, and `NEIGHBOUR` for stored rows.
    """

    points: Tensor
    rank: Tensor

    def squares(self, vectors: Tensor) -> Tensor:
        """Return the squared difference to the compared neighbour by element `(n, n_elements)`."""
        blocks = vectors.split(convolved_rows(MAX_DISTANCES // len(self.points)))
        nearest = [self._neighbours(block) for block in blocks]
        indices = nearest[0] if len(nearest) == 1 else torch.cat(nearest)
        return self.points.index_select(0, indices).sub_(vectors).square_()

    def _neighbours(self, vectors: Tensor) -> Tensor:
        """Return the index of the compared point of each vector `(n,)`."""
        distances = linear(vectors, self._directions, self._norms)
        nearest = _smallest(distances)
        # For a few ranks this is faster than a partial sort.
        for _ in range(min(self._ranks, len(self.points)) - 1):
            distances.scatter_(1, nearest[:, None], torch.inf)
            nearest = _smallest(distances)
        return nearest

    @cached_property
    def _directions(self) -> Tensor:
        return -2 * self.points

    @cached_property
    def _norms(self) -> Tensor:
        return self.points.square().sum(1)

    @cached_property
    def _ranks(self) -> int:
        return int(self.rank)


def _smallest(values: Tensor) -> Tensor:
    """Return the index of the smallest value of each row; NumPy's takes a third of the time."""
    if values.device.type != "cpu":
        return values.argmin(1)
    return torch.from_numpy(values.numpy().argmin(1))


def stored_rows(vectors: Tensor) -> Neighbours:
    """Return at most `MAX_STORED` of the vectors, evenly spaced, for their `NEIGHBOUR`th."""
    step = -(-len(vectors) // MAX_STORED)
    return Neighbours(vectors[::step].contiguous(), torch.tensor([NEIGHBOUR]).float())


def fit_prototypes(vectors: Tensor) -> Neighbours:
    """Return cluster means of the vectors of training samples, by k-means (Lloyd 1982).

    Clusters of fewer than `MIN_MEMBERS` samples are left out: their mean would resemble a row, and
    few samples that are alike may be anomalies. Without another cluster the mean of all samples is
    the prototype, or the centre if there are fewer than `MIN_MEMBERS` of them.
    """
    vectors = vectors[:: -(-len(vectors) // FITTED_SAMPLES)].contiguous()
    count = max(1, min(MAX_PROTOTYPES, len(vectors) // SAMPLES_PER_PROTOTYPE))
    generator = torch.Generator().manual_seed(0)
    points = vectors[torch.randperm(len(vectors), generator=generator)[:count]]
    members = torch.zeros(len(points))
    for _ in range(ITERATIONS):
        norms = points.square().sum(1)
        nearest = _smallest(torch.addmm(norms, vectors, points.T, alpha=-2))
        members = torch.bincount(nearest, minlength=len(points)).float()
        sums = torch.zeros_like(points).index_add_(0, nearest, vectors)
        # An empty cluster keeps its point.
        means = sums / members.clamp(min=1)[:, None]
        points = torch.where(members[:, None] > 0, means, points)
    points = points[members >= MIN_MEMBERS]
    if not len(points):
        mean = vectors.mean(0, keepdim=True)
        points = mean if len(vectors) >= MIN_MEMBERS else torch.zeros_like(mean)
    return Neighbours(points, torch.ones(1))
