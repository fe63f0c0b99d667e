"""Rows that a report shows: values and reconstructions as text, images, reasons for a score."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
import pyarrow as pa

from aecli.array_types import AnyFloats, Codes, Indices
from aecli.errors import UsageError
from aecli.features.inverse import InverseColumns
from aecli.features.layout import NUMERIC
from aecli.formatting import count
from aecli.reporting.data import ReportRow
from aecli.row_sample import RowSample
from aecli.schema.model_spec import Column, ModelSpec
from aecli.scoring.explanation import error_at, exact_text, score_reason

MAX_ROW_CELLS = 100
"""Columns of a row that are listed: those with the largest errors, or parts in the score."""

ImageShape = tuple[int, int, int]
"""Height, width and channels of an image."""


@dataclass(frozen=True)
class SampledRows:
    """Some rows or windows: columns as read, and the model's outputs for each.

    With windows `row` (counted from 0) and `batch` are of the last row. `cells` and `outputs` are
    `(n_samples, window, …)`, `errors` and `reasons` `(n_samples, n_columns)` as in `ScoredSamples`,
    `codes` the label's, -1 where unknown.
    """

    row: Indices
    batch: pa.RecordBatch
    cells: AnyFloats
    outputs: AnyFloats
    latent: AnyFloats
    codes: Codes
    scores: AnyFloats
    errors: AnyFloats
    reasons: AnyFloats

    def __len__(self) -> int:
        return len(self.row)

    @property
    def mean_errors(self) -> AnyFloats:
        """Return the mean error over the known columns `(n_samples,)`, NaN without any."""
        known = ~np.isnan(self.errors)
        sums = np.where(known, self.errors, 0.0).sum(1)
        return np.where(known.any(1), sums / np.maximum(1, known.sum(1)), np.nan)

    def take(self, positions: Indices) -> SampledRows:
        """Return the samples at some positions."""
        return SampledRows(**self._columns(positions))

    def add_to(self, sample: RowSample, keys: AnyFloats) -> None:
        """Add these samples to a bounded sample, by their keys `(n_samples,)`."""
        sample.add(keys, self._columns)

    def _columns(self, positions: Indices) -> dict[str, Any]:
        columns = {field.name: getattr(self, field.name) for field in fields(self)}
        batch = columns.pop("batch").take(pa.array(positions))
        return {name: values[positions] for name, values in columns.items()} | {"batch": batch}


def lowest_keys(sample: RowSample) -> SampledRows | None:
    """Return the rows of a sample, lowest key first; None where there are none."""
    columns = sample.columns(by_key=True)
    columns.pop("number", None)
    return SampledRows(**columns) if columns else None


def with_any_column(batch: pa.RecordBatch, rows: Indices) -> pa.RecordBatch:
    """Return the batch, or where it has no column one of row numbers: rows can be taken of it."""
    return batch if batch.num_columns else pa.record_batch([pa.array(rows)], names=[""])


def name_text(array: pa.Array, position: int) -> str:
    """Return a cell that names a row as text: an identifier, or a time without zero fractions."""
    text = exact_text(array, position)
    return re.sub(r"\.0+(?=Z?$)", "", text) if pa.types.is_timestamp(array.type) else text


def anomalous_rows(
    spec: ModelSpec,
    samples: SampledRows,
    identifier: str | None,
    constants: Sequence[Column] = (),
) -> list[ReportRow]:
    """Return samples with their columns, those that explain the score most first, `constants` last.

    Rows have the values and reconstructions of their columns; windows have their names only, and
    so have rows of a model whose decoder was not trained.
    """
    inverse = InverseColumns(spec.columns)
    of_rows = spec.network.window == 1 and spec.decoder_trained
    arrays = inverse.arrays(samples.outputs[:, 0]) if of_rows else []
    reconstructed = dict(zip(inverse.schema.names, arrays, strict=False))
    varying = inverse.layout.columns
    named = (*varying, *constants)
    column = samples.batch.column(identifier) if identifier is not None else None
    rows = []
    for position, reasons in enumerate(samples.reasons):
        order = [i for i in _largest_first(reasons) if i < len(varying) or reasons[i] > 0]
        cells = [
            score_reason(
                named[i],
                error_at(samples.errors[position], i),
                float(reasons[i]),
                samples.batch,
                reconstructed,
                position,
            )
            for i in order[:MAX_ROW_CELLS]
        ]
        rows.append(
            ReportRow(
                number=int(samples.row[position]),
                error=float(samples.scores[position]),
                cells=cells,
                identifier="" if column is None else name_text(column, position),
            )
        )
    return rows


def _largest_first(values: AnyFloats) -> list[int]:
    """Return the positions of values, the largest first and NaN last."""
    order: list[int] = np.argsort(-np.nan_to_num(values, nan=-1.0), kind="stable").tolist()
    return order


def example_rows(
    columns: Sequence[Column], examples: Mapping[str, SampledRows]
) -> dict[str, ReportRow]:
    """Return the first row of each rank, with its reconstruction."""
    inverse = InverseColumns(columns)
    varying = inverse.layout.columns
    shown = {}
    for rank, rows in examples.items():
        first = rows.take(np.zeros(1, dtype=np.int64))
        arrays = inverse.arrays(first.outputs[:, 0])
        reconstructed = dict(zip(inverse.schema.names, arrays, strict=True))
        cells = [
            score_reason(varying[i], float(first.errors[0, i]), 0.0, first.batch, reconstructed, 0)
            for i in _largest_first(first.errors[0])[:MAX_ROW_CELLS]
        ]
        shown[rank] = ReportRow(int(first.row[0]), float(first.mean_errors[0]), cells)
    return shown


def shape_of_rows(spec: ModelSpec, text: str | None) -> ImageShape | None:
    """Return height, width and channels of rows that are images, None where they are not.

    Raises:
        UsageError: the text is not a shape, or the number columns are not as many as its pixels.
    """
    if text is None:
        return (*spec.network.shape,) if spec.network.shape else None  # type: ignore[return-value]  # three of them
    match = re.fullmatch(r"([1-9]\d{0,4})x([1-9]\d{0,4})(?:x(\d))?", text.strip())
    if not match:
        what = f"--shape {text}: must be HEIGHTxWIDTH[xCHANNELS], as in 28x28 or 28x28x3"
        raise UsageError(what, hint="--shape 28x28")
    height, width, channels = (int(side or 1) for side in match.groups())
    numbers = sum(column.size for column in _pixels(spec.columns))
    if spec.network.window > 1:
        raise UsageError(
            f"--shape {text}: this model encodes windows of rows, no images",
            hint="leave --shape out; windows are drawn as signals",
        )
    if height * width * channels != numbers or channels not in (1, 3):
        side, pixels = round(numbers**0.5), height * width * channels
        raise UsageError(
            f"--shape {text} is {pixels:,} pixels in {count(channels, 'channel')}",
            facts=[f"the model has {numbers:,} number columns; an image has 1 or 3 channels"],
            hint=f"--shape {side}x{side}" if side * side == numbers else "leave --shape out",
        )
    return height, width, channels


def _pixels(columns: Sequence[Column]) -> list[Column]:
    """Return the columns of numbers, of which an image consists."""
    return [column for column in columns if column.kind in NUMERIC and column.kind != "text"]


def in_units(inverse: InverseColumns, column: Column, matrix: AnyFloats) -> AnyFloats:
    """Return a number column in its own unit `(n_rows, size)`, from cells or from outputs.

    They count from the column's origin where it has one, since a float64 would make them equal.
    """
    if column.constant:
        return np.tile(np.array(column.low), (len(matrix), 1))
    part = np.asarray(inverse.part(column, matrix), dtype=np.float64)
    units: AnyFloats = part * np.array(column.scale) + np.array(column.center)
    return units


def as_images(columns: Sequence[Column], matrix: AnyFloats, shape: ImageShape) -> AnyFloats:
    """Return rows of cells or outputs `(n_rows, …)` as images from 0 to 1.

    They are `(n_rows, height, width)`, or with three channels `(n_rows, height, width, 3)`.
    """
    inverse = InverseColumns(columns)
    numbers = _pixels(columns)
    pixels = np.concatenate([in_units(inverse, column, matrix) for column in numbers], 1)
    low = min(min(column.low) for column in numbers)
    high = max(max(column.high) for column in numbers)
    scaled = ((pixels - low) / ((high - low) or 1.0)).clip(0, 1)
    sides = shape if shape[2] > 1 else shape[:2]
    return scaled.reshape(len(matrix), *sides)


def example_images(
    columns: Sequence[Column], examples: Mapping[str, SampledRows], shape: ImageShape
) -> dict[str, tuple[AnyFloats, AnyFloats]]:
    """Return the best, median and worst rows as images, with their reconstructions."""
    return {
        rank: (
            np.nan_to_num(as_images(columns, rows.cells[:, 0], shape)),
            as_images(columns, rows.outputs[:, 0], shape),
        )
        for rank, rows in examples.items()
    }
