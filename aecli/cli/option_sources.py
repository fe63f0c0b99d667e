"""Merge the values of options: command line over environment over config file; validate them."""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import click

from aecli.errors import UsageError, nearest
from aecli.model_directory.location import model_directory
from aecli.model_directory.spec_file import is_model
from aecli.remote_files.path import location
from aecli.schema.option_docs import format_value, options
from aecli.schema.options import TrainOptions
from aecli.schema.read_options import ReadOptions
from aecli.schema.validation import validate_options

Layer = Literal["command line", "environment", "config"]

PATH_KEYS = {"data": "a path or a list of paths", "model": "a path", "tag": "a name"}
"""Keys of a config file that are not options of the spec, with their types."""


@dataclass(frozen=True)
class OptionValue:
    """Value of one option, and where it was set.

    `file` is the name of the config file, `key` the key there where it is not the option's name.
    """

    name: str
    value: object
    layer: Layer
    file: str = ""
    key: str = ""

    @property
    def source(self) -> str:
        """Return where the value comes from, for `--print-config`."""
        key = f"{self.file}: {self.key}" if self.key else self.file
        sources = {"environment": environment_variable(self.name), "config": key}
        return sources.get(self.layer, self.layer)

    def spell(self, value: object) -> str:
        """Write the option with another value, in the syntax of the layer that set this value."""
        text = _abbreviated(value)
        if self.layer == "environment":
            return f"{environment_variable(self.name)}={text}"
        if self.layer == "config":
            equals = " =" if self.file.endswith(".toml") else ":"
            if self.key and self.name and options()[self.name].shape == "named":
                shown = _class_section(str(value), equals)
            else:
                quoted = f"[{text}]" if isinstance(value, list) else text
                shown = f'"{text}"' if isinstance(value, str) else quoted
            return f"{self.key or self.name}{equals} {shown} in {self.file}"
        if isinstance(value, bool):
            return f"--{'' if value else 'no-'}{self.name.replace('_', '-')}"
        return f"--{self.name.replace('_', '-')} {text}"


@dataclass(frozen=True)
class Settings:
    """Merged and validated options of one command line.

    `explicit` has the values that some layer set, by name, `data`, `model` and `tag` included.
    """

    options: TrainOptions
    explicit: Mapping[str, OptionValue]

    @property
    def device(self) -> str:
        """Return the device to compute on."""
        return self.options.training.device

    @property
    def threads(self) -> int | None:
        """Return the number of CPU threads, or None for up to all cores."""
        return self.options.training.threads

    @property
    def read(self) -> ReadOptions:
        """Return the options of reading tables."""
        return self.options.read

    @property
    def data(self) -> str | list[str]:
        """Return the path of the table, or a list of other than one path."""
        value = self.explicit["data"].value if "data" in self.explicit else ()
        paths = [value] if isinstance(value, str) else list(value)  # type: ignore[call-overload]
        return one_or_several(paths) or []

    @property
    def model(self) -> Path:
        """Return the model directory.

        Raises:
            UsageError: one layer sets both `model` and `tag`.
        """
        model, tag = (
            str(self.explicit[name].value) if name in self.explicit else None
            for name in ("model", "tag")
        )
        return model_directory(model, tag)

    def model_and_data(self) -> tuple[Path, str | list[str] | None]:
        """Return the model directory and the tables; the first of DATA may be the directory.

        Raises:
            UsageError: the command line names the model twice, or one layer sets model and tag.
        """
        data = self.data
        paths = [data] if isinstance(data, str) else data
        model, tables = self.model_and_rest(paths)
        return model, one_or_several(tables)

    def model_and_rest(self, arguments: Sequence[str]) -> tuple[Path, list[str]]:
        """Return the model directory, which may be the first argument, and the other arguments.

        Raises:
            UsageError: the command line names the model twice, or one layer sets model and tag.
        """
        if not arguments or not is_model(arguments[0]):
            return self.model, list(arguments)
        return self.model_or(arguments[0]), list(arguments[1:])

    def model_or(self, argument: str | None) -> Path:
        """Return the argument as the model directory, or without it the one of the options.

        Raises:
            UsageError: the command line names the model twice, or one layer sets model and tag.
        """
        if argument is None:
            return self.model
        if self.model_option:
            raise UsageError(
                f"{argument} and {self.model_option} both name the model",
                hint="give only one of them",
            )
        return location(argument)

    def model_and_table(self) -> tuple[Path, str | list[str]]:
        """Return the model directory and the tables, of which there must be one.

        Raises:
            UsageError: there is none, or as for `model_and_data`.
        """
        model, data = self.model_and_data()
        if data is None:
            command = click.get_current_context().command_path
            raise UsageError(
                f"the table is missing: {model} is a model directory",
                hint=f"{command} {shlex.quote(str(model))} data.parquet",
            )
        return model, data

    @property
    def model_option(self) -> str:
        """Return `--model` or `--tag` with its value, as on the command line; else nothing."""
        values = (self.explicit.get(name) for name in ("model", "tag"))
        return " and ".join(
            value.spell(value.value)
            for value in values
            if value is not None and value.layer == "command line"
        )


