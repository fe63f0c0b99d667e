"""Turn staged rows into staged windows, and divide series into training and validation."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch

from aecli.array_types import Codes, Mask
from aecli.errors import DataError
from aecli.features.staging import Staged
from aecli.features.windows import Windows, cut_windows, fold_rows, held_out_rows
from aecli.formatting import count
from aecli.schema.model_spec import Identifier
from aecli.schema.options import WindowOptions
from aecli.table.arrow_types import parse_type, type_name
from aecli.table.row_order import RowOrder, is_clock, parse_gap, read_row_order
from aecli.table.source import Source


@dataclass(frozen=True)
class Series:
    """Ordered rows of a table, to be cut into windows.

    `stored` says that the options are a model's: no message may suggest to change them.
    """

    name: str
    keys: RowOrder
    options: WindowOptions
    stored: bool = False

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
            raise self._too_short(windows)
        return windows

    def _too_short(self, windows: Windows) -> DataError:
        options, longest = self.options, int(windows.lengths().max())
        one = "piece" if options.max_gap else "series"
        pieces = "pieces" if options.max_gap and windows.series > 1 else one
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
            facts=[f"{windows.series:,} {pieces}, the longest of {rows}"],
            hint=hint,
        )

    def held_out(self, share: float, seed: int) -> Mask:
        """Return a mask `(n_rows,)` of validation rows: whole series, or the end of each.

        No row is held out where one of the sides would be left without a window.
        """
        mask = held_out_rows(self.cut(), self.keys.groups, share, seed)
        return self._divided(mask)

    def held_out_fold(self, fold: int, folds: int, seed: int) -> Mask:
        """Return a mask `(n_rows,)` of one of `folds` parts: whole series, or a stretch of each.

        No row is held out where one of the sides would be left without a window.
        """
        return self._divided(fold_rows(self.cut(), self.keys.groups, fold, folds, seed))

    def _divided(self, mask: Mask) -> Mask:
        windows = self.cut(mask)
        held_out = mask[windows.last_rows]
        return mask if held_out.any() and not held_out.all() else np.zeros_like(mask)

    def notes(self, windows: Windows) -> list[str]:
        """Return what a person should know of the windows."""
        covered = windows.coverage() > 0
        pieces = count(windows.series, "piece")
        said = [f"{count(len(windows), 'window')} of {windows.size} rows in {pieces}"]
        if self.keys.times is not None and _unsorted(self.keys):
            said.append(f"rows were not in the order of {self.options.time}: sorted")
        if not covered.all():
            lost = int((~covered).sum())
            said.append(f"{lost:,} of {len(covered):,} rows lie in no window")
        return said


def read_series(
    source: Source, options: WindowOptions, trained: Sequence[Identifier] | None = None
) -> Series | None:
    """Read what orders a table's rows, None where rows are encoded one by one.

    `trained` are the identifiers of the training table, where this is another one.

    Raises:
        DataError: a column is not there, cannot order rows, or orders them otherwise than the
            training table's did.
    """
    if options.window is None:
        return None
    stored = trained is not None
    keys = read_row_order(source, options.group, options.time, stored=stored)
    for known in trained or ():
        if known.name == options.time and (keys.ticks is not None) != is_clock(
            parse_type(known.type)
        ):
            found = type_name(source.schema.field(known.name).type)
            raise DataError(
                f"the time column {known.name!r} of {source.name} is {found}; this model was "
                f"trained on {known.type}",
                facts=["dates and numbers cannot be compared alike"],
                hint=f"convert {known.name!r} to {known.type}",
            )
    return Series(source.name, keys, options, stored)


def as_windows(staged: Staged, windows: Windows, rows: Mask, rule: str) -> Staged:
    """Return staged rows, those where `rows` is True, as samples of the windows among them."""
    own = windows.within(rows)
    codes = staged.codes
    if codes is not None:
        codes = torch.from_numpy(window_codes(codes.numpy(), own, rule))
    return replace(staged, codes=codes, windows=own)


def window_codes(codes: Codes, windows: Windows, rule: str) -> Codes:
    """Return a label code per window: its last row's, or the one of most labelled rows."""
    if rule == "last":
        return codes[windows.last_rows]
    inside = codes[windows.rows()]
    classes = max(int(codes.max(initial=-1)) + 1, 1)
    counts = np.stack([(inside == code).sum(axis=1) for code in range(classes)], axis=1)
    return np.where(counts.max(axis=1) > 0, counts.argmax(axis=1), -1)


def _unsorted(keys: RowOrder) -> bool:
    groups = np.zeros(keys.rows, dtype=np.int64) if keys.groups is None else keys.groups
    assert keys.times is not None, "asked only where there is a time"
    order = groups.argsort(kind="stable")
    same = groups[order][1:] == groups[order][:-1]
    return bool((np.diff(keys.times[order])[same] < 0).any())
