"""Fit what a row's score needs, and its threshold, on training and held-out samples."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from aecli.features.layout import Inputs
from aecli.features.staging import Staged
from aecli.features.training_range import as_new_rows
from aecli.nn.autoencoder import AutoencoderNetwork
from aecli.schema.model_spec import (
    AGGREGATES,
    Calibration,
    Column,
)
from aecli.scoring.deviations import Deviations, ScoringFit
from aecli.scoring.scorer import SCORING_BLOCK, Scorer, joint_vectors
from aecli.scoring.threshold import fit_thresholds

WIDEST_JOINT = 1_024
"""Most residuals and latents of a sample whose full covariance is kept: 8 MB beside the weights."""

FITTED_VALUES = 1 << 23
"""Values that the fit holds at a time: at least a thousand samples, and 65,536 of narrow ones."""

LEAST_SPREAD = 0.05
"""A number's spread is at least this share of its standard deviation; most rows may be near one."""

MOSTLY_ONE_SPREAD = 0.2
"""The same where most rows have the very same value (benchmarks/RESULTS.md, Outliers)."""

TYPICAL = 0.25
"""A column's median error counts as at least this share of its mean error."""

TINY = 1e-4
"""Residuals below this share of a number's standard deviation are rounding."""


def fit_scores(
    network: AutoencoderNetwork,
    inputs: Inputs,
    columns: tuple[Column, ...],
    train: Staged,
    valid: Staged,
) -> tuple[ScoringFit, Calibration]:
    """Fit on training samples what is usual, and on held-out ones what scores are.

    Without held-out samples training ones stand for them, and the calibration says so.
    """
    network.eval()
    deviations = Deviations(columns)
    cells = _spread_out(train, deviations.layout.cells)
    fitted, sizes = usual(cells, deviations)
    scorer = Scorer(network, inputs, columns, fitted)
    centre, whiten, whiten_latent = _joint(cells, scorer, sizes)
    held_out = _spread_out(valid, deviations.layout.cells) if len(valid) else cells
    held_out = as_new_rows(held_out, deviations.layout)
    scale = _column_scales(held_out, scorer, sizes)
    scorer.fitted = fitted = replace(
        fitted, scale=scale, centre=centre, whiten=whiten, whiten_latent=whiten_latent,
        medians=torch.ones(len(AGGREGATES) + 2),
    )  # fmt: skip
    parts = torch.cat([scorer.parts(*run)[0] for run in _runs(held_out, scorer)])
    scorer.fitted = fitted = replace(fitted, medians=_typical(parts))
    scores = {name: values.numpy() for name, values in scorer.combined(parts).items()}
    where = "validation" if len(valid) else "training"
    return fitted, fit_thresholds(
        scores, source=f"{where} {'rows' if train.size == 1 else 'windows'}"
    )


def _typical(parts: Tensor) -> Tensor:
    """Return the median of each part, 1 where it is 0.

    It counts as at least a share of the third quartile: where most samples are alike, another that
    is as good as they are would score in the hundreds.
    """
    shares = torch.tensor([0.5, 0.75]).double()
    middle, upper = parts.double().nanquantile(shares, dim=0).nan_to_num(1.0)
    medians = torch.maximum(middle, TYPICAL * upper)
    return torch.where(medians > 0, medians, 1.0)


def usual(cells: Tensor, deviations: Deviations) -> tuple[ScoringFit, Tensor]:
    """Return a fit of where cells lie, and their standard deviations `(n_cells,)`, 1 for codes.

    What needs the network is not fitted yet, and 1.
    """
    numbers = cells[:, : deviations.layout.numbers].double()
    median = numbers.nanmedian(0).values.nan_to_num(0.0)
    centered = numbers - median
    deviation = centered.abs().nanmedian(0).values.nan_to_num(0.0)
    mean = numbers.nanmean(0)
    sizes = (numbers - mean).square().nanmean(0).sqrt().nan_to_num(0.0)
    sizes = torch.where(sizes > 0, sizes, 1.0)
    floor = torch.where(deviation == 0, MOSTLY_ONE_SPREAD, LEAST_SPREAD)
    spread = torch.maximum(1.4826 * deviation, floor * sizes)
    spread, leaving = _as_booleans(centered, spread)
    values = [2] * deviations.layout.booleans + list(deviations.layout.cardinalities)
    codes = cells[:, deviations.layout.numbers :].unbind(1)
    rarity = [_rarity(column, size) for column, size in zip(codes, values, strict=True)]
    rest = torch.ones(deviations.layout.cells - deviations.layout.numbers).double()
    unfitted = (torch.ones(1).double() for _ in range(5))
    fitted = ScoringFit(median, spread, leaving.double(), rarity, *unfitted)
    return fitted, torch.cat([sizes, rest])


