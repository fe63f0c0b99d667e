import pytest
import torch
from pydantic import ValidationError

from aecli.errors import DataError, ModelError, UsageError
from aecli.features.layout import lay_out
from aecli.model.build import build, build_reconstruction_loss, column_weights
from aecli.model.sizes import resolve_network
from aecli.model.widths import default_latent, default_widths
from aecli.schema.options import TrainOptions
from aecli.schema.training_options import LossOptions
from tests import columns


def number(name="n", *, low=-2.0, high=3.0, **fields):
    return columns.number(name, low=[low], high=[high], **fields)


def boolean(**fields):
    return columns.boolean("b", **fields)


def category(name="c", **fields):
    return columns.category(name, "x", "y", "z", **fields)


def vector(**fields):
    ends = {"low": [0.0] * 4, "high": [1.0] * 4}
    return columns.vector("v", center=[0.0] * 4, scale=[1.0] * 4, **ends, **fields)


MIXED = (
    number("a", has_missing=True),
    category(has_other=True),
    boolean(),
    number("same", constant=True),
    vector(),
)


def resolved(features, classes=0, **options):
    return resolve_network(
        TrainOptions.from_flat(options),
        columns=features,
        layout=lay_out(features),
        classes=classes,
    )


def test_the_network_is_as_wide_as_its_columns():
    network = resolved(MIXED, encoder=[6, 2])
    assert network.outputs == 1 + 4 + 1 + (3 + 1)
    assert network.inputs == network.outputs + 1  # whether `a` is missing


def test_sizes_given_are_kept_and_the_decoder_mirrors_the_encoder():
    network = resolved(MIXED, classes=3, encoder="16,8,2", classifier="5")
    assert (network.encoder, network.decoder) == ([16, 8, 2], [8, 16])
    assert network.classifier == [5]
    assert resolved(MIXED, encoder=[2]).decoder == []
    assert resolved(MIXED, encoder=[8, 2], decoder=[]).decoder == []
    assert resolved(MIXED, encoder=[8, 2], decoder=[32]).decoder == [32]


def test_without_a_label_there_is_no_classifier():
    network = resolved(MIXED, encoder=[2], classifier=[5])
    assert (network.classes, network.classifier) == (0, [])
    assert build(network, columns=MIXED).head is None


@pytest.mark.parametrize(
    ("inputs", "latent", "widths"),
    [
        (784, 64, [512, 256, 64]),
        (784, 12, [512, 256, 12]),
        (32, 8, [128, 64, 8]),
        (100, 64, [256, 128, 64]),
        (1, 2, [128, 64, 2]),
        (6830, 200, [512, 200]),
        (60, 1000, [2048, 1000]),
    ],
)
def test_widths_halve_down_to_the_latent(inputs, latent, widths):
    assert default_widths(inputs, latent) == widths


def test_compressed_copies_count_for_the_default_latent_and_bins_do_not():
    plain, compressed, binned = (
        [number(f"n{i}", **fields) for i in range(8)]
        for fields in ({}, {"compressed": True}, {"bins": [0.0, 1.0, 2.0]})
    )
    assert [resolved(c, classes=2).latent for c in (plain, compressed, binned)] == [2, 4, 2]


@pytest.mark.parametrize(("inputs", "latent"), [(1, 2), (32, 8), (100, 16), (784, 64), (9999, 64)])
def test_the_default_latent_is_about_a_quarter_of_the_inputs_within_bounds(inputs, latent):
    assert default_latent(inputs) == latent


def test_the_latent_option_is_the_last_encoder_size():
    assert resolved(MIXED, latent=3).encoder[-1] == 3
    assert resolved([number()] * 60, latent=1000).encoder == [2048, 1000]


def test_columns_that_all_stand_still_are_refused():
    with pytest.raises(DataError, match="none of the 2 feature columns varies"):
        resolved([number("a", constant=True), number("b", constant=True)])


def test_contradicting_activation_arguments_are_a_usage_error():
    with pytest.raises(UsageError, match=r"min_val=3\.0 must be below max_val=1.0") as error:
        resolved(MIXED, latent_activation="Hardtanh:min_val=3")
    assert error.value.lines()[-1] == "  try: --latent-activation Hardtanh"


@pytest.mark.parametrize(
    ("features", "output"),
    [
        ([number(low=0, high=1), number(low=0.2, high=0.4)], "clipped"),
        ([number(low=5, high=25, center=5, scale=20)], "clipped"),
        ([number(low=0.1, high=0.3, center=0.1, scale=0.3 - 0.1)], "clipped"),
        ([vector(), category()], "clipped"),
        ([number(low=0, high=1), number(low=-2, high=3)], "linear"),
        ([number(low=0, high=255)], "linear"),
        ([number(low=0.2, high=0.4)], "linear"),
        ([category(), boolean()], "linear"),
        ([number(low=0, high=1), number(low=-9, high=9, constant=True)], "clipped"),
    ],
)
def test_the_automatic_output_is_cut_to_0_1_where_numbers_are_scaled_to_it(features, output):
    assert resolved(features, classes=2).output == output
    assert resolved(features, init="default").output == output


@pytest.mark.parametrize(
    ("low", "high", "output", "resolved_output"),
    [
        (0, 1, "sigmoid", "sigmoid"),
        (0.2, 0.4, "sigmoid", "sigmoid"),
        (0, 1, "tanh", "unit_tanh"),
        (0.2, 0.4, "tanh", "unit_tanh"),
        (-1, 1, "tanh", "tanh"),
        (-1, 0, "tanh", "tanh"),
    ],
)
def test_a_bounded_output_spans_the_scale_of_the_numbers(low, high, output, resolved_output):
    features = [number(low=low, high=high), category()]
    assert resolved(features, output=output, scale="none").output == resolved_output


