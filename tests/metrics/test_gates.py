"""Conditions of `--fail-if` whose figure is unknown."""

import pytest

from aecli.errors import UsageError
from aecli.metrics.gates import EVALUATE_FIGURES, SCORE_FIGURES, check_conditions

LABELLED = [name for name in EVALUATE_FIGURES if name not in ("kl", "l1", "l2")]


@pytest.mark.parametrize(
    ("condition", "known", "hint"),
    [
        ("acuracy<0.9", LABELLED, "--fail-if 'accuracy<0.9'"),
        ("r2<0.5", LABELLED, "--fail-if 'number_r2<0.5'"),
        (" mse > 1", LABELLED, "--fail-if 'number_mse > 1'"),
        ("f1<0.2", LABELLED, "--fail-if 'macro_f1<0.2'"),
        ("auc<0.9", LABELLED, "--fail-if 'auroc<0.9'"),
        ("outlier_rate>0.1", SCORE_FIGURES, "--fail-if 'outlier_share>0.1'"),
        ("outliers>0.1", SCORE_FIGURES, "--fail-if 'outlier_share>0.1'"),
        ("xyzzy<1", LABELLED, None),
    ],
)
def test_a_near_figure_is_suggested(condition, known, hint):
    with pytest.raises(UsageError, match="there is no figure") as caught:
        check_conditions([condition], known)
    assert caught.value.hint == hint


@pytest.mark.parametrize(
    ("condition", "known", "fact"),
    [
        ("kl<1", LABELLED, "kl is a figure that aecli evaluate has for other models"),
        ("accuracy>0.5", SCORE_FIGURES, "accuracy is a figure of aecli evaluate"),
        ("outlier_share>0", LABELLED, "outlier_share is a figure of aecli score"),
    ],
)
def test_a_figure_of_another_model_or_command_is_named_as_such(condition, known, fact):
    with pytest.raises(UsageError) as caught:
        check_conditions([condition], known)
    assert fact in caught.value.facts
    assert caught.value.hint is None


def test_only_figures_that_the_model_has_are_listed():
    with pytest.raises(UsageError) as caught:
        check_conditions(["xyzzy<1"], LABELLED)
    listed = caught.value.facts[0]
    assert listed.startswith("this model has: accuracy, active_share, auroc")
    assert not [name for name in ("kl,", "anomaly", "probe") if name in listed]
