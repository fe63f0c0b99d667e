"""Draw a search: the trials, what each option came to, and which options mattered."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from aecli.formatting import count, figure, percent, weight
from aecli.report.data import Findings, Search, Trial
from aecli.report.style import FAINT, OTHER, OWN, SERIES, WIDTH, Panel, named, plain_ticks, single

DRAWN = 400
"""Trials in a picture: the best of them."""

OPTIONS = 9
"""Options with a picture: those that mattered most."""

WIDE = 5.0
"""Values whose largest is so many times the smallest lie on a logarithmic axis."""

FEW = 6
"""So many different numbers, or fewer, stand side by side as names do."""

CALLED = {"hidden": "width", "layers": "depth"}
"""What a search calls an option; the lists of `encoder` and `channels` have both in them."""

LABELS = {"width": "width of the first layer", "depth": "layers", "noise": "kind of noise"}

Placed = list[tuple[float | str, Trial]]
"""Trials, each with what it took of one parameter."""


def search_panels(findings: Findings) -> list[Panel]:
    """Return every trial's value and the best so far; none where the model was not tuned."""
    found = findings.search
    if found is None or not found.trials:
        return []
    trials = sorted(found.trials[:DRAWN], key=lambda trial: trial.number)
    steps = _best_so_far(found)

    def draw(axes: Axes) -> None:
        _points(axes, [(trial.number, trial) for trial in trials], found)
        if steps:
            last = max(trial.number for trial in found.trials)
            numbers, values = zip(*steps, strict=True)
            axes.step(
                [*numbers, last], [*values, values[-1]], where="post", color=OTHER,
                label="best so far", zorder=1,
            )  # fmt: skip
        _value_axis(axes, [trial.value for trial in trials], found)
        axes.set_xlabel("trial")
        axes.xaxis.set_major_locator(MaxNLocator(nbins=6, integer=True))
        axes.legend(
            loc="lower center", bbox_to_anchor=(0.45, 1.0), ncols=4, handletextpad=0.4,
            columnspacing=1.0,
        )  # fmt: skip

    pruned = sum(not trial.full for trial in found.trials)
    what, faint = count(len(found.trials), "trial"), ""
    if pruned:
        what += f", {pruned} of them cut short"
        faint = " and faint, at the value where they ended"
    ends = f"best {found.objective} {figure(found.value)} in trial {found.best}"
    ends += "" if found.default is None else f", the defaults {figure(found.default)}"
    alt = f"Values of {what}, and the best so far; {ends}"
    caption = f"The search: {what}{faint}; {ends}."
    return [Panel(caption + _shown(found), alt, single(draw))]


def importance_panels(findings: Findings) -> list[Panel]:
    """Return which options made trials good; none where there were too few trials."""
    found = findings.search
    if found is None or not found.importance:
        return []
    ranked = sorted(found.importance.items(), key=lambda item: -item[1])

    def draw(axes: Axes) -> None:
        places = list(range(len(ranked)))
        shares = [100 * share for _, share in ranked]
        bars = axes.barh(places, shares, color=OWN, height=0.7)
        axes.bar_label(bars, [percent(share, 0) for _, share in ranked], padding=3, fontsize=8)
        axes.set_yticks(places, [named(name) for name, _ in ranked])
        axes.set_ylim(len(ranked) - 0.4, -0.6)
        axes.set_xlim(0, 1.15 * max(*shares, 1.0))
        axes.grid(axis="y", visible=False)
        axes.set_title("what mattered")
        axes.set_xlabel("share of the difference, %")

    name, share = ranked[0]
    alt = f"Bars of the importance of {count(len(ranked), 'option')}; {name} has {percent(share)}"
    caption = "What mattered: how much of the difference between good trials and all trials each "
    caption += "option makes, by PED-ANOVA."
    return [Panel(caption, alt, single(draw), (WIDTH, max(2.0, 0.8 + 0.2 * len(ranked))))]


def option_panels(findings: Findings) -> list[Panel]:
    """Return one panel per searched option: what trials came to with each of its values."""
    found = findings.search
    if found is None:
        return []
    placed: dict[str, Placed] = {}
    for trial in found.trials[:DRAWN]:
        for name, value in _parameters(trial.options):
            placed.setdefault(name, []).append((value, trial))
    several = [name for name, points in placed.items() if len({value for value, _ in points}) > 1]
    several.sort(key=lambda name: -found.importance.get(name, 0.0))
    return [_option(found, name, placed[name]) for name in several[:OPTIONS]]


