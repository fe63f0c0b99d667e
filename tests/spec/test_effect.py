"""An option that was given and would change nothing is refused, with what would make it count."""

import pytest

import aecli
from aecli.cli.main import main
from aecli.errors import UsageError

REFUSED = [
    ({"rho": 0.05}, "rho=0.05 has no effect", "kl=0.1 too, or leave rho out"),
    ({"rho": 0.2, "l1": 1}, "rho=0.2 has no effect", "kl=0.1 too"),
    ({"beta": 2}, "beta=2 has no effect where the latent is not", "variational=True too"),
    ({"balance": True}, "balance=True has no effect without a label", "label='COLUMN' too"),
    ({"classifier": [8]}, "classifier=[8] has no effect", "label='COLUMN' too"),
    ({"class_weight": 2}, "class_weight=2 has no effect", "label='COLUMN' too"),
    ({"label": "y", "class_weight": 0, "balance": True}, "balance=True has", "class_weight=1.0"),
    ({"channels": 8}, "channels=8 has no effect with the architecture mlp", "arch='conv2d' too"),
    ({"channels": 8, "window": 4}, "with the architecture vanilla", "arch='conv1d' too"),
    ({"hidden": 64}, "hidden=64 has no effect", "arch='lstm' window=12 too"),
    ({"depth": 3, "arch": "lstm", "window": 4}, "depth=3 has", "arch='transformer' too"),
    ({"layers": 2, "arch": "transformer", "window": 4}, "layers=2 has", "arch='lstm' too"),
    ({"norm": "batch", "arch": "lstm", "window": 4}, "norm='batch' has", "arch='vanilla' too"),
    ({"norm": "batch", "arch": "conv2d", "shape": "8x8"}, "norm='batch' has", "arch='mlp' too"),
    ({"dropout": 0.1, "arch": "lstm", "window": 4}, "dropout=0.1 has", "layers=2 too"),
    ({"activation": "ReLU", "arch": "lstm", "window": 4}, "activation='ReLU'", "arch='vanilla'"),
    *[
        ({name: value}, f"{name}={value!r} has no effect where rows are", "window=12 too")
        for name, value in {
            "stride": 1, "group": "g", "time": "t", "max_gap": "10m", "window_label": "last",
        }.items()
    ],
    ({"window": 4, "window_label": "majority"}, "window_label='majority' has", "label='COLUMN'"),
    ({"valid": "none", "patience": 3}, "patience=3 has no effect", "valid=0.1 too"),
]  # fmt: skip


@pytest.mark.parametrize(("values", "what", "hint"), REFUSED, ids=str)
def test_what_changes_nothing_is_refused(values, what, hint):
    with pytest.raises(UsageError) as caught:
        aecli.train("none.csv", **values)
    assert what in caught.value.what
    assert hint in (caught.value.hint or "")


@pytest.mark.parametrize(
    "values",
    [
        {"norm": "none", "dropout": 0, "arch": "lstm", "window": 4},
        {"class_weight": 0},
        {"balance": False, "classifier": []},
        {"label": "y", "classifier": [8], "norm": "batch", "arch": "lstm", "window": 4},
        {"dropout": 0.1, "arch": "lstm", "layers": 2, "window": 4},
        {"channels": [8], "arch": "conv1d", "window": 4, "dropout": 0.1},
        {"valid": "none", "schedule": "plateau", "patience": 3},
    ],
    ids=str,
)
def test_what_is_off_or_counts_somewhere_is_taken(values):
    with pytest.raises(aecli.errors.AecliError) as caught:
        aecli.train("none.csv", **values)
    assert "none.csv" in caught.value.what


@pytest.mark.parametrize(
    ("config", "code"),
    [("rho = 0.05", 3), ("rho = 0.2", 2), ("kl = 0.1\nrho = 0.2", 3)],
    ids=["as --print-config writes it", "changed", "with kl"],
)
def test_a_config_file_may_hold_defaults_and_no_others(config, code, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "run.toml").write_text(config)
    assert main(["train", "none.csv", "--config", "run.toml"]) == code
    said = capsys.readouterr().err
    assert ("rho = 0.2 in run.toml has no effect" in said) == (code == 2)


def test_the_command_line_and_the_environment_are_told_in_their_words(monkeypatch, capsys):
    assert main(["train", "none.csv", "--beta", "2"]) == 2
    said = capsys.readouterr().err
    assert "--beta 2 has no effect where the latent is not variational" in said
    assert "try: --variational too, or leave beta out" in said
    monkeypatch.setenv("AECLI_RHO", "0.1")
    assert main(["train", "none.csv"]) == 2
    assert "AECLI_RHO=0.1 has no effect" in capsys.readouterr().err


def test_a_config_in_sections_is_noted_only(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "run.yaml").write_text("model: {class_layers: [8], loss: {class_weight: 2}}")
    assert main(["train", "none.csv", "--config", "run.yaml"]) == 3
    assert "without effect here: model.class_layers" in capsys.readouterr().err
