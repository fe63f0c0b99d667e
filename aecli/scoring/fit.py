"""Fit the parameters of scores on training and held-out samples."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, TypeAlias

import numpy as np
import torch
from torch import Tensor

from aecli.array_types import Floats
from aecli.features.inputs import Inputs
from aecli.features.layout import Layout
from aecli.features.staging import Staged
from aecli.features.training_range import as_new_rows
from aecli.metrics.number_ranges import SORTED_VALUES
from aecli.nn.autoencoder import AutoencoderNetwork
from aecli.schema.calibration import AGGREGATES
from aecli.schema.model_spec import Column
from aecli.scoring.deviations import Deviations, ScoringFit, joint_vectors, row_means
from aecli.scoring.isolation_fit import fit_isolation, isolation_scale
from aecli.scoring.scorer import Scorer
from aecli.scoring.whitening import joint_whitening
from aecli.scoring.window_statistics import fit_window_statistics

FITTED_VALUES = 1 << 23
"""Maximum number of values in memory, for 1,024 to 65,536 samples."""

MIN_SPREAD = 0.05
"""Lower bound of a number's spread, as a share of its standard deviation."""

MIN_REPEATED_SPREAD = 0.2
"""The same if most rows have an identical value (benchmarks/RESULTS.md, Outliers)."""

NEARLY_CONSTANT = 0.95
"""Share of equal values above which any other value is scored by its frequency, like a boolean."""

MIN_MEDIAN = 0.25
"""Lower bound of a column's median error, as a share of its mean error."""

MIN_ERROR = 0.1
"""Lower bound of a column's error scale, relative to a constant prediction's error: the spread of a
number, or the entropy of a boolean or category (benchmarks/RESULTS.md, Outliers)."""

Run: TypeAlias = tuple[Tensor, Tensor, Tensor]
"""Cells of a block of samples, with their latents and outputs."""

TINY = 1e-12
"""Lower bound of a divisor, for a column without any error."""


def fit_scorer(
    network: AutoencoderNetwork,
    inputs: Inputs,
    columns: tuple[Column, ...],
    train: Staged,
    *,
    store_rows: bool = False,
) -> Scorer:
    """Return a scorer that is fitted on training samples, except for the scale of held-out errors.

    Columns and parts of the score are divided by 1 until `fit_scales` is called. With `store_rows`
    the neighbours are training rows instead of prototypes.
    """
    network.eval()
    deviations = Deviations(columns)
    cells = sampled_cells(train, deviations.layout)
    fitted = univariate_fit(cells, deviations)
    scorer = Scorer(network, inputs, columns, fitted)
    residuals, entropies = _constant_prediction_errors(cells, deviations, fitted)
    runs = _runs(cells, scorer)
    errors, vectors = _errors(runs, scorer), _vectors(runs, scorer)
    centre, whiten, whiten_latent = joint_whitening(
        vectors, MIN_ERROR * residuals.repeat(scorer.window)
    )
    minimum = MIN_ERROR * torch.cat([MIN_ERROR * fitted.spread.square(), entropies])
    floor = deviations.per_column(minimum[None])[0].nan_to_num(0.0)
    scorer.fitted = replace(
        fitted,
        scale=torch.maximum(MIN_MEDIAN * _column_means(errors), floor).clamp(min=TINY),
        centre=centre, whiten=whiten, whiten_latent=whiten_latent,
        **_fit_comparison(cells, scorer, store_rows),
    )  # fmt: skip
    return scorer


def _fit_comparison(cells: Tensor, scorer: Scorer, store_rows: bool) -> dict[str, Any]:
    """Return the parts of a scoring fit that compare samples without the network."""
    medians = torch.ones(len(AGGREGATES) + 4)
    if scorer.window > 1:
        windows = scorer.samples.windows(cells)
        statistics = fit_window_statistics(windows)
        squares, distances = statistics.distances(windows)
        medians[-2:] = _part_medians(torch.stack([row_means(squares), distances], 1))
        return {"windows": statistics, "medians": medians}
    fitted = fit_isolation(cells, scorer.samples, store_rows=store_rows)
    return fitted | {"ordinary": torch.zeros(1), "medians": medians}


