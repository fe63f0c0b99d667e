import inspect

import pytest
import torch
from torch import nn
from torch.nn.modules import activation as torch_activations

from aecli.model.layers import ACTIVATION_CLASSES, build_activation, norm_builder
from aecli.schema.torch_classes import (
    ACTIVATIONS,
    COMPUTATION_ARGUMENTS,
    NORMS,
    REFUSED,
    REQUIRED_ARGUMENTS,
    TorchClassSpec,
)

VALUES = {
    "alpha": 0.5,
    "approximate": "tanh",
    "lambd": 0.25,
    "min_val": -2.0,
    "max_val": 2.0,
    "negative_slope": 0.3,
    "init": 0.1,
    "lower": 0.2,
    "upper": 0.2,
    "beta": 2.0,
    "threshold": 10.0,
    "dim": -1,
    "num_parameters": 1,
    "value": -2.0,
}
THRESHOLD = {"threshold": 0.5, "value": -2.0}


def arguments_of(name):
    """Return arguments that differ from the defaults where there are others."""
    return THRESHOLD if name == "Threshold" else {key: VALUES[key] for key in ACTIVATIONS[name]}


def torch_arguments(kind):
    """Return the constructor arguments of a torch class that change its values."""
    plain = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
    named = {n for n, p in inspect.signature(kind).parameters.items() if p.kind in plain}
    return named - COMPUTATION_ARGUMENTS


@pytest.mark.parametrize("name", torch_activations.__all__)
def test_every_activation_of_torch_is_in_the_table_with_all_arguments_or_has_a_reason(name):
    if name in REFUSED:
        assert name not in ACTIVATIONS
        return
    refused = {key.partition(":")[2] for key in REFUSED if key.startswith(f"{name}:")}
    assert set(ACTIVATIONS[name]) == torch_arguments(getattr(nn, name)) - refused


@pytest.mark.parametrize(
    ("name", "kind", "width"),
    [("batch", nn.BatchNorm1d, "num_features"), ("instance", nn.InstanceNorm1d, "num_features"),
     ("layer", nn.LayerNorm, "normalized_shape")],
)  # fmt: skip
def test_every_argument_of_a_norm_of_torch_is_in_the_table_or_has_a_reason(name, kind, width):
    refused = {key.partition(":")[2] for key in REFUSED if key.startswith(f"{name}:")}
    assert set(NORMS[name]) == torch_arguments(kind) - {width} - refused


def test_every_activation_is_a_module_of_torch():
    assert list(ACTIVATION_CLASSES) == list(ACTIVATIONS)
    assert all(issubclass(kind, torch.nn.Module) for kind in ACTIVATION_CLASSES.values())


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_every_activation_takes_its_arguments_and_lets_gradients_through(name):
    x = torch.linspace(-1.9, 1.9, 40).reshape(4, 10).requires_grad_()
    y = build_activation(name, **arguments_of(name))(x)
    y.square().sum().backward()
    assert y.shape == x.shape
    assert x.grad is not None
    assert x.grad.isfinite().all()
    assert x.grad.abs().sum() > 0


@pytest.mark.parametrize(
    "name",
    [n for n, args in ACTIVATIONS.items() if args and "dim" not in args and n != "Threshold"],
)
def test_arguments_change_what_an_activation_computes(name):
    x = torch.linspace(-3, 25, 200)
    args = arguments_of(name)
    plain, changed = build_activation(name).eval(), build_activation(name, **args).eval()
    assert not torch.equal(plain(x), changed(x))


def test_leaky_relu_has_the_slope_it_was_given():
    x = torch.tensor([-2.0, 3.0])
    assert build_activation("LeakyReLU", negative_slope=0.1)(x).tolist() == pytest.approx(
        [-0.2, 3.0]
    )


@pytest.mark.parametrize(
    ("name", "args", "message"),
    [
        ("Hardtanh", {"min_val": 2.0}, "min_val=2.0 must be below max_val=1.0"),
        ("RReLU", {"lower": 0.5, "upper": 0.4}, "lower=0.5 must not exceed upper=0.4"),
    ],
)
def test_an_interval_with_its_ends_swapped_is_refused(name, args, message):
    with pytest.raises(ValueError, match=message):
        build_activation(name, **args)


@pytest.mark.parametrize(
    ("name", "expected"),
    [("Softmax", [0.25, 0.75]), ("Softmin", [0.75, 0.25]), ("LogSoftmax", [-1.3863, -0.2877])],
)
def test_a_softmax_is_over_the_units_of_a_row(name, expected):
    rows = torch.tensor([[0.0, 3.0], [0.0, 3.0]]).sign() * torch.log(torch.tensor(3.0))
    for row in build_activation(name)(rows).tolist():
        assert row == pytest.approx(expected, abs=1e-4)


def test_a_threshold_replaces_what_is_not_above_it():
    x = torch.tensor([0.4, 0.6])
    assert build_activation("Threshold", **THRESHOLD)(x).tolist() == pytest.approx([-2.0, 0.6])
    assert list(REQUIRED_ARGUMENTS) == ["Threshold"]


def test_a_name_of_torch_that_is_not_in_the_table_is_unknown():
    with pytest.raises(KeyError):
        build_activation("GLU")


NORM_VALUES = {
    "eps": 1e-3, "momentum": 0.5, "affine": True, "elementwise_affine": True, "bias": False,
}  # fmt: skip


@pytest.mark.parametrize("name", [name for name in NORMS if name != "none"])
@pytest.mark.parametrize("count", [1, 2, 9])
def test_every_norm_takes_its_arguments_and_trains_on_any_number_of_rows(name, count):
    tracked = {"track_running_stats": name == "batch"}
    values = NORM_VALUES | tracked
    build = norm_builder(TorchClassSpec(name=name, args={key: values[key] for key in NORMS[name]}))
    assert [n for n, _ in build(4).named_parameters()] == ["weight"]  # bias=false
    x = torch.randn(count, 4, generator=torch.Generator().manual_seed(0)).requires_grad_()
    (build(4)(x) * torch.arange(4.0)).sum().backward()
    assert x.grad is not None
    assert x.grad.isfinite().all()


def test_no_norm_builds_no_layer():
    assert norm_builder(TorchClassSpec(name="none")) is None
