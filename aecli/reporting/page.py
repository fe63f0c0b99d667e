"""The page of one model: its sections, each with what its template shows."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from markupsafe import Markup

from aecli.formatting import count
from aecli.reporting.anomaly_text import numbering, row_groups
from aecli.reporting.data import ReportData
from aecli.reporting.figures import PANELS
from aecli.reporting.html import figure_element, rendered
from aecli.reporting.page_charts import (
    example_images_by_rank,
    loss_charts,
    map_chart,
    pixel_images,
    score_chart,
    timeline_chart,
)
from aecli.reporting.page_tables import (
    MAX_COLUMNS_LISTED,
    calibration_rows,
    column_rows,
    confusion_rows,
    effect_rows,
    reproduce_rows,
)
from aecli.reporting.svg import bullet
from aecli.reporting.text import training_sentences, units_sentence
from aecli.reporting.tiles import tiles
from aecli.reporting.verdict import alerts, verdict

MAX_TRIALS_LISTED = 10

ROWS_IN_TILE = 3
"""Most anomalous rows that the tile links to, so that they are on the first screen."""

SECTION_TITLES = {
    "columns": "Columns",
    "map": "Latent map",
    "anomalies": "Anomalies",
    "label": "Label",
    "rows": "Rows",
    "units": "Units",
    "training": "Training",
    "search": "Search",
    "reproduce": "Reproduce",
}

Figures = Callable[[str], list[Markup]]
"""Function that returns the matplotlib figures of a kind, numbered through the page."""


def model_page(data: ReportData) -> str:
    """Return the report on a model as one HTML page that works without a network or script."""
    numbers = itertools.count(1)

    def figures(kind: str) -> list[Markup]:
        # The first map is drawn as a chart of the page, with links.
        panels = PANELS[kind](data)[kind == "map" :]
        return [figure_element(panel, next(numbers)) for panel in panels]

    sections = {key: values for key, values in _sections(data, figures) if values is not None}
    values: dict[str, Any] = {}
    for section in sections.values():
        values |= section
    shown = [(key, title) for key, title in SECTION_TITLES.items() if key in sections]
    present = {key for key, _ in shown}
    return rendered(
        "page.html.j2",
        title=data.model.resolve().name or str(data.model),
        table=data.data and Path(data.data).name,
        report=data,
        spec=data.spec,
        verdict=verdict(data),
        alerts=[
            one if one.section in present else one._replace(section="reproduce")
            for one in alerts(data)
        ],
        tiles=[(t, score_chart(data) if t.key == "anomalies" else bullet(t)) for t in tiles(data)],
        flow=_flow(data),
        sections=shown,
        numbering=numbering(data),
        first_rows=[group[0] for group in row_groups(data.anomalous)[:ROWS_IN_TILE]],
        **values,
    )


def _flow(data: ReportData) -> str:
    spec, columns = data.spec, count(len(data.spec.columns), "column")
    sample = f" × {spec.network.window} rows" if spec.network.window > 1 else ""
    back = f" → {columns}" if spec.decoder_trained else ""
    return f"{columns}{sample} → {count(spec.network.latent, 'number')}{back}"


def _sections(data: ReportData, figures: Figures) -> Iterator[tuple[str, dict[str, Any] | None]]:
    """Yield the sections in their order, each with its values; None where it does not apply."""
    columns = column_rows(data)
    hidden = max(0, len(data.columns) - MAX_COLUMNS_LISTED)
    pixels = {"pixels": pixel_images(data.pixels)}
    yield "columns", {"columns": columns, "hidden": hidden, **pixels} if columns else None
    found = map_chart(data)
    yield "map", {"map": found, "umap": figures("map")} if found else None
    yield "anomalies", _anomalies(data)
    yield "label", _label(data)
    yield "rows", _rows(data)
    yield "units", _units(data, figures)
    yield "training", {
        "training": " ".join(training_sentences(data)),
        "losses": loss_charts(data),
        "gradients": figures("gradients"),
    }  # fmt: skip
    yield "search", _search(data, figures)
    yield "reproduce", {"reproduce": list(reproduce_rows(data))}


def _anomalies(data: ReportData) -> dict[str, Any] | None:
    if not data.anomalous or data.threshold is None:
        return None
    return {"groups": row_groups(data.anomalous), "timeline": timeline_chart(data)}


def _label(data: ReportData) -> dict[str, Any] | None:
    if data.classification is None:
        return None
    names, confusion = confusion_rows(data)
    return {"class_names": names, "confusion": confusion, "calibration": calibration_rows(data)}


def _rows(data: ReportData) -> dict[str, Any] | None:
    """Return the best and the median rows; the worst ones where no row has a score."""
    known = data.images or data.examples
    ranks = [
        r
        for r in ("worst", "median", "best")
        if r in known and not (r == "worst" and data.anomalous)
    ]
    if not ranks:
        return None
    return {"ranks": ranks, "examples": example_images_by_rank(data.images, ranks)}


def _units(data: ReportData, figures: Figures) -> dict[str, Any] | None:
    if data.latent is None:
        return None
    plain = bool(data.traversals) and bool(data.traversals[0].changes)
    return {
        "units_used": units_sentence(data),
        "effects": effect_rows(data.traversals) if plain else [],
        "unit_figures": [] if plain or not data.traversals else figures("traversal"),
        "latent_figures": [*figures("units"), *figures("correlation")],
    }


def _search(data: ReportData, figures: Figures) -> dict[str, Any] | None:
    if data.search is None:
        return None
    kinds: Sequence[str] = ("search", "importance", "options")
    return {
        "trials": data.search.trials[:MAX_TRIALS_LISTED],
        "search_figures": [one for kind in kinds for one in figures(kind)],
    }
