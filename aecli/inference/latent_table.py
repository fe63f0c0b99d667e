"""Decode latents that a table holds, as `encode` wrote them or as a person changed them."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

import numpy as np
import pyarrow as pa
import torch

from aecli.array_types import Float32s
from aecli.errors import DataError
from aecli.features.inverse import Restorer
from aecli.inference.batches import with_carried
from aecli.inference.loaded_model import LoadedModel
from aecli.table.arrow_types import (
    is_list,
    is_plain_number,
    is_text,
    number_values,
    type_name,
    vector_values,
)
from aecli.table.read_errors import shell_name
from aecli.table.source import Source

WINDOW = "window"
"""Output column that counts the windows, where the model encodes windows of rows."""


def window_fields(model: LoadedModel, others: Sequence[pa.Field]) -> list[pa.Field]:
    """Return the field that counts windows, under a name that no other has; none without them."""
    if model.spec.network.window == 1:
        return []
    taken = {field.name for field in others}
    name = next(name for n in range(len(taken) + 1) if (name := WINDOW + "_" * n) not in taken)
    return [pa.field(name, pa.int64())]


def window_numbers(model: LoadedModel, before: int, count: int) -> list[pa.Array]:
    """Return the number of each row's window, for `count` windows after `before` others."""
    window = model.spec.network.window
    return [pa.array(np.arange(before, before + count).repeat(window))] if window > 1 else []


def latent_columns(model: LoadedModel, source: Source) -> Source:
    """Return the source with its latents, `z0`, `z1`, … or the list `z`, as they are to be read.

    Raises:
        DataError: some are missing, there are more than the model has, or one holds no numbers.
    """
    size = model.spec.network.latent
    wanted = [f"z{index}" for index in range(size)]
    found = sorted((n for n in source.names if re.fullmatch(r"z\d+", n)), key=lambda n: int(n[1:]))
    if "z" in source.names and not found:
        wanted = ["z"]
    elif found != wanted:
        raise _other_columns(model, source, wanted, found)
    for name, kind in zip(wanted, source.select(wanted).schema.types, strict=True):
        _require_numbers(name, kind, size)
    return source.select(wanted)


def _other_columns(
    model: LoadedModel, source: Source, wanted: Sequence[str], found: Sequence[str]
) -> DataError:
    lacks = [name for name in wanted if name not in found]
    more = [name for name in found if name not in wanted]
    facts = [f"it lacks: {_listed(lacks)}"] if lacks else []
    facts += [f"it has also: {_listed(more)}"] if more else []
    size = len(wanted)
    which = f"z0 … z{size - 1}" if size > 1 else "z0"
    return DataError(
        f"{source.name} does not hold the {size:,} latents of {model.directory}: {which}, or a "
        "list z",
        facts=facts,
        hint=f"aecli encode DATA -m {shell_name(str(model.directory))} -o latents.parquet",
    )


def _listed(names: Sequence[str]) -> str:
    return ", ".join(names[:8]) + (f", … ({len(names):,} in all)" if len(names) > 8 else "")


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
        f"column {name!r} holds lists of another length than {size:,}, the latent's size",
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
        what = "has no value" if np.isnan(cell) else f"holds {cell:g}, no finite float32,"
        column = "z" if batch.schema.names == ["z"] else f"z{unit}"
        raise DataError(
            f"column {column!r} of {table} {what} in row {before + row + 1:,}",
            hint="every latent of a row must be there: drop the row, or fill it with 0",
        )
    return latents


def decoded(
    model: LoadedModel,
    source: Source,
    carried: Sequence[str],
    schema: pa.Schema,
    *,
    batch_size: int | None = None,
) -> Iterator[pa.RecordBatch]:
    """Yield the rows, or windows of rows, that the latents of `source` stand for.

    `source` has the latents and then the carried columns, which every row of a window repeats.

    Raises:
        DataError: a latent cannot be decoded.
    """
    restorer, network = Restorer(model.spec.columns), model.spec.network
    first = len(source.names) - len(carried)
    before = 0
    for batch in source.batches(batch_size or max(1, model.batch_rows // network.window)):
        held = batch.select(source.names[:first])
        latents = read_latents(held, network.latent, table=source.name, before=before)
        with torch.no_grad():
            outputs = model.network.decode(torch.from_numpy(latents).to(model.device)).float().cpu()
        finite = outputs.isfinite().all(dim=1)
        if not finite.all():
            row = before + int(finite.logical_not().nonzero()[0]) // network.window + 1
            raise DataError(
                f"the latent in row {row:,} of {source.name} is too large to be decoded",
                hint="compare it with those that aecli encode writes",
            )
        rows = batch.select(list(carried))
        if network.window > 1 and carried:
            rows = rows.take(pa.array(np.arange(batch.num_rows).repeat(network.window)))
        made = window_numbers(model, before, batch.num_rows) + restorer.restore(outputs.numpy())
        yield with_carried(rows, made, schema)
        before += batch.num_rows
