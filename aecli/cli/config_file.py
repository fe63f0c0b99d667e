"""Read and write config files: keys are option names, or those of `cli.seed_config` in sections."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from aecli.cli.config_text import load_config
from aecli.cli.option_sources import PATH_KEYS, OptionValue, Settings
from aecli.cli.seed_config import SEED_SECTIONS, example, is_section, merge_flat, section_values
from aecli.errors import UsageError, nearest
from aecli.formatting import safe
from aecli.progress import SILENT, Progress
from aecli.schema.option_docs import Option, format_value, options
from aecli.schema.torch_classes import TorchClassSpec
from aecli.schema.validation import expected_value

_TOML_ESCAPES = {'"': '\\"', "\\": "\\\\", "\n": "\\n", "\t": "\\t", "\r": "\\r"}


def read_config(path: Path, *, progress: Progress = SILENT) -> dict[str, OptionValue]:
    """Return the values of a config file by option name; unused keys are a note to `progress`.

    Raises:
        UsageError: the file is unreadable or not TOML or YAML, or a key is unknown, a duplicate, or
            of the wrong type.
    """
    file, content = str(path), load_config(path)
    sections = {key: value for key, value in content.items() if is_section(key, value)}
    values = _flat_values({key: content[key] for key in content if key not in sections}, file)
    if not sections:
        return values
    in_sections, unused_keys = section_values(sections, file)
    for value in in_sections.values():
        _check_type(value)
    if unused_keys:
        progress.note(f"{file}: without effect here: {', '.join(unused_keys)}")
    return merge_flat(in_sections, values)


def _flat_values(content: Mapping[Any, Any], file: str) -> dict[str, OptionValue]:
    values: dict[str, OptionValue] = {}
    for key, value in content.items():
        name = str(key).replace("-", "_")
        if name not in options() and name not in PATH_KEYS:
            raise _unknown_key(str(key), value, file)
        if name in values:
            what = f"{file}: duplicate key {name}, with _ and with -"
            raise UsageError(what, hint=f"only one of them: {name}")
        if value is not None:
            values[name] = OptionValue(name, value, "config", file)
            _check_type(values[name])
    return values


def _check_type(value: OptionValue) -> None:
    if _fits(value.value, options().get(value.name), value.name):
        return
    need = PATH_KEYS.get(value.name) or expected_value(options()[value.name])
    if value.key:
        raise UsageError(f"{value.spell(value.value)}: must be {need}", hint=example(value))
    raise UsageError(
        f"{value.file}: {value.name} is {_kind(value.value)}; it must be {need}",
        hint="text is written in quotes" if need == "text" else "aecli train --print-config",
    )


def _fits(value: object, option: Option | None, name: str) -> bool:
    """Return whether a value has a type that the option accepts; the spec checks bounds."""
    if option is None:
        paths = value if name == "data" and isinstance(value, list) else [value]
        return all(isinstance(path, str) for path in paths)
    number = isinstance(value, (int, float)) and not isinstance(value, bool)
    match option.shape:
        case "flag":
            return isinstance(value, bool)
        case "integer" | "number":
            return number or value in option.words
        case "time":
            return number or isinstance(value, str)
        case "sizes" | "names":
            kind = str if option.shape == "names" else int
            entries = value if isinstance(value, list) else [value]
            typed = all(isinstance(v, kind) and not isinstance(v, bool) for v in entries)
            return typed or isinstance(value, str)
        case "scale":
            return isinstance(value, (str, list, dict))
    return isinstance(value, str) or (number and name in ("valid", "max_gap"))


def _unknown_key(key: str, value: object, file: str) -> UsageError:
    known = [*PATH_KEYS, *options()]
    near = nearest(key, known, file="model")
    if isinstance(value, dict):
        inside = ", ".join(map(str, value))
        facts = [f"keys are at the top level, not in sections; [{key}] contains: {inside}"]
        section = nearest(key, SEED_SECTIONS)
        facts = [*facts[: bool(inside)], *([f"did you mean {section}?"] if section else [])]
        hint = "aecli train --print-config (it prints every key)"
        return UsageError(f"{file}: unknown section {key!r}", facts=facts, hint=hint)
    return UsageError(
        f"{file}: unknown key {key!r}",
        facts=[f"did you mean {near}?"] if near else [],
        hint="aecli train --print-config (it prints every key)",
    )


def _kind(value: object) -> str:
    kinds = {bool: "true or false", int: "a number", float: "a number", str: "text"}
    kinds |= {list: "a list", dict: "a section"}
    name = kinds.get(type(value), "a date or time")
    return f"{str(value).lower()} ({name})" if isinstance(value, (bool, int, float)) else name


def format_config(settings: Settings) -> str:
    """Return every option, its value and its source, as TOML; those not set are comments."""
    lines: list[tuple[str, str]] = [
        _toml_line(name, settings.explicit[name].value, settings.explicit[name])
        for name in PATH_KEYS
        if name in settings.explicit
    ]
    values = {name: value for _, section in settings.options for name, value in section}
    section = ""
    for name, option in options().items():
        if option.section != section:
            section = option.section
            lines += [("", ""), (f"# {section}", "")]
        lines.append(_toml_line(name, values[name], settings.explicit.get(name)))
    width = min(max((len(text) for text, source in lines if source), default=0), 40)
    formatted = (f"{text:<{width}}  # {source}" if source else text for text, source in lines)
    return "\n".join(formatted).strip("\n") + "\n"


def _toml_line(name: str, value: object, explicit: OptionValue | None) -> tuple[str, str]:
    source = safe(explicit.source) if explicit else "default"
    if value is None:
        return f"# {name} =", f"{source}, not set"
    return f"{name} = {_toml_value(value)}", source


def _toml_value(value: object) -> str:
    if isinstance(value, (list, tuple)):
        return f"[{', '.join(_toml_value(part) for part in value)}]"
    if isinstance(value, (bool, int, float)):
        return format_value(value) if not isinstance(value, float) else repr(value)
    text = format_value(value) if isinstance(value, TorchClassSpec) else str(value)
    escaped = (_TOML_ESCAPES.get(c, c if c.isprintable() else _toml_escape(c)) for c in text)
    return '"' + "".join(escaped) + '"'


def _toml_escape(char: str) -> str:
    return f"\\u{ord(char):04x}" if ord(char) < 0x10000 else f"\\U{ord(char):08x}"
