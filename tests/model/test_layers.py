import pytest
import torch

from aecli.model.layers import ACTIVATION_CLASSES, build_activation, norm_builder
from aecli.schema.torch_classes import ACTIVATIONS, NORMS, TorchClassSpec

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


def test_every_activation_is_a_module_of_torch():
    assert list(ACTIVATION_CLASSES) == list(ACTIVATIONS)
    assert all(issubclass(kind, torch.nn.Module) for kind in ACTIVATION_CLASSES.values())


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_every_activation_takes_its_arguments_and_lets_gradients_through(name):
    args = {key: VALUES[key] for key in ACTIVATIONS[name]}
    x = torch.linspace(-1.9, 1.9, 40, requires_grad=True)
    y = build_activation(name, **args)(x)
    y.sum().backward()
    assert y.shape == x.shape
    assert x.grad is not None
    assert x.grad.isfinite().all()
    assert x.grad.abs().sum() > 0


@pytest.mark.parametrize("name", [n for n, args in ACTIVATIONS.items() if args])
def test_arguments_change_what_an_activation_computes(name):
    x = torch.linspace(-3, 25, 200)
    args = {key: VALUES[key] for key in ACTIVATIONS[name]}
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


def test_a_name_of_torch_that_is_not_in_the_table_is_unknown():
    with pytest.raises(KeyError):
        build_activation("Softmax")


NORM_VALUES = {"eps": 1e-3, "momentum": 0.5, "affine": True, "elementwise_affine": False}


@pytest.mark.parametrize("name", [name for name in NORMS if name != "none"])
@pytest.mark.parametrize("count", [1, 2, 9])
def test_every_norm_takes_its_arguments_and_trains_on_any_number_of_rows(name, count):
    build = norm_builder(
        TorchClassSpec(name=name, args={key: NORM_VALUES[key] for key in NORMS[name]})
    )
    x = torch.randn(count, 4, generator=torch.Generator().manual_seed(0)).requires_grad_()
    (build(4)(x) * torch.arange(4.0)).sum().backward()
    assert x.grad is not None
    assert x.grad.isfinite().all()


def test_no_norm_builds_no_layer():
    assert norm_builder(TorchClassSpec(name="none")) is None
