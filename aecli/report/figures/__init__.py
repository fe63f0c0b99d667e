"""Figures of a report by the name of their kind."""

from __future__ import annotations

from collections.abc import Callable

from aecli.report.data import ReportData
from aecli.report.figures.classifier import calibration_panels, confusion_panels
from aecli.report.figures.columns import column_panels
from aecli.report.figures.latent import (
    activation_panels,
    correlation_panels,
    map_panels,
    unit_panels,
)
from aecli.report.figures.losses import gradient_panels, loss_panels
from aecli.report.figures.rows import row_panels
from aecli.report.figures.scores import anomalous_panels, score_panels
from aecli.report.figures.search import importance_panels, option_panels, search_panels
from aecli.report.figures.traversal import traversal_panels
from aecli.report.style import Panel

PANELS: dict[str, Callable[[ReportData], list[Panel]]] = {
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
    "anomalous": anomalous_panels,
}
