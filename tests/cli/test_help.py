"""Help texts: the usual options with `--help`, every one with `--help-all`."""

from __future__ import annotations

import re

import pytest
from click.testing import CliRunner

from aecli.cli.main import cli, main
from aecli.schema.options import option_names
from aecli.schema.training_options import TrainingOptions

COMMANDS = sorted(cli.commands)


def printed(*args: str) -> list[str]:
    return CliRunner().invoke(cli, list(args), prog_name="aecli").output.splitlines()


@pytest.mark.parametrize("command", COMMANDS)
def test_the_program_lists_the_first_sentence_of_each_command(command):
    sentence = cli.commands[command].get_short_help_str(limit=80)
    assert any(line.split() == [command, *sentence.split()] for line in printed("--help"))


@pytest.mark.parametrize("command", ["", *COMMANDS])
@pytest.mark.parametrize("columns", ["80", "60", "200"])
def test_help_fits_80_columns(command, columns, monkeypatch):
    monkeypatch.setenv("COLUMNS", columns)
    for flag in ("--help", "--help-all"):
        lines = printed(*filter(None, [command, flag]))
        assert max(map(len, lines)) <= 80
        assert len(lines) > 5


@pytest.mark.parametrize("command", COMMANDS)
def test_usual_options_fit_a_screen_and_the_others_are_counted(command, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    lines = printed(command, "--help")
    assert len(lines) <= 60
    if (found := re.search(r"(\d+) more options: ", lines[-1])) is not None:
        assert lines[-1].endswith(f"aecli {command} --help-all")
        flags = [len(re.findall(r"^  -", "\n".join(text), re.M)) for text in
                 (printed(command, "--help-all"), lines)]  # fmt: skip
        assert flags[0] - flags[1] == int(found[1])


def test_help_all_of_train_has_every_option_once_under_its_section():
    text = "\n".join(printed("train", "--help-all"))
    titles = [line for line in text.splitlines() if line.endswith(":") and line[0] != " "]
    assert titles == ["Model:", "Reading tables:", "Columns:", "Network:", "Windows:", "Losses:",
                      "Training:", "Output:"]  # fmt: skip
    for name in option_names():
        assert len(re.findall(rf"  --(?:\[no-\])?{name.replace('_', '-')} ", text)) == 1
    assert " ".join(text.split()).count(f"[default: {TrainingOptions().lr:g}]") == 1


@pytest.mark.parametrize("command", COMMANDS)
def test_defaults_are_in_brackets(command):
    text = " ".join(" ".join(printed(command, "--help-all")).split())
    assert "unless given" not in text
    assert not re.search(r"[^[]default:", text.replace("torch; default:", "").replace(
        "connections; default:", ""))  # fmt: skip


@pytest.mark.parametrize("command", COMMANDS)
def test_help_all_names_the_default_of_every_option_with_a_value(command):
    text = "\n".join(printed(command, "--help-all"))
    options = re.split(r"\n  (?=-)", text.partition("off by default.")[2])
    for option in options[1:] if command != "help" else []:
        names = option.splitlines()[0].partition("  ")[0]
        if re.search(r"--[a-z-]+ \S", names):
            assert "[default:" in option or "[required]" in option, option


def test_help_of_a_command_may_show_every_option(capsys):
    assert main(["help", "train", "--help-all"]) == 0
    every = capsys.readouterr().out
    assert main(["train", "--help-all"]) == 0
    assert capsys.readouterr().out == every
    assert main(["--help"]) == 0
    group = capsys.readouterr().out
    for arguments in (["--help-all"], ["help", "--help-all"]):
        assert main(arguments) == 0
        assert capsys.readouterr().out == group


def test_help_is_a_command_too(capsys):
    assert main(["help"]) == 0
    group = capsys.readouterr().out
    assert main(["--help"]) == 0
    assert capsys.readouterr().out == group
    assert main(["help", "score"]) == 0
    command = capsys.readouterr().out
    assert main(["score", "-h"]) == 0
    assert capsys.readouterr().out == command
    assert main(["help", "scor"]) == 2
    assert "try: aecli score" in capsys.readouterr().err


def test_the_version_has_a_short_flag(capsys):
    assert main(["-V"]) == 0
    assert re.fullmatch(r"aecli \d+\.\d+\.\d+\n", capsys.readouterr().out)


def test_a_summary_of_a_command_is_not_cut_off():
    assert not [line for line in printed("--help") if line.endswith("...") and "Usage" not in line]
