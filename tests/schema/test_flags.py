import shlex
from pathlib import Path

from aecli.cli.main import cli
from aecli.schema.option_docs import as_flags, explicit_options, train_command
from aecli.schema.options import TrainOptions

GIVEN = {
    "label": "-x", "exclude": ["a*", "it's"], "encoder": [64, 8], "decoder": [], "balance": True,
    "variational": False, "activation": "LeakyReLU:negative_slope=0.1", "lr": 1e-5,
    "noise": "mask:0.2", "delimiter": "\t", "valid": "0.25", "optimizer": "Adam:betas=0.8/0.9",
}  # fmt: skip


def test_flags_are_read_back_as_the_same_options():
    options = TrainOptions.from_flat(GIVEN)
    words = as_flags(explicit_options(options))
    ctx = cli.commands["train"].make_context("train", words)
    found = {name[5:]: value for name, value in ctx.params.items() if name.startswith("spec_")}
    again = TrainOptions.from_flat({name: found[name] for name in GIVEN})
    assert again == options
    assert explicit_options(again).keys() == GIVEN.keys()


def test_a_command_is_quoted_and_a_table_in_memory_has_a_name():
    options = TrainOptions.from_flat({"label": "the label"})
    line = train_command(["a b.csv", Path("c.csv")], options, Path("m"))
    words = ["aecli", "train", "a b.csv", "c.csv", "--label", "the label", "-m", "m"]
    assert shlex.split(line) == words
    assert train_command(object(), options, Path("m")).startswith("aecli train DATA ")
