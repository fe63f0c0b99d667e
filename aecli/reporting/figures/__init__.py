"""Figures of a report by the name of their kind."""

from __future__ import annotations

from collections.abc import Callable

from aecli.reporting.data import ReportData
from aecli.reporting.figures.card import card_panels
from aecli.reporting.figures.classifier import calibration_panels, confusion_panels
from aecli.reporting.figures.columns import column_panels
from aecli.reporting.figures.latent import (
    activation_panels,
    correlation_panels,
    map_panels,
    traversal_panels,
    unit_panels,
)
from aecli.reporting.figures.losses import gradient_panels, loss_panels
from aecli.reporting.figures.rows import row_panels
from aecli.reporting.figures.scores import anomalous_panels, score_panels
from aecli.reporting.figures.search import importance_panels, option_panels, search_panels
from aecli.reporting.style import Panel

PANELS: dict[str, Callable[[ReportData], list[Panel]]] = {
    "card": card_panels,
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
