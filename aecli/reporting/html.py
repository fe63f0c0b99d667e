"""Templates of HTML pages, each one file, and the page of models side by side."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from aecli.formatting import count, duration, figure, percent, safe
from aecli.reporting.anomaly_text import marked, reasons, row_name
from aecli.reporting.comparison_text import comparison_verdict, figure_rows, setting_rows
from aecli.reporting.data import ModelComparison
from aecli.reporting.figures.comparison import (
    column_comparison_panels,
    error_table,
    loss_comparison_panels,
    model_panels,
    score_comparison_panels,
)
from aecli.reporting.page_charts import image_triple, signal_charts
from aecli.reporting.page_tables import MAX_COLUMNS_LISTED
from aecli.reporting.style import SERIES, Panel, inline_svg
from aecli.reporting.text import short
from aecli.scoring.explanation import ratio_text, reason_text

CLASS_COLOURS = tuple(
    enumerate(("#0072b2", "#e69f00", "#009e73", "#cc79a7", "#56b4e9", "#d55e00", "#444b54"))
)
"""Colours of classes, which are distinct for any colour vision (Okabe and Ito 2008)."""


def comparison_page(comparison: ModelComparison) -> str:
    """Return several models side by side as HTML of the same kind."""
    errors = error_table(comparison)
    panels = [
        ("Training", "loss", loss_comparison_panels(comparison)),
        ("Columns", "columns", column_comparison_panels(comparison)),
        ("Scores", "scores", score_comparison_panels(comparison)),
        ("Each model", "each", list(model_panels(comparison))),
    ]
    return rendered(
        "comparison.html.j2",
        title=", ".join(comparison.names),
        table=comparison.models[0].data and Path(comparison.models[0].data).name,
        names=comparison.names,
        models=comparison.models,
        verdict=comparison_verdict(comparison),
        settings=list(setting_rows(comparison.models)),
        figures=list(figure_rows(comparison)),
        notes=comparison.notes,
        sections=_with_figures(panels),
        errors=errors[:MAX_COLUMNS_LISTED],
        hidden=max(0, len(errors) - MAX_COLUMNS_LISTED),
    )


def rendered(template: str, **values: object) -> str:
    """Return a page of a template, in the colours of pages."""
    colours = {"series": list(enumerate(SERIES)), "classes": CLASS_COLOURS}
    return _environment().get_template(template).render(colours | values)


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent / "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "safe_text": safe, "figure": figure, "percent": percent, "count": count,
        "duration": duration,
        "options_text": _options_text, "short": short, "ratio_text": ratio_text,
        "reason_text": reason_text, "reasons": reasons, "marked": marked, "row_name": row_name,
        "image_triple": image_triple, "signal_charts": signal_charts,
    }  # fmt: skip
    return environment


def _with_figures(
    titled_panels: Iterable[tuple[str, str, Sequence[Panel]]],
) -> list[tuple[str, str, list[Markup]]]:
    """Return sections with their panels as figures, which are numbered through the page."""
    numbers = itertools.count(1)
    return [
        (title, key, [figure_element(panel, next(numbers)) for panel in panels])
        for title, key, panels in titled_panels
    ]


def figure_element(panel: Panel, number: int) -> Markup:
    """Return a panel as a figure of a page, with its number and caption."""
    # matplotlib writes well-formed XML in which every text is escaped.
    svg = Markup(inline_svg(panel, f"f{number}"))
    return Markup(rendered("figure.html.j2", number=number, panel=panel, svg=svg))


def _options_text(options: Mapping[str, str]) -> str:
    """Return the options of a trial that differ from the defaults."""
    return " ".join(f"{name}={text}" for name, text in options.items()) or "the defaults"