def one_or_several(paths: list[str]) -> str | list[str] | None:
    """Return one path, or a list of several; None where there is none."""
    return None if not paths else paths[0] if len(paths) == 1 else paths


def merge(
    names: Iterable[str],
    *,
    flags: Mapping[str, object],
    environ: Mapping[str, str],
    config: Mapping[str, OptionValue],
) -> dict[str, OptionValue]:
    """Return the value of each of `names` from the first layer that sets it.

    An empty environment variable counts as not set. Names that no layer sets are absent.
    """
    values: dict[str, OptionValue] = {}
    for name in names:
        text = environ.get(environment_variable(name), "")
        if name in flags:
            values[name] = OptionValue(name, flags[name], "command line")
        elif text:
            values[name] = OptionValue(name, text, "environment")
        elif name in config:
            values[name] = config[name]
    return values


def merge_model(
    *, flags: Mapping[str, object], environ: Mapping[str, str], config: Mapping[str, OptionValue]
) -> dict[str, OptionValue]:
    """Return `model` and `tag` of the first layer that sets either.

    They name the same directory, so `--tag` overrides `AECLI_MODEL`. Both of one layer are returned
    together, which the caller reports as an error.
    """
    layers: tuple[tuple[Mapping[str, object], Mapping[str, str], Mapping[str, OptionValue]], ...]
    layers = ((flags, {}, {}), ({}, environ, {}), ({}, {}, config))
    for flag_layer, environ_layer, config_layer in layers:
        values = merge(
            ("model", "tag"), flags=flag_layer, environ=environ_layer, config=config_layer
        )
        if values:
            return values
    return {}


def validate(values: Mapping[str, OptionValue]) -> TrainOptions:
    """Return the values as one validated object.

    Raises:
        UsageError: a value is of the wrong type or out of bounds, or two options contradict each
            other; the message names the flag, variable or config key.
    """
    return validate_options(
        {name: value.value for name, value in values.items()},
        spelled=lambda name, value: values.get(
            name, OptionValue(name, value, "command line")
        ).spell(value),
    )


def environment_variable(name: str) -> str:
    """Return the environment variable of an option."""
    return "AECLI_" + name.upper()


def require_known_variables(environ: Mapping[str, str]) -> None:
    """Raise UsageError where an `AECLI_…` variable is not that of an option.

    An empty variable counts as not set.
    """
    known = [environment_variable(name) for name in (*options(), "model", "tag")]
    for name, text in environ.items():
        if not text or not name.startswith(environment_variable("")) or name in known:
            continue
        words = {variable.removeprefix("AECLI_"): variable for variable in known}
        near = nearest(name.removeprefix("AECLI_"), list(words), file="MODEL")
        raise UsageError(
            f"the environment variable {name}={_abbreviated(text)} is not that of an option",
            facts=[f"did you mean {words[near]}?"] if near else [],
            hint=f"unset {name}",
        )


def _class_section(text: str, equals: str) -> str:
    """Write `Adam:eps=1e-05` as a section with a class name and its constructor arguments."""
    name, _, args = text.partition(":")
    pairs = [part.partition("=") for part in args.split(",") if part]
    numbers = [f"[{v.replace('/', ', ')}]" if "/" in v else v for _, _, v in pairs]
    inside = ", ".join(
        f"{key}{equals} {number}" for (key, _, _), number in zip(pairs, numbers, strict=True)
    )
    shown = f", init_args{equals} {{{inside}}}" if inside else ""
    return f'{{name{equals} "{name}"{shown}}}'


def _abbreviated(value: object) -> str:
    text = ",".join(map(str, value)) if isinstance(value, (list, tuple)) else format_value(value)
    return text if len(text) <= 60 else text[:59] + "…"
