"""Find and count cells beyond the training rows: missing, unseen, out of range, not constant."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import torch
from torch import Tensor

from aecli.array_types import Floats, Mask
from aecli.features.layout import Layout
from aecli.features.reader import Cells
from aecli.schema.model_spec import Column
from aecli.table.arrow_types import parse_type
from aecli.table.scaling import FAR

CELL_ROUNDING = 2.0**-22
"""Relative error of a float32 cell, with a factor of two to spare."""

FLOATS = ("float", "double", "halffloat")


def as_varying(columns: Iterable[Column]) -> list[Column]:
    """Return the constant columns as ones with cells, so that they can be read and compared."""
    return [column.model_copy(update={"constant": False}) for column in columns if column.constant]


def cell_limits(layout: Layout) -> tuple[Cells, Cells]:
    """Return the lowest and highest cells `(n_cells,)` of the training rows, give or take rounding.

    A category column has limits where it had one value; unseen categories are another count.
    """
    pairs = [_number_limits(column) for column in layout.numeric]
    for column in layout.boolean:
        mode = float(bool(column.mode))
        pairs.append(([mode], [mode]) if column.distinct == 1 else ([0.0], [1.0]))
    for size in layout.cardinalities:
        pairs.append(([0.0 if size == 1 else -np.inf], [np.inf]))
    low, high = (np.concatenate([np.empty(0), *(pair[i] for pair in pairs)]) for i in (0, 1))
    return low.astype(np.float32), high.astype(np.float32)


def _number_limits(column: Column) -> tuple[Sequence[float] | Floats, Sequence[float] | Floats]:
    if not column.low or not column.high:
        return [-np.inf] * column.size, [np.inf] * column.size
    low, high = np.array(column.low), np.array(column.high)
    rounding = [_float32_error(column, values) for values in (low, high)]
    center, scale = np.array(column.center), np.array(column.scale)
    with np.errstate(over="ignore"):  # clipped below
        low, high = ((low - rounding[0]) - center) / scale, ((high + rounding[1]) - center) / scale
    slack = CELL_ROUNDING * np.maximum(np.abs(low), np.abs(high))
    return np.clip(low - slack, -FAR, FAR), np.clip(high + slack, -FAR, FAR)


def _float32_error(column: Column, values: Floats) -> Floats:
    """Return by how much float32 rounds values: another table may hold the same ones as float32."""
    if column.type not in FLOATS or column.origin is not None:
        return np.zeros(len(values))
    with np.errstate(over="ignore"):
        rounded = values.astype(np.float32)
    if column.type != "double":
        return np.spacing(np.abs(rounded)).astype(np.float64) / 2
    return np.where(np.isfinite(rounded), np.abs(rounded - values), 0.0)


def at_last_times(cells: Tensor, layout: Layout, window: int = 1) -> Tensor:
    """Return cells `(n_samples * window, n_cells)`, all times of later samples moved back together.

    Their latest is the last of training then: a network has seen that one, and no later one. What
    lies between two dates of a row, and between two rows of a window, stays as it is.
    """
    places = _time_cells(layout)
    if not places:
        return cells
    last = _last_times(layout, places).to(cells.device)
    seconds = torch.tensor([_seconds(layout.columns[layout.column_of[at]]) for at in places])
    seconds = seconds.to(cells.device)
    later = ((cells[:, places] - last) * seconds).nan_to_num(0.0).amax(1).clamp(min=0)
    later = later.view(-1, window).amax(1).repeat_interleave(window)
    found = cells.clone()
    found[:, places] -= later[:, None] / seconds
    return found


def _seconds(column: Column) -> float:
    """Return how long a scaled unit of a time column is."""
    kind = parse_type(column.type)
    if pa.types.is_date32(kind):
        return column.scale[0] * 86_400
    unit = getattr(kind, "unit", "ms")
    return column.scale[0] / {"s": 1, "ms": 1e3, "us": 1e6, "ns": 1e9}[unit]


def without_later_times(cells: Tensor, layout: Layout) -> Tensor:
    """Return cells `(n_rows, n_cells)`, a row's times missing where one is after the training.

    New rows come later than the training rows: that they do is not an anomaly.
    """
    places = _time_cells(layout)
    if not places:
        return cells
    last = _last_times(layout, places).to(cells.device)
    later = (cells[:, places] > last).any(1)
    return _without(cells, places, later) if later.any() else cells


def as_new_rows(cells: Tensor, layout: Layout) -> Tensor:
    """Return cells `(n_rows, n_cells)` of held-out rows as if these came after the training rows.

    Thresholds fit rows whose times are missing, unless most columns are times.
    """
    places = _time_cells(layout)
    if 2 * len(places) > len(layout.columns):
        return without_later_times(cells, layout)
    return _without(cells, places, torch.full([len(cells)], True, device=cells.device))


def _last_times(layout: Layout, places: list[int]) -> Tensor:
    owners = [layout.columns[layout.column_of[at]] for at in places]
    return torch.tensor([float(_number_limits(column)[1][0]) for column in owners]).float()


def _time_cells(layout: Layout) -> list[int]:
    owners = (layout.columns[owner] for owner in layout.column_of[: layout.numbers])
    return [cell for cell, column in enumerate(owners) if column.moves_forward]


def _without(cells: Tensor, places: list[int], rows: Tensor) -> Tensor:
    found = cells.clone()
    found[:, places] = torch.where(rows[:, None], torch.nan, cells[:, places])
    return found


class Tally:
    """Counts of cells that the training rows did not have: missing, unseen and out of range."""

    def __init__(self, where: Layout) -> None:
        self.layout = where
        self.rows = 0
        self._first_category = where.numbers + where.booleans
        self._low, self._high = cell_limits(where)
        self._missing = np.zeros(where.cells, dtype=np.int64)
        self._below, self._above = np.zeros_like(self._missing), np.zeros_like(self._missing)
        self._unseen = np.zeros(len(where.category), dtype=np.int64)
        times = np.array([where.columns[owner].moves_forward for owner in where.column_of], bool)
        self._last = np.where(times, np.float32(np.inf), self._high)
        self._starts = np.cumsum([0, *where.widths], dtype=np.int64)[:-1]

    def differing(self, cells: Cells) -> Mask:
        """Return where columns are out of range `(n_rows, n_columns)`; later times do not count."""
        if not cells.size:
            return np.zeros((len(cells), len(self.layout.columns)), dtype=np.bool_)
        beyond = (cells < self._low) | (cells > self._last)
        found: Mask = np.logical_or.reduceat(beyond, self._starts, axis=1)
        return found

    def add(self, cells: Cells) -> None:
        """Count one batch of cells."""
        self.rows += len(cells)
        self._missing += np.isnan(cells).sum(axis=0)
        self._unseen += (cells[:, self._first_category :] == -1).sum(axis=0)
        for counts, beyond in (
            (self._below, cells < self._low),
            (self._above, cells > self._high),
        ):
            if beyond.any():
                counts += beyond.sum(axis=0)

    @property
    def cells(self) -> int:
        """Return how many cells were counted."""
        return self.rows * self.layout.cells

    @property
    def missing_cells(self) -> int:
        """Return how many of them are missing, whether or not training had missing ones."""
        return int(self._missing.sum())

    def missing(self) -> dict[str, int]:
        """Return the missing cells of each column that had none in training."""
        counts = self._by_column(self._missing)
        columns = zip(self.layout.columns, counts, strict=True)
        return {c.name: n for c, n in columns if n and not c.has_missing}

    def unseen(self) -> dict[str, int]:
        """Return the cells of each category column whose value the training rows did not have."""
        pairs = zip(self.layout.category, self._unseen, strict=True)
        return {column.name: int(count) for column, count in pairs if count}

    def beyond(self) -> list[tuple[Column, int, int, int]]:
        """Return the columns with cells out of range: observed cells, those below, those above.

        A constant column's are the cells that differ from the constant.
        """
        observed = self._by_column(self.rows - self._missing)
        below, above = self._by_column(self._below), self._by_column(self._above)
        counted = zip(self.layout.columns, observed, below, above, strict=True)
        return [found for found in counted if found[2] or found[3]]

    def _by_column(self, of_cells: npt.NDArray[np.int64]) -> list[int]:
        sums = np.zeros(len(self.layout.columns), dtype=np.int64)
        np.add.at(sums, np.array(self.layout.column_of, dtype=np.int64), of_cells)
        return sums.tolist()
