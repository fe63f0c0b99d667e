"""Completion of words and file names, as shells ask for it."""

from __future__ import annotations

import pytest
from click.shell_completion import BashComplete

from aecli.cli.main import cli


def completed(*words: str) -> list[str]:
    """Return what completes the last word: its type, or plain words."""
    shell = BashComplete(cli, {}, "aecli", "_AECLI_COMPLETE")
    items = shell.get_completions(list(words[:-1]), words[-1])
    return [item.value if item.type == "plain" else f"<{item.type}>" for item in items]


@pytest.mark.parametrize(
    "words",
    [
        ("train", ""), ("train", "a.csv", ""), ("train", "--valid", ""), ("train", "--config", ""),
        ("train", "--report", ""), ("encode", ""), ("encode", "a.csv", "-o", ""),
        ("encode", "a.csv", "--output", "z"), ("decode", ""), ("evaluate", "a"), ("inspect", ""),
        ("report", ""), ("report", "-o", ""), ("plot", "map", ""), ("tune", "--journal", ""),
    ],
)  # fmt: skip
def test_file_names_are_left_to_the_shell(words):
    assert completed(*words) == ["<file>"]


@pytest.mark.parametrize("words", [("encode", "-m", ""), ("evaluate", "a.csv", "--compare", "")])
def test_directories_are_left_to_the_shell(words):
    assert completed(*words) == ["<dir>"]


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (("sc",), ["score"]),
        (("help", "sc"), ["score"]),
        (("train", "--schedule", ""), ["cosine", "plateau", "constant"]),
        (("train", "--encoder", ""), ["halve"]),
        (("score", "--aggregate", "t"), ["top3"]),
        (("train", "--lat"), ["--latent", "--latent-activation"]),
        (("plot", "calib"), ["calibration"]),
    ],
)
def test_commands_options_and_words_are_completed(words, expected):
    assert completed(*words) == expected
