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
from aecli.features.text.columns import with_text_columns
from aecli.features.windows import Series, read_series
from aecli.progress import Progress
from aecli.schema.model_spec import Label
from aecli.schema.option_types import parse_valid
from aecli.schema.options import ColumnOptions, TrainOptions
from aecli.table.column_plan import ColumnPlan, plan_columns, require_features
from aecli.table.labels import (
    label_notes,
    read_labels,
    with_counts,
)
from aecli.table.source import Data, Source
from aecli.training.code_notes import code_notes
from aecli.training.held_out import divide_rows, unseen_classes_note
from aecli.training.isolated_rows import drop_isolated
from aecli.training.memory import cell_memory, table_memory
from aecli.training.order_notes import split_notes, window_notes
from aecli.training.rereadable import count_rows, open_rereadable
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

    `source` is the table itself if it has too few held-out samples to fit score thresholds on, and
    `dropped` the number of training samples that `--drop-isolated` dropped.
    """

    plan: ColumnPlan
    layout: Layout
    train: Staged
    valid: Staged
    notes: list[str]
    table: str = ""
    source: Source | None = None
    dropped: int = 0


def prepare(
    data: Data | Source,
    options: TrainOptions,
    progress: Progress,
    *,
    fold: tuple[int, int] | None = None,
) -> PreparedTable:
    """Read, split, fit the columns on the training rows only, and stage both parts.

    A `fold`, its number from 0 and the number of folds, is held out instead of the share in the
    options.

    Raises:
        DataError: the table has no row, no usable column or no usable label, or cannot be read.
        UsageError: an option does not fit the table.
    """
    progress.stage("reading")
    source = data if isinstance(data, Source) else open_rereadable(data, options)
    label, codes = _label(source, options)
    label_facts = label_notes(label) if label is not None and fold is None else []
    rows = _require_rows(source, codes)
    progress.stage("splitting rows")
    series = read_series(source, options.windows)
    mask, notes = divide_rows(source, options, rows, codes=codes, series=series, fold=fold)
    if label is not None and codes is not None:
        label = with_counts(label, codes, mask)
        notes += unseen_classes_note(label, options.training.valid) if fold is None else []
    chosen = _with_keys_as_ids(options)
    plan = plan_columns(source, chosen, train_rows=mask, label=label, progress=progress)
    plan = with_text_columns(plan, chosen)
    require_features(plan, source.name)
    plan = _with_mask_indicators(_with_compressed_tails(plan, options), options)
    reader = CellReader(plan.columns, nonfinite=options.columns.nonfinite)
    memory = cell_memory(source, options, rows) // (1 if fold is None else fold[1])
    train, valid = _stage(source, reader, options, mask, codes, series, memory, progress)
    if series is not None:
        windows, rule = series.cut(~mask), options.windows.window_label
        train, valid = (
            as_windows(part, windows, rows, rule) for part, rows in ((train, mask), (valid, ~mask))
        )
        notes = [*notes, *series.notes(windows)]
        notes += window_notes(source, series, plan) if fold is None else []
        plan = _with_window_counts(plan, train, options)
    elif fold is None and parse_valid(options.training.valid)[0] == "random":
        notes = [*notes, *split_notes(source, plan, options, mask)]
    train, dropped = drop_isolated(train, reader.layout, options.training, notes)
    if fold is None and parse_valid(options.training.valid)[0] == "file":
        held = table_memory(source) + train.memory_bytes
        valid = read_validation_file(plan, reader, options, progress, held)
        notes = [*notes, *shared_file_notes(source, options.training.valid)]
    notes = [*source.notes, *plan.notes, *_ambiguous_texts(plan, source), *label_facts, *notes]
    notes += code_notes(source, plan) if fold is None else []
    again = source if fold is None and _cross_fits(options, train, valid) else None
    name = Path(source.name).name
    return PreparedTable(plan, reader.layout, train, valid, notes, name, again, dropped)


def _stage(
    source: Source,
    reader: CellReader,
    options: TrainOptions,
    mask: Mask,
    codes: Codes | None,
    series: Series | None,
    memory: int,
    progress: Progress,
) -> tuple[Staged, Staged]:
    """Stage training and validation rows; those of series keep their order."""
    return stage(
        source.select([column.name for column in reader.layout.columns]), reader, rows=mask,
        codes=codes, memory=memory,
        seed=options.training.seed if series is None else None, progress=progress,
    )  # fmt: skip


def _label(source: Source, options: TrainOptions) -> tuple[Label | None, Codes | None]:
    name = options.columns.label
    return (None, None) if name is None else read_labels(source, name)


def _require_rows(source: Source, codes: Codes | None) -> int:
    """Return the number of rows, that of the codes of a label.

    Raises:
        DataError: there are none.
    """
    rows = len(codes) if codes is not None else count_rows(source)
    if rows == 0:
        raise DataError(f"{source.name} has no rows", hint="a table with at least one row")
    return rows


def _cross_fits(options: TrainOptions, train: Staged, valid: Staged) -> bool:
    """Return whether a small table has too few held-out samples of its own to fit thresholds on.

    Overlapping windows count as the number of windows that would not overlap.
    """
    windows = options.windows
    shared = max(1, (windows.window or 1) // windows.stride)
    few = len(valid) < FEW_HELD_OUT * shared
    small = len(train) + len(valid) <= MAX_CROSS_FITTED * min(shared, MAX_SHARED_WINDOWS)
    return few and small and parse_valid(options.training.valid)[0] != "file"


def _ambiguous_texts(plan: ColumnPlan, source: Source) -> list[str]:
    """Return a note on each text column in which most values, but not all, are numbers or dates."""
    names = {column.name for column in plan.columns} | {item.name for item in plan.left_out}
    evidence = source.columns.evidence
    return [f"column {name!r}: {reason}" for name, reason in evidence.items() if name in names]


def prepared_for_noise(prepared: PreparedTable, options: TrainOptions) -> PreparedTable:
    """Return the same rows, prepared for the noise in other options."""
    plan = _with_mask_indicators(prepared.plan, options)
    return replace(prepared, plan=plan, layout=lay_out(plan.columns))


def _with_mask_indicators(plan: ColumnPlan, options: TrainOptions) -> ColumnPlan:
    """Return the plan with a missing-value indicator per column, if training masks cells.

    Without it a masked cell has the same input, 0, as an average one; the figures are in
    benchmarks/RESULTS.md. Convolutions take pixels only.
    """
    if not options.training.noise.startswith("mask") or options.network.arch == "conv2d":
        return plan
    columns = (column.model_copy(update={"masked": True}) for column in plan.columns)
    return replace(plan, columns=tuple(columns))


def _with_compressed_tails(plan: ColumnPlan, options: TrainOptions) -> ColumnPlan:
    """Return the plan with compressed copies of long-tailed numbers as inputs, for a classifier.

    Scaled by its standard deviation, such a number is almost equal in most rows; figures are in
    benchmarks/RESULTS.md, Features.
    """
    if plan.label is None or options.network.arch == "conv2d":
        return plan
    columns = (c.model_copy(update={"compressed": c.long_tailed}) for c in plan.columns)
    return replace(plan, columns=tuple(columns))


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


def _with_keys_as_ids(options: TrainOptions) -> ColumnOptions:
    """Return the column options in which key columns are identifiers: carried, never features.

    Key columns are those of `--group`, `--time` and `--valid group:`; the held-out values of the
    last would be unseen categories.

    Raises:
        UsageError: one of them is also named as something else.
    """
    windows, columns = options.windows, options.columns
    kind, column, _ = parse_valid(options.training.valid)
    keys = {column: "--valid group:"} if kind == "group" else {}
    keys |= dict.fromkeys(windows.group, "--group")
    keys |= {windows.time: "--time"} if windows.time else {}
    label = [columns.label] if columns.label else []
    roles = {"--label": label, "--columns": columns.columns, "--categorical": columns.categorical}
    for name, flag in keys.items():
        for role, names in roles.items():
            if name in names:
                raise UsageError(
                    f"column {name!r} is named by {flag} and by {role}",
                    hint=f"leave {name!r} out of one of them",
                )
    return columns.model_copy(update={"id": list(dict.fromkeys([*columns.id, *keys]))})
