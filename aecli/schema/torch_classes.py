"""Closed tables of activations, optimizers, norms and initialisers, with arguments and bounds.

A name in a config or a model directory must be a key here. `model.layers` and
`training.optimizers` look up the torch classes of these keys once, when they are imported.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Annotated, Any

from pydantic import AfterValidator, model_validator

from aecli.errors import nearest
from aecli.schema.option_types import StrictModel

Value = float | int | bool | str | tuple[float, float]

ArgumentCheck = Callable[[str, Value], Value]
"""Returns the value of a constructor argument, or raises ValueError with the argument's name."""


def _choice(*choices: str) -> ArgumentCheck:
    def check(argument: str, value: Value) -> Value:
        if value not in choices:
            raise ValueError(f"{argument}={value} is not one of {', '.join(choices)}")
        return value

    return check


def _flag(argument: str, value: Value) -> Value:
    if not isinstance(value, bool):
        raise ValueError(f"{argument}={value} must be true or false")
    return value


def _number(low: float, high: float) -> ArgumentCheck:
    def check(argument: str, value: Value) -> Value:
        if isinstance(value, (str, bool, tuple)) or not low <= value <= high:
            bounds = f"from {low:g} to {high:g}"
            raise ValueError(f"{argument}={_format_value(value)} must be a number {bounds}")
        return float(value)

    return check


def _pair(low: float, high: float) -> ArgumentCheck:
    def check(argument: str, value: Value) -> Value:
        if not isinstance(value, tuple) or not all(low <= number <= high for number in value):
            bounds = f"from {low:g} to {high:g}, as in 0.9/0.999"
            raise ValueError(f"{argument}={_format_value(value)} must be two numbers {bounds}")
        return value

    return check


_SLOPE = _number(0.0, 1.0)
_POSITIVE = _number(1e-12, 1e6)
_ANY = _number(-1e6, 1e6)
_DECAY = _number(0.0, 1.0)
_BETAS = _pair(0.0, 0.9999999)

ACTIVATIONS: dict[str, dict[str, ArgumentCheck]] = {
    "CELU": {"alpha": _POSITIVE},
    "ELU": {"alpha": _POSITIVE},
    "GELU": {"approximate": _choice("none", "tanh")},
    "Hardshrink": {"lambd": _POSITIVE},
    "Hardsigmoid": {},
    "Hardswish": {},
    "Hardtanh": {"min_val": _ANY, "max_val": _ANY},
    "Identity": {},
    "LeakyReLU": {"negative_slope": _SLOPE},
    "LogSigmoid": {},
    "Mish": {},
    "PReLU": {"init": _SLOPE},
    "ReLU": {},
    "ReLU6": {},
    "RReLU": {"lower": _SLOPE, "upper": _SLOPE},
    "SELU": {},
    "SiLU": {},
    "Sigmoid": {},
    "Softplus": {"beta": _POSITIVE, "threshold": _POSITIVE},
    "Softshrink": {"lambd": _POSITIVE},
    "Softsign": {},
    "Tanh": {},
    "Tanhshrink": {},
}

OPTIMIZERS: dict[str, dict[str, ArgumentCheck]] = {
    "ASGD": {"lambd": _DECAY, "alpha": _DECAY, "t0": _POSITIVE, "weight_decay": _DECAY},
    "Adadelta": {"rho": _DECAY, "eps": _POSITIVE, "weight_decay": _DECAY},
    "Adafactor": {"d": _POSITIVE, "weight_decay": _DECAY},
    "Adagrad": {"lr_decay": _DECAY, "weight_decay": _DECAY, "eps": _POSITIVE},
    "Adam": {"betas": _BETAS, "eps": _POSITIVE, "weight_decay": _DECAY, "amsgrad": _flag},
    "AdamW": {"betas": _BETAS, "eps": _POSITIVE, "weight_decay": _DECAY, "amsgrad": _flag},
    "Adamax": {"betas": _BETAS, "eps": _POSITIVE, "weight_decay": _DECAY},
    "NAdam": {"betas": _BETAS, "eps": _POSITIVE, "weight_decay": _DECAY, "momentum_decay": _DECAY},
    "RAdam": {"betas": _BETAS, "eps": _POSITIVE, "weight_decay": _DECAY},
    "RMSprop": {
        "alpha": _DECAY,
        "eps": _POSITIVE,
        "weight_decay": _DECAY,
        "momentum": _DECAY,
        "centered": _flag,
    },
    "SGD": {
        "momentum": _DECAY,
        "dampening": _DECAY,
        "weight_decay": _DECAY,
        "nesterov": _flag,
    },
}

