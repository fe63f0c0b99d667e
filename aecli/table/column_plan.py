"""Decide how each column of a table is used: as a feature, an identifier, or not at all."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import pyarrow as pa

from aecli.array_types import Mask
from aecli.errors import DataError, UsageError
from aecli.formatting import shell_name
from aecli.progress import SILENT, Progress
from aecli.schema.model_spec import Column, Identifier, Label, LeftOut
from aecli.schema.options import ColumnOptions
from aecli.table.arrow_types import is_list, kind_of, type_name
from aecli.table.candidate import Candidate
from aecli.table.cells.reading import Reading
from aecli.table.column_fit import fit_columns, require_unscaled_reach
from aecli.table.column_names import ColumnSelection, match_patterns, select_columns
from aecli.table.column_roles import left_out_reason, with_text_kinds
from aecli.table.column_scan import WHOLE, ColumnScan, ScanPart
from aecli.table.labels import read_labels, with_counts
from aecli.table.rank_scans import read_scan
from aecli.table.source import Source
from aecli.table.text_sample import sampled_texts

_SCALED_KINDS = frozenset({"number", "time", "vector"})


@dataclass(frozen=True)
class ColumnPlan:
    """Roles and fits of all columns of a table, in the order of the table.

    `rows` is the number of rows used for fitting; `notes` are messages for the user. `texts` are
    samples of the text columns, whose vectors are fitted later (`features.text`).
    """

    columns: tuple[Column, ...]
    ids: tuple[Identifier, ...]
    left_out: tuple[LeftOut, ...]
    label: Label | None
    rows: int
    notes: tuple[str, ...]
    texts: Mapping[str, pa.Array] = field(default_factory=dict)


def plan_columns(
    source: Source,
    options: ColumnOptions,
    *,
    train_rows: Mask | None = None,
    label: Label | None = None,
    progress: Progress = SILENT,
    part: ScanPart = WHOLE,
) -> ColumnPlan:
    """Fit every column as `describe_columns` does, and require at least one feature.

    With a `part`, `source` and `train_rows` are the rows of one rank, and the fits those of all.

    Raises:
        DataError: as for `describe_columns` and `require_features`, or a number is too large to be
            left unscaled.
        UsageError: as for `describe_columns`.
    """
    selection = select_columns(source.name, source.names, options)
    plan = _described(source, options, selection, train_rows, label, progress, part)
    unscaled = [column for column in plan.columns if selection.scales[column.name] == "none"]
    require_unscaled_reach(unscaled, source.name)
    require_features(plan, source.name)
    return plan


def describe_columns(
    source: Source,
    options: ColumnOptions,
    *,
    train_rows: Mask | None = None,
    label: Label | None = None,
    progress: Progress = SILENT,
) -> ColumnPlan:
    """Fit every column in one pass over the rows; `texts` of the result are not fitted yet.

    Args:
        source: the complete table, with label and identifiers.
        options: of the user.
        train_rows: `(n_rows,)`, True for the rows used for statistics; None for all.
        label: the result of `read_labels` and `with_counts`, if the caller has it already.
        progress: receives the progress of the pass.

    Raises:
        DataError: a named column does not exist, a number is infinite, or the label is unsuitable.
        UsageError: a column has two roles, or `--text` names one that is not text.
    """
    selection = select_columns(source.name, source.names, options)
    return _described(source, options, selection, train_rows, label, progress)


def _described(
    source: Source,
    options: ColumnOptions,
    selection: ColumnSelection,
    train_rows: Mask | None,
    label: Label | None,
    progress: Progress,
    part: ScanPart = WHOLE,
) -> ColumnPlan:
    if label is None and options.label is not None:
        label, codes = read_labels(source, options.label)
        label = with_counts(label, codes, train_rows)
    readings = source.readings
    candidates, reasons = _candidates(selection, readings)
    roles = {str(options.label): "label"} | dict.fromkeys(selection.ids, "identifier") | reasons
    _require_scalable(source, options, {item.name: item.kind for item in candidates}, roles)
    scan = _scanned(source, candidates, options, train_rows, progress, part)
    evidence = source.columns.evidence
    candidates = with_text_kinds(candidates, scan, options, evidence)
    for candidate in candidates:
        reason = left_out_reason(candidate, scan, options)
        if reason is not None:
            reasons[candidate.name] = evidence.get(candidate.name, reason)
    features = [candidate for candidate in candidates if candidate.name not in reasons]
    columns = fit_columns(features, scan, options)
    return ColumnPlan(
        columns=tuple(_with_evidence(column, evidence.get(column.name)) for column in columns),
        ids=tuple(
            Identifier(name=n, type=type_name(readings[n].type), text_format=readings[n].format)
            for n in selection.ids
        ),
        left_out=tuple(
            LeftOut(name=n, type=type_name(readings[n].type), reason=reasons[n])
            for n in source.names
            if n in reasons
        ),
        label=label,
        rows=scan.rows,
        notes=tuple(_notes(features, scan)),
        texts={c.name: sampled_texts(scan.texts[c.name]) for c in features if c.kind == "text"},
    )


def _scanned(
    source: Source,
    candidates: Sequence[Candidate],
    options: ColumnOptions,
    train_rows: Mask | None,
    progress: Progress,
    part: ScanPart,
) -> ColumnScan:
    """Read the candidates once, or without any the first column, whose rows are counted."""
    robust = any(candidate.scale == "robust" for candidate in candidates)
    scan = ColumnScan(
        source.name, candidates, nonfinite=options.nonfinite, quartiles=robust, part=part
    )
    names = [candidate.name for candidate in candidates] or source.names[:1]
    return read_scan(scan, source.select(names), train_rows, progress)


def require_features(plan: ColumnPlan, table: str) -> None:
    """Raise if a plan has no feature.

    Raises:
        DataError: there are no rows, or no feature.
    """
    if any(not column.constant for column in plan.columns):
        return
    if not plan.rows:
        raise DataError(f"{table} has no rows", hint="a table with at least one row")
    reasons = {column.name: column.reason for column in plan.columns}
    reasons |= {item.name: item.reason for item in plan.left_out}
    facts = [f"{name}: {reason}" for name, reason in reasons.items()]
    if len(facts) > 4:
        facts = [*facts[:3], f"and {len(facts) - 3:,} more columns"]
    rows = f"{plan.rows:,} row{'s' if plan.rows > 1 else ''}"
    raise DataError(
        f"{table} has no column to learn from in {rows}",
        facts=facts or ["every column is an identifier or the label"],
        hint=f"aecli inspect {shell_name(table)}",
    )


def _with_evidence(column: Column, evidence: str | None) -> Column:
    """Return a text category with the reason why it is not read as numbers or dates."""
    if evidence is None or column.kind not in ("category", "text") or column.constant:
        return column
    return column.model_copy(update={"reason": f"{column.reason}; {evidence}"})


def _candidates(
    selection: ColumnSelection, readings: Mapping[str, Reading]
) -> tuple[list[Candidate], dict[str, str]]:
    """Return the columns whose type may be a feature, and the reasons why the others are not."""
    candidates: list[Candidate] = []
    reasons = dict(selection.left_out)
    for name in selection.features:
        arrow_type = readings[name].type
        kind = kind_of(arrow_type)
        if kind is None:
            reasons[name] = _unusable_reason(arrow_type)
            continue
        exact, text_format = name in selection.exact, readings[name].format
        scale = selection.scales[name]
        candidate = Candidate(name, arrow_type, kind, exact, text_format, scale)
        if name in selection.text:
            candidate = _as_text(candidate)
        candidates.append(_as_category(candidate) if name in selection.categorical else candidate)
    return candidates, reasons


def _as_category(candidate: Candidate) -> Candidate:
    """Make a `--categorical` column a category; columns matched by a glob are skipped if unfit."""
    kind = candidate.type
    whole = pa.types.is_integer(kind) or (pa.types.is_decimal(kind) and kind.scale <= 0)
    countable = whole or pa.types.is_boolean(kind)
    if candidate.kind == "category" or countable:
        return replace(candidate, kind="category", categorical=True)
    if not candidate.exact:
        return candidate
    # Integers with missing values are often floats, and decimals may be integral.
    if pa.types.is_floating(kind) or pa.types.is_decimal(kind):
        return replace(candidate, kind="category", categorical=True)
    raise DataError(
        f"column {candidate.name!r} is a {type_name(kind)}; only text, integers and booleans can "
        "be categories",
        hint="leave it out of --categorical",
    )


def _require_scalable(
    source: Source, options: ColumnOptions, kinds: Mapping[str, str], roles: Mapping[str, str]
) -> None:
    """Require that each pattern of `--scale` matches a number, time or vector.

    Args:
        source: the table.
        options: of the user.
        kinds: kinds of the columns that may be features.
        roles: roles of the others, or reasons why they are left out.

    Raises:
        DataError: a name or glob matches none.
    """
    for pattern, scale in options.scales[1].items():
        names = list(match_patterns(source.name, source.names, [pattern], "--scale"))
        if _SCALED_KINDS.isdisjoint(kinds.get(name) for name in names):
            facts = [f"{name}: {kinds.get(name) or roles[name]}" for name in names]
            raise DataError(
                f"--scale {pattern}={scale} matches no number, time or vector",
                facts=facts if len(facts) < 4 else [*facts[:2], f"and {len(facts) - 2:,} more"],
                hint=f"leave {pattern!r} out of --scale",
            )


def _as_text(candidate: Candidate) -> Candidate:
    """Make a `--text` column text; columns matched by a glob are skipped if they are not text."""
    if candidate.may_be_text:
        return replace(candidate, kind="text")
    if not candidate.exact:
        return candidate
    raise UsageError(
        f"column {candidate.name!r} is a {type_name(candidate.type)}; only columns of text can be "
        "text",
        hint=f"leave {candidate.name!r} out of --text",
    )


def _unusable_reason(kind: pa.DataType) -> str:
    if pa.types.is_null(kind):
        return "all values missing"
    if is_list(kind):
        return f"list, but not of numbers: {type_name(kind)}"
    return f"type without numbers or categories: {type_name(kind)}"


def _notes(features: Sequence[Candidate], scan: ColumnScan) -> list[str]:
    notes = [
        f"column {name!r}: {count:,} infinite numbers are treated as missing"
        for name, count in scan.infinite.items()
    ]
    notes += [
        f"column {candidate.name!r} has more than {scan.counts[candidate.name].distinct:,} "
        "distinct values; the counts of rare ones are approximate"
        for candidate in features
        if candidate.name in scan.counts and scan.counts[candidate.name].pruned
    ]
    return notes
