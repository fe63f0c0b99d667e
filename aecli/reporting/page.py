"""Put pictures, tables and words on one page that needs nothing else."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from aecli.reporting.drawing import SERIES, Panel, inline
from aecli.reporting.findings import Findings
from aecli.reporting.kinds import PANELS
from aecli.reporting.words import summary
from aecli.text import count, figure, percent, safe

SECTIONS = (
    ("Training", ("loss", "gradients")),
    ("Columns", ("columns",)),
    ("Rows", ("rows",)),
    ("Label", ("confusion", "calibration")),
    ("Scores", ("scores",)),
    ("Latent", ("map", "activations", "units", "correlation")),
    ("What each unit does", ("traversal",)),
)
COLUMNS_LISTED = 300


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
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "safe_text": safe, "figure": figure, "percent": percent, "count": count, "listed": _listed,
    }  # fmt: skip
    return environment.get_template("page.html.j2").render(
        findings=findings,
        spec=findings.spec,
        summary=summary(findings),
        parts=_parts(findings),
        network=_network(findings),
        columns=findings.columns[:COLUMNS_LISTED],
        hidden=max(0, len(findings.columns) - COLUMNS_LISTED),
        series=list(enumerate(SERIES)),
    )


def _parts(findings: Findings) -> list[Part]:
    parts: list[Part] = []
    number = 0
    for title, kinds in SECTIONS:
        # Rows of plain columns are a table on a page, which people can copy from.
        found = [
            panel
            for kind in kinds
            if kind != "rows" or not findings.restored
            for panel in PANELS[kind](findings)
        ]
        figures = []
        for panel in found:
            number += 1
            figures.append(_numbered(panel, number))
        parts.append(Part(title, kinds[0], figures))
    return parts


def _numbered(panel: Panel, number: int) -> Numbered:
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
