"""Read the validation rows from a file of their own."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from aecli.errors import DataError, UsageError
from aecli.features.reader import CellReader
from aecli.features.staging import Staged, as_windows, stage
from aecli.features.windows import read_series
from aecli.progress import Progress
from aecli.ranks import Ranks
from aecli.remote_files.path import RemotePath, location
from aecli.schema.options import TrainOptions
from aecli.table.column_match import match_columns
from aecli.table.column_plan import ColumnPlan
from aecli.table.labels import label_codes
from aecli.table.paths import find_files
from aecli.table.shares import open_for_ranks, share_of, share_types
from aecli.table.source import Source
from aecli.training.memory import cell_memory
from aecli.training.rereadable import count_rows


def read_validation_file(
    plan: ColumnPlan,
    reader: CellReader,
    options: TrainOptions,
    progress: Progress,
    held: int,
    ranks: Ranks,
) -> Staged:
    """Return a rank's rows of the table of `--valid`; the training table holds `held` bytes.

    Raises:
        DataError: the table cannot be read, has no row, or lacks the label.
        UsageError: several ranks cannot read the table.
    """
    _require_no_query(options.training.valid)
    source = open_for_ranks(options.training.valid, options.read, ranks)
    share_types(source, ranks)
    source, matched = match_columns(source, plan, with_label=True)
    share = share_of(source, ranks)
    source = share.source
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
    if not len(rows) and not share.total:
        raise DataError(f"the validation table {source.name} has no rows", hint="--valid 0.1")
    memory = cell_memory(source, options, len(rows), held=held)
    staged, _ = stage(source, reader, rows=rows, codes=codes, memory=memory, progress=progress)
    staged = replace(staged, complete=all(ranks.gather(staged.complete)))
    series = read_series(source, options.windows, plan.ids)
    if series is None:
        return staged
    return as_windows(staged, series.cut(), rows, options.windows.window_label)


def _require_no_query(valid: str) -> None:
    """Raise for an address with a query, which may contain a credential."""
    path = location(valid)
    if isinstance(path, RemotePath) and path.query:
        raise UsageError(
            f"--valid {path}?…: the query would be stored in the model",
            hint="download the file, and --valid with its name",
        )


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
