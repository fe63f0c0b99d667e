"""Decode latents, unchanged or edited, into rows."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import torch

from aecli.array_types import Float32s
from aecli.device import limited_threads
from aecli.errors import DataError
from aecli.features.inverse import InverseColumns
from aecli.formatting import name_list, shell_name
from aecli.inference.loaded_model import LoadedModel, load_model, require_decoder
from aecli.inference.run import Pass
from aecli.model_directory.location import model_directory
from aecli.progress import SILENT, Progress
from aecli.schema.read_options import ReadOptions
from aecli.table.arrow_types import (
    is_list,
    is_plain_number,
    is_text,
    number_values,
    type_name,
    vector_values,
)
from aecli.table.column_names import match_patterns
from aecli.table.source import Data, Source, open_source

WINDOW_COLUMN = "window"
"""Output column with the number of the window, for models of windows."""


@dataclass(frozen=True)
class DecodeResult:
    """Result of `decode`: rows, or windows of rows, for the latents that were read."""

    model: Path
    output: str
    latents: int
    rows: int
    columns: Sequence[str]
    seconds: float


@limited_threads()
def decode(
    data: Data,
    output: str,
    *,
    model: str | os.PathLike[str] | None = None,
    tag: str | None = None,
    keep: Sequence[str] = (),
    to: str | None = None,
    batch_size: int | None = None,
    device: str = "auto",
    threads: int | None = None,
    read: ReadOptions | None = None,
    progress: Progress = SILENT,
) -> DecodeResult:
    """Write the rows decoded from latents to `output`, in the units of the training table.

    A model of windows decodes each latent to a window of rows, numbered in a column `window`.

    Args:
        data: a table with the latents, `z0`, `z1`, … or one list column `z`, as `encode` writes it.
        output: a file whose suffix is the format, or `-` for standard output.
        model: the model directory; `tag` is short for `runs/TAG`.
        keep: columns of `data` to copy (names or globs), in addition to the model's identifiers.
        to: the output format, for any suffix.
        batch_size: latents per batch of the network.

    Raises:
        ModelError: the model is missing, damaged or too new.
        DataError: the table cannot be read or does not contain the model's latents, or a latent is
            missing, infinite or too large.
        UsageError: a copied column has the name of a feature, or the decoder was not trained.
        OutputError: the output cannot be written.
    """
    began = time.perf_counter()
    loaded = load_model(model_directory(model, tag), device=device, threads=threads)
    opened = decode_pass(
        loaded, data, keep=keep, batch_size=batch_size, read=read, progress=progress
    )
    result = opened.write(output, to, began=began)
    return DecodeResult(
        model=result.model,
        output=output,
        latents=result.rows // loaded.spec.network.window,
        rows=result.rows,
        columns=result.columns,
        seconds=result.seconds,
    )


def decode_pass(
    model: LoadedModel,
    data: Data,
    *,
    keep: Sequence[str] = (),
    batch_size: int | None = None,
    read: ReadOptions | None = None,
    progress: Progress = SILENT,
) -> Pass:
    """Prepare a pass that decodes latents; arguments and errors are those of `decode`."""
    require_decoder(model)
    table = open_source(data, read or ReadOptions())
    latents = latent_columns(model, table)
    carried = _carried(model, table, keep, latents.names)
    source = table.select([*latents.names, *carried])
    opened = Pass(model, source, carried=carried, batch_size=batch_size, progress=progress)
    features = list(InverseColumns(model.spec.columns).schema)
    others = [*(source.schema.field(name) for name in carried), *features]
    batches = _decoded(opened, latents.names)
    return opened.output([*window_fields(model, others), *features], batches)


def _carried(
    model: LoadedModel, table: Source, keep: Sequence[str], latents: Sequence[str]
) -> list[str]:
    ids = [item.name for item in model.spec.ids if item.name in table.names]
    chosen = match_patterns(table.name, table.names, keep, "--keep")
    return [*ids, *(name for name in chosen if name not in ids and name not in latents)]


def _decoded(opened: Pass, names: Sequence[str]) -> Iterator[pa.RecordBatch]:
    """Yield the rows, or windows of rows, decoded from the latents in the columns `names`."""
    model, source, window = opened.model, opened.source, opened.model.spec.network.window
    assert source is not None, "latents are read from a table"
    inverse, before = InverseColumns(model.spec.columns), 0
    opened.progress.stage("decoding", source.n_rows)
    for batch in source.batches(opened.batch_size or max(1, model.batch_rows // window)):
        size = model.spec.network.latent
        latents = read_latents(batch.select(names), size, table=source.name, before=before)
        with torch.no_grad():
            outputs = model.network.decode(torch.from_numpy(latents).to(model.device)).float().cpu()
        finite = outputs.isfinite().all(dim=1)
        if not finite.all():
            row = before + int(finite.logical_not().nonzero()[0]) // window + 1
            raise DataError(
                f"the latent in row {row:,} of {source.name} is too large to be decoded",
                hint="compare it with those that aecli encode writes",
            )
        rows = batch.select(opened.carried)
        if window > 1 and opened.carried:
            rows = rows.take(pa.array(np.arange(batch.num_rows).repeat(window)))
        numbers = window_numbers(model, before, batch.num_rows)
        yield opened.joined(rows, numbers + inverse.arrays(outputs.numpy()))
        before += batch.num_rows
        opened.progress.rows(batch.num_rows)


def window_fields(model: LoadedModel, others: Sequence[pa.Field]) -> list[pa.Field]:
    """Return the field that numbers windows, with a unique name; none for models of rows."""
    if model.spec.network.window == 1:
        return []
    used = {field.name for field in others}
    name = next(name for n in range(len(used) + 1) if (name := WINDOW_COLUMN + "_" * n) not in used)
    return [pa.field(name, pa.int64())]


def window_numbers(model: LoadedModel, before: int, count: int) -> list[pa.Array]:
    """Return the number of each row's window, for `count` windows after `before` others."""
    window = model.spec.network.window
    return [pa.array(np.arange(before, before + count).repeat(window))] if window > 1 else []


