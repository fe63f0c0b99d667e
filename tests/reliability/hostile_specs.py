"""Hostile contents of `spec.json`, all with the right digest: the limits must refuse them."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from typing import Any

from aecli.schema.model_spec import NO_DIGEST
from tests.reliability.damage import sealed, sealed_text

HUGE = 10**18
WRONG: tuple[object, ...] = (None, True, -1, HUGE, 10**400, 1.5, "x", [], {}, [[]], {"a": 1})
NUMBERS = (
    ("network", "inputs"), ("network", "outputs"), ("network", "classes"), ("network", "window"),
    ("network", "dropout"), ("weights", "size"), ("history", "size"),
    ("columns", 0, "size"), ("columns", 0, "center"), ("columns", 0, "scale"),
)  # fmt: skip
"""Places of numbers, which are replaced by values of other types and sizes."""

TEXTS = (
    ("weights", "file"), ("weights", "sha256"), ("history", "file"), ("columns", 0, "kind"),
    ("network", "activation", "name"), ("network", "norm", "name"), ("schema",),
    ("options", "training", "optimizer", "name"),
)  # fmt: skip
PATHS = (
    "/etc/passwd", "../../etc/passwd", "weights-000000000000.safetensors/../spec.json",
    "weights-000000000000.safetensors\0", "weights-\x1b[31m00000.safetensors", "", "." * 5_000,
    "torch.nn.Linear", "__import__('os').system('true')",
)  # fmt: skip


def hostile_specs(content: bytes) -> Iterator[tuple[str, bytes]]:
    """Yield the names and contents of specs that no aecli saves, made from a valid one."""
    valid = json.loads(content)
    yield from _replaced(valid)
    yield from _impossible(valid)
    yield from _texts(content.decode(), valid)


def _replaced(valid: Any) -> Iterator[tuple[str, bytes]]:
    for place in NUMBERS:
        present = _at(valid, place)
        for wrong in WRONG:
            allowed = isinstance(wrong, int) and not isinstance(wrong, bool) and 0 <= wrong < HUGE
            if allowed or wrong == present:
                continue
            yield f"{place} = {_short(wrong)}", sealed(_with(valid, place, wrong))
    for place in TEXTS:
        for text in PATHS:
            yield f"{place} = {_short(text)}", sealed(_with(valid, place, text))


def _impossible(valid: Any) -> Iterator[tuple[str, bytes]]:
    """Yield specs whose parts are each of the right type, and together no model."""
    column = valid["columns"][0]
    yield "no columns", sealed({**valid, "columns": []})
    yield "twice the same column", sealed({**valid, "columns": [column] * len(valid["columns"])})
    yield "one column less", sealed({**valid, "columns": valid["columns"][:-1]})
    for widths in ([HUGE], [100_000] * 50, [1] * 100_000, [-1], [0]):
        for side in ("encoder", "decoder"):
            yield f"{side} {_short(widths)}", sealed(_with(valid, ("network", side), widths))
    for path, size in (("weights", 0), ("weights", 2**63), ("history", 2**70)):
        yield f"{path} of {size} bytes", sealed(_with(valid, (path, "size"), size))
    other = {**valid["weights"], "sha256": "f" * 64}
    yield "hash of another file", sealed({**valid, "weights": other})
    yield (
        "name of another kind",
        sealed(_with(valid, ("weights", "file"), valid["history"]["file"])),
    )


def _texts(text: str, valid: Any) -> Iterator[tuple[str, bytes]]:
    """Yield contents that are not made by `json.dumps`: NaN, duplicates, depth, blanks, bytes."""
    blank = text.replace(valid["digest"], NO_DIGEST)
    for name in ("NaN", "Infinity", "-Infinity", "1e999", "0x10", "1" * 5_000):
        number = f'"seconds": {valid["summary"]["seconds"]}'
        yield f"seconds {name[:9]}", sealed_text(blank.replace(number, f'"seconds": {name}'))
    for depth in (300, 100_000):
        for opening, closing in ("[]", ('{"a":', "}")):
            nested = opening * depth + "0" + closing * depth
            yield f"{depth} {opening}", sealed_text(blank.replace("{", f'{{"deep": {nested},', 1))
            yield f"only {depth} {opening}", nested.encode()
    yield "half of a character", sealed_text(blank.replace('"name": "x"', '"name": "\\ud800"'))
    for content in (b"", b"\0" * 1_000, b"\xff\xfe{}", b"[]", b"null", b"0", b'{"schema": 1}'):
        yield repr(content[:9]), content
    yield "2 MB of blanks", text.encode() + b" " * 2_000_000
    yield "cut short", text[: len(text) // 2].encode()
    yield "not UTF-8", text.encode().replace(b'"x"', b'"\xff"', 1)
    yield "text behind it", text.encode() + b"{}"


def large_specs(content: bytes) -> Iterator[tuple[str, bytes]]:
    """Yield specs that are hostile by their size."""
    valid, text = json.loads(content), content.decode()
    column = valid["columns"][0]
    many = [{**column, "name": f"c{n}"} for n in range(100_001)]
    yield "100,001 columns", sealed({**valid, "columns": many})
    few_keys = {"name": "x", "kind": "boolean", "type": "bool", "reason": ""}
    yield "10^6 columns", sealed({**valid, "columns": [few_keys] * 10**6})
    label = {"name": "y", "type": "string", "classes": ["a"] * 10**6, "counts": [1]}
    yield "10^6 classes", sealed({**valid, "label": label})
    texts = [f"v{n}" for n in range(10**6)]
    yield "10^6 categories", sealed(_with(valid, ("columns", 2, "categories"), texts))
    yield (
        "a depth of 10^6",
        text.replace("{", f'{{"x": {"[" * 10**6}{"]" * 10**6},', 1).encode(),
    )
    yield "500 MB of blanks", content + b" " * 500_000_000
    yield "600 MB", content + b"x" * 600_000_000


def _at(value: Any, place: tuple[str | int, ...]) -> Any:
    for step in place:
        value = value[step]
    return value


def _with(valid: Any, place: tuple[str | int, ...], value: object) -> Any:
    changed = copy.deepcopy(valid)
    _at(changed, place[:-1])[place[-1]] = value
    return changed


def _short(value: object) -> str:
    text = repr(value)
    return text if len(text) < 40 else f"{text[:39]}…"
