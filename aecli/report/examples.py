"""Turn kept rows into what people look at: values beside reconstructions, images, reasons."""

from __future__ import annotations

import re
from collections.abc import Sequence
from math import prod

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from aecli.array_types import AnyFloats
from aecli.errors import UsageError
from aecli.features.inverse import Restorer
from aecli.features.layout import NUMERIC
from aecli.formatting import count
from aecli.report.data import Images, OddRow, Reason, Restored
from aecli.report.sampled_rows import SampledRows
from aecli.schema.model_spec import Column, ModelSpec, ScoreScale
from aecli.scoring.output_columns import share_below
from aecli.table.arrow_types import is_list

REASONS = 3
CELLS = 8
"""Columns of a row that are shown beside their reconstruction: those with the largest errors."""

LONGEST = 40

Triples = Sequence[tuple[str, SampledRows, AnyFloats]]


def with_carried(batch: pa.RecordBatch, rows: npt.NDArray[np.int64]) -> pa.RecordBatch:
    """Return the batch, or the row numbers as one where it has no column to take rows of."""
    return batch if batch.num_columns else pa.record_batch([pa.array(rows)], names=[""])


def shown(array: pa.Array, place: int) -> str:
    """Return one cell as people write it, in at most about 40 characters."""
    if not array[place].is_valid:
        return "–"
    if is_list(array.type):
        found = array[place].as_py()
        inside = ", ".join("–" if value is None else f"{value:.4g}" for value in found[:3])
        text = f"[{inside}{', …' * (len(found) > 3)}]"
    elif pa.types.is_floating(array.type):
        value = array[place].as_py()
        text = f"{value:.0f}" if value == round(value, 0) and abs(value) < 1e9 else f"{value:.5g}"
    else:
        text = str(array.slice(place, 1).cast(pa.string())[0])
    return text if len(text) <= LONGEST else text[: LONGEST - 1] + "…"


def odd_rows(
    spec: ModelSpec, odd: SampledRows, scale: ScoreScale, carried: Sequence[str]
) -> list[OddRow]:
    """Return the oddest samples, each with the columns that make it so.

    Rows say what these columns hold and what was due; windows only name them.
    """
    restorer = Restorer(spec.columns)
    of_rows = spec.network.window == 1
    restored = restorer.restore(odd.outputs[:, 0]) if of_rows else []
    due = dict(zip(restorer.schema.names, restored, strict=False))
    names = [column.name for column in restorer.layout.columns]
    percentiles = share_below(odd.scores, scale.quantiles)
    found = []
    for place in range(len(odd)):
        sizes = np.where(np.isnan(odd.reasons[place]), -1.0, odd.reasons[place])
        order = np.argsort(-sizes, kind="stable")[:REASONS]
        worth = [i for i in order if sizes[i] >= 1] or [i for i in order[:1] if sizes[i] >= 0]
        reasons = [_reason(names[i], float(sizes[i]), odd, due, place) for i in worth]
        score = float(odd.scores[place])
        found.append(
            OddRow(
                row=int(odd.row[place]) + 1,
                name=shown(odd.batch.column(carried[0]), place) if carried else "",
                score=score,
                percentile=float(percentiles[place]),
                reasons=reasons,
            )
        )
    return found


def _reason(
    name: str, error: float, kept: SampledRows, due: dict[str, pa.Array], place: int
) -> Reason:
    if name not in due:
        return Reason(name, error)
    return Reason(name, error, shown(kept.batch.column(name), place), shown(due[name], place))


def restored_rows(columns: Sequence[Column], triples: Triples) -> list[Restored]:
    """Return the first of the best, median and worst rows beside their reconstructions."""
    restorer = Restorer(columns)
    names = [column.name for column in restorer.layout.columns]
    found = []
    for rank, kept, errors in triples:
        first = kept.take([0])
        due = dict(zip(restorer.schema.names, restorer.restore(first.outputs[:, 0]), strict=True))
        sizes = np.where(np.isnan(first.errors[0]), -1.0, first.errors[0])
        order = np.argsort(-sizes, kind="stable")[:CELLS]
        cells = [_reason(names[i], float(sizes[i]), first, due, 0) for i in order]
        found.append(Restored(rank, int(first.row[0]) + 1, float(errors[0]), cells))
    return found


def pixel_shape(spec: ModelSpec, given: str | None) -> tuple[int, int, int] | None:
    """Return height, width and channels of rows that are images, None where they are not.

    Raises:
        UsageError: this is no shape, or the number columns are not as many as it has pixels.
    """
    if given is None:
        return (*spec.network.shape,) if spec.network.shape else None  # type: ignore[return-value]  # three of them
    found = re.fullmatch(r"([1-9]\d{0,4})x([1-9]\d{0,4})(?:x(\d))?", given.strip())
    if not found:
        what = f"--shape {given}: must be HEIGHTxWIDTH[xCHANNELS], as in 28x28 or 28x28x3"
        raise UsageError(what, hint="--shape 28x28")
    height, width, channels = (int(part or 1) for part in found.groups())
    numbers = sum(column.size for column in spec.columns if column.kind in NUMERIC)
    if spec.network.window > 1:
        raise UsageError(
            f"--shape {given}: this model encodes windows of rows, no images",
            hint="leave --shape out; windows are drawn as signals",
        )
    if height * width * channels != numbers or channels not in (1, 3):
        side, pixels = round(numbers**0.5), height * width * channels
        raise UsageError(
            f"--shape {given} is {pixels:,} pixels in {count(channels, 'channel')}",
            facts=[f"the model has {numbers:,} number columns; an image has 1 or 3 channels"],
            hint=f"--shape {side}x{side}" if side * side == numbers else "leave --shape out",
        )
    return height, width, channels


def in_units(restorer: Restorer, column: Column, matrix: AnyFloats) -> AnyFloats:
    """Return a number column in its own unit `(n_rows, size)`, from cells or from outputs."""
    if column.constant:
        return np.tile(np.array(column.low), (len(matrix), 1))
    part = np.asarray(restorer.part(column, matrix), dtype=np.float64)
    units: AnyFloats = part * np.array(column.scale) + np.array(column.center)
    return units


def as_images(
    columns: Sequence[Column], matrix: AnyFloats, shape: tuple[int, int, int]
) -> AnyFloats:
    """Return rows of cells or outputs `(n_rows, …)` as images from 0 to 1.

    They are `(n_rows, height, width)`, or with three channels `(n_rows, height, width, 3)`.
    """
    restorer = Restorer(columns)
    numbers = [column for column in columns if column.kind in NUMERIC]
    pixels = np.concatenate([in_units(restorer, column, matrix) for column in numbers], 1)
    low = min(min(column.low) for column in numbers)
    high = max(max(column.high) for column in numbers)
    scaled = ((pixels - low) / ((high - low) or 1.0)).clip(0, 1)
    sides = shape if shape[2] > 1 else shape[:2]
    return scaled.reshape(len(matrix), *sides)


def images_of_rows(
    columns: Sequence[Column], triples: Triples, shape: tuple[int, int, int]
) -> Images | None:
    """Return the best, median and worst rows as images, beside their reconstructions."""
    assert prod(shape), "a shape has pixels"
    if not triples:
        return None
    names = [rank for rank, kept, _ in triples for _ in range(len(kept))]
    inputs, outputs = (
        np.concatenate([as_images(columns, getattr(k, side)[:, 0], shape) for _, k, _ in triples])
        for side in ("cells", "outputs")
    )
    return Images(names, np.nan_to_num(inputs), outputs)
