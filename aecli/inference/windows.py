"""Cut a table into a model's windows, label them, and average what overlapping windows give."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from aecli.array_types import Codes
from aecli.features.reader import Tally
from aecli.features.staging import Staged, stage
from aecli.features.windows import Windows, read_series, window_codes
from aecli.inference.loaded_model import LoadedModel
from aecli.progress import SILENT, Progress
from aecli.schema.model_spec import Label
from aecli.table.labels import label_codes, unknown_labels
from aecli.table.source import Source

STAGING_MEMORY = 1 << 30
"""Bytes of staged rows held in memory; more go to disk, where windows are read in order."""


@dataclass(frozen=True)
class WindowedTable:
    """A table whose rows are staged and cut into a model's windows."""

    source: Source
    staged: Staged
    windows: Windows
    notes: list[str]

    @property
    def uncovered(self) -> int:
        """Return how many rows lie in no window."""
        return int((self.windows.coverage() == 0).sum())


def open_windows(
    model: LoadedModel, source: Source, *, tally: Tally, progress: Progress = SILENT
) -> WindowedTable:
    """Stage the rows of a matched table and cut them as the model's training table was.

    Raises:
        DataError: the columns that order rows are missing, or no series is as long as a window.
    """
    series = read_series(source, model.spec.options.windows, model.spec.ids)
    assert series is not None, "only models of windows come here"
    windows = series.cut()
    features = source.select([column.name for column in model.reader.layout.columns])
    rows = np.ones(series.keys.rows, dtype=np.bool_)
    staged, _ = stage(
        features, model.reader, rows=rows, codes=None, memory=STAGING_MEMORY, progress=progress
    )
    for block in staged.cells.split(1 << 16):
        tally.add(block.numpy())
    return WindowedTable(source, replace(staged, windows=windows), windows, series.notes(windows))


def labels_of_windows(table: WindowedTable, label: Label, rule: str) -> tuple[Codes, int]:
    """Return the label code `(n_windows,)` of each window, -1 where it has none.

    And how many rows hold a value that is not a class of the label. `rule` is `--window-label`.
    """
    parts, unknown = [np.empty(0, dtype=np.int64)], 0
    for batch in table.source.select([label.name]).batches():
        parts.append(label_codes(batch.column(0), label))
        unknown += unknown_labels(batch.column(0), parts[-1])
    return window_codes(np.concatenate(parts), table.windows, rule), unknown
