"""Layers and initialisation by name, for the tables of names in `schema.torch_classes`.

The classes of these names are looked up in torch once, when this module is imported.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from torch import Tensor, nn

from aecli.nn import init
from aecli.nn.layers import BatchNorm, instance_norm, layer_norm
from aecli.schema.torch_classes import ACTIVATIONS, INITIALISERS, TorchClassSpec

ACTIVATION_CLASSES: dict[str, type[nn.Module]] = {name: getattr(nn, name) for name in ACTIVATIONS}

_NORM_BUILDERS: dict[str, Callable[..., nn.Module]] = {
    "batch": BatchNorm,
    "instance": instance_norm,
    "layer": layer_norm,
}

_WEIGHT_DRAWS: dict[str, Callable[[Tensor, float], None]] = {
    name: getattr(init, name) for name in INITIALISERS if name not in ("auto", "default", "pca")
}


def build_activation(name: str, **args: Any) -> nn.Module:
    """Build the activation `name` with its torch constructor arguments.

    Raises:
        KeyError: the name is not in the table.
        ValueError: the bounds of an interval are in the wrong order (`Hardtanh`, `RReLU`).
    """
    if name == "Hardtanh":
        low, high = args.get("min_val", -1.0), args.get("max_val", 1.0)
        if not low < high:
            raise ValueError(f"Hardtanh: min_val={low} must be below max_val={high}")
    if name == "RReLU":
        low, high = args.get("lower", 1 / 8), args.get("upper", 1 / 3)
        if not low <= high:
            raise ValueError(f"RReLU: lower={low:g} must not exceed upper={high:g}")
    return ACTIVATION_CLASSES[name](**args)


def activation_builder(spec: TorchClassSpec) -> Callable[[], nn.Module]:
    """Return a function that builds a new activation at each call."""
    return partial(build_activation, spec.name, **spec.args)


def norm_builder(spec: TorchClassSpec) -> Callable[[int], nn.Module] | None:
    """Return a function that builds a norm layer by its width; None without a norm."""
    args: dict[str, Any] = dict(spec.args)
    return None if spec.name == "none" else partial(_NORM_BUILDERS[spec.name], **args)


def initialise(network: nn.Module, name: str, *, activation: str) -> None:
    """Draw the weights of every layer with the initialiser `name`.

    `pca` is Kaiming normal, for the layers in parallel to the linear path. `auto` and `default`
    keep torch's uniform weights and biases within 1 / sqrt(fan_in). The gain is that of
    `activation` with its default arguments.

    Raises:
        KeyError: the name or the activation is not in its table.
    """
    if name not in ("auto", "default"):
        draw = _WEIGHT_DRAWS["kaiming_normal" if name == "pca" else name]
        init.draw_weights(network, draw, gain=init.activation_gain(build_activation(activation)))
