"""Divide ordered rows into windows within series and between gaps, and hold some of them out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from aecli.array_types import Codes, Indices, Mask
from aecli.errors import DataError
from aecli.formatting import count
from aecli.schema.model_spec import Identifier
from aecli.schema.network_options import WindowOptions
from aecli.table.arrow_types import parse_type, type_name
from aecli.table.cells.reading import Reading
from aecli.table.row_order import RowOrder, is_clock, parse_gap, read_row_order
from aecli.table.source import Source

MANY_SERIES = 10
"""Minimum number of series for which whole series are held out."""


@dataclass(frozen=True)
class Windows:
    """Windows of `size` rows: window i is `order[starts[i] : starts[i] + size]`.

    `order` are row indices of the table, by series and by time within each. `firsts` are the
    positions in it where a segment begins; windows do not cross segments.
    """

    order: Indices
    starts: Indices
    size: int
    firsts: Indices

    def __len__(self) -> int:
        return len(self.starts)

    def rows(self, chosen: Indices | slice = slice(None)) -> Indices:
        """Return the row indices `(n_windows, size)` of some windows."""
        rows: Indices = self.order[self.starts[chosen, None] + np.arange(self.size)]
        return rows

    @property
    def last_rows(self) -> Indices:
        """Return the index `(n_windows,)` of the last row of each window."""
        return self.order[self.starts + self.size - 1]

    @property
    def series(self) -> int:
        """Return the number of segments."""
        return len(self.firsts)

    def lengths(self) -> Indices:
        """Return the number of rows `(series,)` of each segment."""
        return np.diff(np.append(self.firsts, len(self.order)))

    def within(self, rows: Mask) -> Windows:
        """Return the windows within the rows where `rows` is True, with indices into those rows."""
        kept = rows[self.order]
        position = np.cumsum(kept) - 1
        number = np.cumsum(rows) - 1
        starts = self.starts[kept[self.starts]]
        return Windows(
            order=number[self.order[kept]],
            starts=position[starts],
            size=self.size,
            firsts=position[self.firsts[kept[self.firsts]]],
        )

    def coverage(self) -> npt.NDArray[np.int64]:
        """Return the number of windows `(n_rows,)` that contain each row of the table."""
        steps = np.zeros(len(self.order) + 1, dtype=np.int64)
        np.add.at(steps, self.starts, 1)
        np.add.at(steps, self.starts + self.size, -1)
        counts = np.empty(len(self.order), dtype=np.int64)
        counts[self.order] = steps[:-1].cumsum()
        return counts


def cut_windows(
    rows: int,
    *,
    size: int,
    stride: int = 1,
    groups: Indices | None = None,
    times: Indices | npt.NDArray[np.float64] | None = None,
    max_gap: float | None = None,
    held_out: Mask | None = None,
) -> Windows:
    """Divide the rows of a table into windows, by series in the order of their first rows.

    Args:
        rows: the number of rows of the table.
        size: rows per window.
        stride: rows from the start of a window to the start of the next in its series.
        groups: `(rows,)` codes of the series; default: one series.
        times: `(rows,)` to sort each series by, stably; default: file order.
        max_gap: a larger step of `times` starts a new segment.
        held_out: `(rows,)`; a change between adjacent rows starts a new segment too.
    """
    order = np.arange(rows, dtype=np.int64)
    if groups is not None or times is not None:
        ranks = np.zeros(rows, dtype=np.int64) if groups is None else _by_first_row(groups)
        order = np.lexsort((order, order if times is None else times, ranks))
    breaks = np.zeros(rows, dtype=np.bool_)
    breaks[:1] = True
    for kind in (groups, held_out):
        if kind is not None:
            breaks[1:] |= kind[order][1:] != kind[order][:-1]
    if times is not None and max_gap is not None:
        breaks[1:] |= np.diff(times[order]) > max_gap
    firsts = np.flatnonzero(breaks)
    lengths = np.diff(np.append(firsts, rows))
    counts = np.maximum((lengths - size) // stride + 1, 0)
    # Window j of a segment starts j strides after the segment's first row.
    within = np.arange(counts.sum()) - np.repeat(counts.cumsum() - counts, counts)
    starts = np.repeat(firsts, counts) + within * stride
    return Windows(order.astype(np.int64), starts.astype(np.int64), size, firsts)


def _by_first_row(groups: Indices) -> Indices:
    _, first, inverse = np.unique(groups, return_index=True, return_inverse=True)
    return first.argsort().argsort()[inverse]


def held_out_rows(
    windows: Windows, groups: Indices | None, share: float, seed: int, *, ends: bool = False
) -> Mask:
    """Return a mask `(n_rows,)` of validation rows: whole series if there are ten, else ends.

    With `ends` it is the ends of the series in any case.

    Rows of overlapping windows are nearly copies, so single windows must not be held out. With
    fewer than ten series of a window's length, the last `share` of each series' rows is held out,
    as the future would be, and at least one window; but nothing of a series that would keep none.
    """
    rows = len(windows.order)
    codes = np.zeros(rows, dtype=np.int64) if groups is None else groups
    mask = np.zeros(rows, dtype=np.bool_)
    if not len(windows):
        return mask
    ordered = codes[windows.order]
    of_window = ordered[windows.starts]
    names = np.unique(of_window)
    if len(names) >= MANY_SERIES and not ends:
        chosen = _shuffled(names, seed)[: max(1, round(share * len(names)))]
        return np.isin(codes, chosen)
    for name in names:
        positions = np.flatnonzero(ordered == name)
        starts = windows.starts[of_window == name]
        first = min(positions[-1] + 1 - round(share * len(positions)), starts[-1])
        if starts[0] + windows.size <= first:
            mask[windows.order[first : positions[-1] + 1]] = True
    return mask


def fold_rows(windows: Windows, groups: Indices | None, fold: int, folds: int, seed: int) -> Mask:
    """Return a mask `(n_rows,)` of one of `folds` parts: whole series if there are ten.

    With fewer it is a segment of each series, the first one for fold 0. The parts do not share a
    window.
    """
    rows = len(windows.order)
    codes = np.zeros(rows, dtype=np.int64) if groups is None else groups
    ordered = codes[windows.order]
    names = np.unique(ordered[windows.starts])
    if len(names) >= max(MANY_SERIES, folds):
        return np.isin(codes, _shuffled(names, seed)[fold::folds])
    mask = np.zeros(rows, dtype=np.bool_)
    for name in names:
        positions = np.flatnonzero(ordered == name)
        first, last = (len(positions) * part // folds for part in (fold, fold + 1))
        mask[windows.order[positions[first:last]]] = True
    return mask


def _shuffled(names: Indices, seed: int) -> Indices:
    return np.random.Generator(np.random.Philox(key=[seed, 0])).permutation(names)


@dataclass(frozen=True)
class Series:
    """Ordered rows of a table that are divided into windows.

    With `stored` the options are a model's: no message may suggest changing them.
    """

    name: str
    keys: RowOrder
    options: WindowOptions
    stored: bool = False

    def cut(self, held_out: Mask | None = None) -> Windows:
        """Return windows that do not cross series, gaps, or the limits of held-out rows.

        Raises:
            DataError: no segment is as long as a window.
        """
        windows = self._segments(held_out)
        if self.keys.rows and not len(windows):
            raise self._too_short(windows)
        return windows

    def _segments(self, held_out: Mask | None) -> Windows:
        options, keys = self.options, self.keys
        assert options.window is not None, "only tables of windows have series"
        gap = options.max_gap
        return cut_windows(
            keys.rows,
            size=options.window,
            stride=options.stride,
            groups=keys.groups,
            times=keys.times,
            max_gap=parse_gap(gap, keys, str(options.time)) if gap else None,
            held_out=held_out,
        )

    def _too_short(self, windows: Windows) -> DataError:
        options, longest = self.options, int(windows.lengths().max())
        one = "segment" if options.max_gap else "series"
        segments = "segments" if options.max_gap and windows.series > 1 else one
        rows = f"{longest:,} row{'s' if longest > 1 else ''}"
        given = {"a larger --max-gap": options.max_gap, "no --group": options.group}
        freer = [advice for advice, value in given.items() if value]
        hint = f"--window {longest}" if longest > 1 else ", or ".join(freer) or "a longer table"
        window = f"--window {options.window}"
        if self.stored:
            window = f"this model's window of {options.window} rows"
            hint = f"a table with a {one} of {options.window} rows or more"
        return DataError(
            f"{window} is longer than any {one} of {self.name}",
            facts=[f"{windows.series:,} {segments}, the longest of {rows}"],
            hint=hint,
        )

    def held_out(self, share: float, seed: int, *, ends: bool = False) -> Mask:
        """Return a mask `(n_rows,)` of validation rows: whole series, or the end of each.

        With `ends` it is the end of each in any case. No row is held out if the training or the
        validation rows would have no window.
        """
        mask = held_out_rows(self.cut(), self.keys.groups, share, seed, ends=ends)
        return self.divided(mask)

    def held_out_fold(self, fold: int, folds: int, seed: int) -> Mask:
        """Return a mask `(n_rows,)` of one of `folds` parts: whole series, or a segment of each.

        No row is held out if the training or the validation rows would have no window.
        """
        return self.divided(fold_rows(self.cut(), self.keys.groups, fold, folds, seed))

    def divided(self, mask: Mask) -> Mask:
        """Return the mask of held-out rows, or an empty one if a side would have no window."""
        windows = self._segments(mask)
        held_out = mask[windows.last_rows]
        return mask if held_out.any() and not held_out.all() else np.zeros_like(mask)

    def notes(self, windows: Windows) -> list[str]:
        """Return messages for the user about the windows."""
        covered = windows.coverage() > 0
        segments = count(windows.series, "segment")
        notes = [f"{count(len(windows), 'window')} of {windows.size} rows in {segments}"]
        if self.keys.times is not None and _unsorted(self.keys):
            notes.append(f"rows were not in the order of {self.options.time}: sorted")
        if not covered.all():
            uncovered = int((~covered).sum())
            notes.append(f"{uncovered:,} of {len(covered):,} rows are in no window")
        return notes


def read_series(
    source: Source, options: WindowOptions, trained: Sequence[Identifier] | None = None
) -> Series | None:
    """Read the columns that order the rows of a table; return None for models of single rows.

    `trained` are the identifiers of the training table, if this is another table.

    Raises:
        DataError: a column does not exist, cannot order rows, or is not of the training table's
            kind.
    """
    if options.window is None:
        return None
    readings = None
    if trained is not None:
        readings = {i.name: Reading(parse_type(i.type), i.text_format) for i in trained}
    keys = read_row_order(source.with_texts([]), options.group, options.time, readings)
    for known in trained or ():
        if known.name == options.time and (keys.ticks is not None) != is_clock(
            parse_type(known.type)
        ):
            kind = type_name(source.schema.field(known.name).type)
            raise DataError(
                f"the time column {known.name!r} of {source.name} is {kind}; this model was "
                f"trained on {known.type}",
                facts=["dates and numbers cannot be compared"],
                hint=f"convert {known.name!r} to {known.type}",
            )
    return Series(source.name, keys, options, trained is not None)


def window_codes(codes: Codes, windows: Windows, rule: str) -> Codes:
    """Return a label code per window: of its last row, or the most frequent of its rows."""
    if rule == "last":
        return codes[windows.last_rows]
    inside = codes[windows.rows()]
    classes = max(int(codes.max(initial=-1)) + 1, 1)
    counts = np.stack([(inside == code).sum(axis=1) for code in range(classes)], axis=1)
    return np.where(counts.max(axis=1) > 0, counts.argmax(axis=1), -1)


def _unsorted(keys: RowOrder) -> bool:
    groups = np.zeros(keys.rows, dtype=np.int64) if keys.groups is None else keys.groups
    assert keys.times is not None, "called only with times"
    order = groups.argsort(kind="stable")
    same = groups[order][1:] == groups[order][:-1]
    return bool((np.diff(keys.times[order])[same] < 0).any())
