import inspect
import subprocess
import sys

import pytest
import torch
from torch import nn

from aecli.errors import ModelError, UsageError
from aecli.schema.torch_classes import (
    COMPUTATION_ARGUMENTS,
    FULL_BATCH_OPTIMIZERS,
    LEARNING_RATES,
    OPTIMIZERS,
    REFUSED,
)
from aecli.training.optimizers import make_optimizer

ARGUMENTS = {
    "Adam": {
        "betas": (0.8, 0.99), "eps": 1e-6, "weight_decay": 0.1, "amsgrad": True,
        "decoupled_weight_decay": True,
    },
    "AdamW": {"betas": (0.8, 0.99), "eps": 1e-6, "weight_decay": 0.1, "amsgrad": True},
    "SGD": {"momentum": 0.9, "dampening": 0.0, "weight_decay": 0.1, "nesterov": True},
    "RMSprop": {
        "alpha": 0.9,
        "eps": 1e-6,
        "weight_decay": 0.1,
        "momentum": 0.5,
        "centered": True,
    },
    "ASGD": {"lambd": 1e-3, "alpha": 0.5, "t0": 10.0, "weight_decay": 0.1},
    "Adadelta": {"rho": 0.8, "eps": 1e-5, "weight_decay": 0.1},
    "Adafactor": {"beta2_decay": -0.5, "eps": (1e-16, 1e-2), "d": 2.0, "weight_decay": 0.1},
    "Adagrad": {
        "lr_decay": 0.1, "weight_decay": 0.1, "initial_accumulator_value": 0.1, "eps": 1e-6,
    },
    "Adamax": {"betas": (0.8, 0.99), "eps": 1e-6, "weight_decay": 0.1},
    "NAdam": {
        "betas": (0.8, 0.99), "eps": 1e-6, "weight_decay": 0.1, "momentum_decay": 0.01,
        "decoupled_weight_decay": True,
    },
    "RAdam": {
        "betas": (0.8, 0.99), "eps": 1e-6, "weight_decay": 0.1, "decoupled_weight_decay": True,
    },
    "Rprop": {"etas": (0.6, 1.1), "step_sizes": (1e-5, 0.1)},
}  # fmt: skip


def network():
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(4, 8), nn.Tanh(), nn.Linear(8, 4))


def steps(model, optimizer, count):
    x = torch.randn(32, 4, generator=torch.Generator().manual_seed(1))
    for _ in range(count):
        optimizer.zero_grad()
        loss = (model(x) - x).square().mean()
        loss.backward()
        optimizer.step()
    return float(loss.detach())


def weights(model):
    return torch.cat([p.detach().flatten() for p in model.parameters()])


@pytest.mark.parametrize("name", [name for name in torch.optim.__all__ if name[0].isupper()])
def test_every_optimizer_of_torch_is_in_the_table_with_all_arguments_or_has_a_reason(name):
    kind = getattr(torch.optim, name)
    if name in REFUSED or kind is torch.optim.Optimizer:
        assert name not in OPTIMIZERS
        return
    parameters = inspect.signature(kind).parameters
    known = set(parameters) - COMPUTATION_ARGUMENTS - {"params", "lr", "maximize"}
    assert set(OPTIMIZERS[name]) == known
    assert LEARNING_RATES[name] == parameters["lr"].default


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_every_optimizer_lowers_the_loss_by_default(name):
    model = network()
    optimizer = make_optimizer(name, model.parameters(), lr=0.01)
    first = steps(model, optimizer, 1)
    assert steps(model, optimizer, 50) < first


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_every_optimizer_takes_every_argument_of_its_table(name):
    plain, changed = network(), network()
    steps(plain, make_optimizer(name, plain.parameters(), lr=0.01), 5)
    assert set(ARGUMENTS[name]) == set(OPTIMIZERS[name])
    steps(changed, make_optimizer(name, changed.parameters(), lr=0.01, **ARGUMENTS[name]), 5)
    assert not torch.equal(weights(plain), weights(changed))


