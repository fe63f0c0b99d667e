"""Gather several models for one page."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from aecli.errors import UsageError
from aecli.evaluation.compare import beside
from aecli.model_directory import read_spec
from aecli.report.figures.comparison import Comparison, Line
from aecli.report.saved import alone
from aecli.schema.model_spec import ModelSpec
from aecli.table.read_errors import shell_name
from aecli.table.source import Source

MOST = 8
"""Models on one page: more colours cannot be told apart."""


def compared(directories: Sequence[Path], source: Source | None, **how: Any) -> Comparison:
    """Return models that read the same columns, measured on the same rows where there are any.

    Raises:
        UsageError: they do not read the same columns, or there are too many.
        DataError: the table has no rows, cannot be read or lacks columns.
        ModelError: a model is missing, damaged or too new.
    """
    names = _short(directories)
    specs = [read_spec(path) for path in directories]
    _check(directories, specs)
    if source is None:
        return Comparison(names, [alone(path) for path in directories])
    from aecli.report.collect import measured

    findings, results = zip(*(measured(path, source, **how) for path in directories), strict=True)
    pairs = [
        beside(results[0], result, specs[0], spec)
        for result, spec in zip(results[1:], specs[1:], strict=True)
    ]
    values = [{f.name: f.other for f in pair.figures} for pair in pairs]
    first = {f.name: f.value for f in pairs[0].figures}
    lines = [
        Line(name, [value, *(other[name] for other in values)])
        for name, value in first.items()
        if all(name in other for other in values)
    ]
    notes = dict.fromkeys(note for pair in pairs for note in pair.notes)
    return Comparison(names, findings, lines, list(notes))


def _short(directories: Sequence[Path]) -> list[str]:
    """Return what tells the directories apart: a picture has no room for all of a path."""
    full = [os.path.abspath(path) for path in directories]
    parent = os.path.commonpath(full)
    if parent in full:
        return [str(path) for path in directories]
    return [os.path.relpath(path, parent) for path in full]


def _check(directories: Sequence[Path], specs: Sequence[ModelSpec]) -> None:
    names = [str(path) for path in directories]
    if len(names) > MOST:
        raise UsageError(
            f"{len(names):,} models are too many for one page",
            facts=[f"at most {MOST} can be told apart"],
            hint="aecli report --side-by-side with fewer models",
        )
    own = {c.name: c.kind for c in specs[0].columns if not c.constant}
    for name, spec in zip(names[1:], specs[1:], strict=True):
        found = {c.name: c.kind for c in spec.columns if not c.constant}
        if found == own:
            continue
        apart = [column for column in {**own, **found} if own.get(column) != found.get(column)]
        more = f", … ({len(apart):,} in all)" if len(apart) > 6 else ""
        raise UsageError(
            f"{names[0]} and {name} do not read the same columns",
            facts=[f"they differ in {', '.join(apart[:6])}{more}"],
            hint=f"aecli evaluate DATA -m {shell_name(names[0])} --compare {shell_name(name)}",
        )
