"""Closed tables of activations, optimizers, norms and initialisers, with arguments and bounds.

A name in a config or a model directory must be a key here. `model.layers` and
`training.optimizers` look up the torch classes of these keys once, when they are imported.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Annotated, Any

from pydantic import AfterValidator, model_validator

from aecli.errors import nearest
from aecli.schema.argument_checks import (
    ArgumentCheck,
    Value,
    choice,
    flag,
    format_argument,
    integer,
    number,
    only,
    pair,
)
from aecli.schema.option_types import StrictModel

_SLOPE = number(0.0, 1.0)
_POSITIVE = number(1e-12, 1e6)
_ANY = number(-1e6, 1e6)
_DECAY = number(0.0, 1.0)
_BETAS = pair((0.0, 0.9999999), (0.0, 0.9999999), example="0.9/0.999")
_FEATURES = integer(1, -1)

ACTIVATIONS: dict[str, dict[str, ArgumentCheck]] = {
    "CELU": {"alpha": _POSITIVE},
    "ELU": {"alpha": _POSITIVE},
    "GELU": {"approximate": choice("none", "tanh")},
    "Hardshrink": {"lambd": _POSITIVE},
    "Hardsigmoid": {},
    "Hardswish": {},
    "Hardtanh": {"min_val": _ANY, "max_val": _ANY},
    "Identity": {},
    "LeakyReLU": {"negative_slope": _SLOPE},
    "LogSigmoid": {},
    "LogSoftmax": {"dim": _FEATURES},
    "Mish": {},
    "PReLU": {"num_parameters": integer(high=65_536), "init": _SLOPE},
    "ReLU": {},
    "ReLU6": {},
    "RReLU": {"lower": _SLOPE, "upper": _SLOPE},
    "SELU": {},
    "SiLU": {},
    "Sigmoid": {},
    "Softmax": {"dim": _FEATURES},
    "Softmin": {"dim": _FEATURES},
    "Softplus": {"beta": _POSITIVE, "threshold": _POSITIVE},
    "Softshrink": {"lambd": _POSITIVE},
    "Softsign": {},
    "Tanh": {},
    "Tanhshrink": {},
    "Threshold": {"threshold": _ANY, "value": _ANY},
}

OPTIMIZERS: dict[str, dict[str, ArgumentCheck]] = {
    "ASGD": {"lambd": _DECAY, "alpha": _DECAY, "t0": _POSITIVE, "weight_decay": _DECAY},
    "Adadelta": {"rho": _DECAY, "eps": _POSITIVE, "weight_decay": _DECAY},
    "Adafactor": {
        "beta2_decay": number(-1.0, 0.0),
        # A smaller one is 0 when torch squares it in float32, and units without a gradient get NaN.
        "eps": pair((1e-18, 1.0), (0.0, 1.0), example="1e-16/0.001"),
        "d": number(1.0, 1e6),
        "weight_decay": _DECAY,
    },
    "Adagrad": {
        "lr_decay": _DECAY,
        "weight_decay": _DECAY,
        "initial_accumulator_value": number(0.0, 1e6),
        "eps": _POSITIVE,
    },
    "Adam": {
        "betas": _BETAS,
        "eps": _POSITIVE,
        "weight_decay": _DECAY,
        "amsgrad": flag,
        "decoupled_weight_decay": flag,
    },
    "AdamW": {"betas": _BETAS, "eps": _POSITIVE, "weight_decay": _DECAY, "amsgrad": flag},
    "Adamax": {"betas": _BETAS, "eps": _POSITIVE, "weight_decay": _DECAY},
    "NAdam": {
        "betas": _BETAS,
        "eps": _POSITIVE,
        "weight_decay": _DECAY,
        "momentum_decay": _DECAY,
        "decoupled_weight_decay": flag,
    },
    "RAdam": {
        "betas": _BETAS,
        "eps": _POSITIVE,
        "weight_decay": _DECAY,
        "decoupled_weight_decay": flag,
    },
    "RMSprop": {
        "alpha": _DECAY,
        "eps": _POSITIVE,
        "weight_decay": _DECAY,
        "momentum": _DECAY,
        "centered": flag,
    },
    "Rprop": {
        "etas": pair((1e-6, 0.999999), (1.000001, 1e3), example="0.5/1.2"),
        "step_sizes": pair((1e-12, 1e6), (1e-12, 1e6), example="1e-06/50", rising=True),
    },
    "SGD": {
        "momentum": _DECAY,
        "dampening": _DECAY,
        "weight_decay": _DECAY,
        "nesterov": flag,
    },
}

_MAXIMIZE = only(False, "training minimises the loss")

LEARNING_RATES: dict[str, float] = {
    "ASGD": 0.01,
    "Adadelta": 1.0,
    "Adafactor": 0.01,
    "Adagrad": 0.01,
    "Adam": 0.001,
    "AdamW": 0.001,
    "Adamax": 0.002,
    "NAdam": 0.002,
    "RAdam": 0.001,
    "RMSprop": 0.01,
    "Rprop": 0.01,
    "SGD": 0.001,
}
"""Default learning rates of `torch.optim`."""

FULL_BATCH_OPTIMIZERS = ("Rprop",)
"""Optimizers whose steps compare gradients of the same rows, and that determine the step size."""

NORMS: dict[str, dict[str, ArgumentCheck]] = {
    "none": {},
    "batch": {
        "eps": _POSITIVE,
        "momentum": _DECAY,
        "affine": flag,
        "bias": flag,
        "track_running_stats": only(
            True, "the latent of a row would depend on the other rows of its batch"
        ),
    },
    "instance": {
        "eps": _POSITIVE,
        "affine": flag,
        "bias": flag,
        "track_running_stats": only(
            False, "each row has its own statistics, so there are none to average"
        ),
    },
    "layer": {"eps": _POSITIVE, "elementwise_affine": flag, "bias": flag},
}

REFUSED: dict[str, str] = {
    "GLU": "it halves the number of units; SiLU is a gate that keeps it",
    "MultiheadAttention": "it takes queries, keys and values; it is in --arch transformer",
    "Softmax2d": "it is Softmax over the channels of an image, as Softmax is in conv2d",
    "Hardtanh:min_value": "its name is min_val",
    "Hardtanh:max_value": "its name is max_val",
    "LBFGS": "it needs the same rows in each step, and each training step has others",
    "Muon": "it is for matrices only, and layers also have biases",
    "SparseAdam": "it is for sparse gradients, and those of tables are dense",
    "instance:momentum": "it is for running statistics, which instance does not have",
}
"""Reason why a class of torch, or an argument as `NAME:ARGUMENT`, is not in the tables."""

REQUIRED_ARGUMENTS: dict[str, str] = {"Threshold": "threshold=0.1,value=0"}
"""Example of the arguments that a class has no default for."""

COMPUTATION_ARGUMENTS = frozenset(
    {"inplace", "device", "dtype", "foreach", "fused", "capturable", "differentiable"}
)
"""Arguments of torch that change how numbers are computed, not the numbers."""

_REFUSED_ARGUMENTS = {
    "lr": "the learning rate is --lr",
} | dict.fromkeys(COMPUTATION_ARGUMENTS, "it changes how numbers are computed, not the numbers")

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
    "uniform",
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
        args = ",".join(f"{key}={format_argument(value)}" for key, value in self.args.items())
        return f"{self.name}:{args}" if args else self.name


def _canonical(
    table: Mapping[str, Mapping[str, ArgumentCheck]], table_name: str, spec: TorchClassSpec
) -> TorchClassSpec:
    """Return a spec in the spelling of its table, with its arguments checked."""
    folded = {name.casefold(): name for name in (*table, *REFUSED)}
    name = folded.get(spec.name.casefold())
    if name is not None and name not in table:
        raise ValueError(f"{name} is not supported as {table_name}: {REFUSED[name]}")
    if name is None:
        near = nearest(spec.name, list(table))
        advice = f"did you mean {near}?" if near else f"known: {', '.join(table)}"
        raise ValueError(f"unknown {table_name} {spec.name!r}; {advice}")
    arguments = table[name]
    args = {key: _checked_value(name, key, value, arguments) for key, value in spec.args.items()}
    if example := REQUIRED_ARGUMENTS.get(name):
        missing = [argument for argument in arguments if argument not in args]
        if missing:
            raise ValueError(f"{name} needs {' and '.join(missing)}, as in {name}:{example}")
    return spec.model_copy(update={"name": name, "args": args})


def _minimising(spec: TorchClassSpec) -> TorchClassSpec:
    """Return an optimizer without `maximize=false`, which each of them has here."""
    args = dict(spec.args)
    _MAXIMIZE(f"{spec.name}:maximize", args.pop("maximize", False))
    return spec.model_copy(update={"args": args})


ActivationSpec = Annotated[
    TorchClassSpec, AfterValidator(partial(_canonical, ACTIVATIONS, "activation"))
]
OptimizerSpec = Annotated[
    TorchClassSpec,
    AfterValidator(_minimising),
    AfterValidator(partial(_canonical, OPTIMIZERS, "optimizer")),
]
NormSpec = Annotated[TorchClassSpec, AfterValidator(partial(_canonical, NORMS, "norm"))]


def _checked_value(
    name: str, key: str, value: Value, arguments: Mapping[str, ArgumentCheck]
) -> Value:
    if key in arguments:
        return arguments[key](f"{name}:{key}", value)
    known = ", ".join(arguments) if arguments else "no arguments"
    advice = _REFUSED_ARGUMENTS.get(key) or REFUSED.get(f"{name}:{key}") or f"it takes {known}"
    raise ValueError(f"{name} has no argument {key!r}; {advice}")


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
