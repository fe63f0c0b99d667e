"""Read and write JSON Lines: one object per line."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from pydantic_core import from_json

from aecli.errors import ModelError


def to_json_lines(entries: Iterable[Mapping[str, object]]) -> bytes:
    """Return the entries as the bytes of a JSON Lines file."""
    lines = (
        json.dumps(_json_value(entry), ensure_ascii=False, allow_nan=False) for entry in entries
    )
    return "".join(f"{line}\n" for line in lines).encode()


def parse_json_lines(content: bytes, path: Path) -> list[dict[str, Any]]:
    """Parse the content of the JSON Lines file `path`.

    Raises:
        ModelError: a line is not a JSON object.
    """
    lines = enumerate(content.splitlines(), start=1)
    return [_parse_line(path, number, line) for number, line in lines]


def _json_value(value: object) -> object:
    """Return `value` with null for numbers that are not finite, such as a diverged loss."""
    if isinstance(value, Mapping):
        return {key: _json_value(entry) for key, entry in value.items()}
    if isinstance(value, (list, tuple)):
        return [_json_value(entry) for entry in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _parse_line(path: Path, number: int, line: bytes) -> dict[str, Any]:
    try:
        value = from_json(line)
    except ValueError as error:
        raise ModelError(f"{path}, line {number}, is not JSON: {error}") from error
    if not isinstance(value, dict):
        raise ModelError(f"{path}, line {number}, is not a JSON object")
    return value
