"""Describe options: flag, type, choices, bounds, default; and write their values as flags.

`--help`, the error messages, `--print-config` and the option reference in `docs/` all read these
descriptions.
"""

from __future__ import annotations

import math
import os
import shlex
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from annotated_types import Ge, Gt, Le, Lt
from pydantic.fields import FieldInfo

from aecli.remote_files.path import shown_address
from aecli.schema.option_types import SCALES, Scale, Seconds
from aecli.schema.options import OPTION_SECTIONS, TrainOptions, option_names, section_of
from aecli.schema.torch_classes import TorchClassSpec

OptionShape = Literal[
    "flag", "choice", "integer", "number", "sizes", "names", "scale", "named", "time", "text"
]

METAVARS: dict[OptionShape, str] = {
    "choice": "NAME",
    "integer": "N",
    "number": "X",
    "sizes": "N,N,…",
    "names": "NAMES",
    "scale": "[COLUMN=]NAME",
    "named": "NAME[:ARGS]",
    "time": "TIME",
    "text": "TEXT",
}

# A larger bound is not in `--help`, but in the option reference.
_DISTANT_BOUND = 1e9


@dataclass(frozen=True)
class Option:
    """Field of an option section, as an option of the command line.

    A number lies from `low` to `high`, and each of these bounds is allowed where it is `closed`;
    `words` are accepted in place of a number or of sizes. `automatic` describes the value that is
    chosen where no default is set.
    """

    name: str
    section: str
    shape: OptionShape
    default: object
    help: str
    choices: tuple[str, ...] = ()
    low: float = -math.inf
    high: float = math.inf
    low_closed: bool = True
    high_closed: bool = True
    words: tuple[str, ...] = ()
    automatic: str = ""

    @property
    def flag(self) -> str:
        """Return the flag, such as `--batch-size`."""
        return "--" + self.name.replace("_", "-")

    @property
    def metavar(self) -> str:
        """Return the placeholder of the value in `--help`."""
        return METAVARS.get(self.shape, "")

    @property
    def default_text(self) -> str:
        """Return the default as on the command line, or nothing where none is set."""
        empty = self.default is None or self.default == [] or self.default is False
        return "" if empty else format_value(self.default)

    @property
    def allowed(self) -> str:
        """Return the choices, or the range of a number without distant bounds, or nothing."""
        return ", ".join(self.choices) or self.range_text(short=True)

    def range_text(self, *, short: bool = False) -> str:
        """Return the range of a number in words, or nothing; `short` leaves out distant bounds."""
        high = math.inf if short and self.high >= _DISTANT_BOUND else self.high
        return range_text(self.low, high, low_closed=self.low_closed, high_closed=self.high_closed)

    def nearest_bound(self, value: float) -> float | None:
        """Return the closed bound that `value` is beyond, or None."""
        if value < self.low and self.low_closed:
            return self.low
        return self.high if value > self.high and self.high_closed else None


def range_text(
    low: float, high: float, *, low_closed: bool = True, high_closed: bool = True
) -> str:
    """Return the range of a number in words, or nothing where it has no finite bound."""
    least = _shortest(low) if math.isfinite(low) else ""
    most = _shortest(high) if math.isfinite(high) else ""
    if least and most and low_closed and high_closed:
        return f"{least} to {most}"
    least = least and f"{'at least' if low_closed else 'above'} {least}"
    most = most and f"{'at most' if high_closed else 'below'} {most}"
    return ", ".join(filter(None, (least, most)))


def format_value(value: object) -> str:
    """Return an option's value as a user would write it on the command line, without loss."""
    if isinstance(value, TorchClassSpec):
        args = ",".join(f"{key}={format_value(arg)}" for key, arg in value.args.items())
        return f"{value.name}:{args}" if args else value.name
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float):
        return _shortest(value)
    if isinstance(value, tuple):
        return "/".join(format_value(part) for part in value)
    if isinstance(value, list):
        return ",".join(format_value(part) for part in value)
    return str(value)


@cache
def options() -> dict[str, Option]:
    """Return the description of every option by its flat name, in the order of the sections."""
    return {
        name: _option(name, (model.__doc__ or "").strip(), field)
        for model in OPTION_SECTIONS.values()
        for name, field in model.model_fields.items()
    }


