"""Name every kind of picture, and what to say where there is none."""

from __future__ import annotations

from collections.abc import Callable

from aecli.reporting.classes import calibration_panels, confusion_panels
from aecli.reporting.columns import column_panels
from aecli.reporting.drawing import Panel
from aecli.reporting.findings import Findings
from aecli.reporting.latent import activation_panels, correlation_panels, map_panels, unit_panels
from aecli.reporting.rows import row_panels
from aecli.reporting.scores import oddest_panels, score_panels
from aecli.reporting.searching import importance_panels, option_panels, search_panels
from aecli.reporting.training import gradient_panels, loss_panels
from aecli.reporting.traversal import traversal_panels

PANELS: dict[str, Callable[[Findings], list[Panel]]] = {
    "loss": loss_panels,
    "gradients": gradient_panels,
    "search": search_panels,
    "importance": importance_panels,
    "options": option_panels,
    "columns": column_panels,
    "rows": row_panels,
    "map": map_panels,
    "activations": activation_panels,
    "units": unit_panels,
    "correlation": correlation_panels,
    "traversal": traversal_panels,
    "confusion": confusion_panels,
    "calibration": calibration_panels,
    "scores": score_panels,
    "oddest": oddest_panels,
}
