"""Checks of the constructor arguments of torch's classes, and their text."""

from __future__ import annotations

from collections.abc import Callable

Value = float | int | bool | str | tuple[float, float]

ArgumentCheck = Callable[[str, Value], Value]
"""Returns the value of a constructor argument, or raises ValueError with the argument's name."""


def choice(*choices: str) -> ArgumentCheck:
    """Return the check of a word that is one of `choices`."""

    def check(argument: str, value: Value) -> Value:
        if value not in choices:
            raise ValueError(f"{argument}={value} is not one of {', '.join(choices)}")
        return value

    return check


def flag(argument: str, value: Value) -> bool:
    """Check a flag."""
    if not isinstance(value, bool):
        raise ValueError(f"{argument}={value} must be true or false")
    return value


def number(low: float, high: float) -> ArgumentCheck:
    """Return the check of a number from `low` to `high`."""

    def check(argument: str, value: Value) -> Value:
        if isinstance(value, (str, bool, tuple)) or not low <= value <= high:
            bounds = f"from {low:g} to {high:g}"
            raise ValueError(f"{argument}={format_argument(value)} must be a number {bounds}")
        return float(value)

    return check


def integer(*allowed: int, high: int = 0) -> ArgumentCheck:
    """Return the check of an integer that is one of `allowed`, or from 1 to `high`."""
    need = " or ".join(map(str, allowed)) or f"a whole number from 1 to {high:,}"

    def check(argument: str, value: Value) -> Value:
        if not isinstance(value, (str, bool, tuple)) and value in (allowed or range(1, high + 1)):
            return int(value)
        raise ValueError(f"{argument}={format_argument(value)} must be {need}")

    return check


def pair(
    first: tuple[float, float], second: tuple[float, float], *, example: str, rising: bool = False
) -> ArgumentCheck:
    """Return the check of two numbers within their bounds; `rising` ones are in order."""
    bounds = " and ".join(
        f"from {low:g} to {high:g}" for low, high in dict.fromkeys((first, second))
    )

    def check(argument: str, value: Value) -> Value:
        text = f"{argument}={format_argument(value)}"
        if not isinstance(value, tuple) or not (
            first[0] <= value[0] <= first[1] and second[0] <= value[1] <= second[1]
        ):
            raise ValueError(f"{text} must be two numbers {bounds}, as in {example}")
        if rising and value[0] > value[1]:
            raise ValueError(f"{text} must not have a smaller second number, as in {example}")
        return value

    return check


def only(allowed: bool, reason: str) -> ArgumentCheck:
    """Return the check of a flag that has one possible value here, for a reason."""

    def check(argument: str, value: Value) -> Value:
        if flag(argument, value) != allowed:
            raise ValueError(f"{argument}={format_argument(value)} is not supported: {reason}")
        return value

    return check


def format_argument(value: Value) -> str:
    """Return a value as it is written after `NAME:ARGUMENT=`."""
    if isinstance(value, (tuple, list)):
        return "/".join(f"{number:g}" for number in value)
    if isinstance(value, bool):
        return str(value).lower()
    return f"{value:g}" if isinstance(value, float) else str(value)
