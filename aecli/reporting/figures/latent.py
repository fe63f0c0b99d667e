"""Draw the latent: a map of rows, and how much each unit is used."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from aecli.formatting import count, figure, percent, safe
from aecli.metrics.latent import LatentHealth
from aecli.reporting.data import LatentMap, ReportData
from aecli.reporting.style import (
    ALARM,
    BOTH_WAYS,
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
ACTIVATION_BINS = 40
UNITS_DRAWN = 64
"""Units in the pictures of units; of more, those that vary most."""


def map_panels(data: ReportData) -> list[Panel]:
    """Return the latents of some rows in two dimensions, coloured by label or score.

    By PCA, and where there is one also by UMAP.
    """
    return [_map(one, data.unit) for one in data.maps if len(one.points) > 1]


def _map(latents: LatentMap, unit: str) -> Panel:
    def draw(axes: Axes) -> None:
        _draw_points(axes, latents)
        if latents.shares is not None:
            axes.set_xlabel(f"first component, {percent(latents.shares[0], 0)} of the variance")
            axes.set_ylabel(f"second, {percent(latents.shares[1], 0)}")
        else:
            axes.set_xlabel("UMAP: who is near whom")
        axes.set_xticklabels([])
        axes.set_yticklabels([])

    by = safe(latents.label) if latents.groups else "how odd the rows are"
    shown = min(MAP_POINTS, len(latents.points))
    method, position = "", "on their first two principal components"
    if latents.shares is None:
        method, position = " by UMAP", "by UMAP: neighbours stay near, other distances mean little"
    alt = f"Map of {count(shown)} latents in two dimensions{method}, coloured by {by}"
    caption = f"Latents of {count(shown, unit)} {position}, coloured by {by}."
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
        ("ordinary half", 0, 50, MUTED),
        ("next 45 %", 50, 95, PRIMARY),
        ("oddest 5 %", 95, 101, ALARM),
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
    caption = f"Correlation of the units; {mean} in size on average. Units that go together say "
    return [Panel(caption + "the same twice.", alt, one_axes(draw), (PANEL_WIDTH, 3.1))]
