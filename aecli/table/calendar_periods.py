"""Calendar periods of time columns: which the training rows cover, and the phase of a time."""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
import pyarrow as pa

from aecli.array_types import Floats
from aecli.schema.model_spec import Period

PERIODS: dict[Period, int] = {"day": 86_400, "week": 7 * 86_400, "year": 31_556_952}
"""Length of each period in seconds; a year is the mean Gregorian one of 365.2425 days."""

PHASE_ROUNDING = 2.0**-18
"""Smallest ratio of a period to the standard deviation of times: the rounding error of float32
cells, 2^-24 of the distance from the centre, is then at most 1/64 of the period."""


def unit_seconds(kind: pa.DataType) -> Fraction:
    """Return the unit of dates or timestamps in seconds."""
    if pa.types.is_date32(kind):
        return Fraction(86_400)
    return Fraction(1, {"s": 1, "ms": 10**3, "us": 10**6, "ns": 10**9}[getattr(kind, "unit", "ms")])


def smallest_step(values: Floats) -> float:
    """Return the smallest difference of two distinct values, infinite without any."""
    steps = np.diff(np.unique(values[np.isfinite(values)]))
    return float(steps.min(initial=np.inf))


def covered_periods(
    kind: pa.DataType, *, low: float, high: float, std: float, step: float
) -> list[Period]:
    """Return the periods that training times cover once, with at least two steps per period.

    Args:
        kind: type of the times.
        low: first time, in the unit of the type.
        high: last time.
        std: standard deviation.
        step: the smallest difference of two times.
    """
    seconds = float(unit_seconds(kind))
    return [
        name
        for name, period in PERIODS.items()
        if 2 * step * seconds <= period <= (high - low) * seconds
        and period >= PHASE_ROUNDING * std * seconds
    ]


def phase(kind: pa.DataType, period: Period, value: Fraction) -> float:
    """Return the phase of a time in radians: 0 at the beginning of 1970, 2π a period later."""
    share = value * unit_seconds(kind) / PERIODS[period] % 1
    return 2 * math.pi * float(share)
