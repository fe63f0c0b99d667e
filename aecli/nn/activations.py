"""Build activations by name, from a closed table."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from torch import nn

ACTIVATIONS: dict[str, Callable[..., nn.Module]] = {
    "CELU": nn.CELU,
    "ELU": nn.ELU,
    "GELU": nn.GELU,
    "Hardshrink": nn.Hardshrink,
    "Hardsigmoid": nn.Hardsigmoid,
    "Hardswish": nn.Hardswish,
    "Hardtanh": nn.Hardtanh,
    "Identity": nn.Identity,
    "LeakyReLU": nn.LeakyReLU,
    "LogSigmoid": nn.LogSigmoid,
    "Mish": nn.Mish,
    "PReLU": nn.PReLU,
    "ReLU": nn.ReLU,
    "ReLU6": nn.ReLU6,
    "RReLU": nn.RReLU,
    "SELU": nn.SELU,
    "SiLU": nn.SiLU,
    "Sigmoid": nn.Sigmoid,
    "Softplus": nn.Softplus,
    "Softshrink": nn.Softshrink,
    "Softsign": nn.Softsign,
    "Tanh": nn.Tanh,
    "Tanhshrink": nn.Tanhshrink,
}


def activation(name: str, **args: Any) -> nn.Module:
    """Build the activation `name` of `ACTIVATIONS` with its torch constructor arguments.

    Raises:
        KeyError: the name is not in the table.
        ValueError: the ends of an interval are in the wrong order (`Hardtanh`, `RReLU`).
    """
    if name == "Hardtanh":
        low, high = args.get("min_val", -1.0), args.get("max_val", 1.0)
        if not low < high:
            raise ValueError(f"Hardtanh: min_val={low} must be below max_val={high}")
    if name == "RReLU":
        low, high = args.get("lower", 1 / 8), args.get("upper", 1 / 3)
        if not low <= high:
            raise ValueError(f"RReLU: lower={low:g} must not exceed upper={high:g}")
    return ACTIVATIONS[name](**args)
