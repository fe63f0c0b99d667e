"""Explain anomalous samples: the columns that add most to a score, and their expected values."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

import numpy as np
import pyarrow as pa
import torch
from torch import Tensor

from aecli.array_types import Floats, Indices
from aecli.features.inverse import InverseColumns, spelled_booleans
from aecli.formatting import number_text
from aecli.row_sample import RowSample
from aecli.schema.model_spec import Column
from aecli.table.arrow_types import is_list, is_plain_number

ANOMALIES_SHOWN = 10
MAX_CANDIDATES = 1_000
"""Maximum number of windows from which those that do not overlap are chosen."""

MAX_VALUE_LENGTH = 40
"""Characters of a value in an explanation."""

ANOTHER_TEXT = "another text"
"""Expected value where no stored text is near to the reconstruction."""

MIN_REASON = 1.0
"""Contribution to a score below which a column is not a reason; ordinary columns contribute 1."""

MIN_LARGE_ERROR = 2.0
"""Error, as a multiple of the usual one, below which a column is a reason for its value only, and
multiple of the error above which a contribution comes from the value rather than the error."""


@dataclass(frozen=True)
class ScoreReason:
    """Column that adds to a score: its error, as a multiple of the usual one, and its value.

    `contribution` is the column's part in the score, also from the distance of its value to those
    in training; 1 is ordinary. `error` is NaN for a constant column.
    `value` and `expected`, the model's reconstruction, are text; None for a window, whose rows have
    several values, and `value` is None for a column that is `constant` in training: a cell of
    another type has no value of the column.
    """

    column: str
    error: float
    value: str | None = None
    expected: str | None = None
    constant: bool = False
    contribution: float = 0.0

    @property
    def unusual(self) -> bool:
        """Return whether the value contributes more than its error: it is far from training."""
        return self.contribution > MIN_LARGE_ERROR * self.error


@dataclass(frozen=True)
class AnomalousSample:
    """Row or window with a high score, and the reasons for it, the largest first.

    `row` is the number of the row in the table, from 0, or of a window's last row, and `first_row`
    that of its first. `identifiers` has the values of the identifier and kept columns as text.
    """

    row: int
    first_row: int
    score: float
    identifiers: Mapping[str, str]
    reasons: Sequence[ScoreReason]

    @classmethod
    def restored(cls, values: Mapping[str, Any]) -> AnomalousSample:
        """Return a sample from its fields as JSON, where an error of NaN is null."""
        reasons = [
            ScoreReason(
                **{**reason, "error": math.nan if reason["error"] is None else reason["error"]}
            )
            for reason in values["reasons"]
        ]
        return cls(**{**values, "reasons": reasons})


def add_samples(
    sample: RowSample,
    batch: pa.RecordBatch,
    scores: Floats,
    errors: Tensor,
    reasons: Tensor,
    *,
    outputs: Tensor | None,
    first_rows: Indices,
    last_rows: Indices,
) -> None:
    """Add scored samples to those with the highest scores.

    Args:
        sample: what is kept, of bounded size.
        batch: the columns of the samples as read.
        scores: `(n_samples,)`.
        errors: `(n_samples, n_columns)`, as in `ScoredSamples`.
        reasons: the same, constant columns last.
        outputs: of the network `(n_samples, n_outputs)`; None for windows.
        first_rows: number of each sample's first row in the table, from 0.
        last_rows: number of each sample's last row.
    """

    def columns_at(positions: Indices) -> dict[str, Any]:
        taken: dict[str, Any] = {"score": scores[positions]}
        taken |= {"first": first_rows[positions], "last": last_rows[positions]}
        tensors = {"errors": errors, "reasons": reasons, "outputs": outputs}
        for name, values in tensors.items():
            if values is not None:
                taken[name] = values[torch.from_numpy(positions)].cpu().numpy()
        if batch.num_columns:
            taken["batch"] = batch.take(pa.array(positions))
        return taken

    sample.add(-scores, columns_at)


def candidate_count(window: int) -> int:
    """Return how many samples to keep, since a window overlaps up to 2 × (`window` - 1) others."""
    return min(ANOMALIES_SHOWN * (2 * window - 1), MAX_CANDIDATES)


def anomalous_samples(
    sample: RowSample,
    columns: Sequence[Column],
    constants: Sequence[Column],
    *,
    identifiers: Mapping[str, str],
    reasons: int,
    starts: Indices | None = None,
    window: int = 1,
) -> list[AnomalousSample]:
    """Return at most ten of the samples that `add_samples` added, the highest score first.

    Of windows that overlap, only the one with the highest score is returned.

    Args:
        sample: the samples.
        columns: of the model.
        constants: those of them that the table has, and whose cells are compared.
        identifiers: columns that name a sample, and what they are called in the output.
        reasons: how many columns to name.
        starts: of windows, the positions of their first rows in the series `(n_windows,)`.
        window: the number of rows of a window.
    """
    taken = sample.columns(by_key=True)
    if not taken:
        return []
    inverse = InverseColumns(columns)
    arrays = inverse.arrays(taken["outputs"]) if "outputs" in taken else []
    reconstructed = dict(zip(inverse.schema.names, arrays, strict=False))
    by_name = {column.name: column for column in columns}
    named = (*inverse.layout.columns, *(by_name[column.name] for column in constants))
    batch: Any = taken.get("batch")
    errors, contributions, numbers = taken["errors"], taken["reasons"], taken["number"]
    return [
        AnomalousSample(
            row=int(taken["last"][position]),
            first_row=int(taken["first"][position]),
            score=float(taken["score"][position]),
            identifiers={
                title: exact_text(batch.column(name), position)
                for name, title in identifiers.items()
            },
            reasons=[
                score_reason(
                    named[i],
                    error_at(errors[position], i),
                    float(contributions[position, i]),
                    batch,
                    reconstructed,
                    position,
                )
                for i in largest_reasons(contributions[position], reasons)
            ],
        )
        for position in _without_overlaps(numbers if starts is None else starts[numbers], window)
    ]


def _without_overlaps(starts: Indices, window: int) -> list[int]:
    """Return the positions of at most ten samples, none of which overlaps an earlier one."""
    chosen: list[int] = []
    for position, start in enumerate(starts):
        if all(abs(int(start) - int(starts[other])) >= window for other in chosen):
            chosen.append(position)
        if len(chosen) == ANOMALIES_SHOWN:
            break
    return chosen


def error_at(errors: Floats, position: int) -> float:
    """Return the error of a column; NaN for the constant columns, which follow the others."""
    return float(errors[position]) if position < len(errors) else float("nan")


def largest_reasons(contributions: Floats, most: int) -> list[int]:
    """Return the positions of the largest contributions `(n_columns,)` to a score."""
    known = np.nan_to_num(contributions, nan=-1.0)
    order = np.argsort(-known, kind="stable")[:most]
    large = [int(i) for i in order if known[i] >= MIN_REASON]
    return large or [int(i) for i in order[:1] if known[i] >= 0]


def score_reason(
    column: Column,
    error: float,
    contribution: float,
    batch: pa.RecordBatch | None,
    reconstructed: Mapping[str, pa.Array],
    position: int,
) -> ScoreReason:
    """Return a column as a reason for the score of the sample at a position.

    Args:
        column: of the model.
        error: the column's error as a multiple of the usual one.
        contribution: of the column to the score.
        batch: the samples as read; None where they have no columns.
        reconstructed: their reconstructions by column; empty for windows.
        position: of the sample in both.
    """
    expectation = reconstructed.get(column.name)
    reason = ScoreReason(
        column.name, error, constant=column.constant, contribution=contribution
    )  # fmt: skip
    if batch is None or expectation is None:
        return reason
    expected = cell_text(expectation, position, digits=4)
    if column.kind == "text" and not expectation[position].is_valid:
        expected = ANOTHER_TEXT
    reason = replace(reason, expected=expected)
    if column.constant:
        return reason
    values = batch.column(column.name)
    if pa.types.is_boolean(values.type) and not pa.types.is_boolean(expectation.type):
        values = spelled_booleans(values, column)
    return replace(reason, value=cell_text(values, position))


def reason_text(reason: ScoreReason, *, brief: bool = False) -> str:
    """Describe a reason: `total is 99,999, expected 76.7; 4,000x the usual error`.

    Where it is `brief`, for a list of reasons: `total is 99,999, expected 76.7 (4,000x)`. Without a
    large error only the value is named: `total is 99,999, an unusual value`.
    """
    if reason.constant:
        only = "its only value in training"
        expected = only if reason.expected is None else f"{reason.expected}, {only}"
        return f"{reason.column} differs from {expected}"
    large = reason.error >= MIN_LARGE_ERROR
    ratio = f"{ratio_text(reason.error)}x"
    times = f" ({ratio})" if brief else f"; {ratio} the usual error"
    if reason.value is None:
        return (
            reason.column + times.replace(";", ":") if large else f"{reason.column}: unusual values"
        )
    actual = f"{reason.column} is {reason.value}"
    if not large:
        return f"{actual}, an unusual value"
    if reason.value == reason.expected:
        return f"{actual}, as expected, but unusual{times}"
    actual += ", an unusual value" if reason.unusual else ""
    return f"{actual}, expected {reason.expected}{times}"


def ratio_text(ratio: float) -> str:
    """Write a ratio with two significant digits below 10, else with three: 7.4, 40, 1,530."""
    if not 10 <= ratio < 1e9:
        return number_text(ratio, 2)
    return f"{float(f'{ratio:.3g}'):,.0f}"


def cell_text(array: pa.Array, position: int, *, digits: int = 6) -> str:
    """Return one cell as short text: 99,999, 76.712, 2026-01-31, a word, `missing`."""
    cell = array[position]
    if not cell.is_valid:
        return "missing"
    if pa.types.is_floating(array.type) or pa.types.is_integer(array.type):
        return number_text(cell.as_py(), digits)
    if is_list(array.type) and is_plain_number(array.type.value_type):
        values = cell.as_py()
        parts = ["missing" if value is None else number_text(value, digits) for value in values]
        return f"[{', '.join(parts[:3])}{', …' * (len(parts) > 3)}]"
    return exact_text(array, position)


def exact_text(array: pa.Array, position: int) -> str:
    """Return one cell of any type as text, numbers without grouping, only shortened."""
    cell = array[position]
    if not cell.is_valid:
        return "missing"
    if pa.types.is_duration(array.type):
        return _duration_text(cell)
    try:
        text = str(array.slice(position, 1).cast(pa.string())[0])
    except pa.ArrowException:
        text = str(cell)
    return text if len(text) <= MAX_VALUE_LENGTH else text[: MAX_VALUE_LENGTH - 1] + "…"


def _duration_text(cell: pa.Scalar) -> str:
    """Return a duration as text; Python's have only microseconds, and fewer days."""
    whole, rest = divmod(cell.value, 1_000) if cell.type.unit == "ns" else (None, 0)
    try:
        text = str(cell if whole is None else timedelta(microseconds=whole))
    except OverflowError:
        return f"{cell.value} {cell.type.unit}"
    return f"{text if '.' in text else text + '.000000'}{rest:03}" if rest else text
