"""Say which model a training replaces, with a note on one of other columns or another label."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from aecli.errors import ModelError
from aecli.model_directory.generations import Generation, describe
from aecli.model_directory.location import SPEC_FILE
from aecli.model_directory.read import read_spec
from aecli.progress import Progress
from aecli.schema.model_spec import ModelSpec
from aecli.training.finalize import TrainedModel


def with_replaced_model(
    trained: TrainedModel, directory: Path, progress: Progress, *, resumed: bool = False
) -> tuple[TrainedModel, Generation | None]:
    """Return the model, with a note where that is worth one, and the one that it replaces.

    That is None in a new directory, and where the training was `resumed` from it.
    """
    if not (directory / SPEC_FILE).exists():
        return trained, None
    try:
        old = read_spec(directory)
    except ModelError:
        progress.note(f"the model in {directory} is damaged; it is replaced and not kept")
        return trained, None
    if resumed and not old.summary.finished:
        return trained, None
    note = _replaced(old, trained.spec)
    if note:
        progress.note(note)
        summary = trained.spec.summary
        summary = summary.model_copy(update={"notes": [*summary.notes, note]})
        spec = trained.spec.model_copy(update={"summary": summary})
        trained = replace(trained, spec=spec)
    return trained, describe(old)


def _replaced(old: ModelSpec, new: ModelSpec) -> str:
    label, new_label = (spec.label.name if spec.label else None for spec in (old, new))
    # A file that was renamed, or that is piped, holds the same table.
    if (label, _names(old)) == (new_label, _names(new)):
        return ""
    labelled = f"label {label}" if label else "no label"
    return f"replaced the model of {old.created[:10]}: {old.table or 'a table'}, {labelled}"


def _names(spec: ModelSpec) -> set[str]:
    """Return the names of all columns of the training table."""
    names = {item.name for items in (spec.columns, spec.ids, spec.left_out) for item in items}
    return names | ({spec.label.name} if spec.label else set())
