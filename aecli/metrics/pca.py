"""Fit PCA of the latent's size on the training rows: the baseline of a network."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from aecli.metrics.eigenvectors import symmetric_eigenvectors
from aecli.metrics.products import column_products, summed
from aecli.ranks import ONE_PROCESS, Ranks

COVARIANCE_WIDTH = 2_048
"""Maximum input width for an exact decomposition of the covariance; wider inputs are sampled."""

SVD_ROWS = 4_096


@dataclass(frozen=True)
class PCA:
    """Mean `(n_inputs,)` and orthonormal components `(n_components, n_inputs)`.

    `shares` `(n_components,)` are the explained variances as shares of the inputs' variance, in
    descending order.
    """

    mean: Tensor
    components: Tensor
    shares: Tensor

    def first(self, count: int) -> PCA:
        """Return the first `count` components, which explain most."""
        return PCA(self.mean, self.components[:count], self.shares[:count])

    def widened(self, inputs: int) -> PCA:
        """Return the same PCA for samples with more inputs, which are 0 for all samples."""
        pad = (0, inputs - len(self.mean))
        mean, components = (functional.pad(part, pad) for part in (self.mean, self.components))
        return PCA(mean, components, self.shares)

    def to(self, device: torch.device) -> PCA:
        """Return the same PCA on a device."""
        return PCA(self.mean.to(device), self.components.to(device), self.shares.to(device))

    def reconstruct(self, inputs: Tensor) -> Tensor:
        """Project inputs `(n_rows, n_inputs)` on the components and back."""
        return self.mean + (inputs - self.mean) @ self.components.T @ self.components


def fit_pca(
    batches: Callable[[], Iterable[Tensor]], components: int, *, ranks: Ranks = ONE_PROCESS
) -> PCA:
    """Fit PCA on batches of inputs `(n_rows, n_inputs)` of all ranks, in float64.

    Inputs wider than 2,048 use a randomized SVD (Halko, Martinsson, Tropp 2011, §1.3) of the first
    4,096 rows, so that the baseline takes less time than an epoch. A rank may have no batch.
    """
    first = next(iter(batches()), None)
    heads = [head for head in ranks.gather(_head(first, ranks.size)) if head is not None]
    width = heads[0].shape[1]
    if width > COVARIANCE_WIDTH:
        return ranks.from_first(lambda: sample_pca(torch.cat(heads).double(), components))
    rows = 0
    total = torch.zeros(width, dtype=torch.float64)
    products = torch.zeros(width, width, dtype=torch.float64)
    # Products are centred at the first batch's mean, to avoid cancellation below.
    shift = heads[0][0]
    for inputs in batches():
        centred = (inputs - shift.to(inputs)).float()
        products += column_products(centred).cpu()
        total += centred.sum(0, dtype=torch.float64).cpu()
        rows += len(inputs)
    rows, total, products = sum(ranks.gather(rows)), summed(total, ranks), summed(products, ranks)
    return ranks.from_first(lambda: _of_products(rows, total, products, shift, components))


def _head(first: Tensor | None, parts: int) -> Tensor | None:
    """Return the mean of the first batch `(1, n_inputs)`, or its first rows if it is wide."""
    if first is None or not len(first):
        return None
    if first.shape[1] > COVARIANCE_WIDTH:
        return first[: SVD_ROWS // parts].cpu().clone()
    return first.double().mean(0, keepdim=True).cpu()


def _of_products(rows: int, total: Tensor, products: Tensor, shift: Tensor, components: int) -> PCA:
    """Return the PCA of rows by the sums of their differences from `shift` and of the products."""
    mean = total / rows
    covariance = products / rows - torch.outer(mean, mean)
    values, vectors = symmetric_eigenvectors(covariance)
    count = min(components, len(mean))
    chosen = vectors[:, -count:].flip(1).T
    shares = values.flip(0)[:count] / values.sum().clamp(min=1e-300)
    return PCA((mean + shift).float(), chosen.contiguous().float(), shares.float())


def sample_pca(sample: Tensor, components: int) -> PCA:
    """Fit PCA on a sample `(n_rows, n_inputs)` by a randomized SVD, with fixed random numbers."""
    mean = sample.mean(0)
    rank = min(components, *sample.shape)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        _, values, vectors = torch.svd_lowrank(
            sample - mean, q=min(rank + 8, *sample.shape), niter=4
        )
    shares = values[:rank].square() / (sample - mean).square().sum().clamp(min=1e-300)
    return PCA(mean.float(), vectors[:, :rank].T.contiguous().float(), shares.float())
