"""Validate option values, and explain which one is wrong and what to try."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any

from pydantic import TypeAdapter, ValidationError

from aecli.errors import UsageError, nearest
from aecli.schema.argument_checks import ArgumentCheck, Value
from aecli.schema.option_docs import Option, format_value, options
from aecli.schema.option_types import SCALES
from aecli.schema.options import TrainOptions
from aecli.schema.torch_classes import (
    ACTIVATIONS,
    NORMS,
    OPTIMIZERS,
    REFUSED,
    REQUIRED_ARGUMENTS,
    OptimizerSpec,
    TorchClassSpec,
)
from aecli.synonyms import synonyms

OptionFormatter = Callable[[str, object], str]
"""Writes an option with a value in the syntax of its source: `--lr 20` or `lr=20`."""

_TABLES: dict[str, Mapping[str, Mapping[str, ArgumentCheck]]] = {
    "activation": ACTIVATIONS,
    "latent_activation": ACTIVATIONS,
    "norm": NORMS,
    "optimizer": OPTIMIZERS,
}

_EXAMPLES: dict[str, object] = {
    "sizes": [512, 256, 64],
    "names": "age,income",
    "time": "10m",
    "flag": True,
    "label": "income",
    "delimiter": ";",
    "thousands": ",",
    "null_values": "NA,?",
    "date_format": "%d/%m/%Y",
    "shape": "28x28",
    "max_gap": "10m",
    "noise": "mask:0.2",
    "integer": 16,
    "number": 1,
    "text": "TEXT",
}

_HELP = "aecli train --help"


def validate_options(values: Mapping[str, Any], *, spelled: OptionFormatter) -> TrainOptions:
    """Return option values by flat name as one validated object.

    Args:
        values: those that were set explicitly.
        spelled: how messages write an option with a value.

    Raises:
        UsageError: a value is of the wrong type or out of bounds, or two options contradict each
            other. It names the option, the value, what is allowed, and what to try.
        KeyError: a name is not an option.
    """
    try:
        return TrainOptions.from_flat(dict(values))
    except ValidationError as error:
        raise _usage_error(error, values, spelled) from None


def _usage_error(
    error: ValidationError, values: Mapping[str, Any], spelled: OptionFormatter
) -> UsageError:
    problems: dict[str, str] = {}
    hints: list[str | None] = []
    for detail in error.errors():
        name = str(detail["loc"][1]) if len(detail["loc"]) > 1 else ""
        if name not in values:
            contradiction = detail["ctx"]["error"]
            hint = " ".join(spelled(*pair) for pair in contradiction.change.items())
            message = _respelled(str(contradiction), values, spelled)
            return UsageError(message, hint=hint or contradiction.advice)
        if name not in problems:
            option, value = options()[name], values[name]
            problems[name] = f"{spelled(name, value)}: {_problem(option, detail)}"
            name, valid = _suggested_option(option, value)
            hints.append(_HELP if valid is None else spelled(name, valid))
    first, *others = problems.values()
    return UsageError(first, facts=[f"also {other}" for other in others], hint=hints[0])


def _problem(option: Option, detail: Any) -> str:
    if detail["type"] == "value_error":
        return str(detail["msg"]).removeprefix("Value error, ")
    return f"must be {expected_value(option, detail['type'])}"


def expected_value(option: Option, error_type: str = "") -> str:
    """Return a description of the values of an option: `a whole number, 1 to 1024`."""
    bounds, words = option.range_text(), "".join(f", or {word}" for word in option.words)
    match option.shape:
        case "integer" | "number":
            noun = "a whole number" if option.shape == "integer" else "a number"
            return (f"{noun}, {bounds}" if bounds else noun) + words
        case "choice":
            return f"one of {', '.join(option.choices)}"
        case "sizes":
            many = ", at most 64 of them" if error_type == "too_long" else ""
            example = format_value(_EXAMPLES["sizes"])
            return f"whole numbers such as {example}, each {bounds}{many}{words}"
        case "scale":
            return f"one of {', '.join(option.choices)}, or COLUMN=SCALE"
        case "names":
            kind = "texts" if option.name == "null_values" else "names or globs"
            return f"{kind} such as {_EXAMPLES.get(option.name) or _EXAMPLES['names']}"
        case "time":
            return "a duration above 0 such as 90s, 10m or 2h"
        case "named":
            return f"a name such as {option.default_text or 'Tanh'}"
        case "flag":
            return "true or false"
    if error_type.startswith("string_too"):
        return "one character"
    return f"of the form {option.default_text}" if "pattern" in error_type else "text"


def _suggested_option(option: Option, value: object) -> tuple[str, object]:
    """Return the option and value to set instead of an invalid one; None where none is near."""
    if option.name == "arch" and "variational" in synonyms(str(value).casefold()):
        return "variational", True
    return option.name, _suggestion(option, value)


def _suggestion(option: Option, value: object) -> object:
    """Return a valid value close to the invalid one; None where no word is close."""
    if option.name == "valid":
        kind = str(value).partition(":")[0]
        return {"last": "last:0.1", "group": "group:customer"}.get(kind, option.default)
    if option.shape == "choice":
        return nearest(str(value), option.choices)
    if option.shape == "scale":
        return _scale_suggestion(value)
    if option.shape == "sizes":
        sizes = _sizes(value) or nearest(str(value), option.words)
        if sizes:
            return sizes
    if option.name == "optimizer" and (optimizer := _with_momentum(value)):
        return optimizer
    if option.shape == "named":
        return _named_suggestion(option, str(value))
    if option.shape in ("integer", "number"):
        nearest_valid = _nearest_valid(option, value)
        if nearest_valid is not None:
            return nearest_valid
    if option.name in _EXAMPLES or option.default is None or option.default == []:
        return _EXAMPLES.get(option.name) or _EXAMPLES[option.shape]
    return option.default


def _named_suggestion(option: Option, text: str) -> str | None:
    """Return the class that is meant, with its valid arguments, else the default."""
    name = text.partition(":")[0]
    if name.casefold() in map(str.casefold, REFUSED):
        return option.default_text or "Tanh"
    near = nearest(name, list(_TABLES[option.name]))
    if near is None or near in REQUIRED_ARGUMENTS:
        return near and f"{near}:{REQUIRED_ARGUMENTS[near]}"
    return str(TorchClassSpec(name=near, args=_valid_arguments(_TABLES[option.name][near], text)))


def _valid_arguments(checks: Mapping[str, ArgumentCheck], text: str) -> dict[str, Value]:
    """Return the arguments of `NAME:ARGS` that are valid alone; none where the text is unclear."""
    try:
        args = TorchClassSpec.model_validate(text).args
    except ValidationError:
        return {}
    valid: dict[str, Value] = {}
    for key, value in args.items():
        with suppress(ValueError, KeyError):
            valid[key] = checks[key](key, value)
    return valid


def _scale_suggestion(value: object) -> str | None:
    """Return the first part of a scale that is not valid, with the scale that is meant."""
    if isinstance(value, Mapping):
        value = [f"{pattern}={scale}" for pattern, scale in value.items()]
    parts = ",".join(map(str, value)) if isinstance(value, (list, tuple)) else str(value)
    for part in parts.split(","):
        pattern, equals, word = part.rpartition("=")
        if word.strip() not in SCALES:
            near = nearest(word.strip(), SCALES)
            return near and f"{pattern}{equals}{near}"
    return None


def _nearest_valid(option: Option, value: object) -> float | str | None:
    """Return the bound that a number exceeds, or the most similar word."""
    try:
        return option.nearest_bound(float(str(value)))
    except ValueError:
        return nearest(str(value), option.words)


def _sizes(value: object) -> list[int] | None:
    """Return the sizes of a text without its empty entries; None if an entry is not a size."""
    pieces = [piece.strip() for piece in str(value).split(",") if piece.strip()]
    plain = all(re.fullmatch(r"[1-9][0-9]{0,3}", piece) for piece in pieces)
    return [int(piece) for piece in pieces] if plain and 0 < len(pieces) <= 64 else None


def _with_momentum(value: object) -> str | None:
    """Return an optimizer with `nesterov` and a momentum; None for one without `nesterov`."""
    try:
        optimizer = TypeAdapter[TorchClassSpec](OptimizerSpec).validate_python(value)
    except ValidationError:
        return None
    args = {key: arg for key, arg in optimizer.args.items() if key not in ("momentum", "dampening")}
    if not args.get("nesterov"):
        return None
    return str(TorchClassSpec(name=optimizer.name, args={"momentum": 0.9, **args}))


def _respelled(message: str, values: Mapping[str, Any], spelled: OptionFormatter) -> str:
    """Return a message with its flags in the syntax of their sources."""

    def respelled(flag: re.Match[str]) -> str:
        name = flag[1].replace("-", "_")
        return spelled(name, values[name]) if name in values else flag[0]

    return re.sub(r"--([a-z0-9-]+) \d[\w.,]*", respelled, message)
