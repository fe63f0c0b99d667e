"""Charts of a page: the latent map, losses, the timeline of scores, signals and images."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import numpy as np
from markupsafe import Markup

from aecli.array_types import AnyFloats
from aecli.formatting import count, figure, percent, safe
from aecli.metrics.latent import with_limited_outliers
from aecli.reporting.anomaly_text import row_groups, row_name
from aecli.reporting.data import LatentMap, ReportData, ReportRow
from aecli.reporting.figures.losses import as_drawn, loss_curves
from aecli.reporting.png import heat_image, image
from aecli.reporting.svg import (
    HISTOGRAM_BARS_SHOWN,
    WIDE_CHART_WIDTH,
    Point,
    line_chart,
    scatter,
    score_histogram,
)
from aecli.reporting.text import short

MAX_DOTS = 900
CLUSTER_LABELS = 10
DISTINCT_COLOURS = 7
"""Classes with a colour of their own; further ones repeat the colours in another shape."""

MAX_LABEL_LENGTH = 18


def map_chart(data: ReportData) -> tuple[Markup, str] | None:
    """Return the map of the latent by its first two components, and its caption."""
    if not data.maps or len(data.maps[0].points) < 2:
        return None
    latents = data.maps[0]
    points = latents.points[:MAX_DOTS]
    inside = (with_limited_outliers(points) == points).all(1)
    listed = {row.number for group in row_groups(data.anomalous) for row in group}
    rings = [
        ((float(point[0]), float(point[1])), f"row-{row.number}", row_name(row, data))
        for row, point in _marked_rows(data, latents)
        if row.number in listed
    ]
    title = f"Map of {count(len(points))} latents in two dimensions"
    chart = scatter(
        points, _dot_classes(latents, len(points)), labels=_cluster_labels(latents, points),
        rings=rings, title=title, inside=inside,
    )  # fmt: skip
    return chart, _map_caption(data, latents, len(points), bool(rings))


def _marked_rows(data: ReportData, latents: LatentMap) -> Iterator[tuple[ReportRow, AnyFloats]]:
    """Yield the anomalous rows, or episodes, with the points that stand for them on the map."""
    if latents.anomalous is not None:
        yield from zip(data.anomalous, latents.anomalous, strict=False)


def _dot_classes(latents: LatentMap, dots: int) -> list[str]:
    """Return the CSS class of each dot: its group, or how high its score is."""
    if latents.codes is not None:
        codes = latents.codes[:dots].tolist()
        shapes = ["", " sq"]
        return [
            "none" if c < 0 else f"k{c % DISTINCT_COLOURS}{shapes[c // DISTINCT_COLOURS % 2]}"
            for c in codes
        ]
    scores = None if latents.scores is None else latents.scores[:dots]
    if scores is None or np.isnan(scores).all():
        return ["k0"] * dots
    high = np.nanquantile(scores, 0.95)
    return ["k5" if score >= high else "k0" for score in scores]


def _cluster_labels(latents: LatentMap, points: AnyFloats) -> Iterator[tuple[Point, str]]:
    """Yield the names of classes at the medians of their points, the largest class first."""
    if latents.codes is None:
        return
    codes = latents.codes[: len(points)]
    sizes = np.bincount(codes[codes >= 0], minlength=len(latents.groups))
    for code in np.argsort(-sizes, kind="stable")[:CLUSTER_LABELS].tolist():
        chosen = points[codes == code]
        if len(chosen):
            middle = np.median(chosen, axis=0)
            name = safe(latents.groups[code])
            text = name if len(name) <= MAX_LABEL_LENGTH else name[: MAX_LABEL_LENGTH - 1] + "…"
            yield (float(middle[0]), float(middle[1])), text


def _map_caption(data: ReportData, latents: LatentMap, dots: int, ringed: bool) -> str:
    shares = latents.shares or (0.0, 0.0)
    caption = f"Each of {count(dots)} dots is a {data.unit}; across, {percent(shares[0], 0)} of "
    caption += f"the latent's variance; up, {percent(shares[1], 0)}."
    if latents.codes is not None:
        caption += f" Coloured by {short(latents.label)}."
    elif latents.scores is not None and not np.isnan(latents.scores).all():
        caption += " Orange: the highest 5 % of the anomaly scores."
    return caption + (" Ringed: the most anomalous; click one for its values." if ringed else "")


def loss_charts(data: ReportData) -> list[tuple[str, Markup, str]]:
    """Return the name, the chart and the caption of each loss term over the epochs."""
    epochs = [epoch.number for epoch in data.history]
    best = max((i for i, epoch in enumerate(data.history) if epoch.best), default=None)
    found = []
    for name, (train, valid) in loss_curves(data.history).items():
        sides = [("m", train)] + ([("q", valid)] if valid else [])
        curves = [(css, list(zip(epochs, as_drawn(curve), strict=True))) for css, curve in sides]
        side, start = valid or train, data.spec.summary.start.get(name)
        marks = [] if best is None else [(epochs[best], as_drawn(side)[best])]
        last = side[best] if best is not None else side[-1]
        title = f"Loss {safe(name)} over {count(len(epochs), 'epoch')}, best {figure(last)}"
        chart = line_chart(
            curves, title=title, ends=(f"epoch {epochs[0]}", str(epochs[-1])), level=start,
            marks=marks,
        )  # fmt: skip
        found.append((safe(name), chart, f"best {figure(last)}"))
    return found


def score_chart(data: ReportData) -> Markup:
    """Return the distribution of the anomaly scores in the size of a tile."""
    if data.scores is None or data.threshold is None:
        return Markup("")
    edges, counts = data.scores.shown()
    step = -(-len(counts) // HISTOGRAM_BARS_SHOWN)
    padded = np.append(counts, np.zeros(-len(counts) % step, dtype=np.int64))
    joined = padded.reshape(-1, step).sum(1).tolist()
    ends = edges[0] * (edges[1] / edges[0]) ** (step * np.arange(1, len(joined) + 1))
    return score_histogram(joined, int((ends <= data.threshold * 1.0001).sum()))


def timeline_chart(data: ReportData) -> Markup:
    """Return the highest scores over time, with the threshold as a line."""
    if data.timeline is None:
        return Markup("")
    at, scores, ends = data.timeline
    points = list(zip(at.tolist(), scores.tolist(), strict=True))
    title = f"Anomaly scores from {safe(ends[0])} to {safe(ends[1])}"
    return line_chart(
        [("m", points)], title=title, ends=ends, level=data.threshold, width=WIDE_CHART_WIDTH,
        height=150,
    )  # fmt: skip


def signal_charts(
    row: ReportRow, threshold: float | None, width: int = WIDE_CHART_WIDTH
) -> list[tuple[str, Markup]]:
    """Return the columns of a row's signal: values and reconstructions, by name."""
    if row.signal is None:
        return []
    numbers, columns, scores = row.signal
    at = list(range(len(numbers)))
    sides: dict[str, tuple[list[tuple[str, AnyFloats]], float | None]] = {
        name: ([("m", values), ("q", other)], None) for name, (values, other) in columns.items()
    }
    if scores is not None:
        sides["anomaly score"] = ([("m", scores)], threshold)
    return [
        (
            safe(name),
            line_chart(
                [(css, list(zip(at, curve.tolist(), strict=True))) for css, curve in curves],
                title=f"{safe(name)} around {row.span[0]}", ends=row.signal_span, level=level,
                width=width,
            ),
        )
        for name, (curves, level) in sides.items()
    ]  # fmt: skip


