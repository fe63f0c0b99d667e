"""Small pictures of a page as SVG elements, in the colours of the page."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence

import numpy as np
from markupsafe import Markup, escape

from aecli.array_types import AnyFloats, Mask
from aecli.formatting import safe
from aecli.reporting.label_positions import free_middles
from aecli.reporting.tiles import Tile

BULLET_WIDTH, DUMBBELL_WIDTH, HISTOGRAM_WIDTH = 200, 160, 56
LINE_CHART_WIDTH, LINE_CHART_HEIGHT = 320, 120
WIDE_CHART_WIDTH = 720

HISTOGRAM_BARS_SHOWN = 40

LABEL_LETTER, LABEL_HEIGHT = 9.0, 18.0
"""Mean width of a letter of a map's labels, and the height of a line."""

Point = tuple[float, float]


def number(value: float) -> str:
    """Write a coordinate with at most one decimal."""
    return f"{value:.1f}".removesuffix(".0")


def bullet(tile: Tile) -> Markup:
    """Return a bullet chart from 0 to 1: a bar and ● for the model, ◇ for PCA, ┃ trivial."""
    share = _clipped(tile.value) * BULLET_WIDTH
    parts = [
        _rect(0, 8, BULLET_WIDTH, 10, "g", 'rx="2"'),
        _rect(0, 8, share, 10, "m bar", 'rx="2"'),
    ]
    if tile.trivial is not None:
        x = number(1 + _clipped(tile.trivial) * (BULLET_WIDTH - 2))
        parts.append(f'<path class="i" d="M{x} 3v20"/>')
    if tile.pca is not None:
        parts.append(_diamond(_clipped(tile.pca) * BULLET_WIDTH, 13, 6))
    parts.append(_dot(share, 13, 5))
    if tile.interval is not None:
        low, high = (
            number(_clipped(end) * BULLET_WIDTH) for end in (tile.interval.low, tile.interval.high)
        )
        # The outline keeps the interval visible on the dot, which may be wider.
        path = f'd="M{low} 9v8M{low} 13H{high}M{high} 9v8"/>'
        parts += [f'<path class="ci out" {path}', f'<path class="ci" {path}']
    return _element("".join(parts), BULLET_WIDTH, 26, "b", pad=8)


def dumbbell(
    model: float | None, pca: float | None, trivial: float | None, *, worse: bool = False
) -> Markup:
    """Return the errors of a column from 0 to 1 on a line, red between a `worse` one and PCA's."""
    if model is None:
        return Markup("")
    x = _clipped(model) * DUMBBELL_WIDTH
    parts = [f'<path class="l" d="M0 8H{DUMBBELL_WIDTH}"/>']
    if trivial is not None:
        parts.append(f'<path class="f" d="M{number(_clipped(trivial) * DUMBBELL_WIDTH)} 3v10"/>')
    if pca is not None:
        other = _clipped(pca) * DUMBBELL_WIDTH
        parts.append(f'<path class="{"w" if worse else "v"}" d="M{number(x)} 8H{number(other)}"/>')
        parts.append(_diamond(other, 8, 4.5))
    parts.append(_dot(x, 8, 4))
    return _element("".join(parts), DUMBBELL_WIDTH, 16, "d", pad=6)


def small_histogram(counts: Sequence[int]) -> Markup:
    """Return the bars of a column's values."""
    if not any(counts):
        return Markup("")
    step = HISTOGRAM_WIDTH / len(counts)
    path = _bars(counts, step, 16, 0.8)
    return _element(f'<path class="h" d="{path}"/>', HISTOGRAM_WIDTH, 16, "s")


