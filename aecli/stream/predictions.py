"""Write the class of every row, or window of rows, with its probability."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pyarrow as pa
import torch

from aecli.errors import UsageError
from aecli.feed.restore import as_type
from aecli.spec.model import Label
from aecli.stream.model import LoadedModel
from aecli.stream.rows import Chunk, with_carried
from aecli.table.types import parse_type

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
