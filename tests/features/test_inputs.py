import torch

from aecli.features.inputs import Inputs
from aecli.features.layout import lay_out
from tests.columns import boolean, category, number, time

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


def test_bins_are_copies_that_rise_from_0_to_1_between_their_edges():
    where = lay_out([number("n", bins=[-1.0, 0.0, 2.0], has_missing=True), number("m")])
    cells = torch.tensor([[-9.0, 5.0], [-0.5, 5.0], [1.0, 5.0], [9.0, 5.0], [NAN, 5.0]])
    inputs = Inputs(where)(cells)
    assert inputs[:, 3:].tolist() == [[0, 0], [0.5, 0], [1, 0.5], [1, 1], [0, 0]]
    assert not Inputs(where, copies=False)(cells)[:, 3:].any()
    assert (where.inputs, where.outputs) == (5, 2)


def test_shifted_times_keep_their_phases_and_masked_ones_have_none():
    where = lay_out([time("t", scale=6.0, periods=["day"])])  # cells of 6 hours
    cells = torch.tensor([[0.0], [1.0], [NAN]])
    phases = torch.tensor([[0.0, 1.0], [1.0, 0.0], [0.0, 0.0]])
    torch.testing.assert_close(Inputs(where)(cells)[:, 1:], phases)
    inputs = Inputs(where)(cells - 2.5, times=cells)
    torch.testing.assert_close(inputs, torch.cat([(cells - 2.5).nan_to_num(0), phases], 1))


def test_copies_follow_the_outputs_in_a_fixed_order():
    where = lay_out(
        [
            time("t", scale=6.0, periods=["day"], masked=True),
            number("n", compressed=True),
            category("c", "x", "y"),
        ]
    )
    inputs = Inputs(where)(torch.tensor([[1.0, 1.0, 0.0]]))
    torch.testing.assert_close(inputs, torch.tensor([[1.0, 1, 1, 0, 0, 1, 1, 0]]))
    without = Inputs(where, copies=False)(torch.tensor([[1.0, 1.0, 0.0]]))
    torch.testing.assert_close(without, torch.tensor([[1.0, 1, 1, 0, 0, 0, 0, 0]]))