NORMS: dict[str, dict[str, ArgumentCheck]] = {
    "none": {},
    "batch": {"eps": _POSITIVE, "momentum": _DECAY, "affine": _flag},
    "instance": {"eps": _POSITIVE, "affine": _flag},
    "layer": {"eps": _POSITIVE, "elementwise_affine": _flag},
}

ARCHITECTURES = ("mlp", "conv2d", "vanilla", "conv1d", "lstm", "transformer")

INITIALISERS = (
    "auto",
    "default",
    "xavier_uniform",
    "xavier_normal",
    "kaiming_uniform",
    "kaiming_normal",
    "orthogonal",
    "normal",
    "pca",
)


class TorchClassSpec(StrictModel):
    """Name of a closed table and its constructor arguments: `LeakyReLU:negative_slope=0.1`."""

    name: str
    args: dict[str, Value] = {}

    @model_validator(mode="before")
    @classmethod
    def _from_text(cls, value: Any) -> Any:
        if not isinstance(value, str):
            return value
        name, _, rest = value.partition(":")
        return {"name": name.strip(), "args": _parse_arguments(rest)}

    def __str__(self) -> str:
        args = ",".join(f"{key}={_format_value(value)}" for key, value in self.args.items())
        return f"{self.name}:{args}" if args else self.name


def _canonical(
    table: Mapping[str, Mapping[str, ArgumentCheck]], table_name: str, spec: TorchClassSpec
) -> TorchClassSpec:
    """Return a spec in the spelling of its table, with its arguments checked."""
    folded = {name.casefold(): name for name in table}
    name = folded.get(spec.name.casefold())
    if name is None:
        near = nearest(spec.name, list(table))
        advice = f"did you mean {near}?" if near else f"known: {', '.join(table)}"
        raise ValueError(f"unknown {table_name} {spec.name!r}; {advice}")
    arguments = table[name]
    args = {key: _checked_value(name, key, value, arguments) for key, value in spec.args.items()}
    return spec.model_copy(update={"name": name, "args": args})


ActivationSpec = Annotated[
    TorchClassSpec, AfterValidator(partial(_canonical, ACTIVATIONS, "activation"))
]
OptimizerSpec = Annotated[
    TorchClassSpec, AfterValidator(partial(_canonical, OPTIMIZERS, "optimizer"))
]
NormSpec = Annotated[TorchClassSpec, AfterValidator(partial(_canonical, NORMS, "norm"))]


def _checked_value(
    name: str, key: str, value: Value, arguments: Mapping[str, ArgumentCheck]
) -> Value:
    if key not in arguments:
        known = ", ".join(arguments) if arguments else "no arguments"
        raise ValueError(f"{name} has no argument {key!r}; it takes {known}")
    return arguments[key](f"{name}:{key}", value)


def _parse_arguments(text: str) -> dict[str, Value]:
    args: dict[str, Value] = {}
    for part in filter(None, (piece.strip() for piece in text.split(","))):
        key, equals, value = part.partition("=")
        if not equals and _is_number(part):
            raise ValueError(
                f"{part!r} is not an argument; a pair is written as in betas=0.9/0.999"
            )
        if not equals:
            raise ValueError(f"argument {part!r} needs a value, as in {part}=0.1")
        args[key.strip()] = _parse_value(value.strip())
    return args


def _is_number(text: str) -> bool:
    return not isinstance(_parse_value(text), (str, bool))


def _parse_value(text: str) -> Value:
    if text.casefold() in ("true", "false"):
        return text.casefold() == "true"
    first, slash, second = text.partition("/")
    try:
        return (float(first), float(second)) if slash else float(text)
    except ValueError:
        return text


def _format_value(value: Value) -> str:
    if isinstance(value, (tuple, list)):
        return "/".join(f"{number:g}" for number in value)
    if isinstance(value, bool):
        return str(value).lower()
    return f"{value:g}" if isinstance(value, float) else str(value)
