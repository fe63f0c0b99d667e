"""Intervals cover the true figure as often as they claim, and are absent where rows are too few."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from aecli.metrics.intervals import (
    RowGroups,
    explained_interval,
    paired_interval,
    share_interval,
)


def grouped(figures: np.ndarray, batch: int = 7) -> RowGroups:
    groups = RowGroups(figures.shape[1])
    for part in torch.from_numpy(figures).split(batch):
        groups.add(part)
    return groups


@pytest.mark.parametrize("rows", [20, 41, 163, 1_000])
def test_groups_hold_every_row_and_are_twenty_to_forty(rows):
    sums = grouped(np.ones((rows, 1))).sums()
    assert float(sums.sum()) == rows
    assert 20 <= len(sums) <= 40


def test_an_interval_covers_the_true_figure_about_95_times_of_100():
    rng = np.random.default_rng(0)
    covered = paired = 0
    for _ in range(200):
        base = rng.exponential(size=300)
        noise = rng.exponential(size=300)
        rows = np.stack([0.2 * base * noise, 0.3 * base * noise, base], 1)
        groups = grouped(rows, 300)
        value = 1 - rows[:, 0].sum() / rows[:, 2].sum()
        lead = (rows[:, 1].sum() - rows[:, 0].sum()) / rows[:, 2].sum()
        found = explained_interval(value, groups.sums()[:, [0, 2]])
        gain = paired_interval(lead, groups.sums()[:, [0, 2]], groups.sums()[:, [1, 2]])
        covered += found.low <= 0.8 <= found.high
        paired += gain.low <= 0.1 <= gain.high
    assert 180 <= covered <= 199
    assert 180 <= paired <= 199


def test_what_is_difficult_for_both_does_not_widen_a_gain():
    difficulty = np.random.default_rng(0).exponential(size=(400, 1))
    groups = grouped(np.hstack([difficulty, 1.1 * difficulty, np.ones((400, 1))]))
    errors, others = groups.sums()[:, [0, 2]], groups.sums()[:, [1, 2]]
    own, gain = explained_interval(0.1, errors), paired_interval(0.1, errors, others)
    assert gain.high - gain.low < 0.15 * (own.high - own.low)
    assert gain.low > 0


@pytest.mark.parametrize("figures", [np.ones((19, 2)), np.zeros((50, 2)), np.full((50, 2), np.inf)])
def test_too_few_rows_or_nothing_to_divide_by_have_no_interval(figures):
    assert explained_interval(0.5, grouped(figures).sums()) is None


@pytest.mark.parametrize(
    ("hits", "trials", "low", "high"), [(8, 10, 0.4902, 0.9433), (0, 10, 0.0, 0.2775)]
)
def test_a_share_has_the_interval_of_wilson(hits, trials, low, high):
    found = share_interval(hits, trials)
    assert (found.low, found.high) == pytest.approx((low, high), abs=1e-3)
    assert share_interval(0, 0) is None


def test_a_paired_interval_is_that_of_two_models_on_the_same_rows():
    rng = np.random.default_rng(0)
    base, hard = rng.exponential(size=(2, 300))
    errors, others = (np.stack([share * base * hard, base], 1) for share in (0.2, 0.3))
    one, other = grouped(errors).sums(), grouped(others).sums()
    found = paired_interval(0.1, one, other)
    assert found.value == 0.1
    assert 0 < found.low < found.high
    together = explained_interval(0.8, one)
    assert found.high - found.low < 0.6 * (together.high - together.low)
    assert paired_interval(0.1, one, other[1:]) is None
    assert paired_interval(0.1, one[:19], other[:19]) is None
