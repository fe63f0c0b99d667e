import torch

from aecli.features.layout import Inputs, lay_out
from tests.columns import boolean, category, number

NAN = float("nan")


def test_a_complete_table_of_numbers_is_its_own_input():
    cells = torch.tensor([[1.0, 2.0]])
    assert Inputs(lay_out([number("a"), number("b")]), complete=True)(cells) is cells


def test_categories_become_one_hot_after_numbers_and_booleans():
    where = lay_out([category("c", "x", "y", "z"), boolean("b"), number("n")])
    inputs = Inputs(where)(torch.tensor([[0.5, 1.0, 2.0], [1.5, 0.0, 0.0]]))
    assert inputs.tolist() == [[0.5, 1, 0, 0, 1], [1.5, 0, 1, 0, 0]]


def test_missing_cells_are_zero_and_indicated_where_training_had_some():
    where = lay_out([number("a", has_missing=True), number("b"), category("c", "x", "y")])
    inputs = Inputs(where)(torch.tensor([[NAN, NAN, NAN], [3.0, 4.0, 1.0]]))
    assert inputs.tolist() == [[0, 0, 0, 0, 1], [3, 4, 0, 1, 0]]


def test_an_unseen_category_is_no_category():
    inputs = Inputs(lay_out([category("c", "x", "y")]))(torch.tensor([[-1.0]]))
    assert inputs.tolist() == [[0, 0]]


def test_two_category_columns_do_not_share_slots():
    where = lay_out([category("c", "x", "y"), category("d", "u", "v", has_other=True)])
    inputs = Inputs(where)(torch.tensor([[1.0, 2.0], [-1.0, 0.0]]))
    assert inputs.tolist() == [[0, 1, 0, 0, 1], [0, 0, 1, 0, 0]]


def test_a_long_tail_is_read_compressed_too_and_its_missing_cells_as_the_centre():
    where = lay_out([number("n", compressed=True, has_missing=True), number("m")])
    inputs = Inputs(where, complete=True)(torch.tensor([[-1.0, 5.0], [0.01, 5.0], [NAN, 5.0]]))
    assert inputs[:, 2].tolist() == [0, 0, 1]
    torch.testing.assert_close(inputs[:, 3], torch.tensor([-1.0, 0.166353, 0.0]))