def fit_scales(scorer: Scorer, held_out: Sequence[tuple[Scorer, Staged]]) -> dict[str, Floats]:
    """Fit the scales of columns and parts of the score; return the scores of the samples.

    `held_out` are samples that were not trained on, each with its scorer: this one, or those of
    the folds of a table. The scale of a column is its median error, and at least a share of its
    mean error, here and in training, and the scorer's floor.
    """
    names = [column.name for column in scorer.deviations.layout.columns]
    runs = [(one, _runs_of_new_rows(staged, one)) for one, staged in held_out]
    errors = torch.cat([_by_name(_errors(its_runs, one), one, names) for one, its_runs in runs])
    medians = _row_medians(errors.T.contiguous()).double().nan_to_num(0.0)
    typical = torch.maximum(medians, MIN_MEDIAN * _column_means(errors))
    scale = torch.maximum(typical, scorer.fitted.scale)
    scales = dict(zip(names, scale, strict=True))
    for one, _ in held_out:
        its_scales = [scales.get(c.name, torch.tensor(1.0)) for c in one.deviations.layout.columns]
        one.fitted = replace(one.fitted, scale=torch.stack(its_scales).double())
    parts = torch.cat([one.parts(*run)[0] for one, its_runs in runs for run in its_runs])
    medians, ordinary = _part_medians(parts), None
    if scorer.fitted.windows is not None:
        # Of a short series, the held-out windows are few, and farther from training than most.
        medians[-2:] = scorer.fitted.medians[-2:]
    if scorer.fitted.forest is not None:
        ordinary, medians[-1:] = isolation_scale(parts[:, -1])
    scorer.fitted = replace(scorer.fitted, scale=scale, medians=medians, ordinary=ordinary)
    return {name: values.numpy() for name, values in scorer.combined(parts).items()}


def _runs_of_new_rows(staged: Staged, scorer: Scorer) -> list[Run]:
    """Return runs of held-out cells, which are scored like rows later than training."""
    layout = scorer.deviations.layout
    runs = _runs(sampled_cells(staged, layout), scorer)
    return [(as_new_rows(cells, layout), latent, outputs) for cells, latent, outputs in runs]


def _by_name(values: Tensor, scorer: Scorer, names: list[str]) -> Tensor:
    """Return a scorer's columns in the order of `names`; `NaN` for one that it does not have."""
    indices = {column.name: i for i, column in enumerate(scorer.deviations.layout.columns)}
    if list(indices) == names:
        return values
    missing = values.new_full((len(values), 1), torch.nan)
    positions = torch.tensor([indices.get(name, -1) for name in names])
    return torch.cat([values, missing], 1)[:, positions]


def _part_medians(parts: Tensor) -> Tensor:
    """Return the median of each part; 1 if it is 0.

    It is at least a share of the third quartile: if most samples were almost equal, an ordinary
    different sample would otherwise score in the hundreds.
    """
    shares = torch.tensor([0.5, 0.75]).double()
    middle, upper = parts.double().nanquantile(shares, dim=0).nan_to_num(1.0)
    medians = torch.maximum(middle, MIN_MEDIAN * upper)
    return torch.where(medians > 0, medians, 1.0)


