"""Counts of confidences and of scores in bins."""

from __future__ import annotations

import numpy as np
import pytest

from aecli.metrics.histogram import Histogram, Reliability


def test_reliability_is_the_gap_between_confidence_and_accuracy():
    found = Reliability()
    found.add(np.array([0.95, 0.95]), np.array([True, False]))
    found.add(np.array([0.55, 0.55]), np.array([True, False]))
    assert found.bins() == [
        (pytest.approx(0.55), 0.5, 2),
        (pytest.approx(0.95), 0.5, 2),
    ]
    assert found.error() == pytest.approx((0.45 + 0.05) / 2)


def test_a_histogram_counts_every_value_within_its_edges():
    found = Histogram()
    found.add(np.array([0.0, 1.0, 1.01, 250.0, np.nan, 1e30]))
    edges, counts = found.shown()
    assert counts.sum() == 5
    assert len(edges) == len(counts) + 1
    assert counts[np.searchsorted(edges, 1.005) - 1] == 2


def test_a_histogram_of_nothing_can_be_shown():
    edges, counts = Histogram().shown()
    assert (len(edges), counts.tolist()) == (2, [0])
