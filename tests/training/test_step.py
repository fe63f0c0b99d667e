import pytest
import torch

from aecli.features.layout import layout
from aecli.features.network_inputs import Inputs
from aecli.model.build import build, reconstruction_loss, resolve_weights
from aecli.model.sizes import resolve_network
from aecli.schema.options import TrainOptions
from aecli.training.objective import Objective
from aecli.training.step import _by_autograd, make_step
from tests.columns import boolean, category, number

CPU = torch.device("cpu")
COLUMNS = [number("x"), number("y", has_missing=True), boolean("b"), category("c", "u", "v")]


def objective(**values: object) -> Objective:
    options = TrainOptions.from_flat({"label": "t", "encoder": [8, 3]} | values)
    network = resolve_network(options, columns=COLUMNS, classes=2)
    torch.manual_seed(0)
    return Objective(
        build(network, columns=COLUMNS),
        Inputs(layout(COLUMNS)),
        reconstruction_loss(COLUMNS, options.losses),
        resolve_weights(options.losses, network, cells=4, trivial=1.0),
    )


@pytest.mark.parametrize(
    "values",
    [
        {"l1": 0.3, "l2": 0.2, "classifier": [5]},
        {"reconst_weight": 0.0},
        {"class_weight": 0.0, "output": "sigmoid", "latent_activation": "Tanh"},
    ],
)
def test_gradients_by_hand_are_those_of_autograd(values: dict[str, object]):
    found = objective(**values)
    cells = torch.rand(10, 4).round(decimals=1)
    cells[:, 2:] = cells[:, 2:].round()
    cells[3, 1] = float("nan")
    codes = torch.tensor([0, 1, -1, 0, 1, 1, 0, -1, 0, 1])
    parameters = dict(found.network.named_parameters())
    expected_terms = _by_autograd(found, "fp32", CPU)(cells, codes)
    expected = {n: p.grad.clone() for n, p in parameters.items() if p.grad is not None}
    terms = make_step(found, "fp32", CPU)(cells, codes)
    torch.testing.assert_close(terms.total, expected_terms.total)
    for name, gradient in expected.items():
        torch.testing.assert_close(parameters[name].grad, gradient)


@pytest.mark.parametrize("weight", [1.0, 0.3])
@pytest.mark.parametrize("init", ["default", "pca"])
@pytest.mark.parametrize(("low", "output"), [(-1.0, "linear"), (0.0, "clipped")])
def test_the_gradient_of_a_plain_mse_is_that_of_autograd(
    weight: float, init: str, low: float, output: str
):
    columns = [number(name, low=[low]) for name in "xyz"]
    options = TrainOptions.from_flat({"encoder": [8, 2], "reconst_weight": weight, "init": init})
    network = resolve_network(options, columns=columns, classes=0)
    assert network.output == output
    found = Objective(
        build(network, columns=columns),
        Inputs(layout(columns), complete=True),
        reconstruction_loss(columns, options.losses, complete=True),
        resolve_weights(options.losses, network, cells=3, trivial=1.0),
    )
    assert found.reconstruction.is_plain_mse
    cells = torch.randn(10, 3)
    expected_terms = _by_autograd(found, "fp32", CPU)(cells, None)
    expected = {n: p.grad.clone() for n, p in found.network.named_parameters()}
    terms = make_step(found, "fp32", CPU)(cells, None)
    torch.testing.assert_close(terms.total, expected_terms.total.detach())
    torch.testing.assert_close(terms.values[0], expected_terms.values[0])
    for name, parameter in found.network.named_parameters():
        torch.testing.assert_close(parameter.grad, expected[name])
