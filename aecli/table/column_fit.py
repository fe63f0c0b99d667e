"""Turn what a survey found into fitted columns, with a reason for each that people can read."""

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
from aecli.table.scaling import BYTE, NumericCells, scale_cells

_HOW = {
    "standard": "standardised",
    "minmax": "scaled 0..1 by its range",
    "robust": "scaled by median and interquartile range",
    "none": "left as it is",
    "range": "scaled by its range, which is beyond what squares can hold",
}


def left_out_reason(candidate: Candidate, survey: ColumnScan, max_categories: int) -> str | None:
    """Return why a candidate is no feature after all, or None where it is one."""
    name = candidate.name
    if candidate.kind == "vector":
        return _vector_reason(candidate, survey)
    at = survey.position.get(name)
    counts = survey.counts.get(name)
    if not (survey.moments.count[at] if at is not None else counts and counts.observed):
        return "empty: no value in any training row"
    if candidate.exact:
        return None
    if at in survey.row_numbers.found():
        first = survey.row_numbers.found()[at]
        return f"row number: counts the rows from {first}"
    if counts is None or counts.distinct == 1:
        return None
    return identifier_reason(counts, max_categories if candidate.kind == "category" else None)


def fit_columns(
    kept: Sequence[Candidate], survey: ColumnScan, options: ColumnOptions
) -> list[Column]:
    """Return one fitted column per kept candidate.

    Raises:
        DataError: a `--categorical` column holds numbers that are not whole.
    """
    numeric = _Numeric([c for c in kept if c.kind in ("number", "time", "vector")], survey, options)
    columns = []
    for candidate in kept:
        if candidate.kind == "category":
            columns.append(_category(candidate, survey, options.max_categories))
        elif candidate.kind == "boolean":
            columns.append(_boolean(candidate, survey))
        else:
            columns.append(numeric.column(candidate))
    return columns


def _vector_reason(candidate: Candidate, survey: ColumnScan) -> str | None:
    vectors = survey.vectors[candidate.name]
    if vectors.size == 0:
        return f"empty lists: {type_name(candidate.type)}"
    if vectors.ragged:
        return f"lists of different lengths: {type_name(candidate.type)}"
    return None if vectors.moments.count.any() else "empty: no value in any training row"


def _category(candidate: Candidate, survey: ColumnScan, most: int) -> Column:
    counts = survey.counts[candidate.name]
    if counts.fraction is not None:
        raise DataError(
            f"column {candidate.name!r} holds numbers that are not whole, such as "
            f"{counts.fraction:g}; they cannot be categories",
            hint="leave it out of --categorical",
        )
    kept = [value for value, _ in counts.most_common(most)]
    constant = counts.distinct == 1
    what = (
        "text"
        if isinstance(kept[0], str)
        else "boolean"
        if isinstance(kept[0], bool)
        else "integer"
    )
    values = f"{what} with {counts.distinct:,} values"
    if counts.distinct > most:
        values += f": the {most:,} most frequent, the others share a slot"
    return Column(
        name=candidate.name,
        kind="category",
        type=type_name(candidate.type),
        categories=kept,
        has_other=counts.distinct > most,
        has_missing=counts.missing > 0,
        constant=constant,
        observed=counts.observed,
        missing=counts.missing,
        distinct=None if counts.pruned else counts.distinct,
        mode=kept[0],
        reason="constant" if constant else values,
    )


def _boolean(candidate: Candidate, survey: ColumnScan) -> Column:
    at = survey.position[candidate.name]
    moments = survey.moments
    observed, share = int(moments.count[at]), float(moments.mean[at])
    constant = bool(moments.low[at] == moments.high[at])
    return Column(
        name=candidate.name,
        kind="boolean",
        type=type_name(candidate.type),
        has_missing=observed < survey.rows,
        constant=constant,
        observed=observed,
        missing=survey.rows - observed,
        distinct=1 if constant else 2,
        mean=[share],
        mode=share >= 0.5,
        reason="constant" if constant else "boolean",
    )


class _Numeric:
    """Hold the cells of all number, time and vector columns side by side, scaled together."""

    def __init__(
        self, candidates: Sequence[Candidate], survey: ColumnScan, options: ColumnOptions
    ) -> None:
        self._survey = survey
        self._slices: dict[str, slice] = {}
        sizes = [survey.size(candidate) for candidate in candidates]
        stops = np.cumsum(sizes, dtype=np.int64).tolist()
        for candidate, size, stop in zip(candidates, sizes, stops, strict=True):
            self._slices[candidate.name] = slice(stop - size, stop)
        types = [_element(candidate.type) for candidate in candidates]
        byte, whole, temporal = (
            np.repeat(np.array([test(kind) for kind in types], dtype=bool), sizes)
            for test in (pa.types.is_uint8, pa.types.is_integer, pa.types.is_temporal)
        )
        names = list(self._slices)
        self._cells = NumericCells(
            mean=self._gather(names, "mean"),
            std=self._gather(names, "std"),
            low=self._gather(names, "low"),
            high=self._gather(names, "high"),
            byte=byte,
            whole=whole,
            temporal=temporal,
            quartiles=survey.quartiles(names) if options.scale == "robust" and names else None,
        )
        self._scaling = scale_cells(self._cells, options.scale)
        self._varying = self._cells.varying
        seen = np.isfinite(self._cells.low)  # an element of a vector may never have been observed
        self._low = np.where(seen, self._cells.low, 0)
        self._high = np.where(seen, self._cells.high, 0)
        mean, middle = self._cells.mean, self._low / 2 + self._high / 2
        self._mean = np.where(np.isfinite(mean), np.clip(mean, self._low, self._high), middle)

    def column(self, candidate: Candidate) -> Column:
        """Return the fitted column of one candidate."""
        at = self._slices[candidate.name]
        observed = self._survey.observed(candidate)
        varying = self._varying[at]
        constant = not varying.any()
        return Column(
            name=candidate.name,
            kind=candidate.kind,
            type=_stored_type(candidate.type),
            size=at.stop - at.start,
            center=self._scaling.center[at].tolist(),
            scale=self._scaling.scale[at].tolist(),
            has_missing=observed < self._survey.rows,
            constant=constant,
            observed=observed,
            missing=self._survey.rows - observed,
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
            return f"{subject}: {_HOW[method]}"
        others = self._scaling.shared - int((self._scaling.method[at] == "shared").sum())
        if candidate.kind == "number" and self._scaling.top != BYTE:
            subject = "small whole number"
        return f"{subject}: scaled 0..1" + (f" with the other {others:,}" if others else "")

    def _gather(self, names: Sequence[str], field: str) -> npt.NDArray[np.float64]:
        plain: npt.NDArray[np.float64] = getattr(self._survey.moments, field)
        parts = [
            getattr(self._survey.vectors[name].moments, field)
            if name in self._survey.vectors
            else plain[self._survey.position[name], None]
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
