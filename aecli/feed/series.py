"""Turn staged rows into staged windows, and divide series into training and validation."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import torch

from aecli.errors import DataError
from aecli.feed.staging import Staged
from aecli.feed.windows import Windows, cut_windows, held_out_rows
from aecli.spec.options import WindowOptions
from aecli.table.keys import Keys, parse_gap, read_keys
from aecli.table.source import Source

Mask = npt.NDArray[np.bool_]
Codes = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Series:
    """Hold the ordered rows of a table, to be cut into windows."""

    name: str
    keys: Keys
    options: WindowOptions

    def cut(self, held_out: Mask | None = None) -> Windows:
        """Cut windows that cross neither series, gaps, nor the border of held-out rows.

        Raises:
            DataError: no piece is as long as a window.
        """
        options, keys = self.options, self.keys
        assert options.window is not None, "only tables of windows have series"
        gap = options.max_gap
        windows = cut_windows(
            keys.rows,
            size=options.window,
            stride=options.stride,
            groups=keys.groups,
            times=keys.times,
            max_gap=parse_gap(gap, keys, str(options.time)) if gap else None,
            held_out=held_out,
        )
        if keys.rows and not len(windows):
            longest = int(windows.lengths().max())
            one = "piece" if options.max_gap else "series"
            pieces = "pieces" if options.max_gap and windows.series > 1 else one
            rows = f"{longest:,} row{'s' if longest > 1 else ''}"
            raise DataError(
                f"--window {options.window} is longer than any {one} of {self.name}",
                facts=[f"{windows.series:,} {pieces}, the longest of {rows}"],
                hint=f"--window {longest}" if longest > 1 else "a larger --max-gap, or no --group",
            )
        return windows

    def held_out(self, share: float, seed: int) -> Mask:
        """Return a mask `(n_rows,)` of validation rows: whole series, or the end of each.

        No row is held out where one of the sides would be left without a window.
        """
        mask = held_out_rows(self.cut(), self.keys.groups, share, seed)
        windows = self.cut(mask)
        held_out = mask[windows.last_rows]
        return mask if held_out.any() and not held_out.all() else np.zeros_like(mask)

    def notes(self, windows: Windows) -> list[str]:
        """Return what a person should know of the windows."""
        covered = windows.coverage() > 0
        said = [f"{len(windows):,} windows of {windows.size} rows in {windows.series:,} pieces"]
        if self.keys.times is not None and _unsorted(self.keys):
            said.append(f"rows were not in the order of {self.options.time}: sorted")
        if not covered.all():
            lost = int((~covered).sum())
            said.append(f"{lost:,} of {len(covered):,} rows lie in no window")
        return said


def read_series(source: Source, options: WindowOptions) -> Series | None:
    """Read what orders a table's rows, None where rows are encoded one by one.

    Raises:
        DataError: a column is not there, or cannot order rows.
    """
    if options.window is None:
        return None
    return Series(source.name, read_keys(source, options.group, options.time), options)


def as_windows(staged: Staged, windows: Windows, rows: Mask, how: str) -> Staged:
    """Return staged rows, those where `rows` is True, as samples of the windows among them."""
    own = windows.within(rows)
    codes = staged.codes
    if codes is not None:
        codes = torch.from_numpy(window_codes(codes.numpy(), own, how))
    return replace(staged, codes=codes, windows=own)


def window_codes(codes: Codes, windows: Windows, how: str) -> Codes:
    """Return a label code per window: its last row's, or the one of most labelled rows."""
    if how == "last":
        return codes[windows.last_rows]
    inside = codes[windows.rows()]
    classes = max(int(codes.max(initial=-1)) + 1, 1)
    counts = np.stack([(inside == code).sum(axis=1) for code in range(classes)], axis=1)
    return np.where(counts.max(axis=1) > 0, counts.argmax(axis=1), -1)


def _unsorted(keys: Keys) -> bool:
    groups = np.zeros(keys.rows, dtype=np.int64) if keys.groups is None else keys.groups
    assert keys.times is not None, "asked only where there is a time"
    order = groups.argsort(kind="stable")
    same = groups[order][1:] == groups[order][:-1]
    return bool((np.diff(keys.times[order])[same] < 0).any())
