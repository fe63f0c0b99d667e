import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from aecli.metrics.classification import ClassificationFigures


def figures(logits: torch.Tensor, codes: torch.Tensor, parts: int = 1) -> ClassificationFigures:
    found = ClassificationFigures(logits.shape[1])
    for some, labels in zip(logits.chunk(parts), codes.chunk(parts), strict=True):
        found.add(some, labels)
    return found


def sample(classes: int, rows: int = 2000) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(classes)
    codes = torch.randint(classes, (rows,), generator=generator)
    logits = 2 * torch.randn(rows, classes, generator=generator)
    logits[torch.arange(rows), codes] += 2
    return logits, codes


def auroc_by_pairs(scores: np.ndarray, own: np.ndarray) -> float:
    positive, negative = scores[own][:, None], scores[~own][None, :]
    return float(((positive > negative) + 0.5 * (positive == negative)).mean())


@pytest.mark.parametrize("classes", [2, 3, 7])
def test_auroc_is_the_share_of_ordered_pairs(classes: int):
    logits, codes = sample(classes)
    scores = torch.softmax(logits.double(), 1).numpy()
    expected = [auroc_by_pairs(scores[:, c], (codes == c).numpy()) for c in range(classes)]
    assert figures(logits, codes).auroc() == pytest.approx(np.mean(expected), abs=2e-4)


def test_auroc_sees_order_among_nearly_certain_answers():
    logits = torch.tensor([[0.0, 20.0], [0.0, 21.0], [0.0, 22.0], [0.0, 23.0]])
    assert figures(logits, torch.tensor([0, 0, 1, 1])).auroc() == 1.0


def test_auroc_of_one_class_is_undefined():
    assert figures(torch.zeros(3, 2), torch.tensor([1, 1, 1])).auroc() is None


def test_figures_of_a_small_confusion_by_hand():
    logits = torch.tensor([[2.0, 0.0], [0.0, 2.0], [0.0, 2.0], [0.0, 2.0]])
    found = figures(logits, torch.tensor([0, 0, 1, -1]))
    assert found.confusion.tolist() == [[1, 1], [0, 1]]
    assert found.rows == 3
    assert found.accuracy() == pytest.approx(2 / 3)
    assert found.balanced_accuracy() == pytest.approx(3 / 4)
    assert found.macro_f1() == pytest.approx(2 / 3)
    right, wrong = np.log1p(np.exp(-2.0)), np.log1p(np.exp(2.0))
    assert found.log_loss() == pytest.approx((2 * right + wrong) / 3)


@settings(max_examples=20)
@given(parts=st.integers(1, 9))
def test_batches_do_not_matter(parts: int):
    logits, codes = sample(3, rows=90)
    whole, cut = figures(logits, codes), figures(logits, codes, parts)
    assert cut.auroc() == whole.auroc()
    assert cut.log_loss() == pytest.approx(whole.log_loss())
    assert torch.equal(cut.confusion, whole.confusion)


def test_calibration_error_is_the_mean_gap_of_probability_and_accuracy_in_its_bins():
    odds = torch.tensor([0.9, 0.9, 0.7, 0.7, 0.7, 0.7]).logit()
    logits = torch.stack([odds, torch.zeros(6)], 1)
    logits[1] = logits[1].flip(0)
    codes = torch.tensor([0, 0, 0, 0, 0, 1])
    found = figures(logits, codes).result(("a", "b"), (5, 1))
    assert found.ece == pytest.approx((2 * 0.4 + 4 * 0.05) / 6, abs=1e-6)
    assert found.reliability == [
        (pytest.approx(0.7), 0.75, 4),
        (pytest.approx(0.9), 0.5, 2),
    ]
    assert found.positive_ece == pytest.approx((4 * 0.05 + 0.1 + 0.9) / 6, abs=1e-6)
    parts = figures(logits, codes, parts=3).result(("a", "b"), (5, 1))
    assert parts.ece == pytest.approx(found.ece)
    assert (
        figures(torch.zeros(1, 3), torch.tensor([0])).result("abc", (1, 1, 1)).positive_ece is None
    )
