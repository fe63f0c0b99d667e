"""Give rows back: what the model makes of each, whether it encodes rows or windows of them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import torch

from aecli.feed.cells import Cells
from aecli.feed.residuals import residual_fields, residuals
from aecli.feed.restore import Floats, Restorer
from aecli.feed.windows import Mask
from aecli.stream.model import LoadedModel, require_decoder
from aecli.stream.rows import Chunk, with_carried
from aecli.stream.windows import WindowedTable


@dataclass(frozen=True)
class Answer:
    """Hold rows in the order of the table: as read, as cells, and as the decoder's outputs.

    `cells` are `(n_rows, n_cells)`, `outputs` `(n_rows, n_outputs)`. `covered` `(n_rows,)` is False
    where a row lies in no window.
    """

    batch: pa.RecordBatch
    cells: Cells
    outputs: Floats
    covered: Mask


def answers(
    model: LoadedModel, chunks: Iterator[Chunk], table: WindowedTable | None
) -> Iterator[Answer]:
    """Decode the chunks; rows of several windows get the mean of their outputs."""
    if table is not None:
        yield from _of_windows(model, chunks, table)
        return
    for chunk in chunks:
        covered = np.ones(chunk.batch.num_rows, dtype=np.bool_)
        yield Answer(chunk.batch, chunk.cells, _decoded(model, chunk).numpy(), covered)


def _of_windows(
    model: LoadedModel, chunks: Iterator[Chunk], table: WindowedTable
) -> Iterator[Answer]:
    counts = torch.from_numpy(table.windows.coverage())
    sums = torch.zeros(len(counts), model.reader.layout.outputs)
    for chunk in chunks:
        assert chunk.rows is not None, "windows know their rows"
        sums.index_add_(0, torch.from_numpy(chunk.rows), _decoded(model, chunk))
    sums /= counts.clamp(min=1)[:, None]
    start = 0
    for batch in table.source.batches():
        rows = slice(start, start + batch.num_rows)
        start += batch.num_rows
        cells = table.staged.cells[rows].numpy()
        yield Answer(batch, cells, sums[rows].numpy(), (counts[rows] > 0).numpy())


@torch.no_grad()
def _decoded(model: LoadedModel, chunk: Chunk) -> torch.Tensor:
    return model.network.decode(chunk.latent).float().cpu()


def restored_fields(model: LoadedModel, *, with_residuals: bool) -> list[pa.Field]:
    """Return the fields of `reconstruct`: every feature, then the residuals of those that vary.

    Raises:
        UsageError: the model's decoder was not trained.
    """
    require_decoder(model)
    fields = list(Restorer(model.spec.columns).schema)
    return fields + (residual_fields(model.reader.layout) if with_residuals else [])


def reconstructed(
    model: LoadedModel, found: Iterator[Answer], schema: pa.Schema, *, with_residuals: bool
) -> Iterator[pa.RecordBatch]:
    """Yield batches of carried columns and every column as the model restores it.

    A row in no window is null in every column but the carried ones.
    """
    restorer = Restorer(model.spec.columns)
    for answer in found:
        arrays = restorer.restore(answer.outputs)
        if with_residuals:
            arrays += residuals(restorer, answer.batch, answer.cells, answer.outputs)
        if not answer.covered.all():
            covered = pa.array(answer.covered)
            places = pc.if_else(covered, pa.array(np.arange(len(covered))), None)
            arrays = [array.take(places) for array in arrays]
        yield with_carried(answer.batch, arrays, schema)
