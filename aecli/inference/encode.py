"""Encode a table's rows into latents."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pyarrow as pa

from aecli.errors import UsageError
from aecli.inference.batches import Chunk, with_carried
from aecli.inference.loaded_model import LoadedModel
from aecli.inference.run import Step, StreamResult, run_stream
from aecli.table.source import Data


def encode(
    data: Data, output: str, *, as_list: bool = False, with_std: bool = False, **how: Any
) -> StreamResult:
    """Write the latents of `data`'s rows to `output`, in order, in constant memory.

    Args:
        data: paths, globs or folders, `-`, or a table in memory; the label may be absent.
        output: a file whose name says the format, or `-` for standard output.
        as_list: write one fixed-size list column `z` instead of `z0`, `z1`, ….
        with_std: add the standard deviations of a variational latent, `s0`, `s1`, … or `s`.
        **how: `model`, `tag`, `keep`, `to`, `batch_size`, `device`, `threads`, `read`, `progress`
            as in `aecli.inference.run.run_stream`.

    Raises:
        UsageError: `with_std` is asked of a latent without a spread.
        ModelError: the model is missing, damaged or too new.
        DataError: the table cannot be read or lacks columns.
        OutputError: the output cannot be written.
    """
    return run_stream(data, output, encoding(as_list=as_list, with_std=with_std), **how)


def encoding(*, as_list: bool = False, with_std: bool = False) -> Step:
    """Return the step that makes latents of rows."""
    return Step(
        fields=lambda model: latent_fields(model, as_list=as_list, with_std=with_std),
        batches=lambda _model, chunks, schema, _table: encoded(
            chunks, schema, as_list=as_list, with_std=with_std
        ),
    )


def latent_fields(model: LoadedModel, *, as_list: bool, with_std: bool) -> list[pa.Field]:
    """Return the fields of `encode`: `z0`, `z1`, … or one fixed-size list `z`; then their scales.

    Raises:
        UsageError: there are no scales, since the model is not variational.
    """
    if with_std and not model.spec.network.variational:
        raise UsageError(
            f"--with-std: the latents of {model.directory} have no standard deviations",
            hint="aecli train DATA --variational, or leave --with-std out",
        )
    size = model.spec.network.latent
    names = ["z", "s"] if with_std else ["z"]
    if as_list:
        return [pa.field(name, pa.list_(pa.float32(), size)) for name in names]
    return [pa.field(f"{name}{index}", pa.float32()) for name in names for index in range(size)]


def encoded(
    chunks: Iterator[Chunk], schema: pa.Schema, *, as_list: bool, with_std: bool
) -> Iterator[pa.RecordBatch]:
    """Yield batches of carried columns and latents; the schema's last fields are the latents'."""
    for chunk in chunks:
        parts = [chunk.latent]
        if with_std and chunk.code.log_variance is not None:
            parts.append((chunk.code.log_variance / 2).exp())
        arrays: list[pa.Array] = []
        for values in (part.cpu().numpy() for part in parts):
            if as_list:
                flat = pa.array(values.reshape(-1))
                arrays.append(pa.FixedSizeListArray.from_arrays(flat, values.shape[1]))
            else:
                arrays += [pa.array(column) for column in np.ascontiguousarray(values.T)]
        yield with_carried(chunk.batch, arrays, schema)
