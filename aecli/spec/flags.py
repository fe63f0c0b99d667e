"""Write options as a person would type them on a command line."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from aecli.spec.fields import options, written
from aecli.spec.options import TrainOptions, option_names, section_of


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
