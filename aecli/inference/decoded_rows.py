"""TODO."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import torch

from aecli.array_types import AnyFloats, Mask
from aecli.features.reader import Cells
from aecli.inference.batches import Chunk
from aecli.inference.loaded_model import LoadedModel
from aecli.inference.windows import WindowedTable


@dataclass(frozen=True)
class Answer:
    """Hold rows in the order of the table: as read, as cells, and as the decoder's outputs.

    `cells` are `(n_rows, n_cells)`, `outputs` `(n_rows, n_outputs)`. `covered` `(n_rows,)` is False
    where a row lies in no window.
    """

    batch: pa.RecordBatch
    cells: Cells
    outputs: AnyFloats
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
