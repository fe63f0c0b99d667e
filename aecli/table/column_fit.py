"""Fit columns from the statistics of a scan, and give the reason for each."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pyarrow as pa

from aecli.array_types import Floats
from aecli.errors import DataError
from aecli.schema.model_spec import Column, Period
from aecli.schema.options import ColumnOptions
from aecli.table.arrow_types import element_type, type_name
from aecli.table.calendar_periods import covered_periods
from aecli.table.candidate import Candidate
from aecli.table.cells.conversion import NULLS
from aecli.table.column_reasons import digits_note, periods_note, scaling_reason
from aecli.table.column_roles import MAX_CATEGORIES
from aecli.table.column_scan import ColumnScan
from aecli.table.scaling import FAR, NumericCells, scale_cells


def fit_columns(
    candidates: Sequence[Candidate], scan: ColumnScan, options: ColumnOptions
) -> list[Column]:
    """Return one fitted column per candidate.

    Raises:
        DataError: a `--categorical` column contains numbers that are not integers.
    """
    numeric = _fit_numeric_columns(
        [c for c in candidates if c.kind in ("number", "time", "vector")], scan, options
    )
    columns = []
    for candidate in candidates:
        if candidate.kind == "category":
            limit = options.max_categories or MAX_CATEGORIES
            columns.append(_category(candidate, scan, limit))
        elif candidate.kind == "text":
            columns.append(_text(candidate, scan))
        elif candidate.kind == "boolean":
            columns.append(_boolean(candidate, scan))
        else:
            columns.append(numeric[candidate.name])
    return columns


def require_unscaled_reach(columns: Sequence[Column], table: str) -> None:
    """Raise for numbers that are too large for a network without scaling.

    Raises:
        DataError: a training value is beyond a million scaled units.
    """
    for column in columns:
        if column.constant or column.kind in ("time", "text"):
            continue
        low, high, center, scale = map(
            np.array, (column.low, column.high, column.center, column.scale)
        )
        ends = np.concatenate([low, high])
        with np.errstate(over="ignore"):
            reach = np.abs(np.concatenate([low - center, high - center]) / np.tile(scale, 2))
        if len(scale) and reach.max() > FAR:
            raise DataError(
                f"column {column.name!r} of {table} contains {ends[reach.argmax()]:g}, which is "
                "too large for --scale none",
                facts=[f"numbers beyond {FAR:,.0f} are not distinguished"],
                hint="--scale standard",
            )


def _category(candidate: Candidate, scan: ColumnScan, max_categories: int) -> Column:
    counts = scan.counts[candidate.name]
    if counts.fraction is not None:
        raise DataError(
            f"column {candidate.name!r} contains numbers that are not integers, such as "
            f"{counts.fraction:g}; they cannot be categories",
            hint="leave it out of --categorical",
        )
    categories = [value for value, _ in counts.most_common(max_categories)]
    constant = counts.distinct == 1
    others = counts.observed - sum(counts.counts[value] for value in categories)
    types = {str: "text", bool: "boolean", int: "integer"}
    values = f"{types[type(categories[0])]} with {counts.distinct:,} values"
    if counts.distinct > max_categories:
        values += f": the {max_categories:,} most frequent, the others grouped as one"
    nulls = [str(value) for value in categories if value and value in NULLS]
    if nulls:
        values += f"; one is {nulls[0]!r} (--null-values {','.join(nulls)})"
    return Column(
        name=candidate.name,
        kind="category",
        type=type_name(candidate.type),
        categories=categories,
        has_other=counts.distinct > max_categories,
        other_is_mode=others > counts.counts[categories[0]],
        has_missing=counts.missing > 0,
        constant=constant,
        observed=counts.observed,
        missing=counts.missing,
        distinct=None if counts.pruned else counts.distinct,
        mode=categories[0],
        reason="constant" if constant else values,
    )


def _text(candidate: Candidate, scan: ColumnScan) -> Column:
    """Return a text column without the vectors of its texts (`features.text.columns`)."""
    counts = scan.counts[candidate.name]
    lower_bound = counts.stopped or counts.pruned
    return Column(
        name=candidate.name,
        kind="text",
        type=type_name(candidate.type),
        center=[0.0],
        scale=[1.0],
        has_missing=counts.missing > 0,
        observed=counts.observed,
        missing=counts.missing,
        distinct=None if lower_bound else counts.distinct,
        reason=f"text with {'more than ' * lower_bound}{counts.distinct:,} values",
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
        text_format=candidate.text_format,
        has_missing=observed < scan.rows,
        constant=constant,
        observed=observed,
        missing=scan.rows - observed,
        distinct=1 if constant else 2,
        mean=[share],
        mode=share >= 0.5,
        reason="constant" if constant else "boolean",
    )


def _fit_numeric_columns(
    candidates: Sequence[Candidate], scan: ColumnScan, options: ColumnOptions
) -> dict[str, Column]:
    """Return the number, time and vector columns by name, which are scaled together."""
    sizes = [scan.size(candidate) for candidate in candidates]
    chosen = np.repeat(np.array([c.scale for c in candidates], dtype="<U8"), sizes)
    cells = _numeric_cells(candidates, sizes, scan, robust=bool((chosen == "robust").any()))
    center, scale, method, top = scale_cells(cells, chosen, bounded=options.bounded_output)
    low, high, mean = _finite_moments(cells)
    varying = cells.varying
    columns = {}
    stops = np.cumsum(sizes, dtype=np.int64).tolist()
    for candidate, size, stop in zip(candidates, sizes, stops, strict=True):
        at = slice(stop - size, stop)
        complete = scan.observed(candidate)
        constant = not varying[at].any()
        periods = [] if constant else _periods(candidate, scan)
        columns[candidate.name] = Column(
            name=candidate.name,
            kind=candidate.kind,
            type=_stored_type(candidate.type),
            text_format=candidate.text_format,
            size=size,
            origin=scan.origins.get(candidate.name),
            center=center[at].tolist(),
            scale=scale[at].tolist(),
            has_missing=complete < scan.rows,
            constant=constant,
            observed=complete,
            missing=scan.rows - complete,
            distinct=1 if constant else None,
            low=low[at].tolist(),
            high=high[at].tolist(),
            mean=mean[at].tolist(),
            periods=periods,
            decimals=None if constant else scan.decimals_of(candidate),
            reason="constant"
            if constant
            else scaling_reason(candidate, cells, method, top, at)
            + digits_note(candidate, cells, at, scan.origins.get(candidate.name))
            + periods_note(periods),
        )
    return columns


def _periods(candidate: Candidate, scan: ColumnScan) -> list[Period]:
    """Return the calendar periods of a time column."""
    if candidate.kind != "time":
        return []
    at = scan.position[candidate.name]
    low, high, std = (float(getattr(scan.moments, name)[at]) for name in ("low", "high", "std"))
    kind, step = element_type(candidate.type), float(scan.steps[at])
    return covered_periods(kind, low=low, high=high, std=std, step=step)


def _numeric_cells(
    candidates: Sequence[Candidate], sizes: Sequence[int], scan: ColumnScan, *, robust: bool
) -> NumericCells:
    names = [candidate.name for candidate in candidates]
    types = [element_type(candidate.type) for candidate in candidates]
    # Differences from an origin are not small integers such as pixels.
    unshifted = np.repeat(np.array([name not in scan.origins for name in names], dtype=bool), sizes)
    byte, integer, temporal = (
        np.repeat(np.array([test(kind) for kind in types], dtype=bool), sizes)
        for test in (pa.types.is_uint8, pa.types.is_integer, pa.types.is_temporal)
    )
    return NumericCells(
        mean=_moment(names, scan, "mean"),
        std=_moment(names, scan, "std"),
        low=_moment(names, scan, "low"),
        high=_moment(names, scan, "high"),
        byte=byte,
        integer=integer & unshifted,
        temporal=temporal,
        quartiles=scan.quartiles(names) if robust and names else None,
    )


def _finite_moments(cells: NumericCells) -> tuple[Floats, Floats, Floats]:
    """Return the minimum, the maximum and the mean of each cell, all of them finite."""
    observed = np.isfinite(cells.low)  # elements of a vector may all be missing
    low, high = np.where(observed, cells.low, 0), np.where(observed, cells.high, 0)
    middle = low / 2 + high / 2
    return low, high, np.where(np.isfinite(cells.mean), np.clip(cells.mean, low, high), middle)


def _moment(names: Sequence[str], scan: ColumnScan, field: str) -> Floats:
    scalars: Floats = getattr(scan.moments, field)
    parts = [
        getattr(scan.vectors[name].moments, field)
        if name in scan.vectors
        else scalars[scan.position[name], None]
        for name in names
    ]
    return np.concatenate(parts) if parts else np.empty(0)


def _stored_type(kind: pa.DataType) -> str:
    # For floats a dictionary is only an encoding; the column has the type of the values.
    return type_name(kind.value_type if pa.types.is_dictionary(kind) else kind)
