"""Write options as a person would type them on a command line."""

from __future__ import annotations

import os
import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from aecli.schema.option_docs import options, written
from aecli.schema.options import TrainOptions, option_names, section_of


def given_options(chosen: TrainOptions) -> dict[str, Any]:
    """Return the options that were given, whatever their values, by flat name."""
    sections = {name: getattr(chosen, section_of(name)) for name in option_names()}
    return {
        name: getattr(section, name)
        for name, section in sections.items()
        if name in section.model_fields_set
    }


def as_flags(values: Mapping[str, Any]) -> list[str]:
    """Return the words of a command line that give these options."""
    words: list[str] = []
    for name, value in values.items():
        flag, text = options()[name].flag, written(value)
        if isinstance(value, bool):
            words.append(flag if value else f"--no-{flag[2:]}")
        elif value is not None:
            words += [f"{flag}={text}"] if text.startswith("-") else [flag, text]
    return words


def train_command(data: object, chosen: TrainOptions, model: Path) -> str:
    """Return the command that trains with these options; tables in memory are called DATA."""
    given = [data] if isinstance(data, (str, os.PathLike)) else data
    listed = given if isinstance(given, (list, tuple)) else ["DATA"]
    paths = [os.fspath(path) for path in listed]
    flags = as_flags(given_options(chosen))
    return shlex.join(["aecli", "train", *paths, *flags, "-m", str(model)])
