"""Draw the models of a directory: earlier ones, the replaced one, checked files."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from aecli.cli.display.widgets import BAD, DIM, GOOD, facts, figures, user
from aecli.formatting import count, figure, safe, size
from aecli.model_directory.generations import Generation, rollback_command

if TYPE_CHECKING:
    from aecli.model_directory.rollback import RollbackResult
    from aecli.model_directory.verify import CheckedFile

ID_WIDTH, DATE_WIDTH = 12, 10
"""Cells that the id and the time of a model get at least."""


def created_text(created: str) -> str:
    """Return the time of a training to the second: `2026-01-31 12:00:00`."""
    return safe(created[:19].replace("T", " "))


def generation_line(generation: Generation) -> Text:
    """Describe a model in one line: id, time, table, label and latent size."""
    label = f"label {generation.label}" if generation.label else "no label"
    parts = [created_text(generation.created), generation.table or "a table", label]
    parts.append(f"latent {generation.latent}")
    return Text.assemble(generation.id, "  ", user(", ".join(parts)))


def replaced_lines(
    replaced: Generation | None, undo: str | None
) -> Iterator[tuple[str, RenderableType]]:
    """Yield the model that a training replaced, and the command to restore it."""
    if replaced is None:
        return
    yield "replaced", generation_line(replaced)
    if undo is None:
        yield "", Text("it is deleted (--keep-generations 0)", style=BAD)
    else:
        yield "undo", Text(safe(undo), style="bold")


def rollback_report(result: RollbackResult) -> RenderableType:
    """Return the current model of a directory, and the one that it replaced."""
    rows: list[tuple[str, RenderableType]] = [
        ("model", Text(safe(result.model), style="bold")),
        ("restored", generation_line(result.restored)),
    ]
    if result.replaced is not None:
        undo = rollback_command(result.model, result.replaced.id)
        rows += replaced_lines(result.replaced, undo)
    rows += [("note", Text(safe(note), style=BAD)) for note in result.notes]
    return facts(rows)


def generation_table(generations: Sequence[Generation]) -> Table:
    """Return one line per earlier model, the newest first."""
    labelled = any(generation.label for generation in generations)
    names = ["id", "trained", "table", *(["label"] if labelled else [])]
    table = figures(*names, "latent", "epochs", "loss", left=len(names))
    for column, least in zip(table.columns, (ID_WIDTH, DATE_WIDTH), strict=False):
        column.no_wrap, column.min_width = True, least
    for one in generations:
        texts = [one.table, *([one.label or "–"] if labelled else [])]
        shown = [Text(safe(text), overflow="ellipsis", no_wrap=True) for text in texts]
        table.add_row(
            one.id, created_text(one.created), *shown,
            count(one.latent), count(one.epochs), figure(one.loss, 3),
        )  # fmt: skip
    return table


def verified_table(files: Sequence[CheckedFile]) -> RenderableType:
    """Return one line per checked file; a problem is under the name of its file."""
    table = figures("file", "belongs to", "size", "state", left=2)
    table.columns[1].no_wrap = True
    table.columns[3].justify = "left"
    for file in files:
        problem = f"\n  {safe(file.problem)}" if file.problem else ""
        table.add_row(
            Text(
                f"{safe(_short(file.file))}{problem}", style=BAD if problem else "", overflow="fold"
            ),
            user(file.belongs_to),
            size(file.bytes),
            Text("damaged", style=BAD) if problem else Text("ok", style=GOOD),
        )
    bad = sum(file.problem is not None for file in files)
    summary = f"{count(len(files), 'file')}, {f'{bad} damaged' if bad else 'all intact'}"
    return Group(table, Text(summary, style=DIM))


def _short(name: str) -> str:
    """Shorten the name of a checkpoint, which has 64 digits."""
    return name if len(name) <= 40 else f"{name[:28]}…"
