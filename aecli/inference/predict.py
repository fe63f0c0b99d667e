"""Predict the label of a table's rows."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pyarrow as pa
import torch

from aecli.errors import UsageError
from aecli.features.inverse import as_type
from aecli.inference.batches import Chunk, with_carried
from aecli.inference.loaded_model import LoadedModel
from aecli.inference.run import Step, StreamResult, run_stream
from aecli.schema.model_spec import Label
from aecli.table.arrow_types import parse_type
from aecli.table.source import Data


def predict(data: Data, output: str, *, top: int | None = None, **how: Any) -> StreamResult:
    """Write the class of each of `data`'s rows to `output`, in order, in constant memory.

    The columns are `prediction`, in the label's own type, and a float32 `prob_<class>` for each
    class. A model of windows gives a row per window.

    Args:
        data: paths, globs or folders, `-`, or a table in memory; the label may be absent.
        output: a file whose name says the format, or `-` for standard output.
        top: write the likeliest classes only: `top1_class`, `top1_prob`, `top2_class`, ….
        **how: `model`, `tag`, `keep`, `to`, `batch_size`, `device`, `threads`, `read`, `progress`
            as in `aecli.inference.run.run_stream`.

    Raises:
        UsageError: the model has no classifier, or fewer than `top` classes.
        ModelError: the model is missing, damaged or too new.
        DataError: the table cannot be read or lacks columns.
        OutputError: the output cannot be written.
    """
    return run_stream(data, output, prediction(top=top), **how)


def prediction(*, top: int | None = None) -> Step:
    """Return the step that makes classes and their probabilities of rows."""
    return Step(
        fields=lambda model: prediction_fields(model, top=top),
        batches=lambda model, chunks, schema, _table: predicted(model, chunks, schema, top=top),
    )


PREDICTION = "prediction"


def prediction_fields(model: LoadedModel, *, top: int | None) -> list[pa.Field]:
    """Return `prediction`, then `prob_<class>` of each class or `top1_class`, `top1_prob`, ….

    Raises:
        UsageError: the model has no classifier, or fewer classes than `top`.
    """
    label = require_label(model)
    if top is not None and not 1 <= top <= len(label.classes):
        raise UsageError(
            f"--top {top}: the label {label.name!r} has {len(label.classes):,} classes",
            hint=f"--top {min(3, len(label.classes))}",
        )
    kind, chance = parse_type(label.type), pa.float32()
    fields = [pa.field(PREDICTION, kind)]
    if top is None:
        return fields + [pa.field(f"prob_{value}", chance) for value in label.classes]
    for rank in range(1, top + 1):
        fields += [pa.field(f"top{rank}_class", kind), pa.field(f"top{rank}_prob", chance)]
    return fields


def require_label(model: LoadedModel) -> Label:
    """Return the label of a model with a classifier.

    Raises:
        UsageError: the model has none.
    """
    label = model.spec.label
    if label is None or not model.spec.network.classes:
        without = "without a label" if label is None else "with --class-weight 0"
        raise UsageError(
            f"{model.directory} has no classifier: it was trained {without}",
            hint=f"aecli train DATA --label {label.name if label else 'COLUMN'}",
        )
    return label


def predicted(
    model: LoadedModel, chunks: Iterator[Chunk], schema: pa.Schema, *, top: int | None
) -> Iterator[pa.RecordBatch]:
    """Yield batches of carried columns, predictions and probabilities."""
    label = require_label(model)
    kind = parse_type(label.type)
    classes = pa.array(label.classes)

    def named(codes: np.ndarray) -> pa.Array:
        return as_type(classes.take(pa.array(codes)), kind)

    for chunk in chunks:
        with torch.no_grad():
            chances = model.network.classify(chunk.latent).float().softmax(dim=1).cpu().numpy()
        order = np.argsort(-chances, axis=1, kind="stable")[:, : top or 1]
        arrays = [named(order[:, 0])]
        if top is None:
            arrays += [pa.array(column) for column in np.ascontiguousarray(chances.T)]
        else:
            best = np.take_along_axis(chances, order, axis=1)
            for rank in range(top):
                arrays += [named(order[:, rank]), pa.array(best[:, rank])]
        yield with_carried(chunk.batch, arrays, schema)
