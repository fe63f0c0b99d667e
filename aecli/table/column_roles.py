"""Decide from a scan which columns are texts, and which are not features."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from aecli.schema.model_spec import Kind
from aecli.schema.options import ColumnOptions
from aecli.table.arrow_types import type_name
from aecli.table.candidate import Candidate
from aecli.table.column_scan import ColumnScan
from aecli.table.column_statistics import ValueCounts

# In fewer rows, all values may be distinct by chance.
MIN_ROWS_NEARLY_DISTINCT = 50
MIN_ROWS_ALL_DISTINCT = 10
NEARLY_DISTINCT_SHARE = 0.95

MAX_CATEGORIES = 128
"""Default of `--max-categories`; text with more values is a text column."""


def with_text_kinds(
    candidates: Sequence[Candidate],
    scan: ColumnScan,
    options: ColumnOptions,
    evidence: Mapping[str, str],
) -> list[Candidate]:
    """Return the candidates, those that may be text as text or as categories.

    `evidence` names columns that are mostly numbers or dates.
    """

    def kind(candidate: Candidate) -> Kind:
        if not candidate.may_be_text:
            return candidate.kind
        return "text" if _is_text(candidate, scan, options, evidence) else "category"

    return [replace(candidate, kind=kind(candidate)) for candidate in candidates]


def _is_text(
    candidate: Candidate,
    scan: ColumnScan,
    options: ColumnOptions,
    evidence: Mapping[str, str],
) -> bool:
    """Return whether text is a text column rather than a category.

    Its values are mostly distinct, or more than `MAX_CATEGORIES` without `--max-categories`.
    """
    counts = scan.counts[candidate.name]
    if counts.distinct < 2:
        return False
    if candidate.kind == "text":
        return True
    if candidate.name in evidence and not candidate.exact:
        return False
    if _mostly_distinct(counts, options.max_categories or MAX_CATEGORIES):
        return True
    return options.max_categories is None and counts.distinct > MAX_CATEGORIES


def left_out_reason(candidate: Candidate, scan: ColumnScan, options: ColumnOptions) -> str | None:
    """Return why a candidate is not a feature, or None if it is one."""
    name = candidate.name
    if candidate.kind == "vector":
        return _vector_reason(candidate, scan)
    at = scan.position.get(name)
    counts = scan.counts.get(name)
    if not (scan.moments.count[at] if at is not None else counts and counts.observed):
        return "all values missing in the training rows"
    if candidate.exact or candidate.kind == "text":
        return None
    if at in scan.row_numbers.starts():
        first = scan.row_numbers.starts()[at]
        return f"row number: counts the rows from {first}"
    if counts is None or counts.distinct == 1:
        return None
    limit = options.max_categories or MAX_CATEGORIES
    return _identifier_reason(counts, limit if candidate.kind == "category" else None)


def _vector_reason(candidate: Candidate, scan: ColumnScan) -> str | None:
    vectors = scan.vectors[candidate.name]
    if vectors.size == 0:
        return f"empty lists: {type_name(candidate.type)}"
    if vectors.ragged:
        return f"lists of different lengths: {type_name(candidate.type)}"
    return None if vectors.moments.count.any() else "all values missing in the training rows"


def _identifier_reason(counts: ValueCounts, max_categories: int | None) -> str | None:
    """Return why counted values are not a category, or None if they may be one.

    Args:
        counts: the values of the training rows.
        max_categories: text with more distinct values is free text; None for integers.
    """
    if not _mostly_distinct(counts, max_categories):
        return None
    distinct, observed = counts.distinct, counts.observed
    noun = "identifier by its name" if max_categories is None else "free text or identifier"
    shown = f"more than {distinct - 1:,}" if counts.stopped else f"{distinct:,}"
    return f"{noun}: {shown} distinct values in {observed:,} rows"


def _mostly_distinct(counts: ValueCounts, max_categories: int | None) -> bool:
    """Return whether counted values are nearly all distinct, or too many for categories."""
    distinct, observed = counts.distinct, counts.observed
    nearly_distinct = (
        observed >= MIN_ROWS_NEARLY_DISTINCT and distinct >= NEARLY_DISTINCT_SHARE * observed
    )
    all_distinct = observed >= MIN_ROWS_ALL_DISTINCT and distinct == observed
    free_text = max_categories is not None and distinct > max_categories and 2 * distinct > observed
    return counts.stopped or nearly_distinct or all_distinct or free_text
