"""Draw the earlier models of a directory, the files of a model, and what `rollback` did."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from pathlib import Path

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from aecli.cli.display.widgets import BAD, GOOD, figures, user
from aecli.formatting import count, figure, safe, size
from aecli.model_directory.generations import Generation
from aecli.model_directory.rollback import RollbackResult
from aecli.model_directory.verify import CheckedFile


def rollback_report(result: RollbackResult) -> RenderableType:
    """Return which model is there now, and how to undo it."""
    lines = [Text(f"{safe(result.model)} has the model {described(result.restored)} again")]
    if result.replaced is None:
        lines.append(Text("the model that was there was damaged, and is not kept", style=BAD))
    else:
        undo = rollback_command(result.model, result.replaced)
        lines.append(Text(f"the model {described(result.replaced)} is kept: {undo}"))
    return Group(*lines)


def described(generation: Generation) -> str:
    """Return a model in a few words: `of 2026-11-28 07:40:12 (adult.csv, label income)`."""
    table = safe(generation.table or "a table")
    label = f", label {safe(generation.label)}" if generation.label else ""
    return f"of {moment(generation.created)} ({table}{label})"


def replaced_line(model: Path, replaced: Generation, *, kept: bool) -> str:
    """Return what a training replaced, and how to put it back."""
    if not kept:
        return f"the model {described(replaced)}, which is not kept"
    return f"the model {described(replaced)}; {rollback_command(model, replaced)} puts it back"


def moment(created: str) -> str:
    """Return a time of `spec.json`, which is UTC, to the second."""
    return created[:19].replace("T", " ")


def rollback_command(model: Path, generation: Generation) -> str:
    """Return the command that puts a generation back."""
    return f"aecli rollback {generation.id[:8]} -m {shlex.quote(str(model))}"


def generation_table(generations: Sequence[Generation]) -> Table:
    """Return one line per earlier model, the newest first."""
    table = figures("id", "trained (UTC)", "table", "label", "latent", "epochs", "loss", left=4)
    for generation in generations:
        table.add_row(
            generation.id[:8],
            moment(generation.created),
            user(generation.table),
            user(generation.label or ""),
            count(generation.latent),
            count(generation.epochs),
            figure(generation.loss),
        )
    return table


def file_table(files: Sequence[CheckedFile]) -> Table:
    """Return one line per checked file, and what is wrong with it."""
    table = figures("file", "of", "bytes", "", left=2)
    table.columns[-1].justify, table.columns[-1].no_wrap = "left", False
    for file in files:
        state = Text("ok", style=GOOD) if file.problem is None else user(file.problem, BAD)
        table.add_row(user(file.file), file.belongs_to, size(file.bytes), state)
    return table
