"""Detect and count cells beyond the training rows: missing, unseen, out of range, not constant."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from threading import Lock

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from aecli.array_types import Floats, Mask
from aecli.features.layout import TEXTS, Layout
from aecli.features.reader import Cells
from aecli.schema.model_spec import Column
from aecli.table.arrow_types import parse_type
from aecli.table.calendar_periods import PERIODS, unit_seconds
from aecli.table.scaling import FAR

CELL_ROUNDING = 2.0**-22
"""Relative error of a float32 cell, with a margin of a factor of two."""

FLOATS = ("float", "double", "halffloat")


def as_varying(columns: Iterable[Column]) -> list[Column]:
    """Return the constant columns as varying ones, which have cells, so that they can be read."""
    return [column.model_copy(update={"constant": False}) for column in columns if column.constant]


def cell_limits(layout: Layout) -> tuple[Cells, Cells]:
    """Return the minimum and maximum cells `(n_cells,)` of the training rows, with rounding errors.

    Category columns only have limits if they had one value; unseen categories are counted apart.
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
    """Return the rounding error of values in float32, in which another table may store them."""
    if column.type not in FLOATS or column.origin is not None:
        return np.zeros(len(values))
    with np.errstate(over="ignore"):
        rounded = values.astype(np.float32)
    if column.type != "double":
        return np.spacing(np.abs(rounded)).astype(np.float64) / 2
    return np.where(np.isfinite(rounded), np.abs(rounded - values), 0.0)


def at_last_times(cells: Tensor, layout: Layout, window: int = 1) -> Tensor:
    """Return cells `(n_samples * window, n_cells)` with times after the training shifted back.

    The times of a sample are shifted by the same duration, so that none is later than the last
    training time: the network has not seen later ones. Differences within a row or a window do not
    change. With phases of a day or week, the duration is a number of these, because the network has
    not seen other combinations of times and phases.
    """
    time_cells = layout.later_times
    if not time_cells:
        return cells
    last = _last_times(layout, time_cells).to(cells.device)
    seconds = torch.tensor([_seconds(layout.columns[layout.column_of[at]]) for at in time_cells])
    seconds = seconds.to(cells.device)
    later = ((cells[:, time_cells] - last) * seconds).nan_to_num(0.0).amax(1).clamp(min=0)
    later = later.view(-1, window).amax(1).repeat_interleave(window)
    periods = {name for column in layout.numeric for name in column.periods} & {"day", "week"}
    if periods:
        period = max(PERIODS[name] for name in periods)
        later = (later / period).ceil() * period
    shifted = cells.clone()
    shifted[:, time_cells] -= later[:, None] / seconds
    return shifted


def _seconds(column: Column) -> float:
    """Return the duration of a scaled unit of a time column in seconds."""
    return column.scale[0] * float(unit_seconds(parse_type(column.type)))


def without_later_times(cells: Tensor, layout: Layout) -> Tensor:
    """Return cells `(n_rows, n_cells)`; times of rows with a time after the training are missing.

    New rows are usually later than the training rows, which is not an anomaly.
    """
    time_cells = layout.later_times
    if not time_cells:
        return cells
    last = _last_times(layout, time_cells).to(cells.device)
    later = (cells[:, time_cells] > last).any(1)
    return _without(cells, time_cells, later) if later.any() else cells


def as_new_rows(cells: Tensor, layout: Layout) -> Tensor:
    """Return cells `(n_rows, n_cells)` of held-out rows as if they came after the training rows.

    Thresholds are fitted to rows with missing times, unless most columns are times.
    """
    time_cells = layout.later_times
    if 2 * len(time_cells) > len(layout.columns):
        return without_later_times(cells, layout)
    return without_times(cells, layout)


def without_times(cells: Tensor, layout: Layout) -> Tensor:
    """Return cells `(n_rows, n_cells)` in which all times that move forward are missing."""
    time_cells = layout.later_times
    if not time_cells:
        return cells
    return _without(cells, time_cells, torch.full([len(cells)], True, device=cells.device))


def _last_times(layout: Layout, time_cells: list[int]) -> Tensor:
    owners = [layout.columns[layout.column_of[at]] for at in time_cells]
    return torch.tensor([float(_number_limits(column)[1][0]) for column in owners]).float()


