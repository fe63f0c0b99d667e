"""Name the model that a training replaces in its directory, and the command that puts it back."""

from __future__ import annotations

from pathlib import Path

from aecli.model_directory.errors import unreadable_error
from aecli.model_directory.generations import (
    Generation,
    describe,
    present_model,
    rollback_command,
)
from aecli.model_directory.location import SPEC_FILE
from aecli.progress import Progress


def replaced_model(
    directory: Path, *, resumed: bool, keep_generations: int, progress: Progress
) -> tuple[Generation | None, str | None]:
    """Return the model that a save will replace, and the command that will put it back.

    The first is None without a whole model, a damaged one being a note to `progress`, and where a
    resumed training replaces its own unfinished model; the second where no earlier model is kept.

    Raises:
        ModelError: it cannot be read, or is of a newer aecli.
    """
    if not (directory / SPEC_FILE).exists():
        return None, None
    try:
        spec, problem = present_model(directory)
    except OSError as error:
        raise unreadable_error(Path(error.filename or directory), error) from error
    if spec is None:
        progress.note(f"the model that was there is not kept: {problem}")
        return None, None
    if resumed and not spec.summary.finished:
        return None, None
    replaced = describe(spec)
    return replaced, rollback_command(directory, replaced.id) if keep_generations else None
