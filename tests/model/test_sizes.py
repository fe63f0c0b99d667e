"""Sizes that the options leave open, and sizes that do not fit the columns."""

import numpy as np
import pyarrow as pa
import pytest

import aecli
from aecli.errors import UsageError
from aecli.features.layout import lay_out
from aecli.model.sizes import resolve_network
from aecli.model.widths import auto_latent
from aecli.schema.options import TrainOptions
from tests import columns

pytestmark = pytest.mark.usefixtures("no_cross_fitting")


def numbers(count, **fields):
    return [columns.number(f"x{i}", low=[0.0], high=[1.0], **fields) for i in range(count)]


def resolved(features, **options):
    return resolve_network(
        TrainOptions.from_flat(options), columns=features, layout=lay_out(features), classes=0
    )


def refused(features, **options):
    with pytest.raises(UsageError) as caught:
        resolved(features, **options)
    return caught.value.what, caught.value.hint


@pytest.mark.parametrize(
    ("shares", "width", "latent", "why"),
    [
        ([0.6, 0.3, 0.06, 0.04], 40, 3, "3 components of PCA explain 96.0% of the variance"),
        ([0.99, 0.01], 40, 2, "1 components of PCA explain 99.0% of the variance"),
        ([0.1] * 10, 20, 5, "a quarter of 20 numbers; PCA needs more for 95% of the variance"),
        ([0.5, 0.3], 8, 2, "a quarter of 8 numbers; PCA needs more for 95% of the variance"),
        ([1 / 3] * 3, 3, 2, "a quarter of 3 numbers; PCA needs more for 95% of the variance"),
    ],
    ids=["enough", "at least 2", "a quarter", "more than was fitted", "narrow"],
)
def test_the_latent_is_what_pca_needs_within_a_quarter(shares, width, latent, why):
    assert auto_latent(shares, width) == (latent, f"latent {latent}: {why}")


@pytest.mark.parametrize(
    ("count", "options", "encoder"),
    [
        (784, {"latent": 12}, [392, 196, 98, 49, 24, 12]),
        (784, {"latent": 98}, [392, 196, 98]),
        (64, {}, [32, 16]),
        (12, {"latent": 8}, [8]),
        (12, {"latent": 4, "window": 4}, [24, 12, 6, 4]),
        (140_000, {"latent": 30_000}, [35_000, 30_000]),
    ],
    ids=["digits", "exact", "default latent", "no room", "window", "widest"],
)
def test_widths_halve_from_the_inputs_to_the_latent(count, options, encoder):
    network = resolved(numbers(count), encoder="halve", **options)
    assert (network.encoder, network.decoder) == (encoder, encoder[-2::-1])


def low_rank(rank: int, width: int = 40, rows: int = 400) -> pa.Table:
    generator = np.random.default_rng(0)
    table = generator.normal(size=(rows, rank)) @ generator.normal(size=(rank, width))
    return pa.table({f"x{i}": column for i, column in enumerate(table.T)})


def test_auto_finds_the_rank_of_a_table_and_says_so(tmp_path):
    spec = aecli.train(low_rank(5), model=tmp_path / "m", latent="auto", epochs=1).spec
    assert spec.network.latent in (4, 5)
    reason = f"latent {spec.network.latent}: {spec.network.latent} components of PCA explain"
    assert any(note.startswith(reason) for note in spec.summary.notes)


def test_auto_counts_the_numbers_of_a_whole_window(tmp_path):
    generator = np.random.default_rng(0)
    table = pa.table({f"x{i}": generator.normal(size=300) for i in range(4)})
    spec = aecli.train(table, model=tmp_path / "m", latent="auto", window=6, epochs=1).spec
    assert spec.network.latent == 6
    assert any("a quarter of 24 numbers" in note for note in spec.summary.notes)


def test_noise_for_numbers_is_told_where_there_are_none(tmp_path):
    words = pa.table({"a": ["x", "y"] * 20, "b": ["u", "v", "w", "x"] * 10})
    noise = {"noise": "gaussian:0.1", "epochs": 1}
    notes = aecli.train(words, model=tmp_path / "m", **noise).spec.summary.notes
    assert "without effect: --noise gaussian:0.1 (no column of numbers)" in notes
    other = aecli.train(low_rank(3, width=4), model=tmp_path / "n", **noise).spec.summary.notes
    assert not any("without effect" in note for note in other)


def test_an_overcomplete_latent_is_told(tmp_path):
    spec = aecli.train(low_rank(3, width=4), model=tmp_path / "m", latent=4, epochs=1).spec
    assert any(note.startswith("overcomplete: 4 latent units for 4") for note in spec.summary.notes)


def test_more_survivors_than_latents_are_refused():
    assert refused(numbers(20), latent=8, topk=9) == (
        "--topk 9 is more than the 8 units of the latent",
        "--topk 2, or a larger --latent",
    )
    assert resolved(numbers(20), latent=8, topk=8).topk == 8