def image_triple(pair: tuple[AnyFloats, AnyFloats], name: str) -> list[tuple[str, Markup]]:
    """Return a row as an image, its reconstruction and their difference, with what each is."""
    inputs, outputs = pair
    return [
        ("input", image(inputs, f"input, {name}")),
        ("output", image(outputs, f"output, {name}")),
        ("difference", image(outputs - inputs, f"difference, {name}", both_ways=True)),
    ]


def pixel_images(pixels: Mapping[str, AnyFloats]) -> list[tuple[str, Markup, str]]:
    """Return the mean image, and heat maps of errors on one scale, each with its caption."""
    errors = [values for name, values in pixels.items() if name.startswith("error")]
    largest = max((float(values.max()) for values in errors), default=1.0)
    found = []
    for name, values in pixels.items():
        mean = percent(float(np.sqrt((values**2).mean())))
        picture = heat_image(values, largest, f"{name} by pixel") if name != "mean image" else None
        caption = "" if picture is None else f"root mean square {mean} of the range"
        found.append((name, picture or image(values, name), caption))
    return found


def example_images_by_rank(
    images: Mapping[str, tuple[AnyFloats, AnyFloats]], ranks: Sequence[str]
) -> list[tuple[str, list[list[tuple[str, Markup]]]]]:
    """Return the triples of images of some ranks."""
    return [
        (
            rank,
            [
                image_triple((one, other), f"{rank} {position}")
                for position, (one, other) in enumerate(zip(*images[rank], strict=True), 1)
            ],
        )
        for rank in ranks
        if rank in images
    ]
