"""Stream rows through a model in constant memory: a latent per row, in the order of the table."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

import pyarrow as pa
import torch
from torch import Tensor

from aecli.array_types import Indices
from aecli.errors import UsageError
from aecli.features.reader import Cells, Tally
from aecli.inference.loaded_model import LoadedModel
from aecli.nn.autoencoder import Code
from aecli.progress import SILENT, Progress
from aecli.schema.model_spec import ModelSpec
from aecli.table.source import Source


@dataclass(frozen=True)
class Chunk:
    """Hold one batch on its way: the columns as read, its cells, and its code on the device.

    With windows `batch` has the last row of each, `cells` `(n_windows * size, n_cells)` all their
    rows, and `rows` the number of each of these in the table.
    """

    batch: pa.RecordBatch
    cells: Cells
    code: Code
    rows: Indices | None = None

    @property
    def latent(self) -> Tensor:
        """Return the latents `(n_rows, latent)`."""
        return self.code.latent


def latents(
    model: LoadedModel,
    source: Source,
    *,
    batch_rows: int | None = None,
    tally: Tally | None = None,
    progress: Progress = SILENT,
) -> Iterator[Chunk]:
    """Yield the source's batches, in order, with their latents `(n_rows, latent)`."""
    progress.stage("encoding", source.n_rows)
    for batch, cells in row_cells(model, source, batch_rows, tally):
        with torch.no_grad():
            moved = torch.from_numpy(cells).to(model.device)
            code = model.network.distribution(model.inputs(moved))
        yield Chunk(batch, cells, code)
        progress.rows(batch.num_rows)


def row_cells(
    model: LoadedModel, source: Source, batch_rows: int | None, tally: Tally | None
) -> Iterator[tuple[pa.RecordBatch, Cells]]:
    """Yield the source's batches, in order, with their cells `(n_rows, n_cells)`."""
    rows = 0
    for batch in source.batches(batch_rows or model.batch_rows):
        cells = model.reader.read(batch, table=source.name, before=rows)
        rows += batch.num_rows
        if tally is not None:
            tally.add(cells)
        yield batch, cells


def with_carried(batch: pa.RecordBatch, made: list[pa.Array], schema: pa.Schema) -> pa.RecordBatch:
    """Return the schema's first columns from the batch, and those that were made after them."""
    names = schema.names[: len(schema) - len(made)]
    carried = [batch.column(name) for name in names]
    return pa.RecordBatch.from_arrays([*carried, *made], schema=schema)


def joined_schema(carried: list[pa.Field], made: list[pa.Field], spec: ModelSpec) -> pa.Schema:
    """Return the schema of an output of a model.

    Raises:
        UsageError: a carried column has the name of one that the model makes, or two of these
            have one name.
    """
    twice = [name for name, count in Counter(field.name for field in made).items() if count > 1]
    if twice:
        raise UsageError(
            f"two output columns would be called {twice[0]!r}",
            hint="rename one of the columns that it comes from, and train again",
        )
    clash = {field.name for field in carried} & {field.name for field in made}
    if clash:
        raise _refused(min(clash), spec)
    return pa.schema([*carried, *made])


def _refused(name: str, spec: ModelSpec) -> UsageError:
    if name not in [item.name for item in spec.ids]:
        return UsageError(
            f"the kept column {name!r} has the name of an output column",
            hint="leave it out of --keep, or rename it in the table",
        )
    windows = spec.options.windows
    ordering = name in (*windows.group, windows.time)
    other = f"{name}_id"
    return UsageError(
        f"the identifier {name!r} has the name of an output column",
        facts=["identifiers of the training table are carried into every output"],
        hint=f"rename it in the table to {other!r}, and "
        + ("train again" if ordering else f"--keep {other!r}"),
    )
