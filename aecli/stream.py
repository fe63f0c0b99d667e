"""Stream Arrow batches through a saved model: what `encode`, `reconstruct` and `evaluate` share."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import torch
from torch import Tensor

from aecli.bundle import read_spec, weights_path
from aecli.errors import UsageError
from aecli.factory import build
from aecli.feed.cells import CellReader, Cells, Tally
from aecli.feed.inputs import Inputs
from aecli.feed.restore import Restorer
from aecli.hardware import choose_device, set_threads
from aecli.nn.autoencoder import Autoencoder
from aecli.progress import SILENT, Progress
from aecli.spec.model import ModelSpec
from aecli.table.source import Source
from aecli.weights import load_into

BATCH_CELLS = 1 << 21
"""Values of the widest layer in one batch: 8 MB, so that memory stays flat and the caches warm."""


@dataclass(frozen=True)
class LoadedModel:
    """Hold a model ready to run: its spec, its network on a device, its baseline's tensors."""

    directory: Path
    spec: ModelSpec
    network: Autoencoder
    inputs: Inputs
    reader: CellReader
    device: torch.device
    baseline: dict[str, Tensor]

    @property
    def batch_rows(self) -> int:
        """Return how many rows to take at a time unless the user says so."""
        network = self.spec.network
        widest = max(network.inputs, *network.encoder, *network.decoder, 32)
        return min(1 << 14, max(256, BATCH_CELLS // widest))


def load_model(directory: Path, *, device: str = "auto", threads: int | None = None) -> LoadedModel:
    """Load a model directory onto a device.

    Raises:
        ModelError: the directory holds no model, or a damaged or newer one.
        UsageError: there is no such device.
    """
    spec = read_spec(directory)
    path = weights_path(directory, spec)
    set_threads(threads)
    target = choose_device(device)
    with torch.device("meta"):  # allocates nothing until the file's header has been checked
        network = build(spec.network, columns=spec.columns)
    baseline = load_into(network, path)
    nonfinite = spec.options.columns.nonfinite
    reader = CellReader(spec.columns, nonfinite=nonfinite)
    return LoadedModel(
        directory=directory,
        spec=spec,
        network=network.to(target).eval(),
        inputs=Inputs(reader.layout).to(target),
        reader=reader,
        device=target,
        baseline=baseline,
    )


@dataclass(frozen=True)
class Chunk:
    """Hold one batch on its way: the rows as read, their cells, and their latents on the device."""

    batch: pa.RecordBatch
    cells: Cells
    latent: Tensor


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
    rows = 0
    for batch in source.batches(batch_rows or model.batch_rows):
        cells = model.reader.read(batch, table=source.name, before=rows)
        rows += batch.num_rows
        if tally is not None:
            tally.add(cells)
        with torch.no_grad():
            moved = torch.from_numpy(cells).to(model.device)
            latent = model.network.encode(model.inputs(moved)).float()
        yield Chunk(batch, cells, latent)
        progress.rows(batch.num_rows)


def latent_fields(size: int, *, as_list: bool) -> list[pa.Field]:
    """Return the fields of `encode`: `z0`, `z1`, … or one fixed-size list `z`."""
    if as_list:
        return [pa.field("z", pa.list_(pa.float32(), size))]
    return [pa.field(f"z{index}", pa.float32()) for index in range(size)]


def encoded(
    chunks: Iterator[Chunk], schema: pa.Schema, *, as_list: bool
) -> Iterator[pa.RecordBatch]:
    """Yield batches of carried columns and latents; the schema's last fields are the latents'."""
    for chunk in chunks:
        values = chunk.latent.cpu().numpy()
        size = values.shape[1]
        if as_list:
            flat = pa.array(values.reshape(-1))
            arrays = [pa.FixedSizeListArray.from_arrays(flat, size)]
        else:
            arrays = [pa.array(column) for column in np.ascontiguousarray(values.T)]
        names = schema.names[: len(schema) - len(arrays)]
        carried = [chunk.batch.column(name) for name in names]
        yield pa.RecordBatch.from_arrays([*carried, *arrays], schema=schema)


def reconstructed(
    model: LoadedModel, chunks: Iterator[Chunk], schema: pa.Schema
) -> Iterator[pa.RecordBatch]:
    """Yield batches of carried columns and every column as the model restores it."""
    restorer = Restorer(model.spec.columns)
    for chunk in chunks:
        with torch.no_grad():
            outputs = model.network.decode(chunk.latent).float().cpu().numpy()
        arrays = restorer.restore(outputs)
        names = schema.names[: len(schema) - len(arrays)]
        carried = [chunk.batch.column(name) for name in names]
        yield pa.RecordBatch.from_arrays([*carried, *arrays], schema=schema)


def joined_schema(carried: list[pa.Field], made: list[pa.Field]) -> pa.Schema:
    """Return the schema of an output.

    Raises:
        UsageError: a carried column has the name of one that the model makes.
    """
    clash = {field.name for field in carried} & {field.name for field in made}
    if clash:
        raise UsageError(
            f"the kept column {sorted(clash)[0]!r} has the name of an output column",
            hint="leave it out of --keep, or rename it in the table",
        )
    return pa.schema([*carried, *made])
