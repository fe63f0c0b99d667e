"""Read and parse config files in TOML and YAML, within limits of size and nesting."""

from __future__ import annotations

import os
import re
import stat
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from aecli.errors import UsageError

_EXAMPLE_HINT = "aecli train --print-config > run.toml, and change that"
# The time of the parsers is quadratic in the nesting, and YAML takes 10 µs per token.
_CONFIG_BYTES, _CONFIG_LEVELS, _CONFIG_VALUES = 500_000, 16, 20_000
_MAX_INTEGER = 2**63 - 1
_TOO_DEEP = f"it nests more than {_CONFIG_LEVELS} levels"
_TOO_MANY = f"it has more than {_CONFIG_VALUES:,} values"
_GLOBS_HINT = "globs for the names of many columns, such as 'gene_*'"
_TOML_TEXT_OR_COMMENT = re.compile(
    r'"""(?:\\.|[^\\])*?(?:"""|\Z)' + r"|'''.*?(?:'''|\Z)"
    r'|"(?:\\.|[^"\\\n])*"?' + r"|'[^'\n]*'?|#[^\n]*",
    re.DOTALL,
)
_TOML_LINE = re.compile(r"\s*(#.*)?(\[|[^\s#:{[][^:{[]*=)")


def load_config(path: Path) -> Mapping[Any, Any]:
    """Return the keys and values of a config file; its suffix decides between TOML and YAML.

    The format of a pipe, which has no such name, is that of its first line.

    Raises:
        UsageError: the file is unreadable, too large, not TOML or YAML, or nests too deeply.
    """
    text = _read_text(path)
    format = path.suffix.lower()
    if not format and not path.is_file():
        lines = [line for line in text.splitlines() if line.strip() and line.strip()[0] != "#"]
        format = ".toml" if lines and _TOML_LINE.match(lines[0]) else ".yaml"
    match format:
        case ".toml":
            content = _load_toml(text, path)
        case ".yaml" | ".yml":
            content = _load_yaml(text, path)
        case _:
            raise UsageError(
                f"{path}: the name of a config file must end in .toml or .yaml",
                hint=f"{path.stem}.toml, or {path.stem}.yaml",
            )
    _require_limits(content, path)
    return content


def _read_text(path: Path) -> str:
    try:
        content = _read_bytes(path)
    except OSError as error:
        raise UsageError(
            f"cannot read the config file {path}: {error.strerror}", hint=_EXAMPLE_HINT
        ) from None
    if len(content) > _CONFIG_BYTES:
        raise UsageError(
            f"{path} has more than {_CONFIG_BYTES:,} bytes, too many for a config file",
            hint=_GLOBS_HINT,
        )
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise UsageError(f"{path}: byte {error.start} is not UTF-8", hint=_EXAMPLE_HINT) from None


def _read_bytes(path: Path) -> bytes:
    """Return the content of a file or pipe, up to one byte more than the limit.

    Reading a pipe waits until every writer has closed it.
    """
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY)
    with open(descriptor, "rb", closefd=True) as file:
        kind = os.fstat(descriptor).st_mode
        content = b""
        if stat.S_ISFIFO(kind):
            try:
                content = os.read(descriptor, _CONFIG_BYTES + 1)
            except BlockingIOError:
                os.set_blocking(descriptor, True)
            else:
                if not content:
                    what = f"nothing writes into the pipe {path}"
                    raise UsageError(what, hint="--config <(a command that prints options)")
        elif not stat.S_ISREG(kind) and not stat.S_ISDIR(kind):
            raise UsageError(f"{path} is a device, not a config file", hint=_EXAMPLE_HINT)
        os.set_blocking(descriptor, True)
        return content + file.read(_CONFIG_BYTES + 1 - len(content))


def _load_toml(text: str, path: Path) -> Mapping[Any, Any]:
    bare = _TOML_TEXT_OR_COMMENT.sub(lambda found: "" if found[0][0] == "#" else "_", text)
    level = deepest = 0
    for bracket in re.findall(r"[][{}]", bare):
        level += 1 if bracket in "[{" else -1
        deepest = max(deepest, level)
    dots = max(part.count(".") for part in re.split(r"[][\n,={}]", bare))
    if max(deepest, dots) > _CONFIG_LEVELS:
        raise _invalid(path, "TOML", _TOO_DEEP)
    try:
        return tomllib.loads(text)
    except ValueError as error:
        duplicate = re.match(r"Cannot overwrite a value(.*)", str(error))
        what = f"duplicate key{duplicate[1]}" if duplicate else _reason(error)
        raise _invalid(path, "TOML", what) from None


