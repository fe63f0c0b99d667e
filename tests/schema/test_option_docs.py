import shlex
from pathlib import Path

import pytest

from aecli.cli.main import cli
from aecli.schema.network_options import NetworkOptions
from aecli.schema.option_docs import (
    as_flags,
    explicit_options,
    format_value,
    options,
    train_command,
)
from aecli.schema.options import TrainOptions, option_names
from aecli.schema.torch_classes import TorchClassSpec
from aecli.schema.training_options import TrainingOptions


def test_every_field_of_the_spec_is_an_option_with_a_help_sentence():
    assert list(options()) == option_names()
    assert all(option.help.endswith(".") for option in options().values())


@pytest.mark.parametrize(
    ("name", "shape", "allowed", "default"),
    [
        ("batch_size", "integer", "1 to 1048576", ""),
        ("lr", "number", "above 0, at most 10", f"{TrainingOptions().lr:g}"),
        ("dropout", "number", "at least 0, below 1", "0"),
        ("l1", "number", "at least 0", "0"),
        ("encoder", "sizes", "1 to 65536", ""),
        ("scale", "scale", "auto, standard, minmax, robust, none", "auto"),
        ("id", "names", "", ""),
        ("balance", "flag", "", ""),
        ("time_limit", "time", "above 0", ""),
        ("activation", "named", "", f"{NetworkOptions().activation}"),
        ("threads", "integer", "1 to 1024", ""),
    ],
)
def test_shape_range_and_default_come_from_the_annotation(name, shape, allowed, default):
    option = options()[name]
    assert (option.shape, option.allowed, option.default_text) == (shape, allowed, default)


def test_an_option_without_a_default_says_how_its_value_is_chosen():
    chosen = [option for option in options().values() if option.default is None]
    plain = {"label", "topk", "shape", "window", "max_gap", "time_limit"}
    assert {option.name for option in chosen if not option.automatic} == plain


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (TorchClassSpec(name="LeakyReLU", args={"negative_slope": 0.123456789}),
         "LeakyReLU:negative_slope=0.123456789"),
        (TorchClassSpec(name="Adam", args={"betas": (0.9, 0.999), "amsgrad": True}),
         "Adam:betas=0.9/0.999,amsgrad=true"),
        ([512, 64], "512,64"),
        (1e-05, "1e-05"),
        (True, "true"),
    ],
)  # fmt: skip
def test_a_value_is_written_as_a_user_would_without_loss(value, text):
    assert format_value(value) == text
    if isinstance(value, TorchClassSpec):
        assert TorchClassSpec.model_validate(text) == value


GIVEN = {
    "label": "-x", "exclude": ["a*", "it's"], "encoder": [64, 8], "decoder": [], "balance": True,
    "variational": False, "activation": "LeakyReLU:negative_slope=0.1", "lr": 1e-5,
    "noise": "mask:0.2", "delimiter": "\t", "valid": "0.25", "optimizer": "Adam:betas=0.8/0.9",
}  # fmt: skip


def test_flags_are_read_back_as_the_same_options():
    options = TrainOptions.from_flat(GIVEN)
    words = as_flags(explicit_options(options))
    ctx = cli.commands["train"].make_context("train", words)
    again = ctx.params["settings"].options
    assert again == options
    assert explicit_options(again).keys() == GIVEN.keys()


def test_a_command_is_quoted_and_a_table_in_memory_has_a_name():
    options = TrainOptions.from_flat({"label": "the label"})
    line = train_command(["a b.csv", Path("c.csv")], options, Path("m"))
    words = ["aecli", "train", "a b.csv", "c.csv", "--label", "the label", "-m", "m"]
    assert shlex.split(line) == words
    assert train_command(object(), options, Path("m")).startswith("aecli train DATA ")
