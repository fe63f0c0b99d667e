"""Turn the lines of `history.jsonl` into curves."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from aecli.report.data import Line, Training

LIKED_ORDER = ("total", "reconstruction", "classification", "l1", "l2")


def training_of(history: Sequence[Mapping[str, Any]]) -> Training:
    """Return the curves of every loss term and, where they were logged, of gradient norms."""
    best = [entry["epoch"] for entry in history if entry.get("best")]
    found = dict.fromkeys(name for entry in history for name in entry["train"])
    terms = sorted(found, key=lambda name: (_place(name), name))
    lines = {name: (_line(history, "train", name), _line(history, "valid", name)) for name in terms}
    if len(terms) == 2 and lines[terms[0]] == lines[terms[1]]:
        del lines["total"]  # of one term with weight 1, it says nothing new
    layers = dict.fromkeys(name for entry in history for name in entry.get("gradients") or {})
    return Training(
        epochs=[entry["epoch"] for entry in history],
        best=best[-1] if best else None,
        terms=lines,
        gradients={name: _line(history, "gradients", name) for name in layers},
    )


def _place(name: str) -> int:
    return LIKED_ORDER.index(name) if name in LIKED_ORDER else len(LIKED_ORDER)


def _line(history: Sequence[Mapping[str, Any]], side: str, name: str) -> Line:
    if not any(entry.get(side) for entry in history):
        return []
    return [(entry.get(side) or {}).get(name) for entry in history]
