"""Reconstruct a table's rows: every column under its own name, type and unit."""

from __future__ import annotations

from typing import Any

from aecli.feed.restore import Restorer
from aecli.stream.rows import reconstructed
from aecli.stream.windows import rows_restored
from aecli.table.source import Data
from aecli.verbs.results import StreamResult
from aecli.verbs.stream import Step, run_stream


def reconstruct(data: Data, output: str, **how: Any) -> StreamResult:
    """Write `data`'s rows as the model gives them back to `output`, in order, in constant memory.

    Args:
        data: paths, globs or folders, `-`, or a table in memory; the label may be absent.
        output: a file whose name says the format, or `-` for standard output.
        **how: `model`, `tag`, `keep`, `to`, `batch_size`, `device`, `threads`, `read`, `progress`
            as in `aecli.verbs.stream.run_stream`.

    Raises:
        ModelError: the model is missing, damaged or too new.
        DataError: the table cannot be read or lacks columns.
        OutputError: the output cannot be written.
    """
    return run_stream(data, output, reconstruction(), **how)


def reconstruction() -> Step:
    """Return the step that gives rows back as the model sees them."""
    return Step(
        fields=lambda model: list(Restorer(model.spec.columns).schema),
        batches=lambda model, chunks, schema, table: (
            rows_restored(model, table, chunks, schema)
            if table
            else reconstructed(model, chunks, schema)
        ),
    )
