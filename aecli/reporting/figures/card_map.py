"""Draw the map of the latent on a card."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.text import Text

from aecli.array_types import AnyFloats, Integers
from aecli.metrics.latent import with_limited_outliers
from aecli.reporting.data import LatentMap, ReportData
from aecli.reporting.label_positions import free_middles
from aecli.reporting.style import INK, MUTED, PAPER, SERIES, short_name

CARD_DOTS, CARD_RINGS = 900, 10
LABELLED_GROUPS = 10

SMALL_TEXT = 5.9
"""Size of text in points: 16 pixels."""


def draw_card_map(axes: Axes, latents: LatentMap, data: ReportData) -> str:
    """Draw the latents of rows with the names of classes, and return the title."""
    points = np.asarray(with_limited_outliers(latents.points[:CARD_DOTS]))
    codes = np.zeros(len(points), dtype=np.int64)
    if latents.codes is not None:
        codes = latents.codes[:CARD_DOTS]
    for code in np.unique(codes):
        colour = MUTED if code < 0 else SERIES[code % len(SERIES)]
        axes.plot(*points[codes == code].T, ".", color=colour, markersize=2.2, alpha=0.7)
    axes.margins(0.03)
    if latents.groups and len(latents.groups) <= LABELLED_GROUPS:
        _label_groups(axes, points, codes, latents.groups)
    by = f" by {short_name(latents.label, 18)}" if latents.groups else ""
    ringed = latents.anomalous is not None and bool(data.anomalous)
    if latents.anomalous is not None and ringed:
        rings = latents.anomalous[: min(len(data.anomalous), CARD_RINGS)]
        axes.plot(
            *rings.clip(points.min(0), points.max(0)).T, "o", color=INK, markersize=4,
            markerfacecolor="none", markeredgewidth=0.7,
        )  # fmt: skip
    axes.set_xticks([])
    axes.set_yticks([])
    for side in axes.spines.values():
        side.set_visible(False)
    return f"Latent map{by}{'; anomalies ringed' * ringed}"


def _label_groups(axes: Axes, points: AnyFloats, codes: Integers, names: Sequence[str]) -> None:
    """Write the names of groups at the medians of their points, the largest group first."""
    sizes = np.bincount(codes[codes >= 0], minlength=len(names))
    order = [code for code in np.argsort(-sizes, kind="stable").tolist() if sizes[code]]
    texts = [_group_label(axes, points[codes == code], names[code]) for code in order]
    extents = [text.get_window_extent() for text in texts]
    boxes = [(e.x0, (e.y0 + e.y1) / 2, e.width, 1.1 * e.height) for e in extents]
    for text, box, middle in zip(texts, boxes, free_middles(boxes), strict=True):
        if middle is None:
            text.remove()
            continue
        x, y = axes.transData.transform(text.get_position())
        moved = axes.transData.inverted().transform((x, y + middle - box[1]))
        text.set_position((float(moved[0]), float(moved[1])))


def _group_label(axes: Axes, points: AnyFloats, name: str) -> Text:
    """Write the name of a group at the median of its points, away from the edges."""
    x, y = np.median(points, 0).tolist()
    low, high = axes.get_xlim()
    side = (x - low) / (high - low)
    return axes.text(
        x, y, short_name(name, 18), va="center",
        ha="left" if side < 0.2 else "right" if side > 0.8 else "center",
        fontsize=SMALL_TEXT, weight="bold",
        bbox={"facecolor": PAPER, "edgecolor": "none", "alpha": 0.75, "pad": 0.8},
    )  # fmt: skip