def _load_yaml(text: str, path: Path) -> Mapping[Any, Any]:
    try:
        content = yaml.load(text, Loader=Yaml12Loader)
    except (yaml.YAMLError, ValueError) as error:
        mark = getattr(error, "problem_mark", None)
        where = f" at line {mark.line + 1}" if mark else ""
        raise _invalid(path, f"YAML{where}", _reason(error)) from None
    if content is None:
        return {}
    if not isinstance(content, dict):
        raise UsageError(
            f"{path}: a config file must have keys and values, such as `epochs: 50`",
            hint=_EXAMPLE_HINT,
        )
    return content


def _invalid(path: Path, format: str, reason: str) -> UsageError:
    return UsageError(f"{path} is not valid {format}: {reason}", hint=_EXAMPLE_HINT)


def _reason(error: Exception) -> str:
    if "integer string conversion" in str(error):
        return "a number has too many digits"
    reason = getattr(error, "problem", None) or str(error).partition("\n")[0]
    return reason if len(reason) <= 200 else f"{reason[:200]}…"


def _require_limits(content: Mapping[Any, Any], path: Path) -> None:
    """Check the number of values, since an alias in YAML repeats a value, and their size."""
    values: list[tuple[Any, int]] = [(content, 0)]
    count = 0
    while values:
        value, level = values.pop()
        count += 1
        if level > _CONFIG_LEVELS:
            raise UsageError(f"{path}: {_TOO_DEEP}", hint=_EXAMPLE_HINT)
        if count > _CONFIG_VALUES:
            raise UsageError(f"{path}: {_TOO_MANY}", hint=_GLOBS_HINT)
        if isinstance(value, int) and abs(value) > _MAX_INTEGER:
            raise UsageError(f"{path}: a whole number is beyond {_MAX_INTEGER}", hint=_EXAMPLE_HINT)
        inside = value.values() if isinstance(value, dict) else value
        if isinstance(value, (dict, list)):
            values += [(item, level + 1) for item in inside]


class Yaml12Loader(yaml.SafeLoader):
    """YAML loader that resolves plain scalars as YAML 1.2 does, without tags and deep nesting.

    Version 1.1, which PyYAML implements, reads 1e-4 as text, `no` as false, 010 as 8 and 1:30 as
    90. A duplicate key is an error here, as in TOML.
    """

    yaml_implicit_resolvers: dict[str, Any] = {}  # noqa: RUF012  # PyYAML declares it so

    def fetch_tag(self) -> None:
        """Raise on a tag: options have plain types, and other types raise any exception."""
        self._fail("tags such as !!int are not supported")

    def fetch_more_tokens(self) -> None:
        """Scan the next tokens; each value has at least two."""
        if self.tokens_taken > 2 * _CONFIG_VALUES:
            self._fail(_TOO_MANY)
        super().fetch_more_tokens()

    def fetch_flow_collection_start(self, token_class: Any) -> None:
        """Begin a list or mapping in brackets."""
        if self.flow_level >= _CONFIG_LEVELS:
            self._fail(_TOO_DEEP)
        super().fetch_flow_collection_start(token_class)

    def add_indent(self, column: int) -> bool:
        """Begin a list or mapping by indentation."""
        if len(self.indents) > _CONFIG_LEVELS:
            self._fail(_TOO_DEEP)
        return bool(super().add_indent(column))

    def _fail(self, problem: str) -> None:
        raise yaml.scanner.ScannerError(None, None, problem, self.get_mark())

    def construct_mapping(self, node: Any, deep: bool = False) -> dict[Any, Any]:
        """Build a mapping from a node; raise on a duplicate key."""
        seen: set[Any] = set()
        for key_node, _ in node.value:
            key = self.construct_object(key_node, deep=True)
            if not isinstance(key, (str, int, float)):
                raise yaml.constructor.ConstructorError(
                    None, None, "a key must be a plain scalar", key_node.start_mark
                )
            if key in seen:
                shown = key if len(str(key)) <= 40 else f"{str(key)[:40]}…"
                raise yaml.constructor.ConstructorError(
                    None, None, f"duplicate key {shown!r}", key_node.start_mark
                )
            seen.add(key)
        return super().construct_mapping(node, deep=deep)


def _number(loader: yaml.SafeLoader, node: Any) -> int | float:
    text = loader.construct_scalar(node)
    return int(text) if re.fullmatch(r"[-+]?\d+", text) else float(text)


Yaml12Loader.add_constructor("tag:yaml.org,2002:number", _number)

Yaml12Loader.add_implicit_resolver(
    "tag:yaml.org,2002:number",
    re.compile(r"[-+]?(\d+(\.\d*)?|\.\d+)([eE][-+]?\d+)?$"),
    list("-+.0123456789"),
)

Yaml12Loader.add_implicit_resolver(
    "tag:yaml.org,2002:bool", re.compile(r"(true|True|TRUE|false|False|FALSE)$"), list("tTfF")
)

Yaml12Loader.add_implicit_resolver(
    "tag:yaml.org,2002:null", re.compile(r"(~|null|Null|NULL|)$"), ["~", "n", "N", ""]
)
