"""Show the progress of a command on stderr: live on a terminal, else as lines at intervals."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from typing import Any

import click

from aecli.cli.display.widgets import stderr
from aecli.cli.live_progress import LiveProgress
from aecli.cli.phase_times import PhaseTimes
from aecli.cli.plain_progress import PlainProgress, PlainSearchProgress
from aecli.progress import SILENT, Progress


@contextmanager
def show_progress(*, quiet: bool, search: bool = False) -> Iterator[Progress]:
    """Yield the progress display for stderr, and finish it at the end."""
    if quiet:
        yield SILENT
        return
    console = stderr()
    # With FORCE_COLOR rich treats a log file as a terminal; a bar must not be written there.
    live = console.file.isatty() and console.is_interactive
    plain = PlainSearchProgress if search else PlainProgress
    progress = LiveProgress(console) if live else plain(console)
    progress.phases = PhaseTimes() if _is_debug() else None
    try:
        with _clear_before_warnings(progress) if live else nullcontext():
            yield progress
    finally:
        progress.finish()
        for line in progress.phases.lines() if progress.phases else ():
            progress.debug(line)


def _is_debug() -> bool:
    """Return whether the current command has `--debug`."""
    context = click.get_current_context(silent=True)
    return context is not None and bool((context.obj or {}).get("debug"))


@contextmanager
def _clear_before_warnings(progress: Progress) -> Iterator[None]:
    """Clear the live display before a warning is printed; the next step draws it again."""
    show = warnings.showwarning

    def clear_and_show(*warning: Any, **where: Any) -> None:
        progress.finish()
        show(*warning, **where)

    warnings.showwarning = clear_and_show
    try:
        yield
    finally:
        warnings.showwarning = show
