import pytest
import torch

from aecli.nn.layers import ACTIVATIONS, activation
from aecli.schema import torch_classes as catalogue

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
}


def test_the_table_has_the_names_of_the_catalogue():
    assert list(ACTIVATIONS) == list(catalogue.ACTIVATIONS)


@pytest.mark.parametrize("name", catalogue.ACTIVATIONS)
def test_every_activation_takes_its_arguments_and_lets_gradients_through(name):
    args = {key: VALUES[key] for key in catalogue.ACTIVATIONS[name]}
    x = torch.linspace(-1.9, 1.9, 40, requires_grad=True)
    y = activation(name, **args)(x)
    y.sum().backward()
    assert y.shape == x.shape
    assert x.grad is not None
    assert x.grad.isfinite().all()
    assert x.grad.abs().sum() > 0


@pytest.mark.parametrize("name", [n for n, args in catalogue.ACTIVATIONS.items() if args])
def test_arguments_change_what_an_activation_computes(name):
    x = torch.linspace(-3, 25, 200)
    args = {key: VALUES[key] for key in catalogue.ACTIVATIONS[name]}
    plain, changed = activation(name).eval(), activation(name, **args).eval()
    assert not torch.equal(plain(x), changed(x))


def test_leaky_relu_has_the_slope_it_was_given():
    x = torch.tensor([-2.0, 3.0])
    assert activation("LeakyReLU", negative_slope=0.1)(x).tolist() == pytest.approx([-0.2, 3.0])


@pytest.mark.parametrize(
    ("name", "args", "message"),
    [
        ("Hardtanh", {"min_val": 2.0}, "min_val=2.0 must be below max_val=1.0"),
        ("RReLU", {"lower": 0.5, "upper": 0.4}, "lower=0.5 must not exceed upper=0.4"),
    ],
)
def test_an_interval_with_its_ends_swapped_is_refused(name, args, message):
    with pytest.raises(ValueError, match=message):
        activation(name, **args)


def test_a_name_of_torch_that_is_not_in_the_table_is_unknown():
    with pytest.raises(KeyError):
        activation("Softmax")
