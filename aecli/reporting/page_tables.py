"""Tables of a page: columns, confusion, calibration, effects of units, how to reproduce."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from markupsafe import Markup

from aecli.formatting import count, name_list, percent, safe, shell_name
from aecli.metrics.column_scores import ColumnScore
from aecli.reporting.data import ReportData, UnitTraversal, column_error
from aecli.reporting.svg import dumbbell, small_histogram
from aecli.reporting.text import layer_sizes, loss_text
from aecli.reporting.tiles import column_comparison
from aecli.schema.option_docs import as_flags
from aecli.schema.options import TrainOptions, option_names, section_of

MAX_COLUMNS_LISTED = 300
CONFUSION_CLASSES = 20
SEVERAL_FILES = re.compile(r" \([\d,]+ files\)$")
"""End of the name of a table of several files."""

EFFECT_ROWS = 40
MIN_EFFECT = 0.05
"""Smaller changes round to 0.0."""

LISTED_NAMES = 12
STRONGEST_SHADE = 45
"""Percentage of colour behind the largest share: text on it can still be read."""


def column_rows(data: ReportData) -> list[dict[str, Any]]:
    """Return the rows of the column table, the column with the largest error first."""
    known = sorted(data.columns, key=lambda column: -(column_error(column.value) or -1.0))
    return [_column_row(column, data) for column in known[:MAX_COLUMNS_LISTED]]


def _column_row(column: ColumnScore, data: ReportData) -> dict[str, Any]:
    own, pca, trivial = map(column_error, (column.value, column.pca, column.baseline))
    side = column_comparison(column)
    return {
        "name": safe(column.name),
        "kind": _kind(column, data),
        "histogram": small_histogram(data.histograms.get(column.name, [])),
        "dumbbell": dumbbell(own, pca, trivial, worse=side == "worse"),
        "errors": [(error, error_text(error)) for error in (own, pca, trivial)],
        "comparison": side,
        "gain": None if own is None or pca is None else 100 * (pca - own),
    }


def _kind(column: ColumnScore, data: ReportData) -> str:
    """Return the kind, and the periods of a time column whose phases are inputs."""
    periods = next((c.periods for c in data.spec.columns if c.name == column.name), [])
    return f"{column.kind} ({', '.join(periods)})" if periods else column.kind


def error_text(error: float | None) -> str:
    """Write a share of 1 that may be far above 1."""
    if error is not None and error >= 10:
        return f"{100 * error:.3g} %".replace("e+0", "e")
    return percent(error)


def confusion_rows(data: ReportData) -> tuple[list[str], list[dict[str, Any]]]:
    """Return the classes of the confusion matrix, and its rows: counts and shares of the row.

    The most frequent classes of many.
    """
    classification = data.classification
    if classification is None:
        return [], []
    confusion = np.array(classification.confusion)
    order = np.sort(np.argsort(-confusion.sum(1), kind="stable")[:CONFUSION_CLASSES])
    names = [safe(classification.classes[code]) for code in order]
    rows = []
    for code, name in zip(order, names, strict=True):
        total = int(confusion[code].sum())
        cells = [_shaded(int(confusion[code, other]), total, other == code) for other in order]
        rest = total - int(confusion[code, order].sum())
        cells += [_shaded(rest, total, False)] if len(order) < len(confusion) else []
        rows.append({"name": name, "total": total, "cells": cells})
    return names, rows


def _shaded(rows: int, total: int, right: bool) -> dict[str, Any]:
    share = rows / total if total else 0.0
    return {
        "count": rows, "share": percent(share, 0) if rows else "", "right": right,
        "shade": round(STRONGEST_SHADE * share),
    }  # fmt: skip


def calibration_rows(data: ReportData) -> list[dict[str, Any]]:
    """Return the bins of confidence that have answers: confidence, accuracy, their count."""
    if data.classification is None:
        return []
    return [
        {
            "confidence": percent(confidence),
            "accuracy": percent(accuracy),
            "count": count(rows),
            "line": dumbbell(accuracy, None, confidence),
        }
        for confidence, accuracy, rows in data.classification.reliability
    ]


def effect_rows(units: Sequence[UnitTraversal]) -> list[dict[str, Any]]:
    """Return what each unit changes, by column: the columns that change most first."""
    changes = [dict(unit.changes) for unit in units]
    largest: dict[str, float] = {}
    for by_column in changes:
        for name, change in by_column.items():
            largest[name] = max(largest.get(name, 0.0), abs(change))
    visible = [name for name, change in largest.items() if change >= MIN_EFFECT]
    names = sorted(visible, key=lambda name: -largest[name])[:EFFECT_ROWS]
    top = max(largest.values(), default=0.0) or 1.0
    return [
        {
            "name": safe(name),
            "cells": [_effect(by_column.get(name), top) for by_column in changes],
        }
        for name in names
    ]


def _effect(change: float | None, top: float) -> dict[str, Any]:
    if change is None:
        return {"text": "", "shade": 0, "side": "up"}
    text = "" if abs(change) < MIN_EFFECT else f"{change:+.1f}".replace("-", "−")
    shade = round(STRONGEST_SHADE * min(1.0, abs(change) / top))
    return {"text": text, "shade": shade, "side": "up" if change > 0 else "down"}


def reproduce_rows(data: ReportData) -> Iterator[tuple[str, str | Markup]]:
    """Yield what trains the same model again, and what identifies it."""
    spec = data.spec
    yield from _model_rows(data)
    where = "DATA is the training table" if "DATA" in _table_argument(data) else ""
    where = where or "in the folder of the table"
    yield "command", Markup("<code>{}</code>; {}").format(_command(data), where)
    rows = f"{count(spec.summary.train_rows)} {data.unit}s"
    held_out = f", {count(spec.summary.valid_rows)} held out" if spec.summary.valid_rows else ""
    yield "training table", f"{safe(spec.table) or 'a table in memory'}; {rows}{held_out}"
    yield "seed", str(spec.options.training.seed)
    yield "device", f"{spec.summary.device}, {spec.summary.precision}"
    versions = ", ".join(f"{name} {version}" for name, version in spec.versions.items())
    yield "versions", versions
    yield (
        "weights",
        Markup("<code>{}</code> SHA-256, {}").format(
            spec.weights.sha256, count(spec.weights.size, "byte")
        ),
    )
    yield "spec.json", Markup("<code>{}</code> digest").format(spec.digest)


def _model_rows(data: ReportData) -> Iterator[tuple[str, str]]:
    """Yield what the model is made of."""
    spec = data.spec
    names = name_list([safe(column.name) for column in spec.columns], LISTED_NAMES)
    yield f"{count(len(spec.columns))} columns", names
    if spec.label:
        classes = name_list([safe(one) for one in spec.label.classes], LISTED_NAMES)
        yield "label", f"{safe(spec.label.name)}: {classes}"
    if spec.ids:
        yield "identifiers", name_list([safe(one.name) for one in spec.ids], LISTED_NAMES)
    if spec.left_out:
        left_out = [f"{safe(one.name)} ({safe(one.reason)})" for one in spec.left_out]
        yield "left out", name_list(left_out, LISTED_NAMES)
    network = spec.network
    windows = f", windows of {network.window} rows" if network.window > 1 else ""
    kind = "variational " if network.variational else ""
    yield (
        "network",
        (
            f"{kind}{network.architecture}, {layer_sizes(data)}{windows}; {network.activation}; "
            f"{count(spec.parameters, 'parameter')}"
        ),
    )
    yield "loss", loss_text(data)
    yield from (("note", safe(sentence)) for sentence in spec.summary.notes)


def _table_argument(data: ReportData) -> str:
    """Return the argument for the training table; DATA for several files."""
    table = safe(data.spec.table or "")
    return "DATA" if not table or SEVERAL_FILES.search(table) else shell_name(table)


def _command(data: ReportData) -> str:
    """Return the command with the options that differ from the defaults."""
    options, defaults = data.spec.options, TrainOptions()
    chosen = {}
    for name in option_names():
        section = section_of(name)
        value = getattr(getattr(options, section), name)
        if value != getattr(getattr(defaults, section), name):
            chosen[name] = value
    table = _table_argument(data)
    flags = shlex.join([*as_flags(chosen), "-m", str(data.model)])
    return f"aecli train {table} {flags}"
