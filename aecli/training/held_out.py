"""Choose the validation rows of a table: at random, the last ones, or whole groups."""

from __future__ import annotations

import numpy as np

from aecli.array_types import Codes, Mask
from aecli.errors import DataError, UsageError
from aecli.features.windows import Series
from aecli.formatting import count, name_list, shell_name
from aecli.ranks import ONE_PROCESS, Ranks
from aecli.schema.model_spec import Label
from aecli.schema.option_types import parse_valid
from aecli.schema.options import TrainOptions
from aecli.table.arrow_types import is_list
from aecli.table.column_names import require_column
from aecli.table.row_order import read_row_order
from aecli.table.source import Source
from aecli.training.split import (
    group_rows,
    groups_of_fold,
    last_rows,
    rows_outside,
    segment_of_fold,
    training_rows,
)


def divide_rows(
    source: Source,
    options: TrainOptions,
    rows: int,
    *,
    codes: Codes | None = None,
    series: Series | None = None,
    fold: tuple[int, int] | None = None,
    first: int = 0,
    ranks: Ranks = ONE_PROCESS,
) -> tuple[Mask, list[str]]:
    """Return a mask `(rows,)`, True for training rows, and notes.

    Args:
        source: the complete table.
        options: the training options; `--valid` selects the method.
        rows: the number of rows.
        codes: the class of each row of this rank, if there is a label.
        series: the order of the rows, for windows.
        fold: the fold to hold out instead of the share: its number from 0, and how many folds.
        first: the number of rows before those of this rank.
        ranks: the processes that divide the rows.

    Raises:
        DataError: the column in `--valid` is missing or has only one value, or the table has too
            few rows for the folds.
        UsageError: the column is the label.
    """
    kind, column, share = parse_valid(options.training.valid)
    if fold is None and kind in ("none", "file"):
        return np.ones(rows, dtype=np.bool_), []
    seed = options.training.seed
    if kind == "group":
        held_out = _held_out_groups(source, options, series, fold)
    elif series is not None and fold is not None:
        held_out = series.held_out_fold(*fold, seed)
    elif series is not None:
        held_out = series.held_out(share, seed, ends=kind == "last")
    elif kind == "last":
        held_out = _held_out_last(source, options, rows, share, fold)
    elif fold is not None:
        held_out = ~rows_outside(*fold, rows, seed, codes)
    else:
        held_out = ~training_rows(rows, share, seed, codes, first=first, ranks=ranks)
    if fold is not None and (not held_out.any() or held_out.all()):
        raise _too_few_for_folds(rows, fold[1], series, column if kind == "group" else "")
    if held_out.any():
        return ~held_out, []
    return ~held_out, [_no_validation_rows(options, rows, share, codes, series)]


def _held_out_groups(
    source: Source, options: TrainOptions, series: Series | None, fold: tuple[int, int] | None
) -> Mask:
    _, column, share = parse_valid(options.training.valid)
    groups, seed = _groups(source, column, options), options.training.seed
    if fold is None:
        held_out = group_rows(groups, share, seed)
    else:
        held_out = groups_of_fold(groups, *fold, seed)
    if series is None:
        return held_out
    divided = series.divided(held_out)
    # If no window fits in a complete series either, the series themselves are too short.
    if len(series.cut()) and held_out.any() and not divided.any():
        _require_whole_series(options, column, groups, series)
    return divided


def _require_whole_series(
    options: TrainOptions, column: str, groups: Codes, series: Series
) -> None:
    """Raise if a series has rows of several groups, so that training or validation has no window.

    Raises:
        DataError: a series has rows of several groups.
    """
    series_codes = np.zeros_like(groups) if series.keys.groups is None else series.keys.groups
    pairs, sizes = np.unique(series_codes * (groups.max() + 1) + groups, return_counts=True)
    if len(pairs) == len(np.unique(series_codes)):
        return
    window, longest = options.windows.window, int(sizes.max())
    assert window is not None, "only tables of windows have series"
    hint = f"--group {shell_name(','.join([*options.windows.group, column]))}"
    raise DataError(
        f"--valid {options.training.valid} leaves one part without a window of {window} rows",
        facts=[
            f"a series has rows of several values of {column!r}",
            "no window has both training and validation rows",
        ],
        hint=hint if longest >= window else f"{hint} --window {longest}",
    )


def _held_out_last(
    source: Source, options: TrainOptions, rows: int, share: float, fold: tuple[int, int] | None
) -> Mask:
    time, times = options.windows.time, None
    if time is not None:
        times = read_row_order(source.with_texts([]), [], time).times
    if fold is not None:
        return segment_of_fold(rows, times, *fold)
    held_out = last_rows(rows, share, times)
    if rows > 1 and not held_out.any():
        raise DataError(
            f"--valid {options.training.valid}: every row has one value of --time {time}",
            hint="--valid 0.1, or another --time",
        )
    return held_out


def _groups(source: Source, column: str, options: TrainOptions) -> Codes:
    valid = options.training.valid
    require_column(source.name, source.names, column, "--valid group:")
    if column == options.columns.label:
        raise UsageError(
            f"--valid {valid} holds out whole classes of the label, which are then not learned",
            hint="--valid 0.1 holds out rows of every class",
        )
    if is_list(source.readings[column].type):
        raise DataError(
            f"--valid {valid}: {column!r} is a list; groups need single values",
            hint="a column of text or numbers",
        )
    groups = read_row_order(source, [column], None).groups
    assert groups is not None, "a column was named"
    if len(groups) and (groups == groups[0]).all():
        raise DataError(
            f"--valid {valid}: every row of {source.name} has one value of {column!r}",
            hint="--valid 0.1",
        )
    return groups


def _too_few_for_folds(rows: int, folds: int, series: Series | None, column: str) -> DataError:
    what = f"{rows:,} rows" if series is None else "the windows of this table"
    what = f"the groups of {column!r}" if column else what
    return DataError(
        f"{what} are too few for {folds} folds", hint="fewer --folds, or a longer table"
    )


def _no_validation_rows(
    options: TrainOptions, rows: int, share: float, codes: Codes | None, series: Series | None
) -> str:
    """Return why no row is held out."""
    if series is not None:
        return f"no validation windows: the series are too short for --valid {share:g}"
    if codes is not None and rows * share >= 1:
        label = options.columns.label
        return f"no validation rows: every class of {label!r} has one row, which training needs"
    return f"too few rows ({rows:,}) for a validation share of {share:g}: no rows are held out"


def unseen_classes_note(label: Label | None, valid: str) -> list[str]:
    """Return a note, in a list, on classes without a training row."""
    if label is None:
        return []
    unseen = [str(name) for name, rows in zip(label.classes, label.counts, strict=True) if not rows]
    if not unseen:
        return []
    classes = f"{len(unseen):,} of {count(len(label.classes), 'class', 'classes')}"
    return [
        f"label {label.name!r}: {classes} ({name_list(unseen, 3)}) have no training row, so they "
        f"are never predicted: --valid {valid} holds out all of their rows; try --valid 0.1"
    ]
