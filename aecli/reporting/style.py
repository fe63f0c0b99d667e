"""Panels drawn with matplotlib, as picture files or as SVG in a page."""

from __future__ import annotations

import io
import math
import re
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from xml.etree import ElementTree

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure, FigureBase
from matplotlib.ticker import LogLocator

from aecli.formatting import safe, weight

INK, MUTED, GRID, PAPER = "#1d2733", "#66717f", "#dfe4ea", "#fefefe"
WHITE = "#ffffff"
"""Text on a strong colour: white on light and on dark pages."""

SERIES = (
    "#2166ac", "#d9691e", "#2a9d6e", "#b13a6f", "#8250c4",
    "#a8871d", "#1796ab", "#c9463c", "#5c7a29", "#8d97a3",
)  # fmt: skip
PRIMARY, SECONDARY, ALARM = SERIES[0], SERIES[1], SERIES[7]

CSS_VARIABLES = {INK: "ink", MUTED: "faint", GRID: "grid", PAPER: "paper"} | {
    colour: f"s{position}" for position, colour in enumerate(SERIES)
}
"""CSS variable of each colour in a page: a dark page has its own values."""

RED, BLUE = (0.79, 0.27, 0.20), (0.13, 0.42, 0.72)
STRENGTH = LinearSegmentedColormap.from_list("strength", [(*BLUE, 0.0), (*BLUE, 1.0)])
BOTH_WAYS = LinearSegmentedColormap.from_list(
    "both_ways", [(0.0, (*RED, 1.0)), (0.5, (*RED, 0.0)), (0.5, (*BLUE, 0.0)), (1.0, (*BLUE, 1.0))]
)
"""Colour maps that fade into the background."""

PANEL_WIDTH, PANEL_HEIGHT = 4.0, 2.6
MAX_PANEL_NAME_LENGTH = 28
SVG = "{http://www.w3.org/2000/svg}"
XLINK = "{http://www.w3.org/1999/xlink}"

# Names of columns are not formulas; texts stay texts, which can be searched and copied.
MATPLOTLIB_SETTINGS: Any = {
    "text.parse_math": False, "svg.fonttype": "none", "svg.hashsalt": "aecli",
    "font.size": 9.0, "font.family": "sans-serif", "axes.titlesize": 9.5,
    "axes.titleweight": "bold", "axes.titlelocation": "left", "axes.titlepad": 7.0,
    "axes.labelsize": 8.5, "xtick.labelsize": 8.0, "ytick.labelsize": 8.0, "legend.fontsize": 8.0,
    "text.color": INK, "axes.titlecolor": INK, "axes.labelcolor": MUTED,
    "xtick.color": MUTED, "ytick.color": MUTED, "xtick.labelcolor": INK, "ytick.labelcolor": INK,
    "axes.edgecolor": GRID, "axes.facecolor": "none", "figure.facecolor": PAPER,
    "axes.spines.top": False, "axes.spines.right": False, "axes.axisbelow": True,
    "axes.grid": True, "grid.color": GRID, "grid.linewidth": 0.6, "axes.linewidth": 0.8,
    "xtick.major.size": 0.0, "ytick.major.size": 0.0, "xtick.minor.size": 0.0,
    "ytick.minor.size": 0.0, "lines.linewidth": 1.6, "legend.frameon": False,
    "legend.handlelength": 1.4, "legend.borderpad": 0.2, "figure.constrained_layout.use": True,
    "savefig.facecolor": PAPER,
}  # fmt: skip


@dataclass(frozen=True)
class Panel:
    """One picture: its caption, its description for screen readers, and how it is drawn.

    `size` is in inches. A `wide` panel takes the full width of a page.
    """

    caption: str
    alt: str
    draw: Callable[[FigureBase], None]
    size: tuple[float, float] = (PANEL_WIDTH, PANEL_HEIGHT)
    wide: bool = False


def one_axes(draw: Callable[[Axes], None]) -> Callable[[FigureBase], None]:
    """Return a function that draws a figure of one pair of axes."""

    def draw_figure(figure: FigureBase) -> None:
        draw(figure.subplots())

    return draw_figure


@contextmanager
def matplotlib_settings() -> Iterator[None]:
    """Configure matplotlib, without warnings for letters that its font lacks."""
    with mpl.rc_context(MATPLOTLIB_SETTINGS), warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph .* missing from")
        warnings.filterwarnings("ignore", message="Matplotlib currently does not support")
        yield


