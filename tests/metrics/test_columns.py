import pytest
import torch

from aecli.features.layout import lay_out
from aecli.metrics.column_scores import mean_accuracy
from aecli.metrics.columns import ColumnFigures
from aecli.metrics.number_ranges import number_ranges
from aecli.metrics.pca import PCA
from tests.columns import boolean, category, number, vector

NAN = float("nan")


def test_r2_is_about_these_rows_own_mean():
    figures = ColumnFigures(lay_out([number("x", mean=[1.0])]))
    figures.add(torch.tensor([[0.0], [2.0], [4.0]]), torch.tensor([[0.0], [2], [3]]))
    [found] = figures.scores()
    assert found.value == pytest.approx(1 - 1 / 8)
    assert found.baseline == pytest.approx(1 - 11 / 8)
    assert found.mse == pytest.approx(1 / 3)


def test_missing_cells_count_nowhere():
    figures = ColumnFigures(lay_out([number("x"), category("c", "a", "b")]))
    cells = torch.tensor([[0.0, 1.0], [NAN, NAN], [2.0, 0.0]])
    figures.add(cells, torch.tensor([[0.0, 0, 1], [9, 9, 9], [2, 0, 1]]))
    x, c = figures.scores()
    assert (x.observed, x.value) == (2, 1.0)
    assert (c.observed, c.value, c.baseline) == (2, 0.5, 0.5)


def test_an_unseen_category_is_never_right():
    figures = ColumnFigures(lay_out([category("c", "a", "b")]))
    figures.add(torch.tensor([[-1.0]]), torch.tensor([[1.0, 0.0]]))
    [found] = figures.scores()
    assert (found.value, found.baseline, found.pca) == (0.0, 0.0, None)


def test_booleans_are_judged_at_the_predictors_own_threshold():
    # Reconstructs 0 as 0.3 and 1 as 0.7.
    pca = PCA(torch.tensor([0.5]), torch.tensor([[0.4]]).sqrt(), torch.ones(1))
    figures = ColumnFigures(lay_out([boolean("b", mode=True)]), pca)
    figures.add(torch.tensor([[0.0], [1.0]]), torch.tensor([[0.3], [0.7]]))
    [found] = figures.scores()
    assert (found.value, found.pca, found.baseline) == (0.5, 1.0, 0.5)


@pytest.mark.parametrize(
    ("training", "value"),
    [
        ([0.3] * 100, None),  # constant everywhere
        ([-1.0, 1.0] * 50, 1 - 0.09 / 0.1),  # a tenth of the training variance
    ],
)
def test_r2_of_a_column_that_is_constant_here_is_about_its_spread_in_training(training, value):
    ranges = number_ranges(torch.tensor(training)[:, None])
    figures = ColumnFigures(lay_out([number("x")]), ranges=ranges)
    figures.add(torch.full((4, 1), 0.3), torch.zeros(4, 1))
    [found] = figures.scores()
    assert found.value == (None if value is None else pytest.approx(value, abs=1e-6))
    assert found.mse == pytest.approx(0.09)


def measured(training, cells, outputs):
    """Return the figures of number columns `x0`, `x1`, … on rows of cells."""
    columns = [number(f"x{i}", mean=[float(training[:, i].mean())]) for i in range(cells.shape[1])]
    figures = ColumnFigures(lay_out(columns), ranges=number_ranges(training))
    figures.add(cells, outputs)
    return figures