def latent_columns(model: LoadedModel, source: Source) -> Source:
    """Return the source with only its latent columns, `z0`, `z1`, … or the list `z`.

    Raises:
        DataError: columns are missing or superfluous, or one does not contain numbers.
    """
    size = model.spec.network.latent
    expected = [f"z{index}" for index in range(size)]
    present = sorted(
        (n for n in source.names if re.fullmatch(r"z\d+", n)), key=lambda n: int(n[1:])
    )
    if "z" in source.names and not present:
        expected = ["z"]
    elif present != expected:
        raise _other_columns(model, source, expected, present)
    for name, kind in zip(expected, source.select(expected).schema.types, strict=True):
        _require_numbers(name, kind, size)
    return source.select(expected)


def _other_columns(
    model: LoadedModel, source: Source, expected: Sequence[str], present: Sequence[str]
) -> DataError:
    lacks = [name for name in expected if name not in present]
    more = [name for name in present if name not in expected]
    facts = [f"it lacks: {name_list(lacks)}"] if lacks else []
    facts += [f"it also has: {name_list(more)}"] if more else []
    size = len(expected)
    which = f"z0 … z{size - 1}" if size > 1 else "z0"
    return DataError(
        f"{source.name} does not contain the {size:,} latents of {model.directory}: {which}, or a "
        "list z",
        facts=facts,
        hint=f"aecli encode DATA -m {shell_name(str(model.directory))} -o latents.parquet",
    )


def _require_numbers(name: str, kind: pa.DataType, size: int) -> None:
    inner = kind.value_type if name == "z" and is_list(kind) else kind
    listed = name != "z" or is_list(kind)
    if pa.types.is_null(kind) or (listed and is_plain_number(inner)):
        if pa.types.is_fixed_size_list(kind) and kind.list_size != size:
            raise _other_length(name, size)
        return
    what = f"a list of {size:,} numbers" if name == "z" else "a number"
    has = "text" if is_text(kind) else type_name(kind)
    raise DataError(f"column {name!r} is {has}; a latent is {what}", hint="aecli encode DATA -o …")


def _other_length(name: str, size: int) -> DataError:
    return DataError(
        f"column {name!r} contains lists whose length is not {size:,}, the size of the latent",
        hint="aecli inspect shows the model's latent",
    )


def read_latents(batch: pa.RecordBatch, size: int, *, table: str, before: int) -> Float32s:
    """Return the latents `(n_rows, size)` of a batch; `before` rows of `table` came earlier.

    Raises:
        DataError: a latent is missing, infinite, or too large for float32.
    """
    if not batch.num_rows:
        return np.empty((0, size), dtype=np.float32)
    if batch.schema.names == ["z"] and not pa.types.is_null(batch.schema.types[0]):
        values = vector_values(batch.column(0), size)
        if values is None:
            raise _other_length("z", size)
    else:
        columns = [number_values(array) for array in batch.columns]
        values = np.stack(columns, axis=1).astype(np.float64)
    with np.errstate(over="ignore"):
        latents: Float32s = values.astype(np.float32)
    wrong = ~np.isfinite(latents)
    if wrong.any():
        row, unit = (int(index) for index in np.argwhere(wrong)[0])
        cell = values[row, unit]
        what = "has no value" if np.isnan(cell) else f"contains {cell:g}, not a finite float32,"
        column = "z" if batch.schema.names == ["z"] else f"z{unit}"
        raise DataError(
            f"column {column!r} of {table} {what} in row {before + row + 1:,}",
            hint="drop the row, or fill it with 0",
        )
    return latents
