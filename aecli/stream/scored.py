"""Turn scored samples into columns: scores, what stands out, and every column's error."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import torch
from torch import Tensor

from aecli.errors import UsageError
from aecli.feed.restore import Restorer
from aecli.feed.windows import Indices
from aecli.progress import Progress
from aecli.spec.model import LEVELS, Column, ScoreScale
from aecli.stream.scores import Scored, Scorer
from aecli.stream.windows import WindowedTable

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Shape:
    """Say what is written of each sample: `aggregate`, the outlier limit, and how much of why."""

    aggregate: str
    scale: ScoreScale
    limit: float
    explain: int
    detail: bool


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

    def arrays(self, scores: Floats, errors: Floats, outputs: Tensor | None) -> list[pa.Array]:
        """Return the arrays of samples with scores `(n_samples,)`, `NaN` where there is none."""
        shape = self._shape
        unknown = np.isnan(scores)
        odd = scores > shape.limit
        self.outliers += int(odd.sum())
        percentile = np.interp(scores, shape.scale.quantiles, LEVELS)
        found = [_float32(scores), _float32(np.where(unknown, np.nan, percentile))]
        found.append(pa.array(odd, mask=unknown))
        found += self._reasons(errors)
        if shape.detail:
            assert outputs is not None, "windows give details by row"
            found += self._details(errors, outputs, unknown)
        return found

    def _reasons(self, errors: Floats) -> list[pa.Array]:
        if not self._explain:
            return []
        known = np.where(np.isnan(errors), -1.0, errors)
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


def scores_of_rows(
    scorer: Scorer,
    table: WindowedTable,
    batches: Iterator[tuple[Tensor, Indices]],
    aggregate: str,
    progress: Progress,
) -> tuple[Floats, Floats, Tensor]:
    """Return scores `(n_rows,)`, column errors and outputs of the rows of windows, `NaN` in none.

    Each row gets the means over the windows that it lies in.
    """
    counts = torch.from_numpy(table.windows.coverage()).double()
    where = scorer.deviations.layout
    scores = torch.zeros(len(counts)).double()
    errors = torch.zeros(len(counts), len(where.columns)).double()
    observed = torch.zeros_like(errors)
    outputs = torch.zeros(len(counts), where.outputs)
    for cells, numbers in batches:
        found, rows = scorer.score(cells), torch.from_numpy(numbers)
        scores.index_add_(0, rows, found.scores[aggregate].repeat_interleave(scorer.window))
        errors.index_add_(0, rows, found.row_errors.nan_to_num(0.0))
        observed.index_add_(0, rows, (~found.row_errors.isnan()).double())
        outputs.index_add_(0, rows, found.outputs)
        progress.rows(len(rows) // scorer.window)
    outputs /= counts.clamp(min=1)[:, None]
    return (scores / counts).numpy(), (errors / observed).numpy(), outputs


def of_samples(found: Scored, aggregate: str) -> tuple[Floats, Floats]:
    """Return the scores and the column errors of samples as NumPy arrays."""
    return found.scores[aggregate].numpy(), found.errors.numpy()


def _float32(values: Floats) -> pa.Array:
    bounded = np.clip(values, None, 3e38).astype(np.float32)
    return pa.array(bounded, mask=np.isnan(values))
