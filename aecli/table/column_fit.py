"""Fit columns from the statistics of a scan, with the reason for each in words."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from aecli.errors import DataError
from aecli.schema.model_spec import Column
from aecli.schema.options import ColumnOptions
from aecli.table.arrow_types import is_list, type_name
from aecli.table.column_scan import Candidate, ColumnScan
from aecli.table.identifiers import identifier_reason
from aecli.table.scaling import MAX_BYTE, NumericCells, scale_cells

_SCALING_WORDS = {
    "standard": "standardised",
    "minmax": "scaled 0..1 by its range",
    "robust": "scaled by median and interquartile range",
    "none": "left as it is",
    "range": "scaled by its range, which is beyond what squares can hold",
}


def left_out_reason(candidate: Candidate, scan: ColumnScan, max_categories: int) -> str | None:
    """Return why a candidate is not a feature, or None if it is one."""
    name = candidate.name
    if candidate.kind == "vector":
        return _vector_reason(candidate, scan)
    at = scan.position.get(name)
    counts = scan.counts.get(name)
    if not (scan.moments.count[at] if at is not None else counts and counts.observed):
        return "empty: no value in any training row"
    if candidate.exact:
        return None
    if at in scan.row_numbers.starts():
        first = scan.row_numbers.starts()[at]
        return f"row number: counts the rows from {first}"
    if counts is None or counts.distinct == 1:
        return None
    return identifier_reason(counts, max_categories if candidate.kind == "category" else None)


def fit_columns(
    candidates: Sequence[Candidate], scan: ColumnScan, options: ColumnOptions
) -> list[Column]:
    """Return one fitted column per candidate.

    Raises:
        DataError: a `--categorical` column holds numbers that are not integers.
    """
    numeric = _NumericColumns(
        [c for c in candidates if c.kind in ("number", "time", "vector")], scan, options
    )
    columns = []
    for candidate in candidates:
        if candidate.kind == "category":
            columns.append(_category(candidate, scan, options.max_categories))
        elif candidate.kind == "boolean":
            columns.append(_boolean(candidate, scan))
        else:
            columns.append(numeric.column(candidate))
    return columns


def _vector_reason(candidate: Candidate, scan: ColumnScan) -> str | None:
    vectors = scan.vectors[candidate.name]
    if vectors.size == 0:
        return f"empty lists: {type_name(candidate.type)}"
    if vectors.ragged:
        return f"lists of different lengths: {type_name(candidate.type)}"
    return None if vectors.moments.count.any() else "empty: no value in any training row"


def _category(candidate: Candidate, scan: ColumnScan, max_categories: int) -> Column:
    counts = scan.counts[candidate.name]
    if counts.fraction is not None:
        raise DataError(
            f"column {candidate.name!r} holds numbers that are not whole, such as "
            f"{counts.fraction:g}; they cannot be categories",
            hint="leave it out of --categorical",
        )
    categories = [value for value, _ in counts.most_common(max_categories)]
    constant = counts.distinct == 1
    types = {str: "text", bool: "boolean", int: "integer"}
    values = f"{types[type(categories[0])]} with {counts.distinct:,} values"
    if counts.distinct > max_categories:
        values += f": the {max_categories:,} most frequent, the others share a slot"
    return Column(
        name=candidate.name,
        kind="category",
        type=type_name(candidate.type),
        categories=categories,
        has_other=counts.distinct > max_categories,
        has_missing=counts.missing > 0,
        constant=constant,
        observed=counts.observed,
        missing=counts.missing,
        distinct=None if counts.pruned else counts.distinct,
        mode=categories[0],
        reason="constant" if constant else values,
    )


def _boolean(candidate: Candidate, scan: ColumnScan) -> Column:
    at = scan.position[candidate.name]
    moments = scan.moments
    observed, share = int(moments.count[at]), float(moments.mean[at])
    constant = bool(moments.low[at] == moments.high[at])
    return Column(
        name=candidate.name,
        kind="boolean",
        type=type_name(candidate.type),
        has_missing=observed < scan.rows,
        constant=constant,
        observed=observed,
        missing=scan.rows - observed,
        distinct=1 if constant else 2,
        mean=[share],
        mode=share >= 0.5,
        reason="constant" if constant else "boolean",
    )


class _NumericColumns:
    """Statistics and scaling of the cells of all number, time and vector columns together."""

    def __init__(
        self, candidates: Sequence[Candidate], scan: ColumnScan, options: ColumnOptions
    ) -> None:
        self._scan = scan
        self._slices: dict[str, slice] = {}
        sizes = [scan.size(candidate) for candidate in candidates]
        stops = np.cumsum(sizes, dtype=np.int64).tolist()
        for candidate, size, stop in zip(candidates, sizes, stops, strict=True):
            self._slices[candidate.name] = slice(stop - size, stop)
        types = [_element(candidate.type) for candidate in candidates]
        byte, integer, temporal = (
            np.repeat(np.array([test(kind) for kind in types], dtype=bool), sizes)
            for test in (pa.types.is_uint8, pa.types.is_integer, pa.types.is_temporal)
        )
        names = list(self._slices)
        self._cells = NumericCells(
            mean=self._moment(names, "mean"),
            std=self._moment(names, "std"),
            low=self._moment(names, "low"),
            high=self._moment(names, "high"),
            byte=byte,
            integer=integer,
            temporal=temporal,
            quartiles=scan.quartiles(names) if options.scale == "robust" and names else None,
        )
        self._scaling = scale_cells(self._cells, options.scale)
        self._varying = self._cells.varying
        observed = np.isfinite(self._cells.low)  # elements of a vector may all be missing
        self._low = np.where(observed, self._cells.low, 0)
        self._high = np.where(observed, self._cells.high, 0)
        mean, middle = self._cells.mean, self._low / 2 + self._high / 2
        self._mean = np.where(np.isfinite(mean), np.clip(mean, self._low, self._high), middle)

    def column(self, candidate: Candidate) -> Column:
        """Return the fitted column of one candidate."""
        at = self._slices[candidate.name]
        observed = self._scan.observed(candidate)
        varying = self._varying[at]
        constant = not varying.any()
        return Column(
            name=candidate.name,
            kind=candidate.kind,
            type=_stored_type(candidate.type),
            size=at.stop - at.start,
            center=self._scaling.center[at].tolist(),
            scale=self._scaling.scale[at].tolist(),
            has_missing=observed < self._scan.rows,
            constant=constant,
            observed=observed,
            missing=self._scan.rows - observed,
            distinct=1 if constant else None,
            low=self._low[at].tolist(),
            high=self._high[at].tolist(),
            mean=self._mean[at].tolist(),
            reason="constant" if constant else self._reason(candidate, at, int(varying.argmax())),
        )

    def _reason(self, candidate: Candidate, at: slice, first: int) -> str:
        method = str(self._scaling.method[at][first])
        subject = _subject(candidate, bool(self._cells.byte[at][0]), at.stop - at.start)
        if method != "shared":
            return f"{subject}: {_SCALING_WORDS[method]}"
        others = self._scaling.shared - int((self._scaling.method[at] == "shared").sum())
        if candidate.kind == "number" and self._scaling.top != MAX_BYTE:
            subject = "small whole number"
        return f"{subject}: scaled 0..1" + (f" with the other {others:,}" if others else "")

    def _moment(self, names: Sequence[str], field: str) -> npt.NDArray[np.float64]:
        scalars: npt.NDArray[np.float64] = getattr(self._scan.moments, field)
        parts = [
            getattr(self._scan.vectors[name].moments, field)
            if name in self._scan.vectors
            else scalars[self._scan.position[name], None]
            for name in names
        ]
        return np.concatenate(parts) if parts else np.empty(0)


def _element(kind: pa.DataType) -> pa.DataType:
    return kind.value_type if is_list(kind) or pa.types.is_dictionary(kind) else kind


def _stored_type(kind: pa.DataType) -> str:
    # A dictionary of floats is only an encoding; the column is what it encodes.
    return type_name(kind.value_type if pa.types.is_dictionary(kind) else kind)


def _subject(candidate: Candidate, byte: bool, size: int) -> str:
    kind = candidate.type
    if candidate.kind == "vector":
        return f"vector of {size:,} {'unsigned bytes' if byte else 'numbers'}"
    for test, subject in (
        (pa.types.is_date, "date"),
        (pa.types.is_timestamp, "date and time"),
        (pa.types.is_time, "time of day"),
        (pa.types.is_duration, "duration"),
        (pa.types.is_uint8, "unsigned byte"),
    ):
        if test(kind):
            return subject
    return "number"
