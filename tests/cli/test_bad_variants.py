"""What options of architectures and losses refuse: its message, its exit code, no model left."""

from __future__ import annotations

from pathlib import Path

import pytest

from aecli.cli.main import main

SERIES = "g,t,x,y\n" + "".join(f"{g},{t},{t % 7},{t % 3}\n" for g in "ab" for t in range(9))

REFUSED = [
    ("--window 12 --group g", 3, ["--window 12 is longer than any series", "9 rows"], "--window 9"),
    ("--latent autp", 2, ["--latent autp: must be a whole number", ", or auto"], "--latent auto"),
    ("--window 3 --time g", 3, ["--time g", "cannot be ordered"], "omit --time"),
    ("--window 3 --time z", 3, ["no column 'z'", "--time z"], "aecli inspect"),
    ("--window 3 --time t --max-gap 10m", 2, ["--max-gap 10m does not fit"], "--max-gap 10"),
    ("--window 1", 2, ["--window 1: must be a whole number, 2 to 65536"], "--window 2"),
    ("--arch lstm", 2, ["--arch lstm encodes windows of rows"], "--window 12"),
    ("--arch conv2d --exclude g", 2, ["needs the shape of the images in the 3"], "--shape"),
    ("--arch conv2d --exclude g --shape 9x9", 2, ["--shape 9x9 is 81 pixels", "3"], "--columns"),
    ("--arch conv2d --shape 2x2", 2, ["--shape 2x2: must be HEIGHTxWIDTH"], "--shape 28x28"),
    ("--arch tranformer", 2, ["--arch tranformer", "transformer"], "--arch transformer"),
    ("--window 4 --arch transformer --heads 3", 2, ["--heads 3 does not divide"], "--hidden 66"),
    ("--topk 5 --latent 4", 2, ["--topk 5 is more than the 4 units"], "--topk 1"),
    ("--kl 1 --latent-activation ReLU", 2, ["--kl needs a bounded latent", "ReLU"], "Sigmoid"),
    ("--kl 1 --rho 1.5", 2, ["--rho 1.5: must be a number, above 0, below 1"], "--rho"),
    (
        "--noise salt:0.1",
        2,
        ["--noise salt:0.1: must be none, or a kind and an amount such as gaussian:0.1"],
        "--noise",
    ),
    ("--noise mask:1.5", 2, ["--noise mask:1.5: the amount of mask must", "at most 1"], "--noise"),
    ("--variational --topk 2", 2, ["--variational and --topk"], "only --topk"),
    ("--variational --l1 0.1", 2, ["--variational and --l1 0.1", "never 0"], "only --l1"),
    ("--l0 0.1 --topk 2", 2, ["--l0 makes latents 0", "--topk"], "only --topk"),
    (
        "--output sigmoid --scale robust",
        2,
        ["--scale robust has values outside 0 to 1, the range of --output sigmoid"],
        "--scale minmax",
    ),
    (
        "--output tanh --scale none --exclude t",
        2,
        ["column 'x' ranges from 0 to 6, and --output tanh only reaches -1 to 1"],
        "--scale minmax",
    ),
    ("--encoder halv", 2, ["--encoder halv: must be whole numbers", ", or halve"], "halve"),
    (
        "--window 4 --arch lstm --encoder halve",
        2,
        ["--arch lstm does not support layer lists"],
        "--latent 16, and --hidden 64",
    ),
]


@pytest.mark.parametrize(
    ("options", "code", "messages", "hint"), REFUSED, ids=lambda v: str(v)[:40]
)
def test_options_that_do_not_fit_are_refused_with_a_way_out(
    options: str, code: int, messages: list[str], hint: str, tmp_path: Path, monkeypatch, capsys
):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "series.csv").write_text(SERIES)
    assert main(["train", "series.csv", *options.split(), "-m", "model"]) == code
    lines = capsys.readouterr().err.splitlines()
    assert lines[0].startswith("aecli: error: ")
    assert len(lines) <= 6
    assert all(text in "\n".join(lines) for text in messages), lines
    assert lines[-1].startswith("  try: ")
    assert hint in lines[-1]
    assert not (tmp_path / "model").exists()


def test_a_model_that_is_not_variational_draws_nothing(tmp_path: Path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "series.csv").write_text(SERIES)
    assert main(["train", "series.csv", "--epochs", "1", "-m", "model", "-q"]) == 0
    assert main(["sample", "-m", "model", "-o", "rows.csv"]) == 2
    printed = capsys.readouterr().err
    assert "model is not variational" in printed
    assert "try: aecli train DATA --variational" in printed
    assert main(["encode", "series.csv", "--with-std", "-m", "model", "-o", "z.csv"]) == 2
    assert "--with-std" in capsys.readouterr().err
    assert {path.name for path in tmp_path.iterdir()} == {"series.csv", "model"}
