"""Group of commands whose modules are imported when they are first used."""

from __future__ import annotations

from collections.abc import Iterator, MutableMapping
from importlib import import_module
from typing import Any

import click
from click.shell_completion import CompletionItem

SUMMARIES = {
    "train": "Train an autoencoder on a table and save it.",
    "tune": "Search for options that train a better model, and save it.",
    "encode": "Write the latent of each row of a table.",
    "reconstruct": "Write the reconstruction of each row of a table.",
    "decode": "Write the rows that latents decode to, in their own units.",
    "predict": "Write the predicted class of each row, with probabilities.",
    "score": "Score how anomalous rows are, and explain the highest scores.",
    "calibrate": "Refit the percentiles and the threshold of scores.",
    "evaluate": "Measure a model on a table, compared with PCA.",
    "sample": "Draw new rows from a model trained with --variational.",
    "inspect": "Show a model, or how columns of a table are treated.",
    "rollback": "Roll back to the model that a training replaced.",
    "report": "Write a report of a model as one HTML page.",
    "plot": "Draw one picture of a model.",
    "help": "Show the help of aecli, or of a command.",
}
"""First sentence of the help of each command, in the order of a typical use."""

_SHARED_MODULES = {"plot": "aecli.cli.report"}
"""Modules of commands that do not have their own."""


class LazyCommands(MutableMapping[str, click.Command]):
    """Commands by name, each imported when it is first looked up."""

    def __init__(self) -> None:
        self._commands: dict[str, click.Command | None] = dict.fromkeys(SUMMARIES)

    def __getitem__(self, name: str) -> click.Command:
        command = self._commands[name]
        if command is None:
            module = import_module(_SHARED_MODULES.get(name, f"aecli.cli.{name}"))
            command = self._commands[name] = getattr(module, name)
        return command

    def __setitem__(self, name: str, command: click.Command) -> None:
        self._commands[name] = command

    def __delitem__(self, name: str) -> None:
        del self._commands[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._commands)

    def __len__(self) -> int:
        return len(self._commands)


class CommandGroup(click.Group):
    """Group that lists its commands in order, without importing them."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(commands=LazyCommands(), **kwargs)

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names in the order of a typical use."""
        return list(self.commands)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the name and the first sentence of each command."""
        with formatter.section("Commands"):
            formatter.write_dl(list(SUMMARIES.items()))

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        """Complete the name of a command, or an option of the group."""
        commands = [
            CompletionItem(name, help=summary)
            for name, summary in SUMMARIES.items()
            if name.startswith(incomplete)
        ]
        return [*commands, *click.Command.shell_complete(self, ctx, incomplete)]
