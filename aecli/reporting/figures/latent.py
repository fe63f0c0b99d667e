"""Draw the latent: a map of rows, how much each unit is used, and what each unit does."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from aecli.array_types import AnyFloats
from aecli.formatting import count, figure, percent, safe, weight
from aecli.metrics.latent import LatentHealth, with_limited_outliers
from aecli.reporting.data import LatentMap, ReportData, UnitTraversal
from aecli.reporting.figures.rows import GREYS, IMAGE_GAP, show_image
from aecli.reporting.style import (
    ALARM,
    BOTH_WAYS,
    INK,
    MUTED,
    PANEL_WIDTH,
    PRIMARY,
    SECONDARY,
    SERIES,
    Panel,
    one_axes,
    short_name,
)

MAP_POINTS = 1_200
MAP_MARGIN = 0.05
"""Margin around a map's points, as a share of their range."""

ACTIVATION_BINS = 40
CHANGES_DRAWN = 6
UNITS_DRAWN = 64
"""Units in the pictures of units; of more, those that vary most."""


def map_panels(data: ReportData) -> list[Panel]:
    """Return the latents of some rows in two dimensions, coloured by label or score.

    By PCA, and where there is one also by UMAP.
    """
    return [_map(one, data.unit) for one in data.maps if len(one.points) > 1]


def _map(latents: LatentMap, unit: str) -> Panel:
    drawn = latents.points[:MAP_POINTS]
    inside = (with_limited_outliers(drawn) == drawn).all(1)

    def draw(axes: Axes) -> None:
        _draw_points(axes, latents)
        for limit, values in ((axes.set_xlim, drawn[inside, 0]), (axes.set_ylim, drawn[inside, 1])):
            margin = MAP_MARGIN * float(np.ptp(values)) or 1.0
            limit(float(values.min()) - margin, float(values.max()) + margin)
        if latents.shares is not None:
            axes.set_xlabel(f"first component, {percent(latents.shares[0], 0)} of the variance")
            axes.set_ylabel(f"second, {percent(latents.shares[1], 0)}")
        else:
            axes.set_xlabel("UMAP: neighbours stay near")
        axes.set_xticklabels([])
        axes.set_yticklabels([])

    by = safe(latents.label) if latents.groups else "the anomaly score"
    shown = min(MAP_POINTS, len(latents.points))
    method, position = "", "on their first two principal components"
    if latents.shares is None:
        method, position = " by UMAP", "by UMAP: neighbours stay near, other distances mean little"
    alt = f"Map of {count(shown)} latents in two dimensions{method}, coloured by {by}"
    caption = f"Latents of {count(shown, unit)} {position}, coloured by {by}."
    beyond = int((~inside).sum())
    if beyond:
        caption += (
            f" {count(beyond, unit)} beyond the axes {'is' if beyond == 1 else 'are'} not shown."
        )
    return Panel(caption, alt, one_axes(draw), (PANEL_WIDTH, 3.2))


def _draw_points(axes: Axes, latents: LatentMap) -> None:
    points = latents.points[:MAP_POINTS]
    if latents.codes is not None:
        codes = latents.codes[:MAP_POINTS]
        for code, name in [*enumerate(latents.groups), (-1, "no label")]:
            chosen = points[codes == code]
            if len(chosen):
                colour = MUTED if code < 0 else SERIES[code % len(SERIES)]
                axes.plot(*chosen.T, ".", color=colour, label=short_name(name, 18), markersize=4)
        axes.legend(loc="center left", bbox_to_anchor=(1.0, 0.5), handletextpad=0.1, markerscale=2)
        return
    scores = np.full(len(points), np.nan)
    if latents.scores is not None:
        scores = latents.scores[:MAP_POINTS]
    ranges = (
        ("lower half", 0, 50, MUTED),
        ("next 45 %", 50, 95, PRIMARY),
        ("highest 5 %", 95, 101, ALARM),
    )
    known = ~np.isnan(scores)
    if not known.any():
        axes.plot(*points.T, ".", color=PRIMARY, markersize=4)
        return
    ranks = np.full(len(points), -1.0)
    ranks[known] = 100 * scores[known].argsort().argsort() / known.sum()
    for name, low, high, colour in ranges:
        chosen = points[(ranks >= low) & (ranks < high)]
        axes.plot(*chosen.T, ".", color=colour, label=name, markersize=4)
    axes.legend(loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=3, markerscale=2)


