"""Run windows of rows through a model: a latent per window, every row given back."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import torch
from torch import Tensor

from aecli.array_types import Indices
from aecli.features.reader import Tally
from aecli.features.series import read_series, window_codes
from aecli.features.staging import Staged, stage
from aecli.features.windows import Windows
from aecli.inference.batches import Chunk
from aecli.inference.loaded_model import LoadedModel
from aecli.progress import SILENT, Progress
from aecli.schema.model_spec import Label
from aecli.table.labels import label_codes, unknown_labels
from aecli.table.source import Source

MEMORY = 1 << 30
"""Bytes of staged rows held in memory; more go to disk, where windows are read in order."""


@dataclass(frozen=True)
class WindowedTable:
    """Hold a table whose rows are staged and cut into a model's windows."""

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
    wanted = source.select([column.name for column in model.reader.layout.columns])
    rows = np.ones(series.keys.rows, dtype=np.bool_)
    staged, _ = stage(wanted, model.reader, rows=rows, codes=None, memory=MEMORY, progress=progress)
    for block in staged.cells.split(1 << 16):
        tally.add(block.numpy())
    return WindowedTable(source, replace(staged, windows=windows), windows, series.notes(windows))


def window_chunks(
    model: LoadedModel,
    table: WindowedTable,
    carried: Sequence[str],
    *,
    batch_windows: int | None = None,
    progress: Progress = SILENT,
) -> Iterator[Chunk]:
    """Yield windows, series after series, with the carried columns of their last rows."""
    network = model.network
    progress.stage("encoding", len(table.windows))
    for batch, cells, numbers in window_cells(model, table, carried, batch_windows):
        with torch.no_grad():
            code = network.distribution(model.inputs(cells.to(model.device)))
        yield Chunk(batch, cells.numpy(), code, numbers)
        progress.rows(batch.num_rows)


def window_cells(
    model: LoadedModel,
    table: WindowedTable,
    carried: Sequence[str],
    batch_windows: int | None,
) -> Iterator[tuple[pa.RecordBatch, Tensor, Indices]]:
    """Yield the carried columns of last rows, all rows' cells and all rows' numbers."""
    windows = table.windows
    size = batch_windows or max(1, model.batch_rows // model.spec.network.window)
    kept = table.source.select(list(carried))
    held = pa.Table.from_batches(kept.batches(), kept.schema)
    for chosen in torch.arange(len(windows)).split(size):
        if not len(chosen):  # a table without rows
            return
        numbers = windows.rows(chosen.numpy()).reshape(-1)
        cells = table.staged.cells.index_select(0, torch.from_numpy(numbers))
        last = held.take(pa.array(windows.last_rows[chosen.numpy()])).combine_chunks()
        batch = last.to_batches()[0] if carried else _without_columns(len(chosen))
        yield batch, cells, numbers


def labels_of_windows(
    table: WindowedTable, label: Label, how: str
) -> tuple[npt.NDArray[np.int64], int]:
    """Return the label code `(n_windows,)` of each window, -1 where it has none.

    And how many rows hold a value that is no class of the label.
    """
    batches = table.source.select([label.name]).batches()
    parts, unknown = [np.empty(0, dtype=np.int64)], 0
    for batch in batches:
        parts.append(label_codes(batch.column(0), label))
        unknown += unknown_labels(batch.column(0), parts[-1])
    return window_codes(np.concatenate(parts), table.windows, how), unknown


def _without_columns(rows: int) -> pa.RecordBatch:
    return pa.RecordBatch.from_struct_array(pa.array([{}] * rows, pa.struct([])))
