"""Batches of a table's rows or windows on their way through a model: read, encoded, decoded."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import torch
from torch import Tensor

from aecli.array_types import AnyFloats, Indices, Mask
from aecli.features.reader import Cells, Tally
from aecli.inference.loaded_model import LoadedModel
from aecli.inference.windows import WindowedTable
from aecli.nn.autoencoder import EncoderOutput
from aecli.progress import Progress
from aecli.table.source import Source


@dataclass(frozen=True)
class SampleBatch:
    """Samples before they are encoded: the columns as read, and cells `(n_rows, n_cells)`.

    With windows `batch` has the last row of each, `cells` all their rows, and `rows` the number of
    each of these in the table.
    """

    batch: pa.RecordBatch
    cells: Cells
    rows: Indices | None = None


@dataclass(frozen=True)
class EncodedBatch:
    """Samples as in `SampleBatch`, with their latent distribution on the model's device."""

    batch: pa.RecordBatch
    cells: Cells
    code: EncoderOutput
    rows: Indices | None = None

    @property
    def latent(self) -> Tensor:
        """Return the latents `(n_samples, latent)`."""
        return self.code.latent


@dataclass(frozen=True)
class DecodedRows:
    """Rows in the order of the table: as read, as cells, and as the decoder's outputs.

    `cells` are `(n_rows, n_cells)`, `outputs` `(n_rows, n_outputs)`. `covered` `(n_rows,)` is False
    where a row lies in no window.
    """

    batch: pa.RecordBatch
    cells: Cells
    outputs: AnyFloats
    covered: Mask


def row_batches(
    model: LoadedModel, source: Source, batch_rows: int | None, tally: Tally
) -> Iterator[SampleBatch]:
    """Yield the source's rows, in order, and count their missing and unseen cells."""
    before = 0
    for batch in source.batches(batch_rows or model.batch_rows):
        cells = model.reader.read(batch, table=source.name, before=before)
        before += batch.num_rows
        tally.add(cells)
        yield SampleBatch(batch, cells)


def window_batches(
    model: LoadedModel, table: WindowedTable, carried: Sequence[str], batch_windows: int | None
) -> Iterator[SampleBatch]:
    """Yield windows, series after series, with the carried columns of their last rows."""
    windows = table.windows
    size = batch_windows or max(1, model.batch_rows // model.spec.network.window)
    source = table.source.select(list(carried))
    columns = pa.Table.from_batches(source.batches(), source.schema)
    for chosen in np.split(np.arange(len(windows)), range(size, len(windows), size)):
        if not len(chosen):  # a table without rows
            return
        rows = windows.rows(chosen).reshape(-1)
        cells = table.staged.cells.index_select(0, torch.from_numpy(rows)).numpy()
        last = columns.take(pa.array(windows.last_rows[chosen])).combine_chunks()
        batch = last.to_batches()[0] if carried else _without_columns(len(chosen))
        yield SampleBatch(batch, cells, rows)


def encoded_batches(
    model: LoadedModel, batches: Iterator[SampleBatch], progress: Progress
) -> Iterator[EncodedBatch]:
    """Yield the same batches with their latents."""
    for samples in batches:
        with torch.no_grad():
            cells = torch.from_numpy(samples.cells).to(model.device)
            code = model.network.distribution(model.inputs(cells))
        yield EncodedBatch(samples.batch, samples.cells, code, samples.rows)
        progress.rows(samples.batch.num_rows)


def decoded_rows(
    model: LoadedModel, batches: Iterator[EncodedBatch], table: WindowedTable | None
) -> Iterator[DecodedRows]:
    """Decode the batches; a row of several windows has the mean of their outputs."""
    if table is not None:
        yield from _rows_of_windows(model, batches, table)
        return
    for samples in batches:
        covered = np.ones(samples.batch.num_rows, dtype=np.bool_)
        yield DecodedRows(samples.batch, samples.cells, _outputs(model, samples).numpy(), covered)


def _rows_of_windows(
    model: LoadedModel, batches: Iterator[EncodedBatch], table: WindowedTable
) -> Iterator[DecodedRows]:
    counts = torch.from_numpy(table.windows.coverage())
    sums = torch.zeros(len(counts), model.reader.layout.outputs)
    for samples in batches:
        assert samples.rows is not None, "windows know their rows"
        sums.index_add_(0, torch.from_numpy(samples.rows), _outputs(model, samples))
    sums /= counts.clamp(min=1)[:, None]
    start = 0
    for batch in table.source.batches():
        rows = slice(start, start + batch.num_rows)
        start += batch.num_rows
        cells = table.staged.cells[rows].numpy()
        yield DecodedRows(batch, cells, sums[rows].numpy(), (counts[rows] > 0).numpy())


@torch.no_grad()
def _outputs(model: LoadedModel, samples: EncodedBatch) -> Tensor:
    return model.network.decode(samples.latent).float().cpu()


def _without_columns(rows: int) -> pa.RecordBatch:
    return pa.RecordBatch.from_struct_array(pa.array([{}] * rows, pa.struct([])))
