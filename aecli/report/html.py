"""Put pictures, tables and words on one page that needs nothing else."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from aecli.formatting import count, duration, figure, percent, safe, weight
from aecli.report.data import Findings
from aecli.report.figures import PANELS
from aecli.report.figures.comparison import (
    Comparison,
    column_panels,
    each_panels,
    error_table,
    loss_panels,
    score_panels,
)
from aecli.report.style import SERIES, Panel, inline
from aecli.report.text import summary, when_trained

SECTIONS = (
    ("Training", ("loss", "gradients")),
    ("Search", ("search", "importance", "options")),
    ("Columns", ("columns",)),
    ("Rows", ("rows",)),
    ("Label", ("confusion", "calibration")),
    ("Scores", ("scores",)),
    ("Latent", ("map", "activations", "units", "correlation")),
    ("What each unit does", ("traversal",)),
)
COLUMNS_LISTED = 300
TRIALS_LISTED = 10

Section = tuple[str, str, Sequence[Panel]]
"""A title, a key, and pictures."""


@dataclass(frozen=True)
class Numbered:
    """Hold one picture of a page: its number, its SVG, and its caption."""

    number: int
    svg: Markup
    caption: str
    wide: bool


@dataclass(frozen=True)
class Part:
    """Hold one section of a page."""

    title: str
    key: str
    figures: Sequence[Numbered]


def page(findings: Findings) -> str:
    """Return the report as one HTML file: no script, no link, pictures inline."""
    return _rendered(
        "page.html.j2",
        title=findings.model,
        findings=findings,
        spec=findings.spec,
        summary=summary(findings),
        parts=_numbered(_sections(findings)),
        network=_network(findings),
        loss=_loss(findings),
        trials=findings.search.trials[:TRIALS_LISTED] if findings.search else [],
        columns=findings.columns[:COLUMNS_LISTED],
        hidden=max(0, len(findings.columns) - COLUMNS_LISTED),
    )


def comparison_page(comparison: Comparison) -> str:
    """Return several models side by side as one HTML file of the same kind."""
    errors = error_table(comparison)
    sections = [
        ("Training", "loss", loss_panels(comparison)),
        ("Columns", "columns", column_panels(comparison)),
        ("Scores", "scores", score_panels(comparison)),
        ("Each model", "each", list(each_panels(comparison))),
    ]
    return _rendered(
        "comparison.html.j2",
        title=", ".join(comparison.names),
        names=comparison.names,
        models=comparison.models,
        facts=list(_facts(comparison.models)),
        lines=comparison.lines,
        notes=comparison.notes,
        parts=_numbered(sections),
        errors=errors[:COLUMNS_LISTED],
        hidden=max(0, len(errors) - COLUMNS_LISTED),
    )


def _rendered(template: str, **shown: object) -> str:
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent / "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "safe_text": safe, "figure": figure, "percent": percent, "count": count, "listed": _listed,
        "duration": duration,
    }  # fmt: skip
    return environment.get_template(template).render(series=list(enumerate(SERIES)), **shown)


def _facts(models: Sequence[Findings]) -> Iterator[tuple[str, list[str]]]:
    specs = [one.spec for one in models]
    yield "directory", [str(one.model) for one in models]
    yield "architecture", [spec.network.architecture for spec in specs]
    yield "latent", [count(spec.network.latent, "number") for spec in specs]
    yield "network", [_network(one) for one in models]
    yield "parameters", [count(spec.weights.parameters) for spec in specs]
    yield "loss", [_loss(one) for one in models]
    yield "epochs, best", [f"{s.summary.epochs}, {s.summary.best_epoch}" for s in specs]
    rows = "held out" if all(s.summary.valid_rows for s in specs) else "when trained"
    shares = list(zip(*map(when_trained, models), strict=True))
    for title, found in zip(("variance explained", "categories right"), shares, strict=True):
        if any(value is not None for value in found):
            yield f"{title}, {rows}", [percent(value) for value in found]
    yield "training took", [duration(spec.summary.seconds) for spec in specs]


def _loss(findings: Findings) -> str:
    return " + ".join(f"{weight(w)} · {name}" for name, w in findings.spec.loss_weights.items())


def _sections(findings: Findings) -> Iterator[Section]:
    for title, kinds in SECTIONS:
        # Rows of plain columns are a table on a page, which people can copy from.
        found = [
            panel
            for kind in kinds
            if kind != "rows" or not findings.restored
            for panel in PANELS[kind](findings)
        ]
        yield title, kinds[0], found


def _numbered(sections: Iterable[Section]) -> list[Part]:
    parts: list[Part] = []
    numbers = itertools.count(1)
    for title, key, panels in sections:
        figures = [_as_svg(panel, next(numbers)) for panel in panels]
        parts.append(Part(title, key, figures))
    return parts


def _as_svg(panel: Panel, number: int) -> Numbered:
    # What matplotlib writes is well-formed XML in which every text of a user's is escaped.
    svg = Markup(inline(panel, f"f{number}"))
    return Numbered(number, svg, panel.caption, panel.wide)


def _network(findings: Findings) -> str:
    network = findings.spec.network
    *hidden, latent = network.encoder
    sizes = [network.inputs, *hidden, f"[{latent}]", *network.decoder, network.outputs]
    return " → ".join(map(str, sizes))


def _listed(values: Sequence[object], most: int = 12) -> str:
    shown = ", ".join(safe(value) for value in values[:most])
    return shown + (f", … ({len(values):,} in all)" if len(values) > most else "")
