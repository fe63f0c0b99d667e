"""Turn a table into staged training and validation rows: split, column kinds, scaling, labels."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import torch
from torch import Tensor

from aecli.array_types import Codes, Mask
from aecli.errors import DataError, UsageError
from aecli.features.layout import Layout, lay_out
from aecli.features.reader import CellReader
from aecli.features.staging import Staged, as_windows, stage
from aecli.features.windows import Series, read_series
from aecli.progress import Progress
from aecli.ranks import ONE_PROCESS, Ranks
from aecli.schema.model_spec import Label
from aecli.schema.option_types import parse_valid
from aecli.schema.options import TrainOptions
from aecli.table.column_plan import ColumnPlan
from aecli.table.labels import (
    label_notes,
    read_labels,
    with_counts,
)
from aecli.table.shares import Share
from aecli.table.source import Data, Source
from aecli.training.code_notes import code_notes
from aecli.training.feature_plan import plan_features, with_mask_indicators
from aecli.training.held_out import divide_rows, unseen_classes_note
from aecli.training.isolated_rows import drop_isolated
from aecli.training.memory import BYTES_PER_ROW, cell_memory, table_memory
from aecli.training.order_notes import split_notes, window_notes
from aecli.training.rereadable import count_rows, open_share
from aecli.training.validation_file import read_validation_file, shared_file_notes

FEW_HELD_OUT = 200
"""Held-out samples below which thresholds are cross-fitted; 1 % of 200 are two samples."""

MAX_SHARED_WINDOWS = 4
"""Maximum factor by which overlapping windows raise the limit `MAX_CROSS_FITTED`."""

MAX_CROSS_FITTED = 2_000
"""Maximum number of samples for cross-fitting, which trains three more networks: a few seconds."""


@dataclass(frozen=True)
class PreparedTable:
    """Table ready for training: fitted columns, training and validation rows, name of its file.

    The rows are those of one rank; `n_train` and `n_valid` are the numbers of training and
    validation samples of all ranks, and the plan has the counts of all of them. `source` is the
    table itself if it has too few held-out samples to fit score thresholds on, and `dropped` the
    number of training samples that `--drop-isolated` dropped. `ranks` are the processes that have
    the rows, and `sample` has evenly spaced rows of all of them, if there are several.
    """

    plan: ColumnPlan
    layout: Layout
    train: Staged
    valid: Staged
    notes: list[str]
    n_train: int
    n_valid: int
    table: str = ""
    source: Source | None = None
    dropped: int = 0
    ranks: Ranks = ONE_PROCESS
    sample: PreparedTable | None = None

    @property
    def sampled(self) -> PreparedTable:
        """Return the table with rows of all ranks: the sample, or itself in one process."""
        return self.sample or self


def prepare(
    data: Data | Source,
    options: TrainOptions,
    progress: Progress,
    *,
    fold: tuple[int, int] | None = None,
    ranks: Ranks = ONE_PROCESS,
) -> PreparedTable:
    """Read, split, fit the columns on the training rows only, and stage both parts.

    A `fold`, its number from 0 and the number of folds, is held out instead of the share in the
    options. Each of several ranks stages its rows, by columns that are fitted on those of all.

    Raises:
        DataError: the table has no row, no usable column or no usable label, or cannot be read.
        UsageError: an option does not fit the table, or several ranks.
    """
    _require_divisible(options, ranks)
    progress.stage("reading")
    share = open_share(data, options, ranks)
    source = share.whole
    label, codes = _label(share.source, options, ranks)
    label_facts = label_notes(label) if label is not None and fold is None else []
    rows = _require_rows(share, codes)
    progress.stage("splitting rows")
    series = read_series(source, options.windows)
    mask, notes = divide_rows(
        source, options, rows, codes=codes, series=series, fold=fold,
        first=share.before, ranks=ranks,
    )  # fmt: skip
    if label is not None and codes is not None:
        label = with_counts(label, codes, mask[share.rows], ranks=ranks)
        notes += unseen_classes_note(label, options.training.valid) if fold is None else []
    plan = plan_features(share, options, mask, label, progress, ranks)
    reader = CellReader(plan.columns, nonfinite=options.columns.nonfinite)
    folds = 1 if fold is None else fold[1]
    train, valid = _stage(share, reader, options, mask, codes, series, folds, progress, ranks)
    if series is not None:
        windows, rule = series.cut(~mask), options.windows.window_label
        train, valid = (
            as_windows(part, windows, rows, rule) for part, rows in ((train, mask), (valid, ~mask))
        )
        notes, plan = [*notes, *series.notes(windows)], _with_window_counts(plan, train, options)
    train, dropped = drop_isolated(train, reader.layout, options.training, notes, ranks=ranks)
    if fold is None:
        notes = [*notes, *_order_notes(source, series, plan, options, mask, ranks)]
    if fold is None and parse_valid(options.training.valid)[0] == "file":
        held = table_memory(share.source) + train.memory_bytes
        valid = read_validation_file(plan, reader, options, progress, held, ranks)
    notes = [*source.notes, *plan.notes, *_ambiguous_texts(plan, source), *label_facts, *notes]
    n_train, n_valid = (sum(ranks.gather(len(part))) for part in (train, valid))
    again = source if fold is None and _cross_fits(options, n_train, n_valid, ranks) else None
    return PreparedTable(
        plan, reader.layout, train, valid, notes, n_train, n_valid, Path(source.name).name, again,
        dropped,
    )  # fmt: skip


def _require_divisible(options: TrainOptions, ranks: Ranks) -> None:
    """Raise if the training cannot be divided among several ranks.

    Raises:
        UsageError: an option needs all rows in one process.
    """
    if ranks.size == 1 or options.windows.window is None:
        return
    raise UsageError(
        f"--window is not supported in a training by {ranks.size:,} processes",
        facts=["a window may have rows of several of them"],
        hint="aecli train without torchrun",
    )


def _stage(
    share: Share,
    reader: CellReader,
    options: TrainOptions,
    mask: Mask,
    codes: Codes | None,
    series: Series | None,
    folds: int,
    progress: Progress,
    ranks: Ranks,
) -> tuple[Staged, Staged]:
    """Stage training and validation rows of this rank; those of series keep their order.

    The tables of `folds` folds are in memory together.
    """
    own = len(mask[share.rows])
    held = BYTES_PER_ROW * (len(mask) - own)
    memory = cell_memory(share.source, options, own, held=held) // folds
    train, valid = stage(
        share.source, reader, rows=mask[share.rows], codes=codes, memory=memory,
        seed=options.training.seed if series is None else None, progress=progress,
    )  # fmt: skip
    complete = ranks.gather((train.complete, valid.complete))
    whole = [all(parts) for parts in zip(*complete, strict=True)]
    return replace(train, complete=whole[0]), replace(valid, complete=whole[1])


def _label(
    source: Source, options: TrainOptions, ranks: Ranks
) -> tuple[Label | None, Codes | None]:
    """Return the label, and the codes of the rows of this rank."""
    name = options.columns.label
    return (None, None) if name is None else read_labels(source, name, ranks=ranks)


def _require_rows(share: Share, codes: Codes | None) -> int:
    """Return the number of rows, that of the codes of a label.

    Raises:
        DataError: there are none.
    """
    rows = share.total
    if rows is None:
        rows = len(codes) if codes is not None else count_rows(share.source)
    if rows == 0:
        raise DataError(f"{share.whole.name} has no rows", hint="a table with at least one row")
    return rows


def _order_notes(
    source: Source,
    series: Series | None,
    plan: ColumnPlan,
    options: TrainOptions,
    mask: Mask,
    ranks: Ranks,
) -> list[str]:
    """Return notes on the first rows of the table, which the first rank reads."""
    if ranks.rank:
        return []
    kind = parse_valid(options.training.valid)[0]
    notes = [] if series is None else window_notes(source, series, plan)
    if series is None and kind == "random":
        notes += split_notes(source, plan, options, mask)
    if kind == "file":
        notes += shared_file_notes(source, options.training.valid)
    return [*notes, *code_notes(source, plan)]


def _cross_fits(options: TrainOptions, n_train: int, n_valid: int, ranks: Ranks) -> bool:
    """Return whether a small table has too few held-out samples of its own to fit thresholds on.

    Overlapping windows count as the number of windows that would not overlap. Several ranks do not
    train small tables, so these train no more networks.
    """
    windows = options.windows
    shared = max(1, (windows.window or 1) // windows.stride)
    few = n_valid < FEW_HELD_OUT * shared
    small = n_train + n_valid <= MAX_CROSS_FITTED * min(shared, MAX_SHARED_WINDOWS)
    alone = ranks.size == 1
    return alone and few and small and parse_valid(options.training.valid)[0] != "file"


def _ambiguous_texts(plan: ColumnPlan, source: Source) -> list[str]:
    """Return a note on each text column in which most values, but not all, are numbers or dates."""
    names = {column.name for column in plan.columns} | {item.name for item in plan.left_out}
    evidence = source.columns.evidence
    return [f"column {name!r}: {reason}" for name, reason in evidence.items() if name in names]


def prepared_for_noise(prepared: PreparedTable, options: TrainOptions) -> PreparedTable:
    """Return the same rows, prepared for the noise in other options."""
    plan = with_mask_indicators(prepared.plan, options)
    return replace(prepared, plan=plan, layout=lay_out(plan.columns))


def _with_window_counts(plan: ColumnPlan, train: Staged, options: TrainOptions) -> ColumnPlan:
    """Return the plan with the label's class counts over training windows instead of rows.

    Raises:
        DataError: no training window is labelled.
    """
    if plan.label is None or train.codes is None:
        return plan
    label = with_counts(plan.label, train.codes.numpy())
    if options.losses.class_weight and not any(label.counts):
        rule = options.windows.window_label
        raise DataError(
            f"no training window has a value of the label {label.name!r}",
            facts=[f"a window has {WINDOW_LABELS[rule]}"],
            hint="--window-label majority"
            if rule == "last"
            else "a column with more labelled rows",
        )
    return replace(plan, label=label)


WINDOW_LABELS = {"last": "the label of its last row", "majority": "its most frequent label"}


def class_weights(label: Label) -> Tensor:
    """Return balanced class weights `(n_classes,)`: samples / (classes · samples of the class)."""
    counts = torch.tensor(label.counts, dtype=torch.float32).clamp(min=1)
    return counts.sum() / (len(counts) * counts)
