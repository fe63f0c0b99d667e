"""Read what a model directory shows without a table."""

from __future__ import annotations

from pathlib import Path

from aecli.bundle import read_history, read_spec
from aecli.reporting.findings import Findings
from aecli.reporting.history import training_of


def alone(directory: Path) -> Findings:
    """Return what a model directory shows without a table.

    Raises:
        ModelError: it holds no model, or a damaged one.
    """
    spec = read_spec(directory)
    return Findings(model=directory, spec=spec, training=training_of(read_history(directory)))
