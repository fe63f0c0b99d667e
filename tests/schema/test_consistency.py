"""Options that contradict each other are refused before any table is read."""

import pyarrow as pa
import pytest
from pydantic import ValidationError

import aecli
from aecli.cli.main import main
from aecli.schema.consistency import unused_options_note
from aecli.schema.options import TrainOptions


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"encoder": []}, "--encoder needs at least one size"),
        ({"encoder": [8, 4], "latent": 3}, "--latent 3 and --encoder 8,4 contradict"),
        ({"encoder": [8, 4], "latent": "auto"}, "--latent auto and --encoder 8,4 contradict"),
        ({"window": 3, "group": ["g", "t"], "time": "t"}, "column 't' is both --group and --time"),
        ({"reconst_weight": 0}, "--reconst-weight 0 without a label leaves nothing to learn"),
        (
            {"reconst_weight": 0, "label": "y", "class_weight": 0},
            "--reconst-weight 0 and --class-weight 0 leave nothing to learn",
        ),
        ({"kl": 1, "latent_activation": "ReLU"}, "--kl needs a bounded latent"),
        ({"kl": 1, "latent_activation": "Identity"}, "--latent-activation Identity is not one of"),
        ({"variational": True, "kl": 1}, "--variational and --kl are two kinds of latent"),
        ({"variational": True, "topk": 2}, "--variational and --topk are two kinds"),
        (
            {"variational": True, "latent_activation": "Tanh"},
            "--variational and --latent-activation Tanh are two kinds of latent",
        ),
        *[
            ({"l0": 0.1, **values}, f"--l0 makes latents 0 by a threshold, which {flag} replaces")
            for flag, values in {
                "--variational": {"variational": True},
                "--topk": {"topk": 2},
                "--kl": {"kl": 1},
                "--latent-activation ReLU": {"latent_activation": "ReLU"},
            }.items()
        ],
        ({"init": "pca", "kl": 1}, "--init pca and --kl contradict each other: PCA is linear"),
        ({"init": "pca", "latent_activation": "ReLU"}, "--init pca and --latent-activation ReLU"),
        *[
            (
                {"axes": "independent", **values},
                f"changes the units of the latent, which --{flag} depends on",
            )
            for flag, values in {
                "variational": {"variational": True},
                "topk": {"topk": 2},
                "latent-activation Tanh": {"latent_activation": "Tanh"},
                "l0": {"l0": 0.1},
                "l1": {"l1": 0.1},
                "l2": {"l2": 0.1},
                "kl": {"kl": 0.1},
            }.items()
        ],
        *[
            (
                {"output": output, "scale": scale},
                f"--scale {scale} has values outside {reach}, the range of --output {output}",
            )
            for output, reach in (("sigmoid", "0 to 1"), ("tanh", "-1 to 1"))
            for scale in ("standard", "robust")
        ],
        ({"arch": "mlp", "window": 4}, "--arch mlp encodes single rows, and --window 4"),
        (
            {"arch": "conv2d", "shape": "8x8", "window": 4},
            "--arch conv2d encodes single rows, and --window 4",
        ),
        *[
            ({"arch": arch}, f"--arch {arch} encodes windows of rows")
            for arch in ("vanilla", "conv1d", "lstm", "transformer")
        ],
        ({"shape": "8x8"}, "--shape 8x8 is for images (--arch conv2d)"),
        (
            {"arch": "lstm", "window": 4, "shape": "8x8"},
            "--shape 8x8 is for images, and --window 4 makes windows of rows",
        ),
        ({"window": 4, "max_gap": "10m"}, "--max-gap 10m measures steps of a time"),
    ],
    ids=lambda value: str(value) if isinstance(value, dict) else "",
)
def test_options_that_contradict_each_other_are_refused(values, message):
    with pytest.raises(ValidationError) as caught:
        TrainOptions.from_flat(values)
    assert message in str(caught.value)


