"""Read the validation rows from a file of their own."""

from __future__ import annotations

import numpy as np

from aecli.errors import DataError
from aecli.features.reader import CellReader
from aecli.features.staging import Staged, as_windows, stage
from aecli.features.windows import read_series
from aecli.progress import Progress
from aecli.schema.options import TrainOptions
from aecli.table.column_match import match_columns
from aecli.table.column_plan import ColumnPlan
from aecli.table.labels import label_codes
from aecli.table.paths import find_files
from aecli.table.source import Source, open_source
from aecli.training.memory import cell_memory
from aecli.training.rereadable import count_rows


def read_validation_file(
    plan: ColumnPlan,
    reader: CellReader,
    options: TrainOptions,
    progress: Progress,
    held: int,
) -> Staged:
    """Return the rows of the table that `--valid` names; the training table holds `held` bytes.

    Raises:
        DataError: the table cannot be read, has no row, or lacks the label.
    """
    source = open_source(options.training.valid, options.read)
    source, matched = match_columns(source, plan, with_label=True)
    codes, label = None, plan.label
    if label is not None:
        if not matched.label:
            raise DataError(
                f"the validation table {source.name} lacks the label {label.name!r}",
                hint="--valid 0.1 holds out rows of the training table",
            )
        parts = [label_codes(b.column(label.name), label) for b in source.batches()]
        codes = np.concatenate(parts) if parts else np.empty(0, dtype=np.int64)
    rows = np.ones(count_rows(source), dtype=np.bool_)
    if not len(rows):
        raise DataError(f"the validation table {source.name} has no rows", hint="--valid 0.1")
    memory = cell_memory(source, options, len(rows), held=held)
    staged, _ = stage(source, reader, rows=rows, codes=codes, memory=memory, progress=progress)
    series = read_series(source, options.windows, plan.ids)
    if series is None:
        return staged
    return as_windows(staged, series.cut(), rows, options.windows.window_label)


def shared_file_notes(source: Source, valid: str) -> list[str]:
    """Return a note, in a list, if the validation file is a file of the training table."""
    trained = {path.resolve() for path in source.paths}
    shared = [path for path, _ in find_files([valid], []) if path.resolve() in trained]
    if not shared:
        return []
    return [
        f"--valid names {shared[0]}, which is also a training file: the validation loss does not "
        "measure new rows"
    ]