@pytest.mark.parametrize(
    ("count", "hint"), [(64, "--shape 8x8"), (63, "--shape 28x28x3")], ids=["square", "not square"]
)
def test_images_need_a_shape(count: int, hint: str):
    what = f"--arch conv2d needs the shape of the images in the {count} columns"
    assert refused(numbers(count), arch="conv2d") == (what, hint)


def test_a_shape_of_other_pixels_than_the_columns_is_refused():
    assert refused(numbers(64), arch="conv2d", shape="28x28x3") == (
        "--shape 28x28x3 is 2,352 pixels, but there are 64 feature columns",
        "--columns 'pixel*' selects the pixels; --exclude leaves columns out",
    )


@pytest.mark.parametrize(
    ("other", "what"),
    [
        (columns.category("kind", "u", "v"), "'kind' is a category column"),
        (columns.boolean("on"), "'on' is a boolean column"),
        (columns.number("kind", has_missing=True), "'kind' has missing values"),
    ],
    ids=["category", "boolean", "missing"],
)
def test_images_are_of_complete_numbers(other, what):
    found = refused([*numbers(15), other], arch="conv2d", shape="4x4")
    assert found[0] == f"--arch conv2d supports pixels only: {what}"
    assert found[1] == f"--exclude {other.name}, or --arch mlp"


def test_constant_pixels_and_vectors_count_as_pixels():
    pixels = columns.vector("v", center=[0.0] * 12, scale=[1.0] * 12)
    network = resolved([*numbers(4, constant=True), pixels], arch="conv2d", shape="4x4")
    assert (network.shape, network.inputs, network.outputs) == ([4, 4, 1], 12, 12)
    colour = resolved(numbers(48), arch="conv2d", shape="4x4x3")
    assert (colour.shape, colour.encoder, colour.decoder) == ([4, 4, 3], [8], [])


@pytest.mark.parametrize(("hidden", "heads", "hint"), [(64, 5, 65), (10, 4, 12), (4, 8, 8)])
def test_heads_must_divide_the_width(hidden: int, heads: int, hint: int):
    found = refused(numbers(6), arch="transformer", window=4, hidden=hidden, heads=heads)
    assert found == (f"--heads {heads} does not divide --hidden {hidden}", f"--hidden {hint}")


@pytest.mark.parametrize(
    ("arch", "own"),
    [
        ("conv1d", "--channels 16,32"),
        ("lstm", "--hidden 64 --layers 1"),
        ("transformer", "--hidden 64 --heads 4 --feedforward 128 --depth 2"),
    ],
)
@pytest.mark.parametrize("lists", [{"encoder": [32, 8]}, {"decoder": [32]}], ids=str)
def test_only_plain_networks_take_layer_lists(arch: str, own: str, lists):
    assert refused(numbers(6), arch=arch, window=4, **lists) == (
        f"--arch {arch} does not support layer lists in --encoder and --decoder",
        f"--latent 16, and {own}",
    )


@pytest.mark.parametrize("arch", ["vanilla", "conv1d", "lstm", "transformer"])
def test_the_latent_of_a_window_is_chosen_by_all_its_numbers(arch: str):
    network = resolved(numbers(6), arch=arch, window=16)
    assert (network.latent, network.inputs, network.window) == (16, 6, 16)
    assert resolved(numbers(6), arch=arch, window=16, encoder=[5]).latent == 5


def test_windows_are_vanilla_and_rows_mlp_unless_said():
    assert resolved(numbers(6)).architecture == "mlp"
    assert resolved(numbers(6), window=4).architecture == "vanilla"


def test_a_latent_of_mean_activations_is_a_sigmoid_unless_said():
    assert resolved(numbers(6), kl=1).latent_activation.name == "Sigmoid"
    assert resolved(numbers(6), kl=1, latent_activation="Tanh").latent_activation.name == "Tanh"
    assert resolved(numbers(6), kl=0).latent_activation.name == "Identity"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"encoder": [12, 3]}, None),
        ({"encoder": [12, 3], "decoder": [12, 8]}, "layers of size 12, 8"),
        ({"arch": "conv1d", "window": 8, "channels": [12, 12]}, "layers of size 12"),
        ({"arch": "lstm", "window": 8}, None),
    ],
)
def test_a_prelu_with_a_slope_per_unit_fits_its_layers(options, message):
    options = {"activation": "PReLU:num_parameters=12", **options}
    if message is None:
        network = resolved(numbers(4), **options)
        assert network.activation.args == {"num_parameters": 12}
        return
    what, hint = refused(numbers(4), **options)
    assert what == f"PReLU:num_parameters=12 has 12 slopes for {message}"
    assert hint == "--activation PReLU, with one slope"