@pytest.mark.parametrize(
    ("low", "high", "output", "reach"),
    [(-0.1, 1, "sigmoid", "0 to 1"), (0, 1.1, "sigmoid", "0 to 1"), (-2, 3, "tanh", "-1 to 1")],
)
def test_numbers_beyond_a_bounded_output_are_refused(low, high, output, reach):
    features = [number("fine", low=0, high=1), number("wide", low=low, high=high)]
    with pytest.raises(UsageError) as caught:
        resolved(features, output=output, scale="none")
    assert caught.value.what == (
        f"column 'wide' ranges from {low:g} to {high:g}, and --output {output} only reaches {reach}"
    )
    assert caught.value.hint == "--scale minmax"


def test_a_network_that_starts_as_pca_is_linear_at_its_ends():
    network = resolved([number(low=0, high=1)])
    assert (network.linear_path, network.output) == (True, "clipped")
    assert resolved([number(low=-3, high=3)]).output == "linear"
    assert resolved([number(low=0, high=1)], output="sigmoid").linear_path
    assert not resolved([number(low=0, high=1)], kl=1.0).linear_path
    assert not resolved([number(low=0, high=1)], variational=True).linear_path
    assert resolved([number(low=0, high=1)], classes=2).linear_path
    assert not resolved([number(low=0, high=1)], classes=2, init="default").linear_path
    assert resolved(MIXED, classes=2, latent=2).linear_path
    assert not resolved(MIXED, classes=2, latent=1).linear_path
    assert resolved(MIXED, latent=1).linear_path


def test_the_network_built_has_the_sizes_described():
    network = resolved(MIXED, classes=3, encoder=[6, 2], norm="batch", dropout=0.2)
    module = build(network, columns=MIXED)
    latent = module.encode(torch.zeros(5, network.inputs))
    assert latent.shape == (5, 2)
    assert module.decode(latent).shape == (5, network.outputs)
    assert module.classify(latent).shape == (5, 3)


def test_the_latent_is_linear_unless_it_is_asked_otherwise():
    x = torch.randn(200, 11, generator=torch.Generator().manual_seed(0))
    plain = resolved(MIXED, encoder=[6, 2], norm="layer", dropout=0.5)
    assert bool((build(plain, columns=MIXED).encode(x) < 0).any())
    bounded = resolved(MIXED, encoder=[6, 2], latent_activation="Sigmoid")
    latent = build(bounded, columns=MIXED).encode(100 * x).detach()
    assert 0 <= float(latent.min()) < float(latent.max()) <= 1


def test_only_numbers_go_through_the_output():
    network = resolved(MIXED, encoder=[6, 2]).model_copy(update={"output": "sigmoid"})
    model = build(network, columns=MIXED)
    output = model.decode(1e4 * torch.randn(50, 2)).detach()
    assert 0 <= float(output[:, :5].min()) < float(output[:, :5].max()) <= 1
    assert float(output[:, 5:].abs().max()) > 1


def test_arguments_reach_activation_and_norm():
    network = resolved(
        MIXED, encoder=[6, 2], activation="LeakyReLU:negative_slope=0.3", norm="batch:eps=0.5"
    )
    encoder = build(network, columns=MIXED).encoder
    assert (encoder[1].eps, encoder[2].negative_slope) == (0.5, 0.3)


def test_the_callers_seed_decides_the_weights():
    network = resolved(MIXED, encoder=[6, 2])
    states = []
    for seed in (1, 1, 2):
        torch.manual_seed(seed)
        states.append(build(network, columns=MIXED).state_dict()["encoder.0.weight"])
    assert torch.equal(states[0], states[1])
    assert not torch.equal(states[0], states[2])


def test_a_network_of_other_columns_is_a_model_error():
    network = resolved(MIXED, encoder=[6, 2])
    with pytest.raises(ModelError, match=r"has 11 inputs and 10 outputs.* need 1 and 1"):
        build(network, columns=[number()])


def test_kinds_are_weighed_against_their_trivial_losses_only_where_mixed():
    kinds = [number(trivial_loss=2.0), category(trivial_loss=0.5), boolean(trivial_loss=0.25)]
    # The loss takes columns in the order of their cells: numbers, booleans, categories.
    assert build_reconstruction_loss(lay_out(kinds), LossOptions()).weights.tolist() == [
        0.5,
        4.0,
        2.0,
    ]
    alike = [number("a", trivial_loss=2.0), number("b", trivial_loss=4.0)]
    assert build_reconstruction_loss(lay_out(alike), LossOptions()).weights.tolist() == [1.0, 1.0]


def test_mixed_means_that_varying_columns_differ_in_kind():
    assert column_weights(lay_out([number(), boolean()]), [4.0, 0.5]) == [0.25, 2.0]
    alike = lay_out([number(), vector(), boolean(constant=True)])
    assert column_weights(alike, [4.0, 0.5]) == [1.0, 1.0]


def test_the_number_loss_reaches_the_loss():
    loss = build_reconstruction_loss(lay_out([number()]), LossOptions(number_loss="mae"))
    assert float(loss(torch.tensor([[3.0]]), torch.tensor([[0.0]]))) == 3.0


def test_a_trivial_loss_of_zero_is_no_stored_column():
    with pytest.raises(ValidationError):
        number(trivial_loss=0.0)
