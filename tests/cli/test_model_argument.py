"""The model directory before the tables, for each command that reads a table with a model."""

from __future__ import annotations

from pathlib import Path

import pytest

from aecli.cli.main import main

COMMANDS = ("encode", "reconstruct", "predict", "decode", "score", "calibrate", "evaluate")


def output(command: str) -> list[str]:
    return [] if command in ("score", "calibrate", "evaluate") else ["-o", "out.csv"]


@pytest.fixture
def model(trained, tmp_path, monkeypatch):
    """The name of a model directory in the working directory."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "aecli_model").rename(tmp_path / "small")
    return "small"


def test_a_table_is_evaluated_with_the_model_before_it(model, trained, capsys):
    assert main(["evaluate", model, trained]) == 0
    assert capsys.readouterr().out.startswith("200 rows, model small\n")


@pytest.mark.parametrize("command", COMMANDS)
def test_a_model_without_a_table_is_an_error(command, model, capsys):
    assert main([command, model, *output(command)]) == 2
    assert capsys.readouterr().err.splitlines() == [
        "aecli: error: the table is missing: small is a model directory",
        f"  try: aecli {command} small data.parquet",
    ]


@pytest.mark.parametrize(
    "part",
    ["weights-0123456789ab.safetensors", "history-0123456789ab.jsonl", "spec-0123456789ab.json"],
)
@pytest.mark.parametrize(
    "arguments",
    [
        ["evaluate", "half", "a.csv"],
        ["encode", "half", "a.csv", "-o", "z"],
        ["inspect", "half"],
    ],
)
def test_a_damaged_model_before_the_table_is_a_model_error(arguments, part, model, capsys):
    Path("half").mkdir()
    Path("half", part).write_bytes(b"")
    assert main(arguments) == 4
    assert "spec.json" in capsys.readouterr().err


@pytest.mark.parametrize("command", [*COMMANDS, "report"])
def test_a_model_that_is_named_twice_is_an_error(command, model, capsys):
    assert main([command, model, "a.csv", "-m", "other", *output(command)]) == 2
    assert "small and --model other both name the model" in capsys.readouterr().err
    assert main([command, model, "a.csv", "--tag", "other", *output(command)]) == 2
    assert "small and --tag other both name the model" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "code", "lines"),
    [
        (["rollback", "small"], 2, ["small has no earlier model"]),
        (["rollback", "small", "3f2a"], 2, ["small has no earlier model"]),
        (["rollback", "absent", "3f2a"], 2,
         ["aecli rollback takes one GENERATION, not absent and 3f2a",
          "absent is not a model directory"]),
        (["rollback", "small", "-m", "other"], 2, ["small and --model other both name the model"]),
        (["sample", "small", "-o", "-"], 2, ["small", "--variational"]),
        (["sample", "absent", "-o", "-"], 4, ["there is no model directory absent"]),
        (["plot", "small", "a.csv", "-o", "z.png"], 2,
         ["KIND, a picture's name, comes first, but small is a model directory",
          "try: aecli plot card small data.parquet -o card.png"]),
        (["inspect", "small", "a.csv"], 2,
         ["shows a model or a table, not both", "small is a model directory"]),
        (["help", "train", "a.csv"], 2, ["aecli help takes no further argument: a.csv"]),
    ],
)  # fmt: skip
def test_a_model_as_the_first_argument_of_other_commands(arguments, code, lines, model, capsys):
    assert main(arguments) == code
    printed = capsys.readouterr().err
    assert not [line for line in lines if line not in printed], printed


def test_inspect_reads_several_tables_as_one(model, trained, capsys):
    assert main(["inspect", trained, trained]) == 0
    assert "400 rows" in capsys.readouterr().out