@pytest.mark.parametrize("arguments", [False, True])
@pytest.mark.parametrize("name", OPTIMIZERS)
def test_a_resumed_optimizer_goes_on_bit_for_bit(name, arguments):
    chosen = ARGUMENTS[name] if arguments else {}
    whole = network()
    optimizer = make_optimizer(name, whole.parameters(), lr=0.01, **chosen)
    steps(whole, optimizer, 3)
    optimizer.lr = 0.02
    steps(whole, optimizer, 2)
    resumed = network()
    resumed.load_state_dict({key: value.clone() for key, value in whole.state_dict().items()})
    saved = optimizer.state()
    other = make_optimizer(name, resumed.parameters(), lr=0.01, **chosen)
    other.load(saved)
    steps(whole, optimizer, 4)
    steps(resumed, other, 4)
    assert other.lr == 0.02
    assert torch.equal(weights(whole), weights(resumed))


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_the_state_is_a_copy_of_plain_tensors(name):
    model = network()
    optimizer = make_optimizer(name, model.parameters(), lr=0.01)
    optimizer.load(optimizer.state())  # before the first step
    steps(model, optimizer, 2)
    saved = optimizer.state()
    before = {key: tensor.clone() for key, tensor in saved.items()}
    steps(model, optimizer, 2)
    assert all(torch.equal(saved[key], before[key]) for key in before)


@pytest.mark.parametrize("arguments", [False, True])
@pytest.mark.parametrize("name", ["Adam", "AdamW"])
def test_the_fused_adam_is_torchs(name, arguments):
    chosen = ARGUMENTS[name] if arguments else {}
    ours, theirs = network(), network()
    steps(ours, make_optimizer(name, ours.parameters(), lr=0.01, **chosen), 20)
    kind = getattr(torch.optim, name)
    reference = kind(theirs.parameters(), lr=0.01, fused=True, **chosen)
    steps(theirs, reference, 20)
    assert torch.equal(weights(ours), weights(theirs))


@pytest.mark.parametrize("name", ["AdamW", "SGD"])
def test_parameters_without_a_gradient_stay(name):
    model = network()
    optimizer = make_optimizer(name, model.parameters(), lr=0.01)
    optimizer.step()
    assert torch.equal(weights(model), weights(network()))
    model(torch.ones(1, 4)).sum().backward()
    model[0].weight.grad = None
    optimizer.step()
    assert torch.equal(model[0].weight, network()[0].weight)
    assert not torch.equal(model[2].weight, network()[2].weight)


@pytest.mark.parametrize("name", sorted(set(OPTIMIZERS) - set(FULL_BATCH_OPTIMIZERS)))
def test_the_learning_rate_may_be_set_between_steps(name):
    model = network()
    optimizer = make_optimizer(name, model.parameters(), lr=0.01)
    steps(model, optimizer, 1)
    optimizer.lr = 0.0
    steps(model, optimizer, 1)  # ASGD works out its step's size one step ahead
    before = weights(model)
    steps(model, optimizer, 1)
    assert optimizer.lr == 0.0
    assert torch.equal(weights(model), before)


@pytest.mark.parametrize("name", ["Adam", "SGD"])
@pytest.mark.parametrize("change", ["more", "none"])
def test_the_state_of_other_parameters_is_refused(name, change):
    model = network()
    optimizer = make_optimizer(name, model.parameters(), lr=0.01)
    steps(model, optimizer, 1)
    saved = optimizer.state() | {"9.exp_avg": torch.zeros(3)}
    if change == "none":
        saved = {"0.exp_avg": torch.zeros(8, 4)}
    with pytest.raises(ModelError, match="belongs to another network"):
        optimizer.load(saved)


@pytest.mark.parametrize("eps", [(1e-18, 1e-3), (1e-18, 0.0)])
def test_the_smallest_eps_of_adafactor_is_above_zero_when_squared(eps):
    assert OPTIMIZERS["Adafactor"]["eps"]("eps", eps) == eps
    with pytest.raises(ValueError, match="from 1e-18 to 1 and from 0 to 1"):
        OPTIMIZERS["Adafactor"]["eps"]("eps", (1e-30, eps[1]))
    model = network()
    optimizer = make_optimizer("Adafactor", model.parameters(), lr=0.01, eps=eps)
    model(torch.ones(1, 4)).mul(0).sum().backward()  # a unit without a gradient
    optimizer.step()
    assert weights(model).isfinite().all()


def test_nesterov_without_momentum_is_a_usage_error():
    with pytest.raises(UsageError, match="--optimizer SGD: Nesterov momentum requires"):
        make_optimizer("SGD", network().parameters(), lr=0.01, nesterov=True)


def test_adam_does_not_import_the_compiler():
    code = (
        "import sys, torch\n"
        "from aecli.training.optimizers import make_optimizer\n"
        "p = torch.nn.Parameter(torch.ones(2)); p.grad = torch.ones(2)\n"
        "make_optimizer('AdamW', [p], lr=0.1).step()\n"
        "print('torch._dynamo' in sys.modules)\n"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout == "False\n"
