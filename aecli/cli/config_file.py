"""Read a config file: TOML or YAML, keys that are the option names, or those of `cli.nested`."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from aecli.cli.option_sources import Given
from aecli.cli.seed_config import SECTIONS, Nested, example, is_section
from aecli.errors import UsageError, nearest
from aecli.schema.option_docs import Option, options
from aecli.schema.validation import expected_value

_WRITE_ONE = "aecli train --print-config > run.toml, and change that"
# Keys of a config file that are no option of the spec: what they must be.
PLACES = {"data": "a path or a list of paths", "model": "a path", "tag": "a name"}


def read_config(path: Path) -> dict[str, Given]:
    """Return what a config file gives, by option name.

    Raises:
        UsageError: the file is unreadable or no TOML or YAML, or a key is unknown, there twice, or
            of the wrong type.
    """
    place, parsed = str(path), _parsed(path)
    sections = {key: value for key, value in parsed.items() if is_section(key, value)}
    found = _flat({key: parsed[key] for key in parsed if key not in sections}, place)
    if not sections:
        return found
    nested = Nested(sections, place)
    for given in nested.given.values():
        _check(given)
    nested.tell()
    return nested.beside(found)


def _flat(values: Mapping[Any, Any], place: str) -> dict[str, Given]:
    found: dict[str, Given] = {}
    for key, value in values.items():
        name = str(key).replace("-", "_")
        if name not in options() and name not in PLACES:
            raise _unknown(str(key), value, place)
        if name in found:
            what = f"{place}: {name} is there twice, with _ and with -"
            raise UsageError(what, hint=f"{name} alone")
        if value is not None:
            found[name] = Given(name, value, "config", place)
            _check(found[name])
    return found


def _check(given: Given) -> None:
    if _fits(given.value, options().get(given.name), given.name):
        return
    need = PLACES.get(given.name) or expected_value(options()[given.name])
    if given.key:
        raise UsageError(f"{given.spelled(given.value)}: must be {need}", hint=example(given))
    raise UsageError(
        f"{given.place}: {given.name} is {_kind(given.value)}; it must be {need}",
        hint="write text in quotes" if need == "text" else "aecli train --print-config",
    )


def _parsed(path: Path) -> Mapping[Any, Any]:
    try:
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise UsageError(f"{path}: byte {error.start} is no UTF-8", hint=_WRITE_ONE) from None
    except OSError as error:
        raise UsageError(
            f"cannot read the config file {path}: {error.strerror}", hint=_WRITE_ONE
        ) from None
    match path.suffix.lower():
        case ".toml":
            return _toml(text, path)
        case ".yaml" | ".yml":
            return _yaml(text, path)
    raise UsageError(
        f"{path}: a config file is TOML or YAML, by its name", hint=f"{path.stem}.toml or .yaml"
    )


def _toml(text: str, path: Path) -> Mapping[Any, Any]:
    try:
        return tomllib.loads(text)
    except (ValueError, RecursionError) as error:
        twice = re.match(r"Cannot overwrite a value(.*)", str(error))
        what = f"a key is there twice{twice[1]}" if twice else str(error)
        raise UsageError(f"{path} is no valid TOML: {what}", hint=_WRITE_ONE) from None


def _yaml(text: str, path: Path) -> Mapping[Any, Any]:
    try:
        found = yaml.load(text, Loader=_CoreLoader)
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        mark = getattr(error, "problem_mark", None)
        where = f" at line {mark.line + 1}" if mark else ""
        problem = getattr(error, "problem", None) or str(error).splitlines()[0]
        raise UsageError(f"{path} is no valid YAML{where}: {problem}", hint=_WRITE_ONE) from None
    if found is None:
        return {}
    if not isinstance(found, dict):
        raise UsageError(
            f"{path}: a config file holds keys and values, such as `epochs: 50`", hint=_WRITE_ONE
        )
    return found


def _fits(value: object, option: Option | None, name: str) -> bool:
    """Tell whether a value has a type that makes sense; bounds are the spec's business."""
    if option is None:
        many = name == "data" and isinstance(value, list) and all(isinstance(v, str) for v in value)
        return isinstance(value, str) or many
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
            plain = all(isinstance(v, kind) and not isinstance(v, bool) for v in entries)
            return plain or isinstance(value, str)
    return isinstance(value, str) or (number and name in ("valid", "max_gap"))


def _unknown(key: str, value: object, place: str) -> UsageError:
    known = [*PLACES, *options()]
    near = nearest(key.replace("-", "_"), known)
    if isinstance(value, dict):
        inside = ", ".join(map(str, value))
        facts = [f"keys stand at the top level, in no section; [{key}] holds: {inside}"]
        section = nearest(key, SECTIONS)
        facts = [*facts[: bool(inside)], *([f"did you mean {section}?"] if section else [])]
        hint = "aecli train --print-config (it prints every key)"
        return UsageError(f"{place}: unknown section {key!r}", facts=facts, hint=hint)
    return UsageError(
        f"{place}: unknown key {key!r}",
        facts=[f"did you mean {near}?"] if near else [],
        hint="aecli train --print-config (it prints every key)",
    )


def _kind(value: object) -> str:
    kinds = {bool: "true or false", int: "a number", float: "a number", str: "text"}
    kinds |= {list: "a list", dict: "a section"}
    name = kinds.get(type(value), "a date or time")
    return f"{str(value).lower()} ({name})" if isinstance(value, (bool, int, float)) else name


class _CoreLoader(yaml.SafeLoader):
    """Load YAML as its version 1.2 reads plain words.

    Version 1.1, which PyYAML follows, makes text of 1e-4, false of `no`, 8 of 010 and 90 of 1:30. A
    key that stands twice is an error here, as in TOML.
    """

    yaml_implicit_resolvers: dict[str, Any] = {}  # noqa: RUF012  # PyYAML declares it so

    def construct_mapping(self, node: Any, deep: bool = False) -> dict[Any, Any]:
        """Build a mapping from a node, refusing a key that stands twice."""
        seen: set[Any] = set()
        for key_node, _ in node.value:
            key = self.construct_object(key_node, deep=True)
            if not isinstance(key, (str, int, float)):
                raise yaml.constructor.ConstructorError(
                    None, None, "a key must be a plain word", key_node.start_mark
                )
            if key in seen:
                raise yaml.constructor.ConstructorError(
                    None, None, f"the key {key!r} is there twice", key_node.start_mark
                )
            seen.add(key)
        return super().construct_mapping(node, deep=deep)


def _number(loader: yaml.SafeLoader, node: Any) -> int | float:
    text = loader.construct_scalar(node)
    return int(text) if re.fullmatch(r"[-+]?\d+", text) else float(text)


_CoreLoader.add_constructor("tag:yaml.org,2002:number", _number)

_CoreLoader.add_implicit_resolver(
    "tag:yaml.org,2002:number",
    re.compile(r"[-+]?(\d+(\.\d*)?|\.\d+)([eE][-+]?\d+)?$"),
    list("-+.0123456789"),
)

_CoreLoader.add_implicit_resolver(
    "tag:yaml.org,2002:bool", re.compile(r"(true|True|TRUE|false|False|FALSE)$"), list("tTfF")
)

_CoreLoader.add_implicit_resolver(
    "tag:yaml.org,2002:null", re.compile(r"(~|null|Null|NULL|)$"), ["~", "n", "N", ""]
)
