"""Note on a model directory whose model was trained on other columns or another label."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from aecli.errors import ModelError
from aecli.model_directory.read import read_spec
from aecli.progress import Progress
from aecli.schema.model_spec import ModelSpec
from aecli.training.finalize import TrainedModel


def with_replaced_model(trained: TrainedModel, directory: Path, progress: Progress) -> TrainedModel:
    """Return the model with a note where it replaces one of another table in `directory`."""
    try:
        note = _replaced(read_spec(directory), trained.spec)
    except ModelError:
        return trained
    if not note:
        return trained
    progress.note(note)
    summary = trained.spec.summary
    summary = summary.model_copy(update={"notes": [*summary.notes, note]})
    return replace(trained, spec=trained.spec.model_copy(update={"summary": summary}))


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
