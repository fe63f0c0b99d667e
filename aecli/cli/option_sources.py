"""Merge what was given for each option: command line over environment over config file."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Literal

from aecli.schema.option_docs import format_value, options
from aecli.schema.options import TrainOptions
from aecli.schema.validation import validate_options

Layer = Literal["command line", "environment", "config"]


@dataclass(frozen=True)
class Given:
    """Hold one option's value and where it was given.

    `place` is the config file's name, `key` the key there where it is not the option's name.
    """

    name: str
    value: object
    layer: Layer
    place: str = ""
    key: str = ""

    @property
    def source(self) -> str:
        """Return where the value comes from, for `--print-config`."""
        file = f"{self.place}: {self.key}" if self.key else self.place
        places = {"environment": variable(self.name), "config": file}
        return places.get(self.layer, self.layer)

    def spelled(self, value: object) -> str:
        """Write the option with a value as it would stand where this one was given."""
        text = _short(value)
        if self.layer == "environment":
            return f"{variable(self.name)}={text}"
        if self.layer == "config":
            equals = " =" if self.place.endswith(".toml") else ":"
            if self.key and self.name and options()[self.name].shape == "named":
                shown = _section(str(value), equals)
            else:
                quoted = f"[{text}]" if isinstance(value, list) else text
                shown = f'"{text}"' if isinstance(value, str) else quoted
            return f"{self.key or self.name}{equals} {shown} in {self.place}"
        if isinstance(value, bool):
            return f"--{'' if value else 'no-'}{self.name.replace('_', '-')}"
        return f"--{self.name.replace('_', '-')} {text}"


def merged(
    names: Iterable[str],
    *,
    flags: Mapping[str, object],
    environ: Mapping[str, str],
    config: Mapping[str, Given],
) -> dict[str, Given]:
    """Return what was given for each of `names`, by the first layer that says something.

    An empty environment variable counts as not set. Names that no layer mentions are absent.
    """
    found: dict[str, Given] = {}
    for name in names:
        text = environ.get(variable(name), "")
        if name in flags:
            found[name] = Given(name, flags[name], "command line")
        elif text:
            found[name] = Given(name, text, "environment")
        elif name in config:
            found[name] = config[name]
    return found


def target(
    *, flags: Mapping[str, object], environ: Mapping[str, str], config: Mapping[str, Given]
) -> dict[str, Given]:
    """Return `model` and `tag` of the first layer that names either.

    They name the same thing, so a `--tag` outranks an `AECLI_MODEL`; both in one layer are returned
    together, which is an error for the caller to report.
    """
    layers: tuple[tuple[Mapping[str, object], Mapping[str, str], Mapping[str, Given]], ...] = (
        (flags, {}, {}),
        ({}, environ, {}),
        ({}, {}, config),
    )
    for flag, variables, keys in layers:
        found = merged(("model", "tag"), flags=flag, environ=variables, config=keys)
        if found:
            return found
    return {}


def validated(given: Mapping[str, Given]) -> TrainOptions:
    """Return what was given as one validated object.

    Raises:
        UsageError: a value is of the wrong type or out of bounds, or two options disagree; the
            message names the flag, variable or config key.
    """
    return validate_options(
        {name: one.value for name, one in given.items()},
        spelled=lambda name, value: given.get(name, Given(name, value, "command line")).spelled(
            value
        ),
    )


def variable(name: str) -> str:
    """Return the environment variable of an option."""
    return "AECLI_" + name.upper()


def _section(text: str, equals: str) -> str:
    """Write `Adam:eps=1e-05` as a section with a class name and its constructor arguments."""
    name, _, args = text.partition(":")
    pairs = [part.partition("=") for part in args.split(",") if part]
    numbers = [f"[{v.replace('/', ', ')}]" if "/" in v else v for _, _, v in pairs]
    inside = ", ".join(
        f"{key}{equals} {number}" for (key, _, _), number in zip(pairs, numbers, strict=True)
    )
    shown = f", init_args{equals} {{{inside}}}" if inside else ""
    return f'{{name{equals} "{name}"{shown}}}'


def _short(value: object) -> str:
    text = ",".join(map(str, value)) if isinstance(value, (list, tuple)) else format_value(value)
    return text if len(text) <= 60 else text[:59] + "…"
