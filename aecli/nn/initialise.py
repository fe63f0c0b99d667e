"""Initialise linear layers by name."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor, nn

from aecli.nn.activations import activation as build_activation
from aecli.nn.mlp import MLP


def _xavier_uniform(weight: Tensor, gain: float) -> None:
    nn.init.xavier_uniform_(weight, gain)


def _xavier_normal(weight: Tensor, gain: float) -> None:
    nn.init.xavier_normal_(weight, gain)


def _kaiming_uniform(weight: Tensor, gain: float) -> None:
    bound = gain * math.sqrt(3 / weight.shape[1])
    nn.init.uniform_(weight, -bound, bound)


def _kaiming_normal(weight: Tensor, gain: float) -> None:
    nn.init.normal_(weight, 0.0, gain / math.sqrt(weight.shape[1]))


def _orthogonal(weight: Tensor, gain: float) -> None:
    nn.init.orthogonal_(weight, gain)


def _normal(weight: Tensor, gain: float) -> None:
    nn.init.normal_(weight, 0.0, 1 / math.sqrt(weight.shape[1]))


INITIALISERS: dict[str, Callable[[Tensor, float], None] | None] = {
    "default": None,
    "xavier_uniform": _xavier_uniform,
    "xavier_normal": _xavier_normal,
    "kaiming_uniform": _kaiming_uniform,
    "kaiming_normal": _kaiming_normal,
    "orthogonal": _orthogonal,
    "normal": _normal,
}


def initialise(module: nn.Module, name: str, *, activation: str) -> None:
    """Draw the weights of every linear layer in `module` anew and set their biases to 0.

    Xavier (Glorot and Bengio, 2010): variance gain² · 2 / (fan_in + fan_out). Kaiming (He et al.,
    2015): gain² / fan_in. Orthogonal (Saxe et al., 2014): gain times an orthogonal matrix. Normal
    (LeCun et al., 1998): 1 / fan_in whatever the activation. `default` leaves torch's own, uniform
    weights and biases within 1 / sqrt(fan_in). The gain is `activation_gain(activation)`, and 1 for
    the last layer of each network, which no hidden activation follows. Draws come from torch's
    global generator.

    Raises:
        KeyError: the name is not in `INITIALISERS`, or the activation not in its table.
    """
    draw = INITIALISERS[name]
    if draw is None:
        return
    last = {network.linears[-1] for network in module.modules() if isinstance(network, MLP)}
    gain = activation_gain(activation)
    for layer in module.modules():
        if isinstance(layer, nn.Linear):
            with torch.no_grad():
                draw(layer.weight, 1.0 if layer in last else gain)
                nn.init.zeros_(layer.bias)


def activation_gain(name: str) -> float:
    """Return the factor that keeps the second moment of signals through an activation `f`.

    It is 1 / sqrt(E[f(x)²]) for x from N(0, 1), as He et al. (2015) derive sqrt(2) for ReLU; but no
    more than what keeps large signals, s / sqrt(E[f(s·x)²]) with s = 1000, or they would grow
    without end where `f` is less than linear near 0 (SiLU, Softshrink). Expectations are taken over
    10,000 quantiles, with the activation's default arguments.
    """
    grid = torch.special.ndtri((torch.arange(10_000, dtype=torch.float64) + 0.5) / 10_000)
    module = build_activation(name).double().eval()
    with torch.no_grad():
        kept = [scale * module(scale * grid).square().mean().rsqrt() for scale in (1, 1000)]
    return float(min(kept))
