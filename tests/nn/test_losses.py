import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from aecli.nn.losses import (
    ReconstructionLoss,
    best_temperature,
    classification_loss,
    l1_penalty,
    l2_penalty,
)

NAN = math.nan


def mixed(*, complete=False, weights=(1.0, 1.0, 1.0, 1.0), number_loss="mse"):
    """One number, one vector of two, one boolean, one category of three: cells 5, outputs 7."""
    return ReconstructionLoss(
        numbers=3,
        booleans=1,
        cardinalities=(3,),
        column_of=(0, 1, 1, 2, 3),
        weights=weights,
        number_loss=number_loss,
        complete=complete,
    )


def numbers(count, **options):
    return ReconstructionLoss(
        numbers=count,
        booleans=0,
        cardinalities=(),
        column_of=range(count),
        weights=options.pop("weights", [1.0] * count),
        **options,
    )


def rows(count=64, seed=0):
    """Return outputs and complete cells of the mixed table."""
    random = torch.Generator().manual_seed(seed)
    output = torch.randn(count, 7, generator=random)
    number = torch.randn(count, 3, generator=random)
    boolean = torch.randint(0, 2, (count, 1), generator=random).float()
    code = torch.randint(0, 3, (count, 1), generator=random).float()
    return output, torch.cat([number, boolean, code], dim=1)


def test_each_kind_costs_what_its_formula_says():
    output = torch.tensor([[1.0, 2.0, 3.0, 0.0, 1.0, 0.0, 0.0]])
    cells = torch.tensor([[3.0, 2.0, 0.0, 1.0, 0.0]])
    category = math.log(math.e + 2) - 1
    assert mixed().cell_errors(output, cells).tolist()[0] == pytest.approx(
        [4.0, 0.0, 9.0, math.log(2), category]
    )
    by_hand = (4.0 + (0.0 + 9.0) / 2 + math.log(2) + category) / 4
    assert float(mixed()(output, cells)) == pytest.approx(by_hand)


@pytest.mark.parametrize(
    ("name", "errors"), [("mse", [0.25, 9.0]), ("mae", [0.5, 3.0]), ("huber", [0.125, 2.5])]
)
def test_numbers_cost_what_their_loss_says(name, errors):
    output, cells = torch.tensor([[0.5, 3.0]]), torch.zeros(1, 2)
    loss = numbers(2, number_loss=name)
    assert loss.cell_errors(output, cells).tolist() == [pytest.approx(errors)]
    for complete in (True, False):
        loss.complete = complete
        assert float(loss(output, cells)) == pytest.approx(sum(errors) / 2)


@pytest.mark.parametrize("number_loss", ["mse", "mae", "huber"])
def test_complete_and_general_path_agree_in_value_and_gradient(number_loss):
    for loss, (output, cells) in (
        (numbers(5, number_loss=number_loss), (rows()[0][:, :5], rows()[1])),
        (mixed(number_loss=number_loss, weights=(1, 2, 3, 4)), rows()),
    ):
        found = []
        for complete in (True, False):
            loss.complete = complete
            leaf = output.clone().requires_grad_()
            value = loss(leaf, cells)
            value.backward()
            found.append((value.detach(), leaf.grad))
        torch.testing.assert_close(found[0], found[1])


@settings(deadline=None)
@given(st.integers(1, 5), st.booleans())
def test_the_value_depends_neither_on_batch_size_nor_on_how_rows_are_batched(copies, complete):
    output, cells = rows(12)
    loss = mixed(complete=complete, weights=(1.0, 2.0, 0.5, 3.0))
    whole = float(loss(output, cells))
    assert float(loss(output.repeat(copies, 1), cells.repeat(copies, 1))) == pytest.approx(whole)
    parts = zip(output.split(4), cells.split(4), strict=True)
    assert sum(float(loss(*part)) for part in parts) / 3 == pytest.approx(whole)


@pytest.mark.parametrize("complete", [True, False])
def test_the_value_does_not_depend_on_the_width(complete):
    output, cells = rows()
    narrow = numbers(3, complete=complete)(output[:, :3], cells[:, :3])
    wide = numbers(6, complete=complete)(output[:, :3].repeat(1, 2), cells[:, :3].repeat(1, 2))
    assert float(wide) == pytest.approx(float(narrow))