def _as_booleans(centered: Tensor, spread: Tensor) -> tuple[Tensor, Tensor]:
    """Return spreads, and what leaving the median costs a number of only two values.

    Such a number is a boolean in other words, and how far its values lie apart means nothing.
    """
    other = torch.where(centered == 0, torch.nan, centered)
    high = other.nan_to_num(-torch.inf).amax(0)
    low = other.nan_to_num(torch.inf).amin(0)
    two = high == low
    stayed, left = (centered == 0).sum(0), (centered.abs() > 0).sum(0)
    odds = 2 * ((stayed + 1) / (left + 1)).log().clamp(min=0)
    return torch.where(two, high.abs(), spread), torch.where(two, odds, 0.0)


def _rarity(codes: Tensor, values: int) -> Tensor:
    counts = torch.bincount(codes[codes >= 0].long(), minlength=values)[:values].double() + 1
    # A value that is not there counts as one that was seen less than once.
    counts = torch.cat([counts, torch.ones(1).double()])
    return 2 * (counts.max() / counts).log()


def _joint(cells: Tensor, scorer: Scorer, sizes: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    deviations = scorer.deviations
    vectors = torch.cat(
        [joint_vectors(deviations.residuals(c, out), z) for c, z, out in _runs(cells, scorer)]
    )
    latent = scorer.run(cells[: scorer.window])[0].shape[1]
    residuals = vectors.shape[1] - latent
    floor = torch.cat([TINY * sizes.repeat(scorer.window), torch.zeros(latent).double()])
    centre = vectors.mean(0)
    vectors -= centre
    scale = _divisors(vectors, floor)
    vectors *= scale
    if vectors.shape[1] <= WIDEST_JOINT:
        return centre, scale[:, None] * _whitening(vectors), torch.zeros(0, 0)
    own = vectors[:, residuals:]
    return centre, scale[:residuals], scale[residuals:, None] * _whitening(own)


def _divisors(vectors: Tensor, floor: Tensor) -> Tensor:
    """Return 1 / standard deviation; 0 where a latent never changes, since noise would."""
    deviation = vectors.square().mean(0).sqrt()
    deviation = torch.maximum(deviation, floor)
    return torch.where(deviation > 1e-12, 1 / deviation.clamp(min=1e-12), 0.0)


def _whitening(vectors: Tensor) -> Tensor:
    """Return a matrix that makes centred vectors uncorrelated, from their shrunk covariance.

    Shrunk towards a multiple of the identity by as much as the sample is small (Ledoit and Wolf
    2004, §3.2).
    """
    rows, size = vectors.shape
    if size == 0:
        return torch.zeros(0, 0).double()
    covariance = vectors.T @ vectors / rows
    mean = covariance.diagonal().mean()
    identity = torch.eye(size).double()
    distance = (covariance - mean * identity).square().sum() / size
    fourth = vectors.square().sum(1).square().mean()
    error = (fourth - covariance.square().sum()).clamp(min=0) / rows / size
    share = float((error / distance).clamp(max=1.0)) if distance > 0 else 1.0
    shrunk = (1 - share) * covariance + (share * mean + 1e-6 * mean + 1e-12) * identity
    factor = torch.linalg.cholesky(shrunk)
    inverse: Tensor = torch.linalg.solve_triangular(factor, identity, upper=False)
    return inverse.T


def _column_scales(cells: Tensor, scorer: Scorer, sizes: Tensor) -> Tensor:
    deviations = scorer.deviations
    errors = torch.cat(
        [
            deviations.per_column(deviations.errors(c, out), scorer.window)
            for c, _, out in _runs(cells, scorer)
        ]
    )
    median, mean = errors.nanmedian(0).values, errors.nanmean(0)
    trivial = torch.tensor([c.trivial_loss for c in deviations.layout.columns]).double()
    floor = deviations.per_column((TINY * sizes).square()[None])[0]
    scale = torch.maximum(median, TYPICAL * mean)
    return torch.maximum(torch.where(scale.isnan(), trivial, scale), floor)


def _runs(cells: Tensor, scorer: Scorer) -> list[tuple[Tensor, Tensor, Tensor]]:
    """Return blocks of cells with their latents and outputs."""
    step = max(1, SCORING_BLOCK // scorer.window) * scorer.window
    return [(block, *scorer.run(block)) for block in cells.split(step)]


def _spread_out(staged: Staged, width: int) -> Tensor:
    """Return the cells of samples from all over the table, as many as the fit may hold."""
    most = min(65_536, max(1_024, FITTED_VALUES // max(1, width * staged.size)))
    chosen = staged.thinned(most)
    return next(chosen.blocks(len(chosen))).cpu().contiguous()
