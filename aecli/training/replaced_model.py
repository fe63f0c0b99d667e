"""Name the model that a training replaces in its directory, and the command that puts it back."""

from __future__ import annotations

import warnings
from pathlib import Path

from aecli.errors import AecliWarning
from aecli.model_directory.errors import unreadable_error
from aecli.model_directory.generations import (
    Generation,
    continues,
    describe,
    present_model,
    rollback_command,
)
from aecli.model_directory.location import SPEC_FILE
from aecli.schema.model_spec import ModelSpec


def replaced_model(
    directory: Path, *, resumed: ModelSpec | None, keep_generations: int
) -> tuple[Generation | None, str | None]:
    """Return the model that a save will replace, and the command that will put it back.

    The first is None without a whole model, a damaged one being a warning, and where a
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
        message = f"the model that was there is not kept: {problem}"
        warnings.warn(message, AecliWarning, stacklevel=2)
        return None, None
    if resumed is not None and continues(spec, resumed):
        return None, None
    replaced = describe(spec)
    return replaced, rollback_command(directory, replaced.id) if keep_generations else None
