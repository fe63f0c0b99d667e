"""HTML pages of a report: pictures, tables and texts in one self-contained file."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cache
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from aecli.formatting import count, duration, figure, name_list, percent, safe, weight
from aecli.reporting.data import ModelComparison, ReportData, column_error
from aecli.reporting.figures import PANELS
from aecli.reporting.figures.comparison import (
    column_comparison_panels,
    error_table,
    loss_comparison_panels,
    model_panels,
    score_comparison_panels,
)
from aecli.reporting.style import SERIES, Panel, inline_svg
from aecli.reporting.text import summary, training_figures

PAGE_SECTIONS = (
    ("Training", ("loss", "gradients")),
    ("Search", ("search", "importance", "options")),
    ("Columns", ("columns",)),
    ("Rows", ("rows",)),
    ("Label", ("confusion", "calibration")),
    ("Scores", ("scores",)),
    ("Latent", ("map", "activations", "units", "correlation")),
    ("What each unit does", ("traversal",)),
)
MOST_COLUMNS_LISTED = 300
MOST_TRIALS_LISTED = 10

HIGHER_IS_BETTER = (
    "accuracy", "balanced_accuracy", "macro_f1", "auroc", "number_r2", "column_accuracy"
)  # fmt: skip
LOWER_IS_BETTER = ("total", "reconstruction", "number_mse", "classification", "log_loss")


def model_page(data: ReportData) -> str:
    """Return the report on a model as HTML without scripts and links, with pictures inline."""
    return _rendered(
        "page.html.j2",
        title=data.model,
        report=data,
        spec=data.spec,
        summary=summary(data),
        sections=_with_figures(_model_sections(data)),
        network=_layer_sizes(data),
        loss=_loss_text(data),
        trials=data.search.trials[:MOST_TRIALS_LISTED] if data.search else [],
        columns=data.columns[:MOST_COLUMNS_LISTED],
        hidden=max(0, len(data.columns) - MOST_COLUMNS_LISTED),
    )


def comparison_page(comparison: ModelComparison) -> str:
    """Return several models side by side as HTML of the same kind."""
    errors = error_table(comparison)
    panels = [
        ("Training", "loss", loss_comparison_panels(comparison)),
        ("Columns", "columns", column_comparison_panels(comparison)),
        ("Scores", "scores", score_comparison_panels(comparison)),
        ("Each model", "each", list(model_panels(comparison))),
    ]
    return _rendered(
        "comparison.html.j2",
        title=", ".join(comparison.names),
        names=comparison.names,
        models=comparison.models,
        facts=list(_facts(comparison.models)),
        measured=comparison.figures,
        notes=comparison.notes,
        sections=_with_figures(panels),
        errors=errors[:MOST_COLUMNS_LISTED],
        hidden=max(0, len(errors) - MOST_COLUMNS_LISTED),
    )


def _rendered(template: str, **values: object) -> str:
    colours = list(enumerate(SERIES))
    return _environment().get_template(template).render(series=colours, **values)


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
        "safe_text": safe, "figure": figure, "percent": percent, "count": count, "listed": _shown,
        "duration": duration, "column_error": column_error, "options_text": _options_text,
        "is_best": _is_best,
    }  # fmt: skip
    return environment


def _facts(models: Sequence[ReportData]) -> Iterator[tuple[str, list[str]]]:
    specs = [one.spec for one in models]
    yield "directory", [str(one.model) for one in models]
    yield "architecture", [spec.network.architecture for spec in specs]
    yield "latent", [count(spec.network.latent, "number") for spec in specs]
    yield "network", [_layer_sizes(one) for one in models]
    yield "parameters", [count(spec.parameters) for spec in specs]
    yield "loss", [_loss_text(one) for one in models]
    yield "epochs, best", [f"{s.summary.epochs}, {s.summary.best_epoch}" for s in specs]
    rows = "held out" if all(s.summary.valid_rows for s in specs) else "when trained"
    shares = list(zip(*map(training_figures, models), strict=True))
    for title, values in zip(("variance explained", "categories right"), shares, strict=True):
        if any(value is not None for value in values):
            yield f"{title}, {rows}", [percent(value) for value in values]
    yield "training took", [duration(spec.summary.seconds) for spec in specs]


def _loss_text(data: ReportData) -> str:
    return " + ".join(f"{weight(w)} · {name}" for name, w in data.spec.loss_weights.items())


def _model_sections(data: ReportData) -> Iterator[tuple[str, str, Sequence[Panel]]]:
    """Yield the title, the key and the panels of each section."""
    for title, kinds in PAGE_SECTIONS:
        # On a page, rows of plain columns are a table, from which people can copy.
        panels = [
            panel
            for kind in kinds
            if kind != "rows" or not data.examples
            for panel in PANELS[kind](data)
        ]
        yield title, kinds[0], panels


def _with_figures(
    titled_panels: Iterable[tuple[str, str, Sequence[Panel]]],
) -> list[tuple[str, str, list[Markup]]]:
    """Return sections with their panels as figures, which are numbered through the page."""
    numbers = itertools.count(1)
    return [
        (title, key, [_figure(panel, next(numbers)) for panel in panels])
        for title, key, panels in titled_panels
    ]


def _figure(panel: Panel, number: int) -> Markup:
    # matplotlib writes well-formed XML in which every text is escaped.
    svg = Markup(inline_svg(panel, f"f{number}"))
    return Markup(_rendered("figure.html.j2", number=number, panel=panel, svg=svg))


def _layer_sizes(data: ReportData) -> str:
    network = data.spec.network
    *hidden, latent = network.encoder
    sizes = [network.inputs, *hidden, f"[{latent}]", *network.decoder, network.outputs]
    return " → ".join(map(str, sizes))


def _is_best(value: float, values: Sequence[float], name: str) -> bool:
    """Return whether a figure reads as the best one, and others read as worse."""
    texts = [figure(one) for one in values]
    if name not in (*HIGHER_IS_BETTER, *LOWER_IS_BETTER) or len(set(texts)) == 1:
        return False
    best = (max if name in HIGHER_IS_BETTER else min)(values)
    return figure(value) == figure(best)


def _shown(values: Sequence[object], most: int = 12) -> str:
    return name_list([safe(value) for value in values], most)


def _options_text(options: Mapping[str, str]) -> str:
    """Return the options of a trial that differ from the defaults."""
    return " ".join(f"{name}={text}" for name, text in options.items()) or "the defaults"