def rows(count, seed, columns=2):
    return torch.randn(count, columns, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("size", [50.0, -1e6])
@pytest.mark.parametrize("copied", [1.0, 0.5, 0.0, -3.0])
def test_one_outlier_does_not_decide_which_model_is_better(size, copied):
    training, cells = rows(1_000, 0), rows(300, 1)
    cells[7, 0] = size
    good, bad = cells + 0.1 * rows(300, 2), 0.4 * cells
    good[7], bad[7, 0] = copied * size, size
    better, worse = measured(training, cells, good), measured(training, cells, bad)
    assert worse.number_r2("model") + 0.1 < better.number_r2("model") < 0.995
    assert worse.number_r2("model") == pytest.approx(1 - 0.6**2, abs=0.05)
    assert worse.limited() == {"x0": 1}
    assert worse.number_mse("model") < worse.number_mse("baseline")


def test_an_outlier_of_the_training_rows_does_not_widen_the_range():
    training, cells = rows(1_000, 0, 1), rows(300, 1, 1)
    training[5], cells[7] = 1e4, 1e4
    figures = measured(training, cells, torch.zeros_like(cells))
    assert figures.number_r2("model") == pytest.approx(0, abs=0.05)
    assert figures.limited() == {"x0": 1}


@pytest.mark.parametrize(
    "cells",
    [
        rows(300, 1),  # ordinary rows
        rows(300, 1) + 100,  # rows of another distribution: nothing is an outlier among them
        torch.tensor([[2.5, 1.0]] * 3 + [[0.0, 1.0], [0.0, -1.0]] * 300),  # three rare values
    ],
)
def test_what_is_no_outlier_is_not_limited(cells):
    training = cells if len(cells) == 603 else rows(1_000, 0)
    figures = measured(training, cells, cells + 0.1)
    assert figures.limited() == {}
    mean = cells.mean(0)
    plain = 1 - 0.01 * cells.numel() / float((cells - mean).square().sum())
    assert figures.number_r2("model") == pytest.approx(plain, abs=0.01)


def test_a_column_that_hardly_varies_does_not_decide():
    training = rows(1_000, 0)
    training[:, 1] = 0.0
    training[3, 1] = 0.02
    cells = rows(300, 1)
    cells[:, 1] = 0.0
    cells[0, 1] = 0.01
    figures = measured(training, cells, cells + 0.1)
    steady, flat = figures.scores()
    assert figures.number_r2("model") == pytest.approx(0.98, abs=0.01)
    assert steady.share == pytest.approx(0.5, abs=0.01)
    assert flat.value < -1_000


def test_the_shared_slot_is_the_mode_where_rare_values_are_most_together():
    cells = torch.tensor([[2.0], [2.0], [0.0], [1.0]])
    outputs = torch.tensor([[0.0, 0, 1]]).expand(4, -1)
    found = {}
    for most in (False, True):
        column = category("c", "a", "b", has_other=True, other_is_mode=most)
        figures = ColumnFigures(lay_out([column]))
        figures.add(cells, outputs)
        found[most] = mean_accuracy(figures.scores(), "baseline")
    assert found == {False: 0.25, True: 0.5}


def test_a_vector_is_one_column():
    figures = ColumnFigures(lay_out([vector("v", center=[0, 0], scale=[1, 1]), number("x")]))
    cells = torch.tensor([[0.0, 0, 0], [2, 2, 2]])
    figures.add(cells, torch.tensor([[0.0, 1, 0], [2, 2, 2]]))
    found = figures.scores()
    assert found[0].value == pytest.approx(1 - 1 / 4)
    assert figures.number_r2("model") == pytest.approx(1 - 1 / 6)
    assert [column.share for column in found] == [1.0, 0.0]
    assert figures.number_mse("model") == pytest.approx((0.25 + 0) / 2)


@pytest.mark.parametrize("spoilt", [0, 2, 40])
def test_intervals_are_of_the_errors_that_r2_is_of(spoilt):
    training, cells = rows(500, 0), rows(500, 1)
    cells[: 12 * spoilt : 12, 0] += 50  # in all groups of rows; 40 are too many for outliers
    figures = measured(training, cells, 0.5 * cells)
    errors, bases = figures.group_errors()["numbers"].sum(0)
    assert float(1 - errors / bases) == pytest.approx(figures.number_r2("model"), abs=0.03)
    interval = figures.intervals()["numbers"]
    assert interval.low < interval.value == figures.number_r2("model") < interval.high
    assert figures.group_errors("pca") == {}
