import numpy as np
import pytest

from aecli.metrics.probe import as_target, probe

DICE = np.random.default_rng(0)
LATENT = DICE.normal(size=(400, 3))
NOISE = DICE.normal(size=(400, 3))


def everything(found):
    return np.full(len(found.truth), True)


def test_the_view_that_holds_the_class_tells_it():
    found = probe({"good": LATENT, "bad": NOISE}, (LATENT[:, 0] > 0).astype(np.int64))
    good, bad = (
        [found.figure(a, everything(found)) for a in found.predictions[n].values()]
        for n in ("good", "bad")
    )
    assert min(good) > 0.85 > 0.65 > max(bad)
    assert found.fitted == len(found.measured) == 200


def test_numbers_are_told_by_r2():
    found = probe({"good": LATENT}, LATENT @ np.array([3.0, 1.0, 0.0]) + 7)
    assert found.metric == "r2"
    assert found.figure(found.predictions["good"]["linear"], everything(found)) > 0.99
    assert found.figure(found.predictions["good"]["knn"], everything(found)) > 0.7
    assert found.baseline(everything(found)) == pytest.approx(0, abs=0.05)


def test_too_few_samples_or_one_class_are_not_probed():
    assert probe({"x": LATENT[:19]}, np.arange(19.0)) is None
    assert probe({"x": LATENT}, np.zeros(400, np.int64)) is None


@pytest.mark.parametrize(
    ("values", "kind"),
    [
        (["a", "b"], np.int64),
        ([True, False], np.int64),
        ([1.0, 2.0, 2.0], np.int64),
        ([0.5, 2.0], np.float64),
        (list(range(21)), np.float64),
    ],
)
def test_text_booleans_and_few_whole_numbers_are_classes(values, kind):
    assert as_target(np.array(values, dtype=object), classes=False).dtype == kind


def test_the_label_is_classes_whatever_its_values():
    assert as_target(np.arange(30).astype(object), classes=True).dtype == np.int64
