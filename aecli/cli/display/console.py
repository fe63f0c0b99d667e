"""Make the two consoles: results on stdout, talk on stderr."""

from __future__ import annotations

from rich.console import Console

WIDEST = 100


class _Console(Console):
    """Draw text as it is: no markup, no emoji names, and a closed pipe is the caller's business."""

    def __init__(self, *, stderr: bool) -> None:
        super().__init__(stderr=stderr, markup=False, emoji=False, highlight=False, soft_wrap=False)

    def on_broken_pipe(self) -> None:
        """Let the entry point turn a closed pipe into its exit code."""
        raise BrokenPipeError


def stdout() -> Console:
    """Return a console for results."""
    return _Console(stderr=False)


def stderr() -> Console:
    """Return a console for progress and notes."""
    return _Console(stderr=True)
