"""Output columns of scored samples: scores, reasons, and every column's error."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import torch

from aecli.array_types import AnyFloats, Floats, Indices, Mask
from aecli.errors import UsageError
from aecli.features.inverse import InverseColumns
from aecli.inference.batches import SampleBatch, WindowedTable
from aecli.row_sample import RowSample
from aecli.schema.calibration import LEVELS, ScoreScale
from aecli.schema.model_spec import Column
from aecli.scoring.explanation import candidate_count
from aecli.scoring.scorer import Scorer

MAX_PASSES = 8
"""Number of reasons up to which passes over the values take less time than a sort."""


class ScoreColumns:
    """Output columns of scored samples, the number of outliers, and the `highest` scores.

    `explain` is the number of columns named as reasons, including `constants`; with `detail` the
    reconstruction and error of every other column are outputs, too.
    """

    def __init__(
        self,
        columns: Sequence[Column],
        scale: ScoreScale,
        *,
        threshold: float,
        explain: int,
        detail: bool,
        constants: Sequence[str] = (),
        window: int = 1,
    ) -> None:
        self.threshold = threshold
        self.outliers = 0
        self.highest = RowSample(candidate_count(window))
        self._inverse = InverseColumns(columns)
        self._names = [column.name for column in self._inverse.layout.columns]
        self._reason_names = [*self._names, *constants]
        self._scale = scale
        self._explain = min(explain, len(self._names))
        self._detail = detail

    def fields(self) -> list[pa.Field]:
        """Return the fields that `arrays` fills.

        Raises:
            UsageError: two fields have the same name.
        """
        fields = [pa.field("score", pa.float32()), pa.field("score_percentile", pa.float32())]
        fields.append(pa.field("is_outlier", pa.bool_()))
        for rank in range(1, self._explain + 1):
            fields.append(pa.field(f"top{rank}_column", pa.string()))
            fields.append(pa.field(f"top{rank}_error", pa.float32()))
        for name in self._names if self._detail else []:
            fields.append(pa.field(f"{name}_reconstruction", self._inverse.types[name]))
            fields.append(pa.field(f"{name}_error", pa.float32()))
        names = [field.name for field in fields]
        duplicate = next((name for name in names if names.count(name) > 1), None)
        if duplicate is not None:
            raise UsageError(
                f"--detail would write two columns called {duplicate!r}",
                hint="rename the column with that ending, or leave --detail out",
            )
        return fields

    def arrays(
        self, scores: Floats, errors: Floats, reasons: Floats, outputs: AnyFloats
    ) -> list[pa.Array]:
        """Return the arrays of scored samples, and count the outliers among them.

        `scores` are `(n_samples,)`, `NaN` if unknown; `errors` and `reasons` are `(n_samples,
        n_columns)`, reasons including constants, as in `ScoredSamples`. `outputs` are those of the
        network `(n_rows, n_outputs)`; with `detail` every sample is a row.
        """
        unknown = np.isnan(scores)
        outlier = scores > self.threshold
        self.outliers += int(outlier.sum())
        percentile = share_below(scores, self._scale.quantiles)
        arrays = [_float32(scores), _float32(np.where(unknown, np.nan, percentile))]
        arrays.append(pa.array(outlier, mask=unknown))
        arrays += self._reasons(reasons)
        if self._detail:
            arrays += self._details(errors, outputs, unknown)
        return arrays

    def _reasons(self, reasons: Floats) -> list[pa.Array]:
        if not self._explain:
            return []
        known = np.array(reasons.T, order="C")
        known[np.isnan(known)] = -1.0
        names = pa.array(self._reason_names, pa.string())
        arrays: list[pa.Array] = []
        for column, largest in _largest(known, self._explain):
            absent = largest < 0
            arrays.append(names.take(pa.array(column, mask=absent)))
            arrays.append(_float32(np.where(absent, np.nan, largest)))
        return arrays

    def _details(self, errors: Floats, outputs: AnyFloats, unknown: Mask) -> list[pa.Array]:
        names = self._inverse.schema.names
        reconstructed = dict(zip(names, self._inverse.arrays(outputs), strict=True))
        rows = pa.array(np.arange(len(unknown)), mask=unknown)
        arrays: list[pa.Array] = []
        for index, name in enumerate(self._names):
            array = reconstructed[name]
            arrays += [array.take(rows) if unknown.any() else array, _float32(errors[:, index])]
        return arrays


def _largest(values: AnyFloats, count: int) -> Iterator[tuple[Indices, AnyFloats]]:
    """Yield the columns and the largest values `(n_samples,)`, then the second largest, and so on.

    Of equal values of `(n_columns, n_samples)` the first column's is the larger one. Found values
    are overwritten.
    """
    if count > MAX_PASSES:
        order = np.argsort(-values, axis=0, kind="stable")[:count]
        yield from zip(order, np.take_along_axis(values, order, axis=0), strict=True)
        return
    # The largest weight of the columns with the largest value is that of the first one.
    weights = np.arange(len(values), 0, -1, dtype=np.min_scalar_type(len(values)))[:, None]
    rows = np.arange(values.shape[1])
    for _ in range(count):
        largest = values.max(0)
        column = len(values) - ((values == largest) * weights).max(0).astype(np.int64)
        values[column, rows] = -np.inf
        yield column, largest


def share_below(scores: npt.NDArray[np.floating[Any]], quantiles: Sequence[float]) -> Floats:
    """Return the percentage of calibrated scores that are strictly lower."""
    known, levels = np.asarray(quantiles), np.asarray(LEVELS, dtype=float)
    upper = np.searchsorted(known, scores).clip(1, len(known) - 1)
    # Of equal quantiles, a score has the level of the first one; above the last, the highest level.
    widths = np.diff(known).clip(min=np.finfo(np.float32).tiny)
    parts = ((scores - known[upper - 1]) / widths[upper - 1]).clip(0, 1)
    shares: Floats = parts * np.diff(levels)[upper - 1] + levels[upper - 1]
    return shares


def scores_of_rows(
    scorer: Scorer, table: WindowedTable, batches: Iterator[SampleBatch], aggregate: str
) -> tuple[Floats, Floats, Floats, AnyFloats]:
    """Return the scores, errors, reasons and outputs of rows: means over a row's windows.

    They are `NaN` for a row in no window, whose outputs are 0. A constant that differs counts only
    in its row, not in the other rows of its windows.
    """
    counts = torch.from_numpy(table.windows.coverage()).double()
    layout = scorer.deviations.layout
    scores = torch.zeros(len(counts)).double()
    sums = torch.zeros(2, len(counts), len(layout.columns)).double()
    observed = torch.zeros_like(sums[0])
    outputs = torch.zeros(len(counts), layout.outputs)
    for samples in batches:
        assert samples.rows is not None, "windows have row numbers"
        scored, rows = scorer.score(samples.cells), torch.from_numpy(samples.rows)
        scores.index_add_(0, rows, scored.scores[aggregate].repeat_interleave(scorer.window))
        of_rows = torch.stack([scored.row_errors, scored.row_reasons]).double()
        sums.index_add_(1, rows, of_rows.nan_to_num(0.0))
        observed.index_add_(0, rows, (~scored.row_errors.isnan()).double())
        outputs.index_add_(0, rows, scored.outputs)
    outputs /= counts.clamp(min=1)[:, None]
    errors, reasons = (sums / observed).numpy()
    scored_rows = (counts > 0)[:, None]
    amounts, constant_reasons = scorer.constant_parts(torch.from_numpy(table.differs) & scored_rows)
    reasons = np.concatenate([reasons, constant_reasons.numpy()], 1)
    return (scores / counts + amounts[aggregate]).numpy(), errors, reasons, outputs.numpy()


def _float32(values: Floats) -> pa.Array:
    bounded = np.clip(values, None, 3e38).astype(np.float32)
    return pa.array(bounded, mask=np.isnan(values))