def _option(found: Search, name: str, placed: Placed) -> Panel:
    kinds = _kinds([value for value, _ in placed])
    points = [(float(kinds.index(value) if kinds else value), trial) for value, trial in placed]

    def draw(axes: Axes) -> None:
        _points(axes, points, found)
        _value_axis(axes, [trial.value for _, trial in points], found)
        axes.set_title(named(name))
        axes.set_xlabel(LABELS.get(name, ""))
        if kinds:
            axes.set_xticks(range(len(kinds)), [named(_told(kind), 14) for kind in kinds])
            axes.set_xlim(-0.5, len(kinds) - 0.5)
        else:
            _number_axis(axes, [x for x, _ in points])

    best = next((value for value, trial in placed if trial.number == found.best), None)
    ends = "" if best is None else f"; the best has {_told(best)}"
    told = f"{found.objective} of {count(len(placed), 'trial')} over their {name}{ends}"
    return Panel(f"Search, {told}.", f"Dots, {told}", single(draw))


def _kinds(values: Sequence[float | str]) -> list[float | str]:
    """Return the different values where these stand side by side, else nothing."""
    texts = list(dict.fromkeys(value for value in values if isinstance(value, str)))
    numbers = sorted({value for value in values if not isinstance(value, str)})
    return [*texts, *numbers] if texts or len(numbers) <= FEW else []


def _told(value: float | str) -> str:
    return value if isinstance(value, str) else weight(value)


def _number_axis(axes: Axes, values: Sequence[float]) -> None:
    if min(values) > 0 and max(values) / min(values) > WIDE:
        axes.set_xscale("log")
        plain_ticks(axes, y=False)
    else:
        axes.xaxis.set_major_locator(MaxNLocator(nbins=6))
    axes.margins(x=0.06)


def _parameters(options: Mapping[str, str]) -> Iterator[tuple[str, float | str]]:
    """Yield what a trial took of every parameter, by its name in a search."""
    for name, text in options.items():
        kind, _, argument = text.partition(":")
        if name in ("encoder", "channels"):
            sizes = [float(size) for size in text.split(",")]
            yield "width", sizes[0]
            yield "depth", float(len(sizes) - (name == "encoder"))
            if name == "encoder":
                yield "latent", sizes[-1]
        elif "=" in argument:
            argued, _, value = argument.partition("=")
            yield argued, _number(value)
        else:
            yield CALLED.get(name, name), _number(kind)


def _number(text: str) -> float | str:
    try:
        return float(text)
    except ValueError:
        return text


def _best_so_far(found: Search) -> list[tuple[int, float]]:
    steps: list[tuple[int, float]] = []
    for trial in sorted(found.trials, key=lambda trial: trial.number):
        better = not steps or (trial.value > steps[-1][1]) == found.maximize
        if trial.full and better:
            steps.append((trial.number, trial.value))
    return steps


def _points(axes: Axes, points: Sequence[tuple[float, Trial]], found: Search) -> None:
    for full, marker, colour, label in (
        (False, "x", SERIES[9], "cut short"),
        (True, "o", OWN, "trials"),
    ):
        chosen = [(x, trial.value) for x, trial in points if trial.full == full]
        if chosen:
            axes.plot(*zip(*chosen, strict=True), marker, color=colour, label=label, markersize=4)
    best = [(x, trial.value) for x, trial in points if trial.number == found.best]
    if best:
        axes.plot(*zip(*best, strict=True), "o", color=OTHER, markerfacecolor="none", markersize=9)


def _value_axis(axes: Axes, values: Sequence[float], found: Search) -> None:
    axes.set_ylabel(found.objective)
    if not found.maximize and min(values) > 0 and max(values) / min(values) > WIDE:
        axes.set_yscale("log")
        plain_ticks(axes, x=False)
    if found.default is not None:
        axes.axhline(
            found.default, color=FAINT, linewidth=0.9, linestyle=(0, (3, 3)), zorder=0,
            label="defaults",
        )  # fmt: skip


def _shown(found: Search) -> str:
    more = len(found.trials) > DRAWN
    return f" The best {DRAWN} of {count(len(found.trials))} are drawn." if more else ""
