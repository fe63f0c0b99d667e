"""Which share of scores a threshold leaves above it, with anomalies among them and without."""

from __future__ import annotations

import numpy as np
import pytest

from aecli.schema.calibration import AGGREGATES
from aecli.scoring.threshold import fit_thresholds

RANDOM = np.random.default_rng(0)
ORDINARY = np.exp(0.3 * RANDOM.normal(size=2_000))


def fitted(scores: np.ndarray) -> tuple[float, str]:
    calibration = fit_thresholds(dict.fromkeys(AGGREGATES, scores), source="rows")
    return calibration.scales["mean"].threshold, calibration.rule


@pytest.mark.parametrize(
    ("scores", "low", "high"),
    [
        (ORDINARY, 0.003, 0.011),
        (np.exp(RANDOM.exponential(size=2_000)), 0.009, 0.021),
        (np.exp(2 * RANDOM.exponential(size=2_000)), 0.009, 0.021),
        (np.where(RANDOM.random(2_000) < 0.05, 20 + ORDINARY, ORDINARY), 0.015, 0.021),
    ],
    ids=["normal logarithms", "long tail", "longer tail", "anomalies"],
)
def test_no_table_flags_more_than_the_fence_may(scores: np.ndarray, low: float, high: float):
    threshold, rule = fitted(scores)
    assert low <= np.mean(scores > threshold) <= high
    assert rule == "the 99th percentile, or Tukey's fence of the logarithms between it and the 98th"


def test_few_anomalies_do_not_raise_the_threshold_to_themselves():
    scores = np.where(np.arange(2_000) < 30, 40.0, ORDINARY)
    threshold, _ = fitted(scores)
    assert threshold < 10 < np.quantile(scores, 0.99)


def test_few_scores_are_bounded_by_their_highest():
    threshold, rule = fitted(ORDINARY[:60])
    assert threshold == ORDINARY[:60].max()
    assert rule == "the 99th percentile"


def test_further_rows_lie_above_the_percentile_as_often_as_it_says():
    samples = RANDOM.exponential(size=(400, 150))
    shares = [np.exp(-fit_thresholds(
        dict.fromkeys(AGGREGATES, values), source="rows").scales["mean"].quantiles[95])
        for values in samples]  # fmt: skip
    assert np.mean(shares) == pytest.approx(0.05, abs=0.004)
