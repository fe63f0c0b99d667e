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
from aecli.schema.network import Network
from aecli.schema.torch_classes import ACTIVATIONS, INITIALISERS, TorchClassSpec

_BY_UNIT: dict[str, dict[str, int]] = {
    name: {"dim": 1} for name, arguments in ACTIVATIONS.items() if "dim" in arguments
}
"""Default arguments of activations that normalise a row over its units, or channels."""

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
    return ACTIVATION_CLASSES[name](**{**_BY_UNIT.get(name, {}), **args})


def activation_builder(spec: TorchClassSpec) -> Callable[[], nn.Module]:
    """Return a function that builds a new activation at each call."""
    return partial(build_activation, spec.name, **spec.args)


def norm_builder(spec: TorchClassSpec) -> Callable[[int], nn.Module] | None:
    """Return a function that builds a norm layer by its width; None without a norm."""
    args: dict[str, Any] = {k: v for k, v in spec.args.items() if k != "track_running_stats"}
    return None if spec.name == "none" else partial(_NORM_BUILDERS[spec.name], **args)


def require_equal_widths(network: Network) -> None:
    """Check that a `PReLU` with a slope per unit has as many slopes as each of its layers units.

    Raises:
        ValueError: it has another number of slopes.
    """
    head = network.classifier if network.classes else []
    hidden = [*network.encoder[:-1], *network.decoder, *head]
    if network.architecture in ("conv1d", "conv2d"):
        hidden = [*network.channels, 0]  # its first decoding layer has units without channels
    elif network.architecture not in ("mlp", "vanilla"):
        hidden = head
    for spec, widths in (
        (network.activation, hidden),
        (network.latent_activation, [network.encoder[-1]]),
    ):
        slopes = spec.args.get("num_parameters", 1)
        if slopes != 1 and any(width != slopes for width in widths):
            sizes = ", ".join(map(str, dict.fromkeys(filter(None, widths))))
            raise ValueError(
                f"PReLU:num_parameters={slopes} has {slopes} slopes for layers of size {sizes}"
            )


def initialise(network: nn.Module, name: str, *, activation: TorchClassSpec) -> None:
    """Draw the weights of every layer with the initialiser `name`.

    `pca` is Kaiming normal, for the layers in parallel to the linear path. `auto` and `default`
    keep torch's uniform weights and biases within 1 / sqrt(fan_in). The gain is that of
    `activation`, and 1 for one that normalises over units, which has no gain of its own.

    Raises:
        KeyError: the name or the activation is not in its table.
    """
    if name in ("auto", "default"):
        return
    args = {key: value for key, value in activation.args.items() if key != "num_parameters"}
    is_elementwise = activation.name not in _BY_UNIT
    gain = init.activation_gain(build_activation(activation.name, **args)) if is_elementwise else 1
    draw = _WEIGHT_DRAWS["kaiming_normal" if name == "pca" else name]
    init.draw_weights(network, draw, gain=gain)
