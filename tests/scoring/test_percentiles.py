"""Percentiles of scores: where they are between quantiles, and at repeated or extreme ones."""

from __future__ import annotations

import numpy as np
import pytest

from aecli.schema.calibration import LEVELS
from aecli.scoring.percentiles import Percentiles

SCORES = np.random.default_rng(0).gamma(2.0, size=100_000)


def expected(scores: np.ndarray, quantiles: np.ndarray) -> np.ndarray:
    """Interpolate between the distinct quantiles; of equal ones, the first level counts."""
    known, first = np.unique(quantiles, return_index=True)
    return np.interp(scores, known, np.array(LEVELS)[first])


@pytest.mark.parametrize("factor", [1e-9, 1.0, 1e9])
def test_a_percentile_is_interpolated_between_quantiles_of_any_size(factor: float):
    quantiles = factor * np.quantile(SCORES[:1_000], np.array(LEVELS) / 100)
    found = Percentiles(quantiles.tolist()).of(factor * SCORES)
    np.testing.assert_allclose(found, expected(factor * SCORES, quantiles), atol=1e-9)


def test_a_score_at_a_quantile_has_its_level():
    quantiles = np.geomspace(1e-12, 1e6, len(LEVELS))
    np.testing.assert_allclose(Percentiles(quantiles.tolist()).of(quantiles), LEVELS)


def test_of_repeated_quantiles_the_first_level_counts_and_a_higher_score_is_above_them():
    quantiles = [0.0] * 30 + [1.0] * 60 + np.linspace(2, 3, len(LEVELS) - 90).tolist()
    found = Percentiles(quantiles).of(np.array([0.0, 1.0, 1.0 + 1e-9, 99.0, np.nan]))
    np.testing.assert_allclose(found, [0, 30, 89, 100, np.nan], atol=1e-6)


def test_equal_quantiles_separate_lower_from_higher_scores():
    for value in (0.0, 2.5):
        found = Percentiles([value] * len(LEVELS)).of(np.array([value, value + 1]))
        assert found.tolist() == [0, 100]
