"""Write a result as one JSON object, or drawn for people."""

from __future__ import annotations

import dataclasses
import json
import math
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from pydantic import BaseModel

from aecli.errors import GateError, UsageError

if TYPE_CHECKING:
    from rich.console import Console, RenderableType

    from aecli.metrics.gates import Gate


R = TypeVar("R")


def show(
    result: R,
    schema: str,
    draw: Callable[[R], RenderableType],
    *,
    as_json: bool,
    quiet: bool = False,
) -> None:
    """Print a result on stdout as JSON or drawn; with `quiet` nothing is drawn."""
    if as_json:
        print(as_object(result, schema))
    elif not quiet:
        from aecli.cli.display.widgets import stdout

        console = stdout()
        if console.is_terminal:
            console.print(draw(result))
            return
        print(_plain_lines(console, draw(result)))


def show_on_stderr(
    result: R,
    schema: str,
    draw: Callable[[R], RenderableType],
    *,
    as_json: bool,
    quiet: bool,
) -> None:
    """Print a result as JSON on stdout, or drawn on stderr: stdout may have the output."""
    if as_json:
        print(as_object(result, schema))
    elif not quiet:
        from aecli.cli.display.widgets import stderr

        console = stderr()
        try:
            if console.is_terminal:
                console.print(draw(result))
            else:
                print(_plain_lines(console, draw(result)), file=sys.stderr)
        except BrokenPipeError:
            raise
        except OSError:
            return  # The output is complete, also if stderr is on a full disk.


def _plain_lines(console: Console, drawing: RenderableType) -> str:
    """Return a drawing as lines without trailing spaces; a sentence is one line."""
    with console.capture() as captured:
        for part in _parts(drawing):
            console.print(part, soft_wrap=isinstance(part, str))
    return "\n".join(line.rstrip() for line in captured.get().splitlines())


def _parts(drawing: RenderableType) -> Iterator[RenderableType]:
    """Yield the parts of a drawing, and the sentences among them as plain text."""
    from rich.console import Group
    from rich.text import Text

    if isinstance(drawing, Group):
        for part in drawing.renderables:
            yield from _parts(part)
    else:
        yield drawing.plain if isinstance(drawing, Text) else drawing


def check_stdout(output: str | None, *, as_json: bool) -> None:
    """Raise a UsageError if rows and the JSON result would both go to stdout."""
    if as_json and output == "-":
        raise UsageError("--json and -o - both write to stdout", hint="-o FILE with --json")


def require_gates(gates: Sequence[Gate]) -> None:
    """Raise a GateError if a `--fail-if` condition holds."""
    failed = [gate for gate in gates if gate.failed]
    if failed:
        facts = [f"{gate.condition}: it is {gate.value:.6g}" for gate in failed]
        raise GateError(f"{len(failed)} of {len(gates)} gates failed", facts=facts)


def as_object(result: object, schema: str) -> str:
    """Return a result dataclass as one line of JSON; figures that are not finite are null."""
    plain = _plain(result)
    text = json.dumps({"schema": schema, **plain}, ensure_ascii=False, allow_nan=False)
    encoding = (getattr(sys.stdout, "encoding", None) or "utf-8").casefold()
    # A terminal in another encoding gets JSON's own escapes.
    return text if encoding.startswith("utf") else json.dumps(json.loads(text))


def _plain(value: Any) -> Any:
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        names = [field.name for field in dataclasses.fields(value)]
        return {name: _plain(getattr(value, name)) for name in names}
    if isinstance(value, BaseModel):
        return _plain(value.model_dump(mode="json", by_alias=True))
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    if isinstance(value, Path):
        return str(value)
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value
