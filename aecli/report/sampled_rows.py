"""Rows that a report shows: a uniform sample, the most anomalous, the best and the worst."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from aecli.array_types import AnyFloats
from aecli.row_sample import RowSample


@dataclass(frozen=True)
class SampledRows:
    """Some rows or windows: columns as read, and what the model made of each.

    With windows `row` (counted from 0) and `batch` are of the last row. `cells` and `outputs` are
    `(n_samples, window, …)`, `errors` and `reasons` `(n_samples, n_columns)` as in `Scored`,
    `codes` the label's, -1 where unknown.
    """

    row: npt.NDArray[np.int64]
    batch: pa.RecordBatch
    cells: AnyFloats
    outputs: AnyFloats
    latent: AnyFloats
    codes: npt.NDArray[np.int64]
    scores: AnyFloats
    errors: AnyFloats
    reasons: AnyFloats

    def __len__(self) -> int:
        return len(self.row)

    def take(self, places: Sequence[int] | npt.NDArray[np.int64]) -> SampledRows:
        """Return the samples at some places."""
        return SampledRows(**self._columns(np.asarray(places, dtype=np.int64)))

    def _columns(self, places: npt.NDArray[np.int64]) -> dict[str, Any]:
        found = {f.name: getattr(self, f.name) for f in fields(self)}
        batch = found.pop("batch").take(pa.array(places))
        return {name: values[places] for name, values in found.items()} | {"batch": batch}

    def add_to(self, sample: RowSample, keys: AnyFloats) -> None:
        """Add these samples to a bounded sample, by their keys `(n_samples,)`."""
        sample.add(keys, self._columns)


def lowest_keys(sample: RowSample) -> SampledRows | None:
    """Return the rows of a sample, lowest key first; None where there were none."""
    columns = sample.columns(by_key=True)
    columns.pop("number", None)
    return SampledRows(**columns) if columns else None
