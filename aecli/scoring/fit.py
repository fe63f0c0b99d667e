"""Fit what a row's score needs on training and held-out samples."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TypeAlias

import torch
from torch import Tensor

from aecli.array_types import Floats
from aecli.features.layout import Inputs
from aecli.features.staging import Staged
from aecli.features.training_range import as_new_rows
from aecli.nn.autoencoder import AutoencoderNetwork
from aecli.schema.model_spec import AGGREGATES, Column
from aecli.scoring.deviations import Deviations, ScoringFit
from aecli.scoring.scorer import SCORING_BLOCK, Scorer, joint_vectors

WIDEST_JOINT = 1_024
"""Most residuals and latents of a sample whose full covariance is kept: 8 MB beside the weights."""

FITTED_VALUES = 1 << 23
"""Values that the fit holds at a time: at least a thousand samples, and 65,536 of narrow ones."""

LEAST_SPREAD = 0.05
"""A number's spread is at least this share of its standard deviation; most rows may be near one."""

REPEATED_SPREAD = 0.2
"""The same where most rows have the very same value (benchmarks/RESULTS.md, Outliers)."""

MOSTLY_ONE = 0.95
"""Share of equal values above which any other value counts by how rare it is, as a boolean does."""

TYPICAL = 0.25
"""A column's median error counts as at least this share of its mean error."""

LEAST_ERROR = 0.1
"""Smallest divisor of a column's errors, as a share of what a constant answer makes: of the spread
of a number, and of the entropy of a boolean or category (benchmarks/RESULTS.md, Outliers)."""

Run: TypeAlias = tuple[Tensor, Tensor, Tensor]
"""Cells of a block of samples, with their latents and outputs."""

TINY = 1e-12
"""Smallest divisor of all, of a column that never errs."""


def fit_scorer(
    network: AutoencoderNetwork, inputs: Inputs, columns: tuple[Column, ...], train: Staged
) -> Scorer:
    """Return a scorer that is fitted on training samples, but for the size of held-out errors.

    Columns and parts of the score are divided by 1 until `fit_sizes` is called.
    """
    network.eval()
    deviations = Deviations(columns)
    cells = _spread_out(train, deviations.layout.cells)
    fitted = usual(cells, deviations)
    scorer = Scorer(network, inputs, columns, fitted)
    residuals, entropies = _constant_answer(cells, deviations, fitted)
    runs = _runs(cells, scorer)
    errors, vectors = _errors(runs, scorer), _vectors(runs, scorer)
    centre, whiten, whiten_latent = _joint(vectors, LEAST_ERROR * residuals.repeat(scorer.window))
    least = LEAST_ERROR * torch.cat([LEAST_ERROR * fitted.spread.square(), entropies])
    floor = deviations.per_column(least[None])[0].nan_to_num(0.0)
    scorer.fitted = replace(
        fitted,
        scale=torch.maximum(TYPICAL * errors.nanmean(0).nan_to_num(0.0), floor).clamp(min=TINY),
        centre=centre, whiten=whiten, whiten_latent=whiten_latent,
        medians=torch.ones(len(AGGREGATES) + 2),
    )  # fmt: skip
    return scorer


def fit_sizes(scorer: Scorer, held_out: Sequence[tuple[Scorer, Staged]]) -> dict[str, Floats]:
    """Fit what columns and parts of the score are divided by; return the scores of the samples.

    `held_out` are samples that the weights were not fitted on, with the scorer that they are held
    out of: this one, or those of the folds of a table. A column's errors are divided by their
    median, and at least by a share of their mean, here and in training, and by the scorer's floor.
    """
    names = [column.name for column in scorer.deviations.layout.columns]
    runs = [(one, _runs_of_new_rows(staged, one)) for one, staged in held_out]
    errors = torch.cat([_by_name(_errors(own, one), one, names) for one, own in runs])
    typical = torch.maximum(errors.nanmedian(0).values, TYPICAL * errors.nanmean(0))
    scale = torch.maximum(typical.nan_to_num(0.0), scorer.fitted.scale)
    scales = dict(zip(names, scale, strict=True))
    for one, _ in held_out:
        own = [scales.get(c.name, torch.tensor(1.0)) for c in one.deviations.layout.columns]
        one.fitted = replace(one.fitted, scale=torch.stack(own).double())
    parts = torch.cat([one.parts(*run)[0] for one, own in runs for run in own])
    scorer.fitted = replace(scorer.fitted, scale=scale, medians=_typical(parts))
    return {name: values.numpy() for name, values in scorer.combined(parts).items()}


def _runs_of_new_rows(staged: Staged, scorer: Scorer) -> list[Run]:
    """Return runs of held-out cells, which are scored as those of rows later than training."""
    layout = scorer.deviations.layout
    runs = _runs(_spread_out(staged, layout.cells), scorer)
    return [(as_new_rows(cells, layout), latent, outputs) for cells, latent, outputs in runs]


def _by_name(values: Tensor, scorer: Scorer, names: list[str]) -> Tensor:
    """Return a scorer's columns in the order of `names`; `NaN` for one that it does not have."""
    places = {column.name: i for i, column in enumerate(scorer.deviations.layout.columns)}
    missing = torch.full((len(values), 1), torch.nan).double()
    wanted = torch.tensor([places.get(name, -1) for name in names])
    return torch.cat([values, missing], 1)[:, wanted]


