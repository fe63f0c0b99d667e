"""Distributions that sample draws from: the decoder's noise and the latents of each class."""

from __future__ import annotations

import torch
from torch import Tensor

from aecli.features.staging import Staged
from aecli.schema.network import Network
from aecli.training.baselines import block_samples
from aecli.training.objective import Objective

CLASS_ROWS = 1 << 14
"""Maximum number of rows of a class that its latent distribution is fitted on."""

NOISE_ROWS = 1 << 16
"""Maximum number of rows that the decoder noise is measured on."""


@torch.no_grad()
def decoder_noise(objective: Objective, staged: Staged, spec: Network, seed: int) -> Tensor:
    """Return the mean squared error `(n_numbers,)` of each scaled number for sampled latents.

    It is the variance of a variational decoder's normal noise: with it, decoded samples of the
    prior have the variance of the rows.
    """
    network, device = objective.network, next(objective.network.parameters()).device
    sums = torch.zeros(network.numbers, dtype=torch.float64)
    counts = torch.zeros(network.numbers, dtype=torch.float64)
    chosen = staged.thinned(NOISE_ROWS // staged.size)
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        for block in chosen.blocks(block_samples(spec, staged)):
            cells = block.to(device)
            latent = network.distribution(objective.inputs(cells)).sample()
            outputs = network.decode(latent).float()[:, : network.numbers]
            errors = (outputs - cells[:, : network.numbers]).double().square()
            sums += errors.nan_to_num(0.0).sum(0).cpu()
            counts += (~errors.isnan()).sum(0).cpu()
    return (sums / counts.clamp(min=1)).float()


@torch.no_grad()
def class_latents(objective: Objective, staged: Staged, spec: Network) -> dict[str, Tensor]:
    """Return the distribution of each class in a variational latent, to sample rows of one class.

    `baseline.class_mean` is `(n_classes, latent)`; `baseline.class_scale`, `(n_classes, latent,
    latent)`, the Cholesky factor of the covariance of its sampled latents: that of the rows' means
    plus their mean variance.
    """
    network, device = objective.network, next(objective.network.parameters()).device
    assert staged.codes is not None, "only a labelled table has classes"
    means = torch.zeros(spec.classes, spec.latent, dtype=torch.float64)
    scales = torch.eye(spec.latent, dtype=torch.float64).repeat(spec.classes, 1, 1)
    for code in range(spec.classes):
        of_class = (staged.codes == code).nonzero()[:, 0]
        if not len(of_class):
            continue
        # Evenly spaced rows, since tables are often sorted by class or by time.
        chosen = of_class[:: max(1, len(of_class) * staged.size // CLASS_ROWS)]
        codes = [
            network.distribution(objective.inputs(staged.cells[staged.rows(part)].to(device)))
            for part in chosen.split(block_samples(spec, staged))
        ]
        mean = torch.cat([code.latent for code in codes]).double().cpu()
        spread = torch.cat([code.variance for code in codes]).double().cpu().mean(0)
        means[code] = mean.mean(0)
        centred = mean - means[code]
        covariance = centred.T @ centred / len(mean) + torch.diag(spread + 1e-8)
        scales[code] = torch.linalg.cholesky(covariance)
    return {"baseline.class_mean": means.float(), "baseline.class_scale": scales.float()}