def univariate_fit(cells: Tensor, deviations: Deviations) -> ScoringFit:
    """Return a fit of the univariate distances; parameters that need the network are 1."""
    numbers = cells[:, : deviations.layout.numbers]
    blocks = numbers.split(max(1, SORTED_VALUES // max(1, len(numbers))), dim=1)
    median, spread, leaving = torch.cat([_distances_fit(block) for block in blocks], 1)
    rarity = [_rarity(codes, size) for codes, size in _codes(cells, deviations)]
    names = ("scale", "centre", "whiten", "whiten_latent", "constant")
    unfitted: dict[str, Any] = {name: torch.ones(1).double() for name in names}
    unfitted["medians"] = torch.ones(len(AGGREGATES) + 2).double()
    return ScoringFit(median, spread, leaving, rarity, **unfitted)


def _distances_fit(numbers: Tensor) -> Tensor:
    """Return median, spread and log-odds `(3, n_numbers)` of numbers, in the order of the fit."""
    values = numbers.T.contiguous()
    median = _row_medians(values).nan_to_num(0.0)
    centered = values - median[:, None]
    deviation = _row_medians(centered.abs()).nan_to_num(0.0).double()
    sizes = _root_mean_squares(values - values.nanmean(1, keepdim=True))
    sizes = torch.where(sizes > 0, sizes, 1.0)
    floor = torch.where(deviation == 0, MIN_REPEATED_SPREAD, MIN_SPREAD)
    spread = torch.maximum(1.4826 * deviation, floor * sizes)
    return torch.stack([median.double(), *_rare_values(centered, spread)])


def _column_means(errors: Tensor) -> Tensor:
    """Return the mean of each column without NaN in float64, 0 without values."""
    return errors.nanmean(0).double().nan_to_num(0.0)


def _row_medians(values: Tensor) -> Tensor:
    """Return the lower median of each row without NaN; NaN for a row without other values."""
    if bool(values.sum().isnan()):
        return values.nanmedian(1).values
    # NumPy's partition takes half the time of torch.median.
    middle = (values.shape[1] - 1) // 2
    return torch.from_numpy(np.partition(values.numpy(), middle, axis=1)[:, middle])


def _root_mean_squares(values: Tensor) -> Tensor:
    """Return the root mean square of each row without NaN in float64, 0 without values."""
    return values.double().square_().nanmean(1).sqrt().nan_to_num(0.0)


def _codes(cells: Tensor, deviations: Deviations) -> list[tuple[Tensor, int]]:
    """Return the codes of each boolean and category, and how many values it has."""
    layout = deviations.layout
    sizes = [2] * layout.booleans + list(layout.cardinalities)
    return list(zip(cells[:, layout.numbers :].unbind(1), sizes, strict=True))


def _rare_values(centered: Tensor, spread: Tensor) -> tuple[Tensor, Tensor]:
    """Return spreads, and the log-odds of values other than the median of nearly constant numbers.

    A number with only two values is treated as a boolean: their distance has no meaning. If nearly
    all values are equal, another value is scored by its frequency plus its distance relative to the
    other values.
    """
    other = torch.where(centered == 0, torch.nan, centered)
    high = other.nan_to_num(-torch.inf).amax(1)
    low = other.nan_to_num(torch.inf).amin(1)
    left = (~other.isnan()).sum(1)
    stayed = (centered == 0).sum(1)
    rare = (high == low) | ((left > 0) & (stayed > NEARLY_CONSTANT * (stayed + left)))
    odds = 2 * ((stayed + 1) / (left + 1)).log().clamp(min=0)
    return torch.where(rare, _root_mean_squares(other), spread), torch.where(rare, odds, 0.0)


def _constant_prediction_errors(
    cells: Tensor, deviations: Deviations, fitted: ScoringFit
) -> tuple[Tensor, Tensor]:
    """Return residuals `(n_cells,)` of the best constant prediction, and entropies.

    A residual is the spread of a number, or the standard deviation of a value's indicator. The
    entropies of booleans and categories are their errors for that prediction.
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
    # A value that training did not have is counted once, like a pseudocount.
    counts = torch.cat([counts, torch.ones(1).double()])
    return 2 * (counts.max() / counts).log()


def _errors(runs: Sequence[Run], scorer: Scorer) -> Tensor:
    """Return the samples' errors by column `(n_samples, n_columns)`."""
    deviations = scorer.deviations
    errors = (deviations.errors(cells, outputs) for cells, _, outputs in runs)
    return torch.cat([deviations.per_column(block, scorer.window) for block in errors])


def _vectors(runs: Sequence[Run], scorer: Scorer) -> Tensor:
    """Return the samples' joint vectors `(n_samples, n_joint)`."""
    vectors = []
    for cells, latent, outputs in runs:
        _, residuals = scorer.deviations.errors_and_residuals(cells, outputs)
        vectors.append(joint_vectors(residuals, latent).double())
    return torch.cat(vectors)


def _runs(cells: Tensor, scorer: Scorer) -> list[Run]:
    """Return blocks of cells with their latents and outputs."""
    return [(block, *scorer.run(block)) for block in cells.split(scorer.block_rows)]


def sampled_cells(staged: Staged, layout: Layout) -> Tensor:
    """Return the cells of evenly spaced samples, as many as the fit may have in memory."""
    width = layout.cells + sum(layout.cardinalities[len(layout.category) :])
    samples = min(65_536, max(1_024, FITTED_VALUES // max(1, width * staged.size)))
    chosen = staged.thinned(samples)
    return next(chosen.blocks(len(chosen))).cpu().contiguous()