def _typical(parts: Tensor) -> Tensor:
    """Return the median of each part, 1 where it is 0.

    It counts as at least a share of the third quartile: where most samples are alike, another that
    is as good as they are would score in the hundreds.
    """
    shares = torch.tensor([0.5, 0.75]).double()
    middle, upper = parts.double().nanquantile(shares, dim=0).nan_to_num(1.0)
    medians = torch.maximum(middle, TYPICAL * upper)
    return torch.where(medians > 0, medians, 1.0)


def usual(cells: Tensor, deviations: Deviations) -> ScoringFit:
    """Return a fit of where cells lie; what needs the network is not fitted yet, and 1."""
    numbers = cells[:, : deviations.layout.numbers].double()
    median = numbers.nanmedian(0).values.nan_to_num(0.0)
    centered = numbers - median
    deviation = centered.abs().nanmedian(0).values.nan_to_num(0.0)
    mean = numbers.nanmean(0)
    sizes = (numbers - mean).square().nanmean(0).sqrt().nan_to_num(0.0)
    sizes = torch.where(sizes > 0, sizes, 1.0)
    floor = torch.where(deviation == 0, REPEATED_SPREAD, LEAST_SPREAD)
    spread = torch.maximum(1.4826 * deviation, floor * sizes)
    spread, leaving = _as_events(centered, spread)
    rarity = [_rarity(codes, size) for codes, size in _codes(cells, deviations)]
    unfitted = (torch.ones(1).double() for _ in range(6))
    return ScoringFit(median, spread, leaving.double(), rarity, *unfitted)


def _codes(cells: Tensor, deviations: Deviations) -> list[tuple[Tensor, int]]:
    """Return the codes of each boolean and category, and how many values it has."""
    where = deviations.layout
    sizes = [2] * where.booleans + list(where.cardinalities)
    return list(zip(cells[:, where.numbers :].unbind(1), sizes, strict=True))


def _as_events(centered: Tensor, spread: Tensor) -> tuple[Tensor, Tensor]:
    """Return spreads, and what leaving the median costs a number of one value and rare others.

    A number of only two values is a boolean in other words: how far they lie apart means nothing.
    Where nearly all values are one, any other is rare first, and then far out beside the others.
    """
    other = torch.where(centered == 0, torch.nan, centered)
    high = other.nan_to_num(-torch.inf).amax(0)
    low = other.nan_to_num(torch.inf).amin(0)
    stayed, left = (centered == 0).sum(0), (centered.abs() > 0).sum(0)
    rare = (high == low) | ((left > 0) & (stayed > MOSTLY_ONE * (stayed + left)))
    odds = 2 * ((stayed + 1) / (left + 1)).log().clamp(min=0)
    size = other.square().nanmean(0).sqrt()
    return torch.where(rare, size, spread), torch.where(rare, odds, 0.0)


def _constant_answer(
    cells: Tensor, deviations: Deviations, fitted: ScoringFit
) -> tuple[Tensor, Tensor]:
    """Return the usual residual of each cell `(n_cells,)` where every row gets the same answer.

    It is the spread of a number and the deviation of a value's indicator. With it come the
    entropies of booleans and categories, which are their errors then.
    """
    shares = [_shares(*column) for column in _codes(cells, deviations)]
    indicators = [(share * (1 - share)).sum().sqrt() for share in shares]
    entropies = [torch.special.entr(share).sum() for share in shares]
    residuals = torch.cat([fitted.spread, torch.tensor(indicators).double()])
    return residuals, torch.tensor(entropies).double()


def _shares(codes: Tensor, values: int) -> Tensor:
    counts = torch.bincount(codes[codes >= 0].long(), minlength=values).double()
    return counts / counts.sum().clamp(min=1)


def _rarity(codes: Tensor, values: int) -> Tensor:
    counts = torch.bincount(codes[codes >= 0].long(), minlength=values)[:values].double() + 1
    # A value that is not there counts as one that was seen less than once.
    counts = torch.cat([counts, torch.ones(1).double()])
    return 2 * (counts.max() / counts).log()


def _errors(runs: Sequence[Run], scorer: Scorer) -> Tensor:
    """Return the samples' errors by column `(n_samples, n_columns)`."""
    deviations = scorer.deviations
    errors = (deviations.errors(cells, outputs) for cells, _, outputs in runs)
    return torch.cat([deviations.per_column(block, scorer.window) for block in errors])


def _vectors(runs: Sequence[Run], scorer: Scorer) -> Tensor:
    """Return the samples' joint vectors `(n_samples, n_joint)`."""
    residuals = scorer.deviations.residuals
    return torch.cat([joint_vectors(residuals(cells, out), z) for cells, z, out in runs])


def _joint(vectors: Tensor, least: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Return what centres and whitens joint vectors; residuals have a `least` deviation."""
    residuals = len(least)
    centre = vectors.mean(0)
    vectors -= centre
    scale = _divisors(vectors, torch.cat([least, least.new_zeros(vectors.shape[1] - residuals)]))
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


def _runs(cells: Tensor, scorer: Scorer) -> list[Run]:
    """Return blocks of cells with their latents and outputs."""
    step = max(1, SCORING_BLOCK // scorer.window) * scorer.window
    return [(block, *scorer.run(block)) for block in cells.split(step)]


def _spread_out(staged: Staged, width: int) -> Tensor:
    """Return the cells of samples from all over the table, as many as the fit may hold."""
    most = min(65_536, max(1_024, FITTED_VALUES // max(1, width * staged.size)))
    chosen = staged.thinned(most)
    return next(chosen.blocks(len(chosen))).cpu().contiguous()
