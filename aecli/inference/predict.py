"""Predict the label of the rows of a table."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from functools import partial

import numpy as np
import pyarrow as pa
import torch

from aecli.array_types import Float32s, Indices
from aecli.device import limited_threads
from aecli.errors import UsageError
from aecli.features.inverse import as_type
from aecli.inference.batches import EncodedBatch
from aecli.inference.folder.write import output_folder, write_folder
from aecli.inference.loaded_model import LoadedModel, load_model
from aecli.inference.run import Pass
from aecli.inference.stream_result import StreamResult
from aecli.model_directory.location import model_directory
from aecli.progress import SILENT, Progress
from aecli.schema.model_spec import Label
from aecli.schema.read_options import ReadOptions
from aecli.table.arrow_types import category_values, parse_type
from aecli.table.source import Data

PREDICTION = "prediction"


@limited_threads()
def predict(
    data: Data,
    output: str,
    *,
    top: int | None = None,
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
    """Write the predicted class of each of `data`'s rows to `output`, in order.

    The columns are `prediction`, of the label's type, and a float32 `prob_<class>` for each class.
    A model of windows writes one row per window.

    Args:
        data: paths, globs or folders, `-`, or a table in memory; the label is optional.
        output: a file whose suffix is the format, `-` for standard output, or a folder, `out/`,
            for one file per file of `data`.
        top: write only the most probable classes: `top1_class`, `top1_prob`, `top2_class`, ….
        model: the model directory; `tag` is short for `runs/TAG`.
        keep: columns of `data` to copy (names or globs), in addition to the identifiers.
        to: the output format, for any suffix.
        resume: keep the finished files of a folder.
        shard: write every Nth file of a folder only, from the Kth: `K/N`.
        engine: `ray` writes the files of a folder as tasks on a Ray cluster.
        batch_size: rows, or windows, per batch of the network.

    Raises:
        UsageError: the model has no classifier, or fewer than `top` classes.
        ModelError: the model is missing, damaged or too new.
        DataError: the table cannot be read, or columns are missing.
        OutputError: the output cannot be written.
    """
    began = time.perf_counter()
    folder = output_folder(output, to=to, resume=resume, shard=shard, engine=engine)
    loaded = load_model(model_directory(model, tag), device=device, threads=threads)
    open_pass = partial(predict_pass, top=top, keep=list(keep), batch_size=batch_size, read=read)
    if folder is None:
        return open_pass(loaded, data, progress=progress).write(output, to, began=began)
    return write_folder(
        "predict", loaded, data, folder, open_pass, Pass.write, StreamResult, threads=threads,
        began=began, progress=progress,
    )  # fmt: skip


def predict_pass(
    model: LoadedModel,
    data: Data,
    *,
    top: int | None = None,
    keep: Sequence[str] = (),
    batch_size: int | None = None,
    read: ReadOptions | None = None,
    progress: Progress = SILENT,
) -> Pass:
    """Prepare a pass that predicts classes; arguments and errors are those of `predict`."""
    opened = Pass.over(model, data, keep=keep, batch_size=batch_size, read=read, progress=progress)
    fields = _fields(require_label(model), top)
    return opened.output_encoded(fields, lambda samples: _arrays(model, samples, top))


def require_label(model: LoadedModel) -> Label:
    """Return the label of a model with a classifier.

    Raises:
        UsageError: the model has no classifier.
    """
    label = model.spec.label
    if label is None or not model.spec.network.classes:
        without = "without a label" if label is None else "with --class-weight 0"
        raise UsageError(
            f"{model.directory} has no classifier: it was trained {without}",
            hint=f"aecli train DATA --label {label.name if label else 'COLUMN'}",
        )
    return label


def probabilities(model: LoadedModel, samples: EncodedBatch) -> Float32s:
    """Return the probability `(n_samples, n_classes)` of each class."""
    with torch.no_grad():
        logits = model.network.classify(samples.latent).float()
        probability: Float32s = logits.softmax(dim=1).cpu().numpy()
    return probability


def _fields(label: Label, top: int | None) -> list[pa.Field]:
    """Return `prediction`, then `prob_<class>` of each class or `top1_class`, `top1_prob`, ….

    Raises:
        UsageError: the label has fewer classes than `top`.
    """
    if top is not None and not 1 <= top <= len(label.classes):
        raise UsageError(
            f"--top {top}: the label {label.name!r} has {len(label.classes):,} classes",
            hint=f"--top {min(3, len(label.classes))}",
        )
    kind, probability = parse_type(label.type), pa.float32()
    fields = [pa.field(PREDICTION, kind)]
    if top is None:
        return fields + [pa.field(f"prob_{value}", probability) for value in label.classes]
    for rank in range(1, top + 1):
        fields += [
            pa.field(f"top{rank}_class", kind), pa.field(f"top{rank}_prob", probability)
        ]  # fmt: skip
    return fields


def _arrays(model: LoadedModel, samples: EncodedBatch, top: int | None) -> list[pa.Array]:
    label = require_label(model)
    kind = parse_type(label.type)
    classes = category_values(label.classes, kind)

    def named(codes: Indices) -> pa.Array:
        return as_type(classes.take(pa.array(codes)), kind)

    probability = probabilities(model, samples)
    order = np.argsort(-probability, axis=1, kind="stable")[:, : top or 1]
    arrays = [named(order[:, 0])]
    if top is None:
        return arrays + [pa.array(column) for column in np.ascontiguousarray(probability.T)]
    best = np.take_along_axis(probability, order, axis=1)
    for rank in range(top):
        arrays += [named(order[:, rank]), pa.array(best[:, rank])]
    return arrays
