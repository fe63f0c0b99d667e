import numpy as np
import pytest
from sklearn.metrics import average_precision_score, f1_score, roc_auc_score

from aecli.metrics import detection
from aecli.metrics.detection import Interval, detection_figures


def samples(rows, share=0.1, apart=1.5, decimals=9):
    dice = np.random.default_rng(0)
    marks = dice.random(rows) < share
    return np.round(dice.normal(size=rows) + apart * marks, decimals), marks


@pytest.mark.parametrize("decimals", [9, 0])
def test_figures_are_those_of_scikit_learn_with_and_without_ties(decimals):
    scores, marks = samples(2_000, decimals=decimals)
    found = detection_figures(scores, marks, threshold=1.0)
    assert found["auroc"].value == pytest.approx(roc_auc_score(marks, scores))
    assert found["average_precision"].value == pytest.approx(average_precision_score(marks, scores))
    assert found["f1"].value == pytest.approx(f1_score(marks, scores > 1.0))
    limits = np.unique(scores)
    limits = limits[:: max(1, len(limits) // 300)]
    best = max(f1_score(marks, scores >= limit) for limit in limits)
    assert best <= found["best_f1"].value <= best + 0.01


def test_the_interval_of_auroc_is_as_wide_as_delong_says():
    scores, marks = samples(1_000)
    auroc = detection_figures(scores, marks, threshold=1.0)["auroc"]
    above = scores[marks][:, None] > scores[~marks][None]
    variance = sum(above.mean(axis).var() / above.shape[1 - axis] for axis in (0, 1))
    assert auroc.high - auroc.low == pytest.approx(2 * 1.96 * variance**0.5, rel=0.08)


def test_coarse_bins_give_nearly_the_same_intervals(monkeypatch: pytest.MonkeyPatch):
    scores, marks = samples(3_000)
    fine = detection_figures(scores, marks, threshold=1.0)
    monkeypatch.setattr(detection, "SCORE_BINS", 512)
    coarse = detection_figures(scores, marks, threshold=1.0)
    for name, interval in coarse.items():
        assert interval.value == fine[name].value
        assert interval.low == pytest.approx(fine[name].low, abs=0.02)
        assert interval.high == pytest.approx(fine[name].high, abs=0.02)


def test_a_threshold_above_all_scores_finds_nothing():
    scores, marks = samples(200)
    assert detection_figures(scores, marks, threshold=1e9)["f1"] == Interval(0, 0, 0)


def test_one_anomaly_is_enough():
    scores, marks = np.arange(50.0), np.arange(50) == 49
    assert detection_figures(scores, marks, threshold=48.5)["auroc"] == Interval(1, 1, 1)


def test_intervals_of_binned_scores_are_centred_on_the_exact_figures():
    scores, marks = samples(20_000, share=0.5)
    for found in detection_figures(scores, marks, threshold=1.0).values():
        assert (found.low + found.high) / 2 == pytest.approx(
            found.value, abs=0.15 * (found.high - found.low)
        )
