"""Complete values on the command line: files, directories, and words of a list."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import click
from click.shell_completion import CompletionItem

Completer = Callable[[click.Context, click.Parameter, str], list[CompletionItem]]


def complete_files(
    ctx: click.Context, param: click.Parameter, incomplete: str
) -> list[CompletionItem]:
    """Leave the completion of a file name to the shell."""
    return [CompletionItem(incomplete, type="file")]


def complete_directories(
    ctx: click.Context, param: click.Parameter, incomplete: str
) -> list[CompletionItem]:
    """Leave the completion of a directory to the shell."""
    return [CompletionItem(incomplete, type="dir")]


def complete_words(words: Sequence[str]) -> Completer:
    """Return a function that completes one of a list of words."""

    def complete(
        ctx: click.Context, param: click.Parameter, incomplete: str
    ) -> list[CompletionItem]:
        return [CompletionItem(word) for word in words if word.startswith(incomplete)]

    return complete
