"""Fit the parts of the score that compare samples with training samples, without the network."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from aecli.scoring.forest import fit_forest
from aecli.scoring.neighbours import fit_prototypes, stored_rows
from aecli.scoring.sample_inputs import SampleInputs

ISOLATED = 0.1
"""Share of training samples, the most isolated ones, that are not neighbours."""

MIN_EXCESS = 0.01
"""Lower bound of the difference of the third quartile and the median of the isolation."""

BLOCK = 8_192
"""Samples whose isolation is computed at once."""


def fit_isolation(cells: Tensor, samples: SampleInputs, *, store_rows: bool) -> dict[str, Any]:
    """Return the forest of the samples, and their neighbours without the most isolated ones.

    Anomalies among the training samples are mostly isolated; as neighbours they would make
    anomalies like them ordinary.
    """
    vectors = samples.vectors(cells)
    forest = fit_forest(vectors, samples.columns)
    isolation = torch.cat([forest.isolation(block) for block in vectors.split(BLOCK)])
    kept = vectors[isolation <= isolation.quantile(1 - ISOLATED)]
    return {"forest": forest, "neighbours": (stored_rows if store_rows else fit_prototypes)(kept)}


def isolation_scale(isolation: Tensor) -> tuple[Tensor, Tensor]:
    """Return what to subtract from the isolation and what to divide it by.

    The median becomes 1 and the third quartile 2, as for a part with a long tail: the isolation
    itself is bounded, and most of its values are close to each other.
    """
    shares = torch.tensor([0.5, 0.75]).double()
    middle, upper = isolation.double().quantile(shares)
    excess = (upper - middle).clamp(min=MIN_EXCESS)
    return (middle - excess).view(1), excess.view(1)
