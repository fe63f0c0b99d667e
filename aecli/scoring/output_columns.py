"""Turn scored samples into columns: scores, what stands out, and every column's error."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import torch
from torch import Tensor

from aecli.array_types import Floats, Indices
from aecli.errors import UsageError
from aecli.features.inverse import Restorer
from aecli.inference.windows import WindowedTable
from aecli.progress import Progress
from aecli.schema.model_spec import LEVELS, Column, ScoreScale
from aecli.scoring.scorer import Scored, Scorer


@dataclass(frozen=True)
class Shape:
    """Say what is written of each sample: `aggregate`, the outlier limit, and how much of why."""

    aggregate: str
    scale: ScoreScale
    limit: float
    explain: int
    detail: bool


@dataclass(frozen=True)
class Explained:
    """Hold scores `(n_samples,)`, `NaN` where there is none, with each column's part in them.

    `errors` and `reasons` are `(n_samples, n_columns)`, as in `Scored`.
    """

    scores: Floats
    errors: Floats
    reasons: Floats

    def rows(self, part: slice) -> Explained:
        """Return some of them."""
        return Explained(self.scores[part], self.errors[part], self.reasons[part])


class ScoreColumns:
    """Make Arrow arrays of scored samples, and count those above the limit."""

    def __init__(self, columns: Sequence[Column], shape: Shape) -> None:
        self._restorer = Restorer(columns)
        self._names = [column.name for column in self._restorer.layout.columns]
        self._shape = shape
        self._explain = min(shape.explain, len(self._names))
        self.outliers = 0

    def fields(self) -> list[pa.Field]:
        """Return the fields that `arrays` fills.

        Raises:
            UsageError: two of them have one name.
        """
        found = [pa.field("score", pa.float32()), pa.field("score_percentile", pa.float32())]
        found.append(pa.field("is_outlier", pa.bool_()))
        for place in range(1, self._explain + 1):
            found.append(pa.field(f"top{place}_column", pa.string()))
            found.append(pa.field(f"top{place}_error", pa.float32()))
        for name in self._names if self._shape.detail else []:
            found.append(pa.field(f"{name}_reconstruction", self._restorer.types[name]))
            found.append(pa.field(f"{name}_error", pa.float32()))
        names = [field.name for field in found]
        twice = next((name for name in names if names.count(name) > 1), None)
        if twice is not None:
            raise UsageError(
                f"--detail would write two columns called {twice!r}",
                hint="rename the column that ends so, or leave --detail out",
            )
        return found

    def arrays(self, found: Explained, outputs: Tensor | None) -> list[pa.Array]:
        """Return the arrays of explained samples; `outputs` are theirs, for details."""
        shape, scores = self._shape, found.scores
        unknown = np.isnan(scores)
        odd = scores > shape.limit
        self.outliers += int(odd.sum())
        percentile = share_below(scores, shape.scale.quantiles)
        arrays = [_float32(scores), _float32(np.where(unknown, np.nan, percentile))]
        arrays.append(pa.array(odd, mask=unknown))
        arrays += self._reasons(found.reasons)
        if shape.detail:
            assert outputs is not None, "windows give details by row"
            arrays += self._details(found.errors, outputs, unknown)
        return arrays

    def _reasons(self, reasons: Floats) -> list[pa.Array]:
        if not self._explain:
            return []
        known = np.where(np.isnan(reasons), -1.0, reasons)
        order = np.argsort(-known, axis=1, kind="stable")[:, : self._explain]
        largest = np.take_along_axis(known, order, axis=1)
        names = pa.array(self._names, pa.string())
        found: list[pa.Array] = []
        for place in range(self._explain):
            nothing = largest[:, place] < 0
            found.append(names.take(pa.array(order[:, place], mask=nothing)))
            found.append(_float32(np.where(nothing, np.nan, largest[:, place])))
        return found

    def _details(
        self, errors: Floats, outputs: Tensor, unknown: npt.NDArray[np.bool_]
    ) -> list[pa.Array]:
        restored = dict(
            zip(self._restorer.schema.names, self._restorer.restore(outputs.numpy()), strict=True)
        )
        rows = pa.array(np.arange(len(unknown)), mask=unknown)
        found: list[pa.Array] = []
        for index, name in enumerate(self._names):
            array = restored[name]
            found += [array.take(rows) if unknown.any() else array, _float32(errors[:, index])]
        return found


def share_below(scores: npt.NDArray[np.floating[Any]], quantiles: Sequence[float]) -> Floats:
    """Return the percentage of calibrated scores that are lower, ties not among them."""
    known, levels = np.asarray(quantiles), np.asarray(LEVELS, dtype=float)
    first = np.searchsorted(known, scores).clip(max=len(known) - 1)
    found: Floats = np.where(
        known[first] == scores, levels[first], np.interp(scores, known, levels)
    )
    return found


def scores_of_rows(
    scorer: Scorer,
    table: WindowedTable,
    batches: Iterator[tuple[Tensor, Indices]],
    aggregate: str,
    progress: Progress,
) -> tuple[Explained, Tensor]:
    """Return the rows of windows, explained, and their outputs; `NaN` in no window.

    Each row gets the means over the windows that it lies in.
    """
    counts = torch.from_numpy(table.windows.coverage()).double()
    where = scorer.deviations.layout
    scores = torch.zeros(len(counts)).double()
    sums = torch.zeros(2, len(counts), len(where.columns)).double()
    observed = torch.zeros_like(sums[0])
    outputs = torch.zeros(len(counts), where.outputs)
    for cells, numbers in batches:
        found, rows = scorer.score(cells), torch.from_numpy(numbers)
        scores.index_add_(0, rows, found.scores[aggregate].repeat_interleave(scorer.window))
        of_rows = torch.stack([found.row_errors, found.row_reasons])
        sums.index_add_(1, rows, of_rows.nan_to_num(0.0))
        observed.index_add_(0, rows, (~found.row_errors.isnan()).double())
        outputs.index_add_(0, rows, found.outputs)
        progress.rows(len(rows) // scorer.window)
    outputs /= counts.clamp(min=1)[:, None]
    errors, reasons = (sums / observed).numpy()
    return Explained((scores / counts).numpy(), errors, reasons), outputs


def of_samples(found: Scored, aggregate: str) -> Explained:
    """Return the scores of samples, explained."""
    scores = found.scores[aggregate].numpy()
    return Explained(scores, found.errors.numpy(), found.reasons.numpy())


def _float32(values: Floats) -> pa.Array:
    bounded = np.clip(values, None, 3e38).astype(np.float32)
    return pa.array(bounded, mask=np.isnan(values))
