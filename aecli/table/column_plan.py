"""Decide what each column of a table becomes: a feature, an identifier, or left out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import pyarrow as pa

from aecli.array_types import Mask
from aecli.errors import DataError
from aecli.progress import SILENT, Progress
from aecli.schema.model_spec import Column, Identifier, Label, LeftOut
from aecli.schema.options import ColumnOptions
from aecli.table.arrow_types import is_list, kind_of, type_name
from aecli.table.column_fit import fit_columns, left_out_reason
from aecli.table.column_names import ColumnSelection, select_columns
from aecli.table.column_scan import Candidate, ColumnScan
from aecli.table.labels import read_labels, with_counts
from aecli.table.read_errors import shell_name
from aecli.table.source import Source


@dataclass(frozen=True)
class ColumnPlan:
    """Hold what every column of a table becomes, in the order of the table.

    `rows` is the number of rows it was fitted on; `notes` are sentences for people.
    """

    columns: tuple[Column, ...]
    ids: tuple[Identifier, ...]
    left_out: tuple[LeftOut, ...]
    label: Label | None
    rows: int
    notes: tuple[str, ...]


def plan_columns(
    source: Source,
    options: ColumnOptions,
    *,
    train_rows: Mask | None = None,
    label: Label | None = None,
    progress: Progress = SILENT,
) -> ColumnPlan:
    """Fit every column in one pass over the rows, and require one feature at least.

    Args:
        source: the whole table, label and identifiers included.
        options: what the user asked for.
        train_rows: `(n_rows,)`, True where statistics may look; all rows unless given.
        label: what `read_labels` and `with_counts` returned, where the caller has it already.
        progress: hears of the pass.

    Raises:
        DataError: a named column does not exist, a number is infinite, the label is unfit, there
            are no rows, or no column is left as a feature.
        UsageError: one column is named as two things at once.
    """
    plan = describe_columns(source, options, train_rows=train_rows, label=label, progress=progress)
    if any(not column.constant for column in plan.columns):
        return plan
    if not plan.rows:
        raise DataError(f"{source.name} has no rows", hint="a table with at least one row")
    reasons = {column.name: column.reason for column in plan.columns}
    reasons |= {item.name: item.reason for item in plan.left_out}
    facts = [f"{name}: {reason}" for name, reason in reasons.items()]
    if len(facts) > 4:
        facts = [*facts[:3], f"and {len(facts) - 3:,} more columns"]
    rows = f"{plan.rows:,} row{'s' if plan.rows > 1 else ''}"
    raise DataError(
        f"{source.name} has no column to learn from in {rows}",
        facts=facts or ["every column is an identifier or the label"],
        hint=f"aecli inspect {shell_name(source.name)}",
    )


def describe_columns(
    source: Source,
    options: ColumnOptions,
    *,
    train_rows: Mask | None = None,
    label: Label | None = None,
    progress: Progress = SILENT,
) -> ColumnPlan:
    """Fit every column as `plan_columns` does, whether or not a feature is left."""
    choice = select_columns(source.name, source.names, options)
    if label is None and options.label is not None:
        label, codes = read_labels(source, options.label)
        label = with_counts(label, codes, train_rows)
    schema = source.schema
    candidates, reasons = _candidates(choice, schema)
    survey = ColumnScan(
        source.name,
        candidates,
        nonfinite=options.nonfinite,
        quartiles=options.scale == "robust",
    )
    # Without a candidate the rows are still to be counted.
    names = [candidate.name for candidate in candidates] or source.names[:1]
    survey.read(source.select(names), train_rows, progress)
    for candidate in candidates:
        reason = left_out_reason(candidate, survey, options.max_categories)
        if reason is not None:
            reasons[candidate.name] = reason
    kept = [candidate for candidate in candidates if candidate.name not in reasons]
    return ColumnPlan(
        columns=tuple(fit_columns(kept, survey, options)),
        ids=tuple(Identifier(name=n, type=type_name(schema.field(n).type)) for n in choice.ids),
        left_out=tuple(
            LeftOut(name=n, type=type_name(schema.field(n).type), reason=reasons[n])
            for n in source.names
            if n in reasons
        ),
        label=label,
        rows=survey.rows,
        notes=tuple(_notes(kept, survey)),
    )


def _candidates(
    choice: ColumnSelection, schema: pa.Schema
) -> tuple[list[Candidate], dict[str, str]]:
    """Return the columns whose type may become a feature, and why the others may not."""
    candidates: list[Candidate] = []
    reasons = dict(choice.left_out)
    for name in choice.features:
        kind = schema.field(name).type
        found = kind_of(kind)
        if found is None:
            reasons[name] = _unfit(kind)
            continue
        candidate = Candidate(name, kind, found, exact=name in choice.exact)
        candidates.append(_as_asked(candidate) if name in choice.categorical else candidate)
    return candidates, reasons


def _as_asked(candidate: Candidate) -> Candidate:
    """Make a `--categorical` column a category; a glob passes over what cannot be one."""
    kind = candidate.type
    countable = pa.types.is_integer(kind) or pa.types.is_boolean(kind)
    if candidate.kind == "category" or countable:
        return replace(candidate, kind="category")
    if not candidate.exact:
        return candidate
    if pa.types.is_floating(kind):  # whole numbers with holes are floats in many a table
        return replace(candidate, kind="category")
    raise DataError(
        f"column {candidate.name!r} is a {type_name(kind)}; only text, integers and booleans can "
        "be categories",
        hint="leave it out of --categorical",
    )


def _unfit(kind: pa.DataType) -> str:
    if pa.types.is_null(kind):
        return "empty: no value in any row"
    what = "list of something else than numbers" if is_list(kind) else "type that holds no numbers"
    return f"{what} or categories: {type_name(kind)}"


def _notes(kept: Sequence[Candidate], survey: ColumnScan) -> list[str]:
    notes = [
        f"column {name!r}: {count:,} infinite numbers are taken as missing"
        for name, count in survey.infinite.items()
    ]
    notes += [
        f"column {candidate.name!r} has more than {survey.counts[candidate.name].distinct:,} "
        "distinct values; the counts of rare ones are approximate"
        for candidate in kept
        if candidate.name in survey.counts and survey.counts[candidate.name].pruned
    ]
    return notes
