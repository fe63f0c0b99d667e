"""Predict the label of a table's rows."""

from __future__ import annotations

from typing import Any

from aecli.stream.predictions import predicted, prediction_fields
from aecli.table.source import Data
from aecli.verbs.results import StreamResult
from aecli.verbs.stream import Step, run_stream


def predict(data: Data, output: str, *, top: int | None = None, **how: Any) -> StreamResult:
    """Write the class of each of `data`'s rows to `output`, in order, in constant memory.

    The columns are `prediction`, in the label's own type, and a float32 `prob_<class>` for each
    class. A model of windows gives a row per window.

    Args:
        data: paths, globs or folders, `-`, or a table in memory; the label may be absent.
        output: a file whose name says the format, or `-` for standard output.
        top: write the likeliest classes only: `top1_class`, `top1_prob`, `top2_class`, ….
        **how: `model`, `tag`, `keep`, `to`, `batch_size`, `device`, `threads`, `read`, `progress`
            as in `aecli.verbs.stream.run_stream`.

    Raises:
        UsageError: the model has no classifier, or fewer than `top` classes.
        ModelError: the model is missing, damaged or too new.
        DataError: the table cannot be read or lacks columns.
        OutputError: the output cannot be written.
    """
    return run_stream(data, output, prediction(top=top), **how)


def prediction(*, top: int | None = None) -> Step:
    """Return the step that makes classes and their probabilities of rows."""
    return Step(
        fields=lambda model: prediction_fields(model, top=top),
        batches=lambda model, chunks, schema, _table: predicted(model, chunks, schema, top=top),
    )
