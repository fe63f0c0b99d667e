"""Save the record of a small search with a model, as `tune` does."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from aecli.model_directory.read import read_history, read_spec, read_weights
from aecli.model_directory.save import save

FIRST = {"number": 1, "state": "complete", "value": 0.9, "options": {}}
BEST = {
    "number": 2, "state": "complete", "value": 0.5,
    "options": {"lr": "0.002", "encoder": "16,8,2", "noise": "mask:0.1"},
}  # fmt: skip
PRUNED = {
    "number": 3, "state": "pruned", "value": None, "curve": [3.0, 2.5],
    "options": {"lr": "0.1", "encoder": "8,2", "optimizer": "AdamW:weight_decay=0.05"},
}  # fmt: skip
FAILED = {"number": 4, "state": "failed", "value": None, "options": {"lr": "9"}}
TRIALS = [
    {"epochs": 2, "seconds": 0.5, "curve": [], **trial} for trial in (FIRST, BEST, PRUNED, FAILED)
]


def save_search(model: Path, **values: Any) -> None:
    """Save a model anew, with a search."""
    record = {
        "schema": "aecli.tuning/1", "objective": "val_loss", "direction": "minimize", "folds": 1,
        "best": 2, "value": 0.5, "default": 0.9, "importance": {"lr": 0.75, "depth": 0.25},
        "command": "aecli train x.csv", "notes": ["a [/note]"], "trials": TRIALS,
    }  # fmt: skip
    spec = read_spec(model)
    weights, history = read_weights(model, spec), read_history(model, spec)
    save(model, spec, weights, history, record | values, keep_generations=0)
