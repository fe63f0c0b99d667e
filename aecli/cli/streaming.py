"""TODO."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from aecli.cli.option_decorators import Settings
from aecli.cli.shared_options import (
    RUNNING,
    data_of,
    model_of,
)
from aecli.errors import UsageError

if TYPE_CHECKING:
    from rich.console import RenderableType


def _stream(
    name: str,
    extra: dict[str, Any],
    *,
    settings: Settings,
    output: str,
    to: str | None,
    keep: tuple[str, ...],
    batch_size: int | None,
    as_json: bool,
    quiet: bool,
    **parsed: Any,
) -> None:
    if as_json and output == "-":
        raise UsageError("--json and -o - both want stdout", hint="-o FILE with --json")
    source, directory = data_of(settings.given, name), model_of(settings.given)
    kept = [column.strip() for names in keep for column in names.split(",") if column.strip()]
    import aecli
    from aecli.cli.display.widgets import stderr
    from aecli.cli.display.written import decode_report, stream_report
    from aecli.cli.output import show
    from aecli.cli.progress import listening

    run: Callable[..., Any] = getattr(aecli, name)
    report: Callable[[Any], RenderableType] = decode_report if name == "decode" else stream_report
    with listening(quiet=quiet) as progress:
        result = run(
            source, output, model=directory, keep=kept, to=to, batch_size=batch_size,
            read=settings.options.read, progress=progress, **settings.values(RUNNING), **extra,
        )  # fmt: skip
    if as_json:
        show(result, f"aecli.{name}/1", report, as_json=True)
    elif not quiet:
        console = stderr()
        console.print(report(result), soft_wrap=not console.is_terminal)