def activation_panels(data: ReportData) -> list[Panel]:
    """Return the histogram of the latents' values."""
    if data.evaluation is None or data.latent is None:
        return []
    health, values = data.evaluation.latent, data.latent.values.ravel()

    def draw(axes: Axes) -> None:
        low, high = np.quantile(values, [0.001, 0.999])
        spread = (low, high) if high > low else (low - 0.5, low + 0.5)
        axes.hist(values, bins=ACTIVATION_BINS, range=spread, color=PRIMARY, histtype="stepfilled")
        if health.rho is not None:
            axes.axvline(health.rho, color=SECONDARY, label=f"rho {health.rho:g}")
            axes.legend()
        axes.set_title("activations")
        axes.set_xlabel("value of a latent unit")
        axes.set_ylabel("values")
        axes.grid(axis="x", visible=False)
        axes.yaxis.set_major_locator(MaxNLocator(nbins=5, integer=True))

    zero = percent(health.near_zero_share)
    alt = f"Histogram of latent values; {zero} are near zero"
    return [Panel(f"Values of all latent units. {zero} are near zero.", alt, one_axes(draw))]


def unit_panels(data: ReportData) -> list[Panel]:
    """Return how much each unit varies, or with rho its mean activation, with dead units marked."""
    if data.evaluation is None or data.latent is None:
        return []
    health = data.evaluation.latent
    sizes = data.latent.deviations if health.rho is None else np.array(health.means)
    order = np.argsort(-sizes, kind="stable")[:UNITS_DRAWN]
    dead = np.isin(order, list(health.dead))

    def draw(axes: Axes) -> None:
        positions = np.arange(len(order))
        axes.bar(positions[~dead], sizes[order][~dead], color=PRIMARY, width=0.8)
        if dead.any():
            heights = np.maximum(sizes[order][dead], 0.02 * (float(sizes.max()) or 1.0))
            axes.bar(positions[dead], heights, color=ALARM, width=0.8, label="dead")
        if health.rho is not None:
            axes.axhline(health.rho, color=SECONDARY, label=f"rho {health.rho:g}")
        if dead.any() or health.rho is not None:
            axes.legend()
        if len(order) <= 32:
            axes.set_xticks(
                positions, [f"z{unit}" for unit in order], rotation=90 * (len(order) > 10)
            )
        else:
            axes.set_xticks([])
        axes.set_title(
            "spread of each unit" if health.rho is None else "mean activation of each unit"
        )
        axes.set_ylabel("standard deviation" if health.rho is None else "mean, on 0..1")
        axes.grid(axis="x", visible=False)

    return [Panel(*_unit_texts(health), one_axes(draw))]


def _unit_texts(health: LatentHealth) -> tuple[str, str]:
    """Return the caption and the description."""
    active = health.size - len(health.dead)
    units, rank = count(health.size, "unit"), f"{health.effective_rank:.1f}"
    used = f"{active} of {units} active, effective rank {rank}"
    if health.rho is None:
        return f"How much each unit varies: {used}.", f"Bars of the units' spread; {used}"
    mean = figure(float(np.mean(health.means)), 3)
    goal = f"{mean} on average for a rho of {health.rho:g}"
    return f"Mean activation of each unit: {goal}; {used}.", f"Bars of mean activations; {goal}"