def score_histogram(counts: Sequence[int], first_above: int) -> Markup:
    """Return the counts of scores as bars, those from `first_above` on in another colour.

    Heights are logarithmic, so that a single row can be seen.
    """
    heights = [math.log1p(count) for count in counts]
    step = BULLET_WIDTH / max(1, len(counts))
    below, above = (
        _bars(
            [h if (i >= first_above) == side else 0 for i, h in enumerate(heights)], step, 26, 0.9
        )
        for side in (False, True)
    )
    top = max(heights, default=0.0)
    if first_above < len(heights) and max(heights[first_above:], default=0.0) < top:
        above = _bars(
            [h if i >= first_above else 0 for i, h in enumerate(heights)], step, 26, 0.9, top
        )
    paths = f'<path class="m" d="{below}"/><path class="o" d="{above}"/>'
    return _element(paths, BULLET_WIDTH, 26, "b", pad=0)


def _bars(
    heights: Sequence[float], step: float, height: float, width: float, top: float | None = None
) -> str:
    largest = max(heights, default=0.0) if top is None else top
    if not largest:
        return ""
    return "".join(
        f"M{number(i * step)} {height:g}v-{number(max(1, value / largest * (height - 1)))}"
        f"h{number(step * width)}V{height:g}z"
        for i, value in enumerate(heights)
        if value
    )


def line_chart(
    curves: Sequence[tuple[str, Sequence[Point]]],
    *,
    title: str,
    ends: tuple[str, str],
    level: float | None = None,
    marks: Sequence[Point] = (),
    width: int = LINE_CHART_WIDTH,
    height: int = LINE_CHART_HEIGHT,
) -> Markup:
    """Return curves over one axis, each with its CSS class; values of NaN leave gaps.

    The axis is logarithmic where positive values differ twentyfold. `ends` are written below its
    first and last point, `level` is a dashed line, `marks` are dots.
    """
    points = [point for _, curve in curves for point in curve if math.isfinite(point[1])]
    if not points:
        return Markup("")
    values = [y for _, y in points] + ([level] if level is not None else [])
    low, high = min(values), max(values)
    logarithmic = low > 0 and high / low > 20

    def height_of(value: float) -> float:
        ends = (math.log(low), math.log(high)) if logarithmic else (low, high)
        at = math.log(value) if logarithmic else value
        share = (at - ends[0]) / (ends[1] - ends[0]) if ends[1] > ends[0] else 0.5
        return 8 + (1 - share) * (height - 32)

    first, last = min(x for x, _ in points), max(x for x, _ in points)
    left, right = 62, width - 8

    def position(x: float) -> float:
        return left + (x - first) / (last - first) * (right - left) if last > first else left + 6.0

    parts = [
        f'<path class="l" d="M{left} {number(height_of(v))}H{right}"/>'
        f'<text x="{left - 5}" y="{number(height_of(v) + 4)}" class="e">{_axis_text(v)}</text>'
        for v in ({low, high} if high > low else {low})
    ]
    if level is not None:
        parts.append(f'<path class="t" d="M{left} {number(height_of(level))}H{right}"/>')
    for name, curve in curves:
        path = _path([(position(x), height_of(y)) for x, y in curve if _drawable(y, logarithmic)])
        parts.append(f'<path class="c {name}" d="{path}"/>')
    parts += [_dot(position(x), height_of(y), 4) for x, y in marks if _drawable(y, logarithmic)]
    parts.append(f'<text x="{left}" y="{height - 6}">{escape(safe(ends[0]))}</text>')
    parts.append(f'<text x="{right}" y="{height - 6}" class="e">{escape(safe(ends[1]))}</text>')
    return _element("".join(parts), width, height, "chart", title=title)


def _drawable(value: float, logarithmic: bool) -> bool:
    return math.isfinite(value) and (value > 0 or not logarithmic)


def _axis_text(value: float) -> str:
    size = abs(value)
    text = f"{value:,.0f}" if 1e3 <= size < 1e6 else f"{value:.3g}"
    return text.replace("e-0", "e-").replace("e+0", "e").replace("-", "−")


def _path(points: Sequence[Point]) -> str:
    if len(points) == 1:
        points = [points[0], (points[0][0] + 2, points[0][1])]
    return "M" + "L".join(f"{number(x)} {number(y)}" for x, y in points) if points else ""


