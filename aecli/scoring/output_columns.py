"""Output columns of scored samples: scores, reasons, and every column's error."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import torch
from torch import Tensor

from aecli.array_types import AnyFloats, Floats, Indices, Mask
from aecli.errors import UsageError
from aecli.features.inverse import InverseColumns
from aecli.inference.batches import SampleBatch, WindowedTable
from aecli.row_sample import RowSample
from aecli.schema.calibration import ScoreScale
from aecli.schema.model_spec import Column
from aecli.scoring.explanation import candidate_count
from aecli.scoring.largest_columns import largest_columns
from aecli.scoring.percentiles import Percentiles
from aecli.scoring.scorer import Scorer


class ReducedSamples(NamedTuple):
    """Scores `(n_samples,)`, the columns that are reasons and their contributions by rank.

    `columns` and `values` are `(n_ranks, n_samples)`, a value is -1 if there is no such column;
    `errors` and `outputs` are those of `ScoredSamples`, None if they are not written.
    """

    scores: Floats
    columns: Indices
    values: AnyFloats
    errors: AnyFloats | None = None
    outputs: AnyFloats | None = None


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
        self._reason_names = pa.array([*self._names, *constants], pa.string())
        self._percentiles = Percentiles(scale.quantiles)
        self.explain = explain
        self._reasons = min(explain, len(self._names))
        self.detail = detail

    def fields(self) -> list[pa.Field]:
        """Return the fields that `arrays` fills.

        Raises:
            UsageError: two fields have the same name.
        """
        fields = [pa.field("score", pa.float32()), pa.field("score_percentile", pa.float32())]
        fields.append(pa.field("is_outlier", pa.bool_()))
        for rank in range(1, self._reasons + 1):
            fields.append(pa.field(f"top{rank}_column", pa.string()))
            fields.append(pa.field(f"top{rank}_error", pa.float32()))
        for name in self._names if self.detail else []:
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

    def reduced(
        self, scores: Floats, errors: Tensor, reasons: Tensor, outputs: Tensor
    ) -> ReducedSamples:
        """Return what `arrays` needs of scored samples, which is much less than all reasons.

        `scores` are `(n_samples,)`, `NaN` if unknown; `errors` and `reasons` are `(n_samples,
        n_columns)`, reasons including constants, as in `ScoredSamples`. `outputs` are those of the
        network `(n_rows, n_outputs)`; with `detail` every sample is a row.
        """
        columns, values = largest_columns(reasons, self._reasons)
        details = (errors, outputs) if self.detail else ()
        return ReducedSamples(scores, columns, values, *(part.cpu().numpy() for part in details))

    def arrays(self, blocks: Sequence[ReducedSamples]) -> list[pa.Array]:
        """Return the arrays of all blocks of samples, and count the outliers among them."""
        scores = np.concatenate([block.scores for block in blocks])
        unknown = np.isnan(scores)
        outlier = scores > self.threshold
        self.outliers += int(outlier.sum())
        percentile = self._percentiles.of(scores)
        percentile[unknown] = np.nan
        arrays = [_float32(scores), _float32(percentile)]
        arrays.append(pa.array(outlier, mask=unknown if unknown.any() else None))
        columns = np.concatenate([block.columns for block in blocks], 1)
        values = np.concatenate([block.values for block in blocks], 1)
        for of_rank, largest in zip(columns, values, strict=True):
            absent = largest < 0
            known = None if not absent.any() else absent
            arrays.append(self._reason_names.take(pa.array(of_rank, mask=known)))
            arrays.append(_float32(largest if known is None else np.where(absent, np.nan, largest)))
        if self.detail:
            errors, outputs = (
                np.concatenate([part for block in blocks if (part := block[i]) is not None])
                for i in (3, 4)
            )
            arrays += self._details(errors, outputs, unknown)
        return arrays

    def _details(self, errors: AnyFloats, outputs: AnyFloats, unknown: Mask) -> list[pa.Array]:
        names = self._inverse.schema.names
        reconstructed = dict(zip(names, self._inverse.arrays(outputs), strict=True))
        rows = pa.array(np.arange(len(unknown)), mask=unknown)
        arrays: list[pa.Array] = []
        for index, name in enumerate(self._names):
            array = reconstructed[name]
            arrays += [array.take(rows) if unknown.any() else array, _float32(errors[:, index])]
        return arrays


def scores_of_rows(
    scorer: Scorer, table: WindowedTable, batches: Iterator[SampleBatch], aggregate: str
) -> tuple[Floats, Tensor, Tensor, Tensor]:
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
        of_rows = torch.stack([scored.row_errors, scored.row_reasons]).cpu().double()
        sums.index_add_(1, rows, of_rows.nan_to_num(0.0))
        observed.index_add_(0, rows, (~of_rows[0].isnan()).double())
        outputs.index_add_(0, rows, scored.outputs.cpu())
    outputs /= counts.clamp(min=1)[:, None]
    errors, reasons = sums / observed
    scored_rows = (counts > 0)[:, None]
    amounts, constant_reasons = scorer.constant_parts(torch.from_numpy(table.differs) & scored_rows)
    reasons = torch.cat([reasons, constant_reasons.double()], 1)
    return (scores / counts + amounts[aggregate]).numpy(), errors, reasons, outputs


def _float32(values: AnyFloats) -> pa.Array:
    bounded = np.minimum(values, 3e38).astype(np.float32, copy=False)
    missing = np.isnan(bounded)
    return pa.array(bounded, mask=missing if missing.any() else None)