def test_a_vector_counts_as_one_column():
    output, cells = torch.tensor([[1.0, 3.0, 3.0, 3.0]]), torch.zeros(1, 4)
    options = {"numbers": 4, "booleans": 0, "cardinalities": (), "weights": (1.0, 1.0)}
    for complete in (True, False):
        loss = ReconstructionLoss(column_of=(0, 1, 1, 1), complete=complete, **options)
        assert float(loss(output, cells)) == pytest.approx((1 + 9) / 2)


def test_weights_multiply_their_columns_and_may_be_set_later():
    output, cells = rows()
    per_column = [float(mixed(weights=torch.eye(4)[i].tolist())(output, cells)) for i in range(4)]
    weights = (0.5, 2.0, 0.0, 7.0)
    wanted = sum(w * value for w, value in zip(weights, per_column, strict=True))
    for complete in (True, False):
        loss = mixed(complete=complete)
        loss.set_weights(weights)
        assert float(loss(output, cells)) == pytest.approx(wanted)
        assert loss.cell_errors(output, cells).equal(mixed().cell_errors(output, cells))


def test_one_weight_for_all_numbers_keeps_the_plain_path_right():
    output, cells = rows()
    loss = numbers(3, weights=[2.0] * 3, complete=True)
    plain = float(numbers(3)(output[:, :3], cells[:, :3]))
    assert float(loss(output[:, :3], cells[:, :3])) == pytest.approx(2 * plain)


def test_weights_are_not_part_of_the_saved_state():
    assert mixed().state_dict() == {}


@pytest.mark.parametrize("weights", [(1.0, 1.0), (1.0, 1.0, 1.0, NAN), (1.0, 1.0, 1.0, -1.0)])
def test_unfit_weights_are_refused(weights):
    with pytest.raises(ValueError, match="4 finite weights"):
        mixed().set_weights(weights)


@pytest.mark.parametrize("column_of", [(0,), (0, 0), (1, 0), (0, 2)])
def test_columns_that_do_not_cover_the_cells_in_order_are_refused(column_of):
    with pytest.raises(ValueError, match="each of 2 cells one of 2 columns, in order"):
        ReconstructionLoss(
            numbers=2, booleans=0, cardinalities=(), column_of=column_of, weights=(1.0, 1.0)
        )


def test_columns_of_any_size_are_means_of_their_observed_cells():
    column_of = (0, 1, 1, 2, 2, 3, 4, 4, 4)
    loss = ReconstructionLoss(
        numbers=9, booleans=0, cardinalities=(), column_of=column_of, weights=[1.0] * 5
    )
    random = torch.Generator().manual_seed(3)
    output, cells = torch.randn(2, 64, 9, generator=random)
    cells[torch.rand(cells.shape, generator=random) < 0.3] = NAN
    owners = torch.tensor(column_of).expand(64, 9)
    errors = (output - cells).square()
    means = [errors[owners == column].nanmean() for column in range(5)]
    assert float(loss(output, cells)) == pytest.approx(float(sum(means)) / 5)


def test_unobserved_cells_cost_nothing_and_send_no_gradient():
    output, cells = rows(8)
    cells[0] = torch.tensor([NAN, NAN, 1.0, NAN, -1.0])
    cells[1, 4] = NAN
    leaf = output.clone().requires_grad_()
    mixed()(leaf, cells).backward()
    assert leaf.grad[0].tolist()[:2] == [0.0, 0.0]
    assert leaf.grad[0, 2] != 0
    assert leaf.grad[0, 3:].abs().sum() == leaf.grad[1, 4:].abs().sum() == 0
    assert leaf.grad[2:].abs().min() > 0
    far = output.clone()
    far[0, :2] = 1e3
    far[0, 3:] = -1e3
    assert torch.equal(mixed()(far, cells), mixed()(output, cells))


def test_each_column_is_averaged_over_its_observed_cells():
    output = torch.zeros(3, 2)
    cells = torch.tensor([[1.0, 3.0], [NAN, 3.0], [NAN, NAN]])
    assert float(numbers(2)(output, cells)) == pytest.approx((1 + 9) / 2)