def scatter(
    points: AnyFloats,
    classes: Sequence[str],
    *,
    labels: Iterable[tuple[Point, str]],
    rings: Iterable[tuple[Point, str, str]],
    title: str,
    inside: Mask,
) -> Markup:
    """Return a map of points `(n_points, 2)`, each with its CSS class.

    Args:
        labels: texts at points.
        rings: points that link to an anchor, with the text of the link.
        inside: `(n_points,)`, the points that set the axes; the others lie at the edge.
    """
    width, height, margin = 440, 320, 14
    low, high = points[inside].min(0), points[inside].max(0)
    span = np.where(high > low, high - low, 1.0)

    def at(point: AnyFloats | Point) -> tuple[float, float]:
        share = np.clip((np.asarray(point) - low) / span, 0, 1)
        x, y = margin + share * (np.array([width, height]) - 2 * margin)
        return float(x), float(height - y)

    groups: dict[str, list[str]] = {}
    for point, name in zip(points, classes, strict=True):
        x, y = at(point)
        # A line of no length with round ends is a dot in a fifth of the bytes.
        groups.setdefault(name, []).append(f"M{x:.0f} {y:.0f}h0")
    parts = [f'<path class="p {name}" d="{"".join(dots)}"/>' for name, dots in groups.items()]
    for point, anchor, text in rings:
        x, y = at(point)
        circle = f'<circle cx="{number(x)}" cy="{number(y)}" r="6"/>'
        link = f'<a href="#{escape(anchor)}" aria-label="{escape(text)}">'
        parts.append(f"{link}<title>{escape(text)}</title>{circle}</a>")
    parts += _label_texts([(*at(point), text) for point, text in labels], width)
    return _element("".join(parts), width, height, "map", title=title, role="group")


def _label_texts(labels: Sequence[tuple[float, float, str]], width: int) -> Iterator[str]:
    """Yield labels at their points, moved apart, without those that have no room."""
    sides = [
        "start" if x < width * 0.2 else "end" if x > width * 0.8 else "middle" for x, *_ in labels
    ]
    shift = {"start": 0.0, "middle": 0.5, "end": 1.0}
    boxes = []
    for (x, y, text), side in zip(labels, sides, strict=True):
        size = LABEL_LETTER * len(text)
        boxes.append((x - shift[side] * size, max(16.0, y), size, LABEL_HEIGHT))
    for (x, _, text), side, free in zip(labels, sides, free_middles(boxes), strict=True):
        if free is not None:
            yield (
                f'<text class="lab" text-anchor="{side}" x="{number(x)}" '
                f'y="{number(max(14.0, free))}">{escape(text)}</text>'
            )


def _clipped(share: float) -> float:
    return min(1.0, max(0.0, share))


def _rect(x: float, y: float, width: float, height: float, name: str, more: str = "") -> str:
    return (
        f'<rect class="{name}" x="{number(x)}" y="{number(y)}" width="{number(width)}" '
        f'height="{number(height)}" {more}/>'
    )


def _dot(x: float, y: float, radius: float) -> str:
    return f'<circle class="m" cx="{number(x)}" cy="{number(y)}" r="{radius:g}"/>'


def _diamond(x: float, y: float, size: float) -> str:
    half = number(size)
    sides = f"l{half} {half}-{half} {half}-{half}-{half}z"
    return f'<path class="q" d="M{number(x)} {number(y - size)}{sides}"/>'


def _element(
    content: str,
    width: int,
    height: int,
    name: str,
    *,
    title: str = "",
    pad: int = 0,
    role: str = "img",
) -> Markup:
    """Return an SVG element; without a title it repeats the text next to it."""
    about = f'role="{role}" aria-label="{escape(title)}"' if title else 'aria-hidden="true"'
    box = f"{-pad} 0 {width + 2 * pad} {height}"
    return Markup(f'<svg class="{name}" viewBox="{box}" {about}>{content}</svg>')