def correlation_panels(data: ReportData) -> list[Panel]:
    """Return the correlation of the units; none where there is one unit."""
    latent = data.latent
    if latent is None or latent.size < 2:
        return []
    chosen = np.sort(np.argsort(-latent.deviations, kind="stable")[:UNITS_DRAWN])
    matrix = np.nan_to_num(latent.correlation[np.ix_(chosen, chosen)])
    sizes = np.abs(matrix[~np.eye(len(matrix), dtype=bool)])

    def draw(axes: Axes) -> None:
        shown = axes.imshow(matrix, cmap=BOTH_WAYS, vmin=-1, vmax=1, interpolation="none")
        ticks = range(0, len(chosen), max(1, len(chosen) // 8))
        names = [f"z{chosen[position]}" for position in ticks]
        axes.set_xticks(list(ticks), names)
        axes.set_yticks(list(ticks), names)
        axes.grid(visible=False)
        axes.set_title("correlation of units")
        bar = axes.figure.colorbar(shown, ax=axes, shrink=0.9, ticks=[-1, 0, 1])
        bar.outline.set_visible(False)

    mean = figure(float(sizes.mean()), 2)
    alt = f"Heat map of the correlations of {len(chosen)} latent units; mean size {mean}"
    caption = f"Correlation of the units; {mean} in size on average. Highly correlated units are "
    return [Panel(caption + "redundant.", alt, one_axes(draw), (PANEL_WIDTH, 3.1))]


def traversal_panels(data: ReportData) -> list[Panel]:
    """Return a panel for each decoded unit; images are all in one panel."""
    units = data.traversals
    if units and units[0].images is not None:
        return [_traversed_images(units)]
    return [
        _traversed_changes(one) if one.signal is None else _traversed_signal(one, *one.signal)
        for one in units
    ]


def _traversed_images(units: Sequence[UnitTraversal]) -> Panel:
    images = [one.images for one in units if one.images is not None]
    height, width = images[0].shape[1:3]
    steps, aspect, step = units[0].steps, height / width, 1 + IMAGE_GAP

    def draw(axes: Axes) -> None:
        for row, (one, pictures) in enumerate(zip(units, images, strict=True)):
            for position, picture in enumerate(pictures):
                show_image(axes, picture, (position * step, row * step * aspect), GREYS)
            middle = (row * step + 0.5) * aspect
            axes.text(-0.15, middle, f"z{one.unit}", ha="right", va="center", fontsize=8)
        for position, value in enumerate(steps):
            axes.text(position * step + 0.5, -0.12, _sigma(value), ha="center", fontsize=8)
        axes.set_xlim(-0.7, len(steps) * step)
        axes.set_ylim(len(units) * step * aspect, -0.5)
        axes.set_aspect("equal")
        axes.set_axis_off()

    names = ", ".join(f"z{one.unit}" for one in units)
    caption = f"What units {names} do: each decoded from {_sigma(steps[0])} to "
    caption += f"{_sigma(steps[-1])}, the others at their means."
    alt = f"Grid of decoded images: one line for each of the units {names}, from low to high"
    size = (7.4, 0.4 + 7.4 / (len(steps) * step + 0.7) * len(units) * step * aspect)
    return Panel(caption, alt, one_axes(draw), size, wide=True)


def _traversed_signal(one: UnitTraversal, column: str, signal: AnyFloats) -> Panel:
    largest = max(map(abs, one.steps))

    def draw(axes: Axes) -> None:
        for value, curve in zip(one.steps, signal, strict=True):
            colour = INK if value == 0 else PRIMARY if value > 0 else ALARM
            alpha = 1.0 if value == 0 else abs(value) / largest
            axes.plot(curve, color=colour, alpha=alpha, label=_sigma(value), linewidth=1.3)
        axes.set_title(f"z{one.unit} in {short_name(column, 20)}")
        axes.set_xlabel("row of the window")
        axes.xaxis.set_major_locator(MaxNLocator(nbins=6, integer=True))
        axes.legend(loc="center left", bbox_to_anchor=(1.0, 0.5))

    what = f"unit z{one.unit}, in the column that it changes most, {safe(column)}"
    alt = f"Curves of a decoded window at {len(signal)} values of {what}"
    return Panel(f"What {what} does: a window decoded at each value.", alt, one_axes(draw))


def _traversed_changes(one: UnitTraversal) -> Panel:
    shown = one.changes[:CHANGES_DRAWN]
    names = [short_name(name) for name, _ in shown]
    changes = np.array([change for _, change in shown])

    def draw(axes: Axes) -> None:
        positions = np.arange(len(changes))
        for chosen, colour in ((changes >= 0, PRIMARY), (changes < 0, ALARM)):
            axes.barh(positions[chosen], changes[chosen], color=colour, height=0.62)
        axes.axvline(0, color=MUTED, linewidth=0.8)
        axes.set_yticks(positions, names)
        axes.set_ylim(len(changes) - 0.4, -0.6)
        axes.grid(axis="y", visible=False)
        axes.set_title(f"z{one.unit}")
        axes.xaxis.set_major_locator(MaxNLocator(nbins=5))
        axes.xaxis.set_major_formatter(lambda value, _position: weight(value))
        axes.set_xlabel("change from -2σ to +2σ")

    largest = ", ".join(safe(name) for name, _ in one.changes[:3])
    caption = f"What unit z{one.unit} changes: numbers and texts in their own standard deviations, "
    caption += "the rest in probability."
    alt = f"Bars of the change of columns with unit z{one.unit}; the largest are {largest}"
    return Panel(caption, alt, one_axes(draw), (PANEL_WIDTH, 1.0 + 0.26 * max(2, len(changes))))


def _sigma(value: float) -> str:
    return "mean" if value == 0 else f"{value:+g}σ".replace("-", "−")