@pytest.mark.parametrize(
    "values",
    [
        {"encoder": [8, 4], "latent": 4},
        {"reconst_weight": 0, "label": "y"},
        {"kl": 1},
        *[{"kl": 1, "latent_activation": n} for n in ("Sigmoid", "Tanh", "Softsign")],
        {"kl": 1, "topk": 2},
        {"l0": 0.1, "l1": 0.1, "latent_activation": "Identity"},
        {"variational": True, "l1": 0.1},  # models of 0.2.0 have it; train refuses it
        {"variational": True, "latent_activation": "Identity", "beta": 0.5},
        {"variational": True, "init": "pca"},
        {"axes": "independent", "latent_activation": "Identity", "init": "pca", "label": "y"},
        {"init": "pca", "output": "linear", "topk": 2},
        {"arch": "conv2d", "shape": "28x28x3"},
        {"arch": "lstm", "window": 4, "group": "g", "time": "t", "max_gap": "10m"},
        {"window": 4},
    ],
    ids=str,
)
def test_options_that_go_together_are_taken(values):
    assert TrainOptions.from_flat(values)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"noise": "gauss:0.1"}, "must be none, or a kind and an amount such as gaussian:0.1"),
        ({"noise": "mask"}, "must be none, or"),
        ({"noise": "mask:0"}, "must be above 0 and at most 1"),
        ({"noise": "swap:1.5"}, "must be above 0 and at most 1"),
        ({"noise": "gaussian:101"}, "must be above 0 and at most 100"),
        ({"noise": "gaussian:-1"}, "must be none, or"),
        ({"shape": "28", "arch": "conv2d"}, "must be HEIGHTxWIDTH[xCHANNELS]"),
        ({"shape": "3x28", "arch": "conv2d"}, "of at least 4x4"),
        ({"shape": "28x28x0", "arch": "conv2d"}, "must be HEIGHTxWIDTH"),
        ({"window": 4, "time": "t", "max_gap": "soon"}, "must be a gap"),
        ({"window": 4, "time": "t", "max_gap": "-3"}, "must be a gap"),
        ({"window": 1}, "greater than or equal to 2"),
        ({"window": 4, "stride": 0}, "greater than or equal to 1"),
        ({"kl": 1, "rho": 0}, "greater than 0"),
        ({"kl": 1, "rho": 1}, "less than 1"),
    ],
    ids=lambda value: str(value) if isinstance(value, dict) else "",
)
def test_values_out_of_form_are_refused_with_the_value(values, message):
    with pytest.raises(ValidationError) as caught:
        TrainOptions.from_flat(values)
    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("given", "kept"),
    [("gaussian:0.10", "gaussian:0.1"), ("mask:.2", "mask:0.2"), ("swap:1", "swap:1")],
)
def test_noise_is_kept_in_one_spelling(given: str, kept: str):
    assert TrainOptions.from_flat({"noise": given}).training.noise == kept


def test_a_gap_may_be_a_plain_number():
    options = TrainOptions.from_flat({"window": 4, "time": "t", "max_gap": 600})
    assert options.windows.max_gap == "600"


def test_the_command_line_refuses_a_contradiction_with_code_2(tmp_path, capfd):
    assert main(["train", "none.csv", "--arch", "lstm", "--model", str(tmp_path / "m")]) == 2
    assert "--arch lstm encodes windows of rows" in capfd.readouterr().err
    assert not (tmp_path / "m").exists()


def test_channels_need_a_size():
    with pytest.raises(ValidationError, match="--channels needs at least one size"):
        TrainOptions.from_flat({"arch": "conv1d", "window": 4, "channels": []})


NAMED = [
    ({"rho": 0.2}, "--rho without --kl"),
    ({"beta": 2}, "--beta without --variational"),
    ({"balance": True, "classifier": [8]}, "--classifier, --balance without --label"),
    ({"class_weight": 2}, "--class-weight without --label"),
    ({"label": "y", "class_weight": 0, "balance": True}, "--balance under --class-weight 0"),
    ({"channels": 8}, "--channels in the architecture mlp (it is for conv2d, conv1d)"),
    ({"channels": 8, "window": 4}, "--channels in the architecture vanilla"),
    ({"hidden": 32}, "--hidden in the architecture mlp (it is for lstm, transformer)"),
    ({"norm": "batch", "arch": "lstm", "window": 4}, "--norm in the architecture lstm"),
    ({"dropout": 0.1, "arch": "lstm", "window": 4}, "--dropout in an lstm of one layer"),
    ({"stride": 2, "time": "t"}, "--stride, --time without --window"),
    ({"window": 4, "window_label": "majority"}, "--window-label without --label"),
    ({"valid": "none", "patience": 3}, "--patience without validation rows"),
    (
        {"optimizer": "Rprop", "lr_warmup": 0.1, "schedule": "constant"},
        "--schedule, --lr-warmup with Rprop, which determines the step sizes",
    ),
]


@pytest.mark.parametrize(("values", "named"), NAMED, ids=str)
def test_what_changes_nothing_is_named(values, named):
    assert unused_options_note(TrainOptions.from_flat(values)).startswith(
        f"without effect: {named}"
    )


@pytest.mark.parametrize(
    "values",
    [
        {"norm": "none", "dropout": 0, "arch": "lstm", "window": 4},
        {"class_weight": 0},
        {"rho": 0.05, "stride": 1},
        {"balance": False, "classifier": []},
        {"label": "y", "classifier": [8], "norm": "batch", "arch": "lstm", "window": 4},
        {"dropout": 0.1, "arch": "lstm", "layers": 2, "window": 4},
        {"channels": [8], "arch": "conv1d", "window": 4, "dropout": 0.1},
        {"valid": "none", "schedule": "plateau", "patience": 3},
    ],
    ids=str,
)
def test_defaults_and_what_is_off_or_counts_are_not(values):
    assert unused_options_note(TrainOptions.from_flat(values)) == ""


def test_a_training_notes_it_once(tmp_path):
    table = pa.table({"a": [1.0, 2, 3, 4], "b": [2.0, 1, 4, 3]})
    made = aecli.train(table, model=tmp_path / "m", epochs=1, rho=0.2, beta=2)
    assert made.spec.summary.notes[0] == (
        "without effect: --rho without --kl; --beta without --variational"
    )
