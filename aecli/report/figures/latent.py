"""Draw the latent: where rows lie in it, and whether its units are used."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from aecli.formatting import count, figure, percent, safe
from aecli.report.data import Findings, Latent, Map
from aecli.report.style import (
    ALARM,
    BOTH_WAYS,
    FAINT,
    OTHER,
    OWN,
    SERIES,
    WIDTH,
    Panel,
    named,
    single,
)

POINTS = 1_200
BINS = 40
UNITS = 64
"""Units in the pictures of units; of more, those that vary most."""


def map_panels(findings: Findings) -> list[Panel]:
    """Return the latents of some rows in two dimensions, coloured by label or score.

    By PCA, and where there is one also the map of neighbours.
    """
    maps = (findings.map, findings.neighbours)
    return [_map(found, findings.unit) for found in maps if found and len(found.points) > 1]


def _map(found: Map, unit: str) -> Panel:
    def draw(axes: Axes) -> None:
        _draw_points(axes, found)
        if found.shares is not None:
            axes.set_xlabel(f"first component, {percent(found.shares[0], 0)} of the variance")
            axes.set_ylabel(f"second, {percent(found.shares[1], 0)}")
        else:
            axes.set_xlabel("UMAP: who is near whom")
        axes.set_xticklabels([])
        axes.set_yticklabels([])

    by = safe(found.label) if found.groups else "how odd the rows are"
    shown = min(POINTS, len(found.points))
    how, where = "", "on their first two principal components"
    if found.shares is None:
        how, where = " by UMAP", "by UMAP: neighbours stay near, other distances mean little"
    alt = f"Map of {count(shown)} latents in two dimensions{how}, coloured by {by}"
    caption = f"Latents of {count(shown, unit)} {where}, coloured by {by}."
    return Panel(caption, alt, single(draw), (WIDTH, 3.2))


def _draw_points(axes: Axes, found: Map) -> None:
    points = found.points[:POINTS]
    if found.codes is not None:
        codes = found.codes[:POINTS]
        for code, name in [*enumerate(found.groups), (-1, "no label")]:
            chosen = points[codes == code]
            if len(chosen):
                colour = FAINT if code < 0 else SERIES[code % len(SERIES)]
                axes.plot(*chosen.T, ".", color=colour, label=named(name, 18), markersize=4)
        axes.legend(loc="center left", bbox_to_anchor=(1.0, 0.5), handletextpad=0.1, markerscale=2)
        return
    scores = found.scores[:POINTS] if found.scores is not None else np.full(len(points), np.nan)
    parts = (
        ("ordinary half", 0, 50, FAINT),
        ("next 45 %", 50, 95, OWN),
        ("oddest 5 %", 95, 101, ALARM),
    )
    known = ~np.isnan(scores)
    if not known.any():
        axes.plot(*points.T, ".", color=OWN, markersize=4)
        return
    ranks = np.full(len(points), -1.0)
    ranks[known] = 100 * scores[known].argsort().argsort() / known.sum()
    for name, low, high, colour in parts:
        chosen = points[(ranks >= low) & (ranks < high)]
        axes.plot(*chosen.T, ".", color=colour, label=name, markersize=4)
    axes.legend(loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=3, markerscale=2)


def activation_panels(findings: Findings) -> list[Panel]:
    """Return the histogram of the latents' values."""
    found = findings.latent
    if found is None:
        return []
    values = found.values.ravel()

    def draw(axes: Axes) -> None:
        low, high = np.quantile(values, [0.001, 0.999])
        spread = (low, high) if high > low else (low - 0.5, low + 0.5)
        axes.hist(values, bins=BINS, range=spread, color=OWN, histtype="stepfilled")
        if found.rho is not None:
            axes.axvline(found.rho, color=OTHER, label=f"rho {found.rho:g}")
            axes.legend()
        axes.set_title("activations")
        axes.set_xlabel("value of a latent unit")
        axes.set_ylabel("values")
        axes.grid(axis="x", visible=False)
        axes.yaxis.set_major_locator(MaxNLocator(nbins=5, integer=True))

    zero = percent(found.near_zero_share)
    alt = f"Histogram of latent values; {zero} are near zero"
    return [Panel(f"Values of all latent units. {zero} are near zero.", alt, single(draw))]


def unit_panels(findings: Findings) -> list[Panel]:
    """Return how much each unit varies, or with rho its mean activation; dead units marked."""
    found = findings.latent
    if found is None:
        return []
    sizes = found.deviations if found.rho is None else found.means
    order = np.argsort(-sizes, kind="stable")[:UNITS]
    dead = np.isin(order, found.dead)

    def draw(axes: Axes) -> None:
        places = np.arange(len(order))
        axes.bar(places[~dead], sizes[order][~dead], color=OWN, width=0.8)
        if dead.any():
            heights = np.maximum(sizes[order][dead], 0.02 * (float(sizes.max()) or 1.0))
            axes.bar(places[dead], heights, color=ALARM, width=0.8, label="dead")
        if found.rho is not None:
            axes.axhline(found.rho, color=OTHER, label=f"rho {found.rho:g}")
        if dead.any() or found.rho is not None:
            axes.legend()
        if len(order) <= 32:
            axes.set_xticks(places, [f"z{unit}" for unit in order], rotation=90 * (len(order) > 10))
        else:
            axes.set_xticks([])
        axes.set_title(
            "spread of each unit" if found.rho is None else "mean activation of each unit"
        )
        axes.set_ylabel("standard deviation" if found.rho is None else "mean, on 0..1")
        axes.grid(axis="x", visible=False)

    return [Panel(*_units_told(found), single(draw))]


def _units_told(found: Latent) -> tuple[str, str]:
    active = found.size - len(found.dead)
    used = (
        f"{active} of {count(found.size, 'unit')} active, effective rank {found.effective_rank:.1f}"
    )
    if found.rho is None:
        return f"How much each unit varies: {used}.", f"Bars of the units' spread; {used}"
    mean = figure(float(found.means.mean()), 3)
    goal = f"{mean} on average for a rho of {found.rho:g}"
    return f"Mean activation of each unit: {goal}; {used}.", f"Bars of mean activations; {goal}"


def correlation_panels(findings: Findings) -> list[Panel]:
    """Return how the units go with each other; none where there is one."""
    found = findings.latent
    if found is None or found.size < 2:
        return []
    chosen = np.sort(np.argsort(-found.deviations, kind="stable")[:UNITS])
    matrix = np.nan_to_num(found.correlation[np.ix_(chosen, chosen)])
    apart = np.abs(matrix[~np.eye(len(matrix), dtype=bool)])

    def draw(axes: Axes) -> None:
        shown = axes.imshow(matrix, cmap=BOTH_WAYS, vmin=-1, vmax=1, interpolation="none")
        ticks = range(0, len(chosen), max(1, len(chosen) // 8))
        names = [f"z{chosen[place]}" for place in ticks]
        axes.set_xticks(list(ticks), names)
        axes.set_yticks(list(ticks), names)
        axes.grid(visible=False)
        axes.set_title("correlation of units")
        bar = axes.figure.colorbar(shown, ax=axes, shrink=0.9, ticks=[-1, 0, 1])
        bar.outline.set_visible(False)

    mean = figure(float(apart.mean()), 2)
    alt = f"Heat map of the correlations of {len(chosen)} latent units; mean size {mean}"
    caption = f"Correlation of the units; {mean} in size on average. Units that go together say "
    return [Panel(caption + "the same twice.", alt, single(draw), (WIDTH, 3.1))]