def test_a_column_without_an_observed_cell_does_not_count():
    output, cells = torch.zeros(2, 2), torch.tensor([[2.0, NAN], [2.0, NAN]])
    assert float(numbers(2)(output, cells)) == 4.0


def test_a_batch_without_any_observed_cell_costs_zero():
    output = torch.ones(2, 7, requires_grad=True)
    cells = torch.tensor([[NAN, NAN, NAN, NAN, -1.0]] * 2)
    loss = mixed()(output, cells)
    loss.backward()
    assert float(loss.detach()) == 0
    assert output.grad.abs().sum() == 0


def test_cell_errors_are_nan_exactly_where_unobserved():
    output, cells = rows(4)
    cells[0] = torch.tensor([NAN, 1.0, 1.0, NAN, -1.0])
    cells[3, 4] = NAN
    errors = mixed().cell_errors(output, cells)
    wanted = torch.zeros(4, 5, dtype=torch.bool)
    wanted[0, [0, 3, 4]] = wanted[3, 4] = True
    assert errors.shape == cells.shape
    assert torch.equal(errors.isnan(), wanted)
    assert torch.equal(mixed(complete=True).cell_errors(output[1:3], cells[1:3]), errors[1:3])


@settings(max_examples=25, deadline=None)
@given(st.data())
def test_the_loss_is_the_mean_of_cell_errors_by_column(data):
    output, cells = rows(6, seed=data.draw(st.integers(0, 99)))
    holes = data.draw(st.lists(st.booleans(), min_size=30, max_size=30))
    cells[torch.tensor(holes).view(6, 5)] = NAN
    errors = mixed().cell_errors(output, cells)
    columns = [errors[:, [0]], errors[:, 1:3], errors[:, [3]], errors[:, [4]]]
    means = [column.nanmean() for column in columns if not column.isnan().all()]
    wanted = float(torch.stack(means).mean()) if means else 0.0
    assert float(mixed()(output, cells)) == pytest.approx(wanted, rel=1e-5)


def test_many_categories_of_different_sizes_match_one_cross_entropy_each():
    sizes, random = (2, 9, 3, 128), torch.Generator().manual_seed(0)
    output = 5 * torch.randn(10, sum(sizes), generator=random)
    codes = torch.stack([torch.randint(0, n, (10,), generator=random) for n in sizes], dim=1)
    loss = ReconstructionLoss(
        numbers=0, booleans=0, cardinalities=sizes, column_of=range(4), weights=[1.0] * 4
    )
    logs = [part.log_softmax(1) for part in output.split(sizes, dim=1)]
    wanted = [-log.gather(1, codes[:, [j]]).mean() for j, log in enumerate(logs)]
    assert float(loss(output, codes.float())) == pytest.approx(float(torch.stack(wanted).mean()))


def test_huge_logits_stay_finite():
    output = torch.full((1, 7), 1e30)
    assert torch.isfinite(mixed().cell_errors(output, rows(1)[1])[0, 3:]).all()


def test_half_precision_outputs_are_compared_in_the_precision_of_the_cells():
    output, cells = rows()
    loss = mixed()(output.bfloat16(), cells)
    assert loss.dtype == torch.float32
    assert float(loss) == pytest.approx(float(mixed()(output, cells)), rel=1e-2)


def test_classification_is_the_mean_cross_entropy_over_labelled_rows():
    logits = torch.tensor([[0.0, 0.0], [3.0, 0.0], [9.0, 9.0]])
    loss = classification_loss(logits, torch.tensor([0, 1, -1]), None)
    assert float(loss) == pytest.approx((math.log(2) + 3 + math.log1p(math.exp(-3))) / 2)


def test_smoothed_labels_have_a_share_of_every_class():
    logits = torch.tensor([[2.0, 0.0, -1.0], [0.0, 1.0, 0.0], [9.0, 9.0, 9.0]])
    loss = classification_loss(logits, torch.tensor([0, 2, -1]), None, label_smoothing=0.3)
    targets = torch.tensor([[0.8, 0.1, 0.1], [0.1, 0.1, 0.8]])
    assert float(loss) == pytest.approx(float(-(targets * logits[:2].log_softmax(1)).sum() / 2))


