import pytest

from aecli.schema.option_docs import format_value, options
from aecli.schema.options import NetworkOptions, TrainingOptions, option_names
from aecli.schema.torch_classes import ActivationSpec, OptimizerSpec


def test_every_field_of_the_spec_is_an_option_with_a_help_sentence():
    assert list(options()) == option_names()
    assert all(option.help.endswith(".") for option in options().values())


@pytest.mark.parametrize(
    ("name", "shape", "extra"),
    [
        ("batch_size", "integer", "1 to 1048576"),
        ("lr", "number", f"above 0, at most 10; default: {TrainingOptions().lr:g}"),
        ("dropout", "number", "at least 0, below 1; default: 0"),
        ("l1", "number", "at least 0; default: 0"),
        ("encoder", "sizes", "1 to 65536"),
        ("scale", "choice", "auto, standard, minmax, robust, none; default: auto"),
        ("id", "names", ""),
        ("balance", "flag", ""),
        ("time_limit", "time", "above 0"),
        ("activation", "named", f"default: {NetworkOptions().activation}"),
        ("threads", "integer", "1 to 1024"),
    ],
)
def test_shape_range_and_default_come_from_the_annotation(name, shape, extra):
    option = options()[name]
    assert (option.shape, option.extra) == (shape, extra)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (ActivationSpec(name="LeakyReLU", args={"negative_slope": 0.123456789}),
         "LeakyReLU:negative_slope=0.123456789"),
        (OptimizerSpec(name="Adam", args={"betas": (0.9, 0.999), "amsgrad": True}),
         "Adam:betas=0.9/0.999,amsgrad=true"),
        ([512, 64], "512,64"),
        (1e-05, "1e-05"),
        (True, "true"),
    ],
)  # fmt: skip
def test_a_value_is_written_as_a_user_would_without_loss(value, text):
    assert format_value(value) == text
    if isinstance(value, (ActivationSpec, OptimizerSpec)):
        assert type(value).model_validate(text) == value
