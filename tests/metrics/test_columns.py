import pytest
import torch

from aecli.features.layout import lay_out
from aecli.metrics.columns import ColumnFigures, mean_figure
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


def test_a_column_that_is_constant_here_has_no_r2():
    figures = ColumnFigures(lay_out([number("x")]))
    figures.add(torch.full((4, 1), 0.3), torch.zeros(4, 1))
    [found] = figures.scores()
    assert found.value is None
    assert found.mse == pytest.approx(0.09)


def test_a_vector_is_one_column():
    figures = ColumnFigures(lay_out([vector("v", center=[0, 0], scale=[1, 1]), number("x")]))
    cells = torch.tensor([[0.0, 0, 0], [2, 2, 2]])
    figures.add(cells, torch.tensor([[0.0, 1, 0], [2, 2, 2]]))
    found = figures.scores()
    assert found[0].value == pytest.approx(1 - 1 / 4)
    assert mean_figure(found, "r2", "model") == pytest.approx((0.75 + 1) / 2)
    assert figures.number_mse("model") == pytest.approx((0.25 + 0) / 2)
