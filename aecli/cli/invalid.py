"""Turn values that the spec refuses into usage errors that a person can act on."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import ValidationError

from aecli.cli.fields import Option, options, written
from aecli.cli.layers import Given
from aecli.errors import UsageError, nearest
from aecli.spec.options import TrainOptions

_EXAMPLES = {
    "sizes": "512,256,64",
    "names": "age,income",
    "time": "10m",
    "flag": "true",
    "label": "income",
    "delimiter": ";",
    "integer": "16",
    "text": "TEXT",
}


def validated(given: Mapping[str, Given], command: str) -> TrainOptions:
    """Return the options as one validated object.

    Raises:
        UsageError: a value is of the wrong type or out of bounds, or two options disagree. It
            names the flag, variable or config key, the value, what is allowed, and what to try.
    """
    try:
        return TrainOptions.from_flat({name: one.value for name, one in given.items()})
    except ValidationError as error:
        raise _explained(error, given, command) from None


def _explained(error: ValidationError, given: Mapping[str, Given], command: str) -> UsageError:
    problems: dict[str, str] = {}
    hints: list[str] = []
    for detail in error.errors():
        name = str(detail["loc"][1]) if len(detail["loc"]) > 1 else ""
        if name not in given:
            return UsageError(_reason(detail), hint=f"aecli {command} --help")
        if name not in problems:
            one, option = given[name], options()[name]
            problems[name] = f"{one.spelled(one.value)}: {_problem(option, detail)}"
            hints.append(one.spelled(_suggestion(option, one.value)))
    first, *others = problems.values()
    return UsageError(first, facts=[f"also {other}" for other in others], hint=hints[0])


def _problem(option: Option, detail: Any) -> str:
    if detail["type"] == "value_error":
        return _reason(detail)
    return f"must be {needed(option, detail['type'])}"


def needed(option: Option, kind: str = "") -> str:
    """Return what a value of an option must be, as in `a whole number, 1 to 1024`."""
    bounds = option.bounds.text()
    match option.shape:
        case "integer" | "number":
            noun = "a whole number" if option.shape == "integer" else "a number"
            return f"{noun}, {bounds}" if bounds else noun
        case "choice":
            return f"one of {', '.join(option.choices)}"
        case "sizes":
            many = ", at most 64 of them" if kind == "too_long" else ""
            return f"whole numbers such as {_EXAMPLES['sizes']}, each {bounds}{many}"
        case "names":
            return f"names or globs such as {_EXAMPLES['names']}"
        case "time":
            return "a duration above 0 such as 90s, 10m or 2h"
        case "named":
            return f"a name such as {option.default_text}"
        case "flag":
            return "true or false"
    if kind.startswith("string_too"):
        return "one character"
    return f"of the form {option.default_text}" if "pattern" in kind else "text"


def _suggestion(option: Option, value: object) -> object:
    """Return a value near what was meant that the option takes."""
    if option.shape == "choice":
        return nearest(str(value), option.choices) or option.default
    if option.shape in ("integer", "number"):
        try:
            bound = option.bounds.nearest(float(str(value)))
        except ValueError:
            bound = None
        if bound is not None:
            return bound
    if option.default is None or option.default == []:
        return _EXAMPLES.get(option.name) or _EXAMPLES[option.shape]
    return written(option.default) if option.shape == "named" else option.default


def _reason(detail: Any) -> str:
    return str(detail["msg"]).removeprefix("Value error, ")
