"""Decode latents into rows."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa

from aecli.features.inverse import Restorer
from aecli.inference.batches import joined_schema
from aecli.inference.latent_table import decoded, latent_columns, window_fields
from aecli.inference.loaded_model import LoadedModel, load_model, require_decoder
from aecli.model_directory import model_directory
from aecli.progress import SILENT, Progress
from aecli.schema.options import ReadOptions
from aecli.table.column_names import match_patterns
from aecli.table.source import Data, Source, open_source
from aecli.table.writers import open_sink


@dataclass(frozen=True)
class DecodeResult:
    """Hold what `decode` wrote: rows, or windows of rows, for the latents it read."""

    model: Path
    output: str
    latents: int
    rows: int
    columns: Sequence[str]
    seconds: float


def decode(
    data: Data,
    output: str,
    *,
    model: str | Path | None = None,
    tag: str | None = None,
    keep: Sequence[str] = (),
    to: str | None = None,
    batch_size: int | None = None,
    device: str = "auto",
    threads: int | None = None,
    read: ReadOptions | None = None,
    progress: Progress = SILENT,
) -> DecodeResult:
    """Write the rows that latents stand for to `output`, in the training table's own units.

    A model of windows gives a window of rows for each latent, numbered in a column `window`.

    Args:
        data: a table with the latents, `z0`, `z1`, … or one list column `z`, as `encode` writes it.
        output: a file whose name says the format, or `-` for standard output.
        model: the model directory, `tag` short for `runs/TAG`.
        keep: columns of `data` to carry along (names or globs), beside the model's identifiers.
        to: the format to write, whatever the name.
        batch_size: latents per pass through the network.

    Raises:
        ModelError: the model is missing, damaged or too new.
        DataError: the table cannot be read, does not hold the model's latents, or one of them is
            missing, infinite or too large.
        UsageError: a carried column has the name of a feature, or the decoder was not trained.
        OutputError: the output cannot be written.
    """
    began = time.perf_counter()
    loaded = load_model(model_directory(model, tag), device=device, threads=threads)
    opened = open_latents(loaded, data, keep=keep, batch_size=batch_size, read=read)
    rows, schema = 0, opened.schema
    progress.stage("decoding", opened.source.n_rows)
    with open_sink(output, schema, inputs=opened.source.paths, format=to) as sink:
        for batch in opened.batches:
            sink.write(batch)
            rows += batch.num_rows
            progress.rows(batch.num_rows // loaded.spec.network.window)
    progress.finish()
    return DecodeResult(
        model=loaded.directory,
        output=output,
        latents=rows // loaded.spec.network.window,
        rows=rows,
        columns=schema.names,
        seconds=time.perf_counter() - began,
    )


@dataclass(frozen=True)
class Decoding:
    """Hold latents on their way to rows, whose `batches` are made as they are asked for."""

    source: Source
    schema: pa.Schema
    batches: Iterator[pa.RecordBatch]


def open_latents(
    model: LoadedModel,
    data: Data,
    *,
    keep: Sequence[str] = (),
    batch_size: int | None = None,
    read: ReadOptions | None = None,
) -> Decoding:
    """Open a table of latents, to be decoded batch by batch.

    Raises:
        UsageError: the model's decoder was not trained.
    """
    require_decoder(model)
    table = open_source(data, read or ReadOptions())
    latents = latent_columns(model, table)
    kept = _kept(model, table, keep, latents.names)
    source = table.select([*latents.names, *kept])
    schema = _schema(model, source, kept)
    return Decoding(source, schema, decoded(model, source, kept, schema, batch_size=batch_size))


def _kept(
    model: LoadedModel, table: Source, keep: Sequence[str], latents: Sequence[str]
) -> list[str]:
    kept = [item.name for item in model.spec.ids if item.name in table.names]
    found = match_patterns(table.name, table.names, keep, "--keep")
    return [*kept, *(name for name in found if name not in kept and name not in latents)]


def _schema(model: LoadedModel, source: Source, kept: Sequence[str]) -> pa.Schema:
    carried = [source.schema.field(name) for name in kept]
    features = list(Restorer(model.spec.columns).schema)
    made = [*window_fields(model, [*carried, *features]), *features]
    return joined_schema(carried, made, model.spec)
