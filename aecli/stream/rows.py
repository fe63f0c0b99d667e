"""Stream rows through a model in constant memory: a latent per row, in the order of the table."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import torch
from torch import Tensor

from aecli.errors import UsageError
from aecli.feed.cells import Cells, Tally
from aecli.feed.windows import Indices
from aecli.nn.autoencoder import Code
from aecli.progress import SILENT, Progress
from aecli.spec.model import ModelSpec
from aecli.stream.model import LoadedModel
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


def latent_fields(model: LoadedModel, *, as_list: bool, with_scale: bool) -> list[pa.Field]:
    """Return the fields of `encode`: `z0`, `z1`, … or one fixed-size list `z`; then their scales.

    Raises:
        UsageError: there are no scales, since the model is not variational.
    """
    if with_scale and not model.spec.network.variational:
        raise UsageError(
            f"--with-scale: the latents of {model.directory} have no standard deviations",
            hint="aecli train DATA --variational, or leave --with-scale out",
        )
    size = model.spec.network.latent
    names = ["z", "s"] if with_scale else ["z"]
    if as_list:
        return [pa.field(name, pa.list_(pa.float32(), size)) for name in names]
    return [pa.field(f"{name}{index}", pa.float32()) for name in names for index in range(size)]


def encoded(
    chunks: Iterator[Chunk], schema: pa.Schema, *, as_list: bool, with_scale: bool
) -> Iterator[pa.RecordBatch]:
    """Yield batches of carried columns and latents; the schema's last fields are the latents'."""
    for chunk in chunks:
        parts = [chunk.latent]
        if with_scale and chunk.code.log_variance is not None:
            parts.append((chunk.code.log_variance / 2).exp())
        arrays: list[pa.Array] = []
        for values in (part.cpu().numpy() for part in parts):
            if as_list:
                flat = pa.array(values.reshape(-1))
                arrays.append(pa.FixedSizeListArray.from_arrays(flat, values.shape[1]))
            else:
                arrays += [pa.array(column) for column in np.ascontiguousarray(values.T)]
        yield with_carried(chunk.batch, arrays, schema)


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
