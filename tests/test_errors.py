"""Names that are suggested for unknown ones: never a wrong one."""

from __future__ import annotations

import pytest

from aecli.cli.command_group import SUMMARIES
from aecli.cli.main import cli, main
from aecli.errors import DataError, nearest
from aecli.schema.option_docs import options
from aecli.table.column_names import match_patterns

TRAIN = [
    opt for param in cli.commands["train"].params for opt in param.opts if opt.startswith("--")
]
TUNE = [opt for param in cli.commands["tune"].params for opt in param.opts]
COMMAND_NAMES = list(SUMMARIES)


@pytest.mark.parametrize(
    ("words", "known", "suggested"),
    [
        ("--batch --batch_size --bs", TRAIN, "--batch-size"),
        ("--gpu --cuda --devic", TRAIN, "--device"),
        ("--target --y --label-column --lable", TRAIN, "--label"),
        ("--test-size --validation-split --vaild", TRAIN, "--valid"),
        ("--learning_rate --learning-rate --lrr", TRAIN, "--lr"),
        ("--hidden-layers --ecoder", TRAIN, "--encoder"),
        ("--n-epochs --epoch --iter --epohcs", TRAIN, "--epochs"),
        ("--random-state --sed --seeds", TRAIN, "--seed"),
        ("--early-stopping", TRAIN, "--patience"),
        (
            "--encod --label-smoothing --xyzzy --foo --colour --max --log-level --n",
            TRAIN,
            None,
        ),
        ("fit trian tarin", COMMAND_NAMES, "train"),
        ("transform embed encod", COMMAND_NAMES, "encode"),
        ("predict_proba predictions", COMMAND_NAMES, "predict"),
        ("export deploy serve version", COMMAND_NAMES, None),
        ("cnn CNN conv2", options()["arch"].choices, "conv2d"),
        ("gru rnn lstn", options()["arch"].choices, "lstm"),
        ("--response-column", TRAIN, "--label"),
        ("--tol --output-activation", ["--to", "--tag", "--model"], None),
        ("--y", ["--by", "--json"], None),
        ("--drop", TRAIN, "--exclude"),
        ("--drop", ["--dropout", "--depth"], "--dropout"),
        ("--dropo", TRAIN, "--dropout"),
        ("--lat", TRAIN, "--latent"),
        ("--timeout --max-time --max_runtime_secs", TRAIN, "--time-limit"),
        ("--timeout --max-time --time-limit", TUNE, "--budget"),
        ("excel xls", ["csv", "xlsx", "jsonl"], "xlsx"),
        ("resnet unet None", options()["arch"].choices, None),
        ("zscore Standard", options()["scale"].choices, "standard"),
        ("amuont AMOUNT amou", ["amount", "paid", "customer"], "amount"),
        ("result", ["results", "label"], "results"),
        ("price x in", ["amount", "paid", "income"], None),
    ],
)
def test_a_slip_a_beginning_or_a_word_of_another_tool_names_ours(words, known, suggested):
    assert {nearest(word, known) for word in words.split()} == {suggested}


def test_an_empty_name_is_near_nothing():
    assert nearest("", ["a", ""]) in (None, "")
    assert nearest("--", ["a"]) is None


@pytest.mark.parametrize(
    ("command", "suggested"),
    [
        ("train", "--model"),
        ("tune", "--model"),
        ("encode", "--output"),
        ("score", "--output"),
        ("sample", "--output"),
        ("evaluate", "--help"),
    ],
)
@pytest.mark.parametrize("word", ["--save", "--dest", "--out", "--output-file", "--output_dir"])
def test_what_a_command_writes_is_its_model_or_its_output(command, suggested, word, capsys):
    assert main([command, "x.csv", word, "x"]) == 2
    assert capsys.readouterr().err.splitlines()[-1] == f"  try: aecli {command} {suggested}"


def test_a_name_of_a_hundred_thousand_letters_is_not_compared():
    assert nearest("epoch" * 20_000, ["epochs"]) is None
    with pytest.raises(DataError, match="has no column"):
        match_patterns("t.csv", ["a"], ["i" + "[" * 100_000], "--exclude")
