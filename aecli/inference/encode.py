"""Encode the rows of a table into latents."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from functools import partial

import numpy as np
import pyarrow as pa

from aecli.device import limited_threads
from aecli.errors import UsageError
from aecli.inference.batches import EncodedBatch
from aecli.inference.folder.write import output_folder, write_folder
from aecli.inference.loaded_model import LoadedModel, load_model
from aecli.inference.run import Pass
from aecli.inference.stream_result import StreamResult
from aecli.model_directory.location import model_directory
from aecli.progress import SILENT, Progress
from aecli.schema.read_options import ReadOptions
from aecli.table.source import Data


@limited_threads()
def encode(
    data: Data,
    output: str,
    *,
    as_list: bool = False,
    with_std: bool = False,
    model: str | os.PathLike[str] | None = None,
    tag: str | None = None,
    keep: Sequence[str] = (),
    to: str | None = None,
    resume: bool = False,
    shard: str | None = None,
    engine: str = "local",
    batch_size: int | None = None,
    device: str = "auto",
    threads: int | None = None,
    read: ReadOptions | None = None,
    progress: Progress = SILENT,
) -> StreamResult:
    """Write the latents of `data`'s rows to `output`, in order, in constant memory.

    Args:
        data: paths, globs or folders, `-`, or a table in memory; the label is optional.
        output: a file whose suffix is the format, `-` for standard output, or a folder, `out/`,
            for one file per file of `data`.
        as_list: write one fixed-size list column `z` instead of `z0`, `z1`, ….
        with_std: add the standard deviations of a variational latent, `s0`, `s1`, … or `s`.
        model: the model directory; `tag` is short for `runs/TAG`.
        keep: columns of `data` to copy (names or globs), in addition to the identifiers.
        to: the output format, for any suffix.
        resume: keep the finished files of a folder.
        shard: write every Nth file of a folder only, from the Kth: `K/N`.
        engine: `ray` writes the files of a folder as tasks on a Ray cluster.
        batch_size: rows, or windows, per batch of the network.

    Raises:
        UsageError: `with_std` for a model that is not variational.
        ModelError: the model is missing, damaged or too new.
        DataError: the table cannot be read, or columns are missing.
        OutputError: the output cannot be written.
    """
    began = time.perf_counter()
    folder = output_folder(output, to=to, resume=resume, shard=shard, engine=engine)
    loaded = load_model(model_directory(model, tag), device=device, threads=threads)
    open_pass = partial(
        encode_pass, as_list=as_list, with_std=with_std, keep=list(keep), batch_size=batch_size,
        read=read,
    )  # fmt: skip
    if folder is None:
        return open_pass(loaded, data, progress=progress).write(output, to, began=began)
    return write_folder(
        "encode", loaded, data, folder, open_pass, Pass.write, StreamResult, threads=threads,
        began=began, progress=progress,
    )  # fmt: skip


def encode_pass(
    model: LoadedModel,
    data: Data,
    *,
    as_list: bool = False,
    with_std: bool = False,
    keep: Sequence[str] = (),
    batch_size: int | None = None,
    read: ReadOptions | None = None,
    progress: Progress = SILENT,
) -> Pass:
    """Prepare a pass that encodes rows; arguments and errors are those of `encode`."""
    opened = Pass.over(model, data, keep=keep, batch_size=batch_size, read=read, progress=progress)
    fields = latent_fields(model, as_list=as_list, with_std=with_std)
    return opened.output_encoded(
        fields, lambda samples: _latent_arrays(samples, as_list=as_list, with_std=with_std)
    )


def latent_fields(model: LoadedModel, *, as_list: bool, with_std: bool) -> list[pa.Field]:
    """Return the fields `z0`, `z1`, … or one fixed-size list `z`; then standard deviations.

    Raises:
        UsageError: the model is not variational and has no standard deviations.
    """
    if with_std and not model.spec.network.variational:
        raise UsageError(
            f"--with-std: the latents of {model.directory} have no standard deviations",
            hint="aecli train DATA --variational, or omit --with-std",
        )
    size = model.spec.network.latent
    names = ["z", "s"] if with_std else ["z"]
    if as_list:
        return [pa.field(name, pa.list_(pa.float32(), size)) for name in names]
    return [pa.field(f"{name}{index}", pa.float32()) for name in names for index in range(size)]


def _latent_arrays(samples: EncodedBatch, *, as_list: bool, with_std: bool) -> list[pa.Array]:
    parts = [samples.latent]
    if with_std and samples.code.log_variance is not None:
        parts.append((samples.code.log_variance / 2).exp())
    arrays: list[pa.Array] = []
    for values in (part.cpu().numpy() for part in parts):
        if as_list:
            flat = pa.array(values.reshape(-1))
            arrays.append(pa.FixedSizeListArray.from_arrays(flat, values.shape[1]))
        else:
            arrays += [pa.array(column) for column in np.ascontiguousarray(values.T)]
    return arrays
