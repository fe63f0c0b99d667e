"""An option that was given and changes nothing is named, with what would make it count."""

import pyarrow as pa
import pytest

import aecli
from aecli.schema.consistency import unused_options_note
from aecli.schema.options import TrainOptions

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