def picture_file(panels: Sequence[Panel], format: str) -> bytes:
    """Return panels as one png, svg or pdf file, side by side where there are several."""
    columns = 1 if len(panels) == 1 or panels[0].wide else 2 if len(panels) in (2, 4) else 3
    rows = math.ceil(len(panels) / columns)
    width, height = (max(panel.size[side] for panel in panels) for side in (0, 1))
    with matplotlib_settings():
        figure = Figure(figsize=(width * columns, height * rows))
        if len(panels) == 1:
            panels[0].draw(figure)
        else:
            subfigures = figure.subfigures(rows, columns, squeeze=False).flat
            for subfigure, panel in zip(subfigures, panels, strict=False):
                subfigure.set_facecolor("none")
                panel.draw(subfigure)
        target = io.BytesIO()
        # Without a date, two files of one model are equal.
        no_date = {"Date": None} if format == "svg" else {"CreationDate": None}
        metadata = None if format == "png" else no_date
        figure.savefig(target, format=format, dpi=200, metadata=metadata)
    return target.getvalue()


def inline_svg(panel: Panel, key: str) -> str:
    """Return a panel as an SVG element in the colours of a page.

    `key` is the prefix of its identifiers, which must be unique on a page.
    """
    with matplotlib_settings():
        figure = Figure(figsize=panel.size)
        figure.patch.set_alpha(0.0)
        panel.draw(figure)
        target = io.BytesIO()
        figure.savefig(target, format="svg", transparent=True, metadata={"Date": None})
    ElementTree.register_namespace("", SVG[1:-1])
    ElementTree.register_namespace("xlink", XLINK[1:-1])
    root = ElementTree.fromstring(target.getvalue())
    _adapt_to_page(root, key)
    for side in ("width", "height", "version"):
        root.attrib.pop(side, None)
    root.set("role", "img")
    root.set("aria-label", panel.alt)
    title = ElementTree.Element(f"{SVG}title")
    title.text = panel.alt
    root.insert(0, title)
    return ElementTree.tostring(root, encoding="unicode")


def _adapt_to_page(root: ElementTree.Element, key: str) -> None:
    """Remove what a page does not use, and rename identifiers and colours to the page's."""
    text = ElementTree.tostring(root, encoding="unicode")
    referenced = set(re.findall(r'(?:url\(#|href="#)([^)"]+)', text))
    for element in root.iter():
        for child in list(element):
            if child.tag in (f"{SVG}metadata", f"{SVG}style") or not isinstance(child.tag, str):
                element.remove(child)
        for name, value in list(element.attrib.items()):
            if name == "id":
                if value in referenced:
                    element.set(name, f"{key}-{value}")
                else:
                    del element.attrib[name]
            elif name == f"{XLINK}href" and value.startswith("#"):
                element.set(name, f"#{key}-{value[1:]}")
            else:
                element.set(name, _adapted_value(value, key) if name != "d" else value)


def _adapted_value(value: str, key: str) -> str:
    adapted = re.sub(r"url\(#", f"url(#{key}-", value)
    adapted = re.sub(r"font: (?:bold )?([\d.]+)px[^;]*", r"font-size: \1px", adapted)
    return re.sub(r"#[0-9a-f]{6}", lambda m: _css_colour(m[0]), adapted)


def _css_colour(colour: str) -> str:
    return f"var(--{CSS_VARIABLES[colour]})" if colour in CSS_VARIABLES else colour


def short_name(name: str, most: int = MAX_PANEL_NAME_LENGTH) -> str:
    """Return a name in at most `most` letters."""
    shown = safe(name)
    return shown if len(shown) <= most else shown[: most - 1] + "…"


def plain_ticks(axes: Axes, *, x: bool = True, y: bool = True) -> None:
    """Write plain numbers at logarithmic axes: 0.01, 100, 1e6."""
    for axis in [axes.xaxis] * x + [axes.yaxis] * y:
        if axis.get_scale() == "log":
            low, high = sorted(abs(value) for value in axis.get_view_interval())
            if high < 100 * low:
                axis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
            axis.set_major_formatter(lambda value, _position: weight(value))
            axis.set_minor_formatter(lambda value, _position: "")