def _without(cells: Tensor, chosen: list[int], rows: Tensor) -> Tensor:
    result = cells.clone()
    result[:, chosen] = torch.where(rows[:, None], torch.nan, cells[:, chosen])
    return result


class Tally:
    """Counts of cells beyond the training rows: missing, unseen and out of range."""

    def __init__(self, where: Layout) -> None:
        self.layout = where
        self.rows = 0
        self._lock = Lock()
        self._first_category = where.numbers + where.booleans
        self._low, self._high = cell_limits(where)
        self._missing = np.zeros(where.cells, dtype=np.int64)
        self._below, self._above = np.zeros_like(self._missing), np.zeros_like(self._missing)
        self._unseen = np.zeros(len(where.cardinalities), dtype=np.int64)
        times = np.array([where.columns[owner].moves_forward for owner in where.column_of], bool)
        self._last = np.where(times, np.float32(np.inf), self._high)
        self._starts = np.cumsum([0, *where.widths], dtype=np.int64)[:-1]
        # A text is one value, whatever the number of its cells.
        texts = np.array([where.columns[owner].kind in TEXTS for owner in where.column_of], bool)
        self._counted = ~texts
        self._counted[self._starts] = True

    def differing(self, cells: Cells) -> Mask:
        """Return where columns are out of range `(n_rows, n_columns)`, except for later times."""
        if not cells.size:
            return np.zeros((len(cells), len(self.layout.columns)), dtype=np.bool_)
        beyond = (cells < self._low) | (cells > self._last)
        differing: Mask = np.logical_or.reduceat(beyond, self._starts, axis=1)
        return differing

    def add(self, cells: Cells) -> None:
        """Count one batch of cells, in any thread."""
        missing = _by_cell(np.isnan(cells)) * self._counted
        unseen = _by_cell(cells[:, self._first_category :] == -1)
        below, above = _by_cell(cells < self._low), _by_cell(cells > self._high)
        with self._lock:
            self.rows += len(cells)
            self._missing += missing
            self._unseen += unseen
            self._below += below
            self._above += above

    @property
    def cells(self) -> int:
        """Return the number of counted cells."""
        return self.rows * int(self._counted.sum())

    @property
    def missing_cells(self) -> int:
        """Return the number of missing cells, including columns that had some in training."""
        return int(self._missing.sum())

    def missing(self) -> dict[str, int]:
        """Return the number of missing cells of each column that had none in training."""
        counts = self._by_column(self._missing)
        columns = zip(self.layout.columns, counts, strict=True)
        return {c.name: n for c, n in columns if n and not c.has_missing}

    def unseen(self) -> dict[str, int]:
        """Return the number of cells of each category column with a value unseen in training."""
        pairs = zip(self.layout.category, self._unseen, strict=False)
        return {column.name: int(count) for column, count in pairs if count}

    def beyond(self) -> list[tuple[Column, int, int, int]]:
        """Return the columns with cells out of range: observed cells, those below, those above.

        For a constant column these are the cells that differ from the constant.
        """
        observed = self._by_column(self.rows - self._missing)
        below, above = self._by_column(self._below), self._by_column(self._above)
        counted = zip(self.layout.columns, observed, below, above, strict=True)
        return [counts for counts in counted if counts[2] or counts[3]]

    def _by_column(self, of_cells: npt.NDArray[np.int64]) -> list[int]:
        sums = np.zeros(len(self.layout.columns), dtype=np.int64)
        np.add.at(sums, np.array(self.layout.column_of, dtype=np.int64), of_cells)
        return sums.tolist()


def _by_cell(found: Mask) -> npt.NDArray[np.int64] | int:
    """Return the number of rows in which each cell was found; most batches have none."""
    if not found.any():
        return 0
    rows, width = found.shape
    # Sums of at most 255 rows are bytes, and those of wide rows are fast.
    parts = -(-rows // 255)
    whole = rows - rows % parts
    folded = np.ascontiguousarray(found[:whole]).reshape(-1, parts * width).view(np.uint8)
    counts = folded.sum(axis=0, dtype=np.uint8).reshape(parts, width).sum(axis=0, dtype=np.int64)
    counted: npt.NDArray[np.int64] = counts + found[whole:].sum(axis=0)
    return counted