def _option(name: str, section: str, field: FieldInfo) -> Option:
    metadata = [*field.metadata, *_metadata(field.annotation)]
    inner = _inner(field.annotation)
    shape = _shape(inner, metadata)
    choices = tuple(map(str, get_args(inner))) if shape == "choice" else ()
    choices = SCALES if shape == "scale" else choices
    if shape == "sizes":
        metadata = list(_metadata(get_args(inner)[0]))
    return Option(
        name=name,
        section=section,
        shape=shape,
        default=field.get_default(),
        help=field.description or "",
        choices=choices,
        automatic=_automatic(field),
        words=_words(field.annotation) if shape in ("integer", "number", "sizes") else (),
        **(_bounds(metadata) if shape in ("integer", "number", "sizes", "time") else {}),
    )


def _automatic(field: FieldInfo) -> str:
    extra = field.json_schema_extra
    return str(extra.get("automatic", "")) if isinstance(extra, dict) else ""


def _shape(inner: Any, metadata: list[Any]) -> OptionShape:
    if get_origin(inner) is Literal:
        return "choice"
    if get_origin(inner) is list:
        return "names" if _inner(get_args(inner)[0]) is str else "sizes"
    if get_args(Scale)[1] in metadata:
        return "scale"
    if get_args(Seconds)[1] in metadata:
        return "time"
    if isinstance(inner, type) and issubclass(inner, TorchClassSpec):
        return "named"
    shapes: dict[Any, OptionShape] = {bool: "flag", int: "integer", float: "number", str: "text"}
    return shapes[inner]


def _inner(annotation: Any) -> Any:
    """Return the annotation without `Annotated[…]` and `| None`."""
    if get_origin(annotation) is Annotated:
        return _inner(get_args(annotation)[0])
    if get_origin(annotation) in (Union, UnionType):
        return _inner(next(part for part in get_args(annotation) if part is not NoneType))
    return annotation


def _words(annotation: Any) -> tuple[str, ...]:
    """Return the words that an annotation accepts in place of numbers."""
    parts = get_args(annotation) if get_origin(annotation) in (Union, UnionType) else ()
    return tuple(w for p in parts if get_origin(p) is Literal for w in get_args(p))


def _metadata(annotation: Any) -> Iterator[Any]:
    """Yield the metadata of `Annotated[…]` on the value itself, not on the entries of a list."""
    if get_origin(annotation) in (Union, UnionType):
        for part in get_args(annotation):
            yield from _metadata(part)
    elif get_origin(annotation) is Annotated:
        inner, *notes = get_args(annotation)
        yield from _metadata(inner)
        for note in notes:
            yield from note.metadata if isinstance(note, FieldInfo) else (note,)


def _bounds(metadata: list[Any]) -> dict[str, Any]:
    """Return the bounds of a number as arguments of `Option`."""
    limits: dict[str, Any] = {}
    for note in metadata:
        match note:
            case Ge():
                limits |= {"low": note.ge}
            case Gt():
                limits |= {"low": note.gt, "low_closed": False}
            case Le():
                limits |= {"high": note.le}
            case Lt():
                limits |= {"high": note.lt, "high_closed": False}
    return limits


def _shortest(value: float) -> str:
    """Write a number exactly, in the shortest form of Python: 0.001, 5, 1e-05."""
    whole = isinstance(value, int) or (abs(value) < 1e15 and value == int(value))
    return str(int(value)) if whole else repr(value)


def explicit_options(options: TrainOptions) -> dict[str, Any]:
    """Return the options that were set explicitly, by flat name, also those set to a default."""
    sections = {name: getattr(options, section_of(name)) for name in option_names()}
    return {
        name: getattr(section, name)
        for name, section in sections.items()
        if name in section.model_fields_set
    }


def as_flags(values: Mapping[str, Any]) -> list[str]:
    """Return the words of a command line that set these options."""
    words: list[str] = []
    for name, value in values.items():
        flag, text = options()[name].flag, format_value(value)
        if isinstance(value, bool):
            words.append(flag if value else f"--no-{flag[2:]}")
        elif value is not None:
            words += [f"{flag}={text}"] if text.startswith("-") else [flag, text]
    return words


def train_command(data: object, chosen: TrainOptions, model: Path) -> str:
    """Return the command that trains with these options; tables in memory are called DATA."""
    tables = [data] if isinstance(data, (str, os.PathLike)) else data
    paths = (
        [shown_address(os.fspath(path)) for path in tables]
        if isinstance(tables, (list, tuple))
        else ["DATA"]
    )
    flags = as_flags(explicit_options(chosen))
    return shlex.join(["aecli", "train", *paths, *flags, "-m", str(model)])
