import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from aecli.ranks import Ranks
from aecli.training.split import rows_outside, training_rows
from tests.thread_ranks import on_ranks


def test_each_class_is_divided_by_itself():
    codes = np.repeat([0, 1, -1], [1000, 20, 100])
    train = training_rows(len(codes), 0.1, seed=3, codes=codes)
    assert [int((~train[codes == code]).sum()) for code in (0, 1, -1)] == [100, 2, 10]


def test_a_class_of_one_row_stays_in_training():
    codes = np.array([0] * 50 + [1])
    assert training_rows(51, 0.5, seed=0, codes=codes)[50]


@given(rows=st.integers(1, 300), share=st.floats(0.01, 0.99), seed=st.integers(0, 2**62))
def test_a_row_always_remains_for_training(rows: int, share: float, seed: int):
    train = training_rows(rows, share, seed)
    assert train.any()
    assert abs((~train).sum() - share * rows) <= 1


@given(st.integers(2, 60), st.integers(2, 7), st.integers(0, 5))
def test_folds_hold_each_row_out_once_and_spread_each_class(rows: int, folds: int, seed: int):
    codes = np.arange(rows, dtype=np.int64) % 3
    held_out = ~np.stack([rows_outside(fold, folds, rows, seed, codes) for fold in range(folds)])
    shared = np.bincount(codes)[codes] > 1
    assert (held_out.sum(axis=0) == shared).all()
    sizes = held_out.sum(axis=1)
    assert sizes.max() - sizes.min() <= 1
    for code in range(3):
        of_class = held_out[:, codes == code].sum(axis=1)
        assert of_class.max() - of_class.min() <= 1


def test_the_seed_decides_the_split():
    first, again, other = (training_rows(500, 0.2, seed) for seed in (1, 1, 2))
    assert (first == again).all()
    assert (first != other).any()


@pytest.mark.parametrize("classes", [3, 200], ids=["large classes", "classes too small to divide"])
@pytest.mark.parametrize("block", [7, 1 << 18])
def test_ranks_with_parts_of_the_codes_divide_all_rows(
    monkeypatch: pytest.MonkeyPatch, classes: int, block: int
):
    monkeypatch.setattr("aecli.training.split.BLOCK_ROWS", block)
    codes = np.random.default_rng(0).integers(-1, classes, 600)
    cuts = [0, 10, 10, 450, 600]
    expected = training_rows(600, 0.1, seed=5, codes=codes)

    def divide(ranks: Ranks):
        first, last = cuts[ranks.rank], cuts[ranks.rank + 1]
        return training_rows(600, 0.1, 5, codes[first:last], first=first, ranks=ranks)

    assert [mask.tolist() for mask in on_ranks(4, divide)] == [expected.tolist()] * 4