def test_class_weights_multiply_rows_whatever_their_batch():
    logits = torch.zeros(4, 2)
    codes, weights = torch.tensor([0, 0, 0, 1]), torch.tensor([4 / 6, 2.0])
    whole = float(classification_loss(logits, codes, weights))
    assert whole == pytest.approx(math.log(2))
    parts = [
        float(classification_loss(logits[i : i + 2], codes[i : i + 2], weights)) for i in (0, 2)
    ]
    assert sum(parts) / 2 == pytest.approx(whole)


def test_a_batch_without_labels_costs_zero_and_sends_no_gradient():
    logits = torch.ones(3, 2, requires_grad=True)
    loss = classification_loss(logits, torch.full((3,), -1), torch.tensor([1.0, 5.0]))
    loss.backward()
    assert float(loss.detach()) == 0
    assert logits.grad.abs().sum() == 0


@pytest.mark.parametrize("factor", [0.5, 1.0, 3.0])
@pytest.mark.parametrize("classes", [2, 5])
def test_the_temperature_undoes_a_factor_of_true_log_probabilities(factor, classes):
    random = torch.Generator().manual_seed(0)
    logits = 2 * torch.randn(20_000, classes, generator=random)
    codes = logits.softmax(1).multinomial(1, generator=random)[:, 0]
    unlabelled = torch.full((50,), -1)
    logits, codes = torch.cat([logits, 99 * logits[:50]]), torch.cat([codes, unlabelled])
    temperature = best_temperature(factor * logits, codes)
    assert temperature == pytest.approx(factor, rel=0.05)
    lowest = float(classification_loss(factor / temperature * logits, codes, None))
    for other in (0.8, 1.25):
        scaled = factor / temperature * other * logits
        assert float(classification_loss(scaled, codes, None)) > lowest


@pytest.mark.parametrize(
    ("logits", "codes", "bounds"),
    [
        ([[3.0, 0.0], [0.0, 3.0]], [-1, -1], (1, 1)),
        ([[3.0, 0.0], [0.0, 3.0]], [1, 1], (1, 1)),
        ([[NAN, 0.0], [0.0, 3.0]], [0, 1], (1, 1)),
        ([[3.0, 0.0], [0.0, 3.0]], [0, 1], (0.5, 1)),  # separable
        ([[1.0, 0.0], [0.0, 1.0]] * 500, [0, 1] * 500, (0.1, 0.3)),  # separable, many rows
        ([[9.0, 0.0], [0.0, 9.0]] * 500, [1, 0] * 500, (9, 10)),  # always wrong
    ],
)
def test_the_temperature_is_bounded(logits, codes, bounds):
    low, high = bounds
    assert low <= best_temperature(torch.tensor(logits), torch.tensor(codes)) <= high


def test_the_temperature_counts_rows_with_their_class_weights():
    logits = torch.tensor([[2.0, 0.0]] * 90 + [[0.0, 1.0]] * 10)
    codes = torch.tensor([0] * 60 + [1] * 30 + [1] * 6 + [0] * 4)
    twice = torch.cat([torch.arange(100), torch.nonzero(codes == 1)[:, 0]])
    repeated = best_temperature(logits[twice], codes[twice])
    assert best_temperature(logits, codes, torch.tensor([1.0, 2.0])) == pytest.approx(repeated)


def test_penalties_are_means_over_rows_and_units():
    z = torch.tensor([[1.0, -3.0], [0.0, 2.0]])
    assert float(l1_penalty(z)) == 1.5
    assert float(l2_penalty(z)) == 3.5


@pytest.mark.parametrize("penalty", [l1_penalty, l2_penalty])
def test_penalties_depend_neither_on_rows_nor_on_units(penalty):
    z = torch.randn(6, 3, generator=torch.Generator().manual_seed(0))
    for other in (z.repeat(5, 1), z.repeat(1, 4)):
        assert float(penalty(other)) == pytest.approx(float(penalty(z)))
