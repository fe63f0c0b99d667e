"""Draw a search: its trials, their values by option, and the importance of options."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from aecli.formatting import count, figure, percent, weight
from aecli.reporting.data import ReportData, SearchHistory
from aecli.reporting.style import (
    MUTED,
    PANEL_WIDTH,
    PRIMARY,
    SECONDARY,
    SERIES,
    Panel,
    one_axes,
    plain_ticks,
    short_name,
)
from aecli.tuning.trial import TrialRecord

TRIALS_DRAWN = 400
"""Trials in a picture: the best."""

OPTIONS_DRAWN = 9
"""Options with a picture: the most important."""

VALUE_LOG_RATIO = 5.0
"""Values whose largest is so many times the smallest are drawn on a logarithmic axis."""

MAX_LISTED_NUMBERS = 6
"""Different numbers that are drawn side by side, as names are; more have an axis."""

PARAMETER_NAMES = {"hidden": "width", "layers": "depth"}
"""Names of options in a search; the lists of `encoder` and `channels` have both."""

AXIS_LABELS = {"width": "width of the first layer", "depth": "layers", "noise": "kind of noise"}

ValuedTrials = list[tuple[float | str, TrialRecord]]
"""Trials, each with its value of one parameter."""


def search_panels(data: ReportData) -> list[Panel]:
    """Return every trial's value and the best so far; none where the model was not tuned."""
    search = data.search
    if search is None or not search.trials:
        return []
    trials = sorted(search.trials[:TRIALS_DRAWN], key=lambda trial: trial.number)
    steps = _best_so_far(search)

    def draw(axes: Axes) -> None:
        _points(axes, [(trial.number, trial) for trial in trials], search)
        if steps:
            last = max(trial.number for trial in search.trials)
            numbers, values = zip(*steps, strict=True)
            axes.step(
                [*numbers, last], [*values, values[-1]], where="post", color=SECONDARY,
                label="best so far", zorder=1,
            )  # fmt: skip
        _value_axis(axes, [_value(trial) for trial in trials], search)
        axes.set_xlabel("trial")
        axes.xaxis.set_major_locator(MaxNLocator(nbins=6, integer=True))
        axes.legend(
            loc="lower center", bbox_to_anchor=(0.45, 1.0), ncols=4, handletextpad=0.4,
            columnspacing=1.0,
        )  # fmt: skip

    pruned = sum(not _complete(trial) for trial in search.trials)
    what, faint = count(len(search.trials), "trial"), ""
    if pruned:
        what += f", {pruned} of them pruned"
        faint = " and faint, at the value where they ended"
    ends = f"best {search.objective} {figure(search.value)} in trial {search.best}"
    ends += "" if search.default is None else f", the defaults {figure(search.default)}"
    alt = f"Values of {what}, and the best so far; {ends}"
    caption = f"The search: {what}{faint}; {ends}."
    return [Panel(caption + _trials_text(search), alt, one_axes(draw))]


def importance_panels(data: ReportData) -> list[Panel]:
    """Return the importance of each option; none where there were too few trials."""
    search = data.search
    if search is None or not search.importance:
        return []
    ranked = sorted(search.importance.items(), key=lambda item: -item[1])

    def draw(axes: Axes) -> None:
        positions = list(range(len(ranked)))
        shares = [100 * share for _, share in ranked]
        bars = axes.barh(positions, shares, color=PRIMARY, height=0.7)
        axes.bar_label(bars, [percent(share, 0) for _, share in ranked], padding=3, fontsize=8)
        axes.set_yticks(positions, [short_name(name) for name, _ in ranked])
        axes.set_ylim(len(ranked) - 0.4, -0.6)
        axes.set_xlim(0, 1.15 * max(*shares, 1.0))
        axes.grid(axis="y", visible=False)
        axes.set_title("importance")
        axes.set_xlabel("share of the difference, %")

    name, share = ranked[0]
    alt = f"Bars of the importance of {count(len(ranked), 'option')}; {name} has {percent(share)}"
    caption = "Importance: how much of the difference between good trials and all trials each "
    caption += "option makes, by PED-ANOVA."
    return [Panel(caption, alt, one_axes(draw), (PANEL_WIDTH, max(2.0, 0.8 + 0.2 * len(ranked))))]


def option_panels(data: ReportData) -> list[Panel]:
    """Return one panel per searched option: the values of trials over those of the option."""
    search = data.search
    if search is None:
        return []
    by_name: dict[str, ValuedTrials] = {}
    for trial in search.trials[:TRIALS_DRAWN]:
        for name, value in _parameters({**search.default_options, **trial.options}):
            by_name.setdefault(name, []).append((value, trial))
    several = [name for name, points in by_name.items() if len({value for value, _ in points}) > 1]
    several.sort(key=lambda name: -search.importance.get(name, 0.0))
    return [_option(search, name, by_name[name]) for name in several[:OPTIONS_DRAWN]]


def _option(search: SearchHistory, name: str, trials: ValuedTrials) -> Panel:
    listed = _listed_values([value for value, _ in trials])
    points = [(float(listed.index(value) if listed else value), trial) for value, trial in trials]

    def draw(axes: Axes) -> None:
        _points(axes, points, search)
        _value_axis(axes, [_value(trial) for _, trial in points], search)
        axes.set_title(short_name(name))
        axes.set_xlabel(AXIS_LABELS.get(name, ""))
        if listed:
            axes.set_xticks(range(len(listed)), [short_name(_text(value), 14) for value in listed])
            axes.set_xlim(-0.5, len(listed) - 0.5)
        else:
            _number_axis(axes, [x for x, _ in points])

    best = next((value for value, trial in trials if trial.number == search.best), None)
    ends = "" if best is None else f"; the best has {_text(best)}"
    text = f"{search.objective} of {count(len(trials), 'trial')} over their {name}{ends}"
    return Panel(f"Search, {text}.", f"Dots, {text}", one_axes(draw))


def _listed_values(values: Sequence[float | str]) -> list[float | str]:
    """Return the different values where they are drawn side by side, else an empty list."""
    texts = list(dict.fromkeys(value for value in values if isinstance(value, str)))
    numbers = sorted({value for value in values if not isinstance(value, str)})
    return [*texts, *numbers] if texts or len(numbers) <= MAX_LISTED_NUMBERS else []


def _text(value: float | str) -> str:
    return value if isinstance(value, str) else weight(value)


def _number_axis(axes: Axes, values: Sequence[float]) -> None:
    if min(values) > 0 and max(values) / min(values) > VALUE_LOG_RATIO:
        axes.set_xscale("log")
        plain_ticks(axes, y=False)
    else:
        axes.xaxis.set_major_locator(MaxNLocator(nbins=6))
    axes.margins(x=0.06)


def _parameters(options: Mapping[str, str]) -> Iterator[tuple[str, float | str]]:
    """Yield every parameter of a trial, by its name in a search, and its value."""
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
            yield PARAMETER_NAMES.get(name, name), _number(kind)


def _number(text: str) -> float | str:
    try:
        return float(text)
    except ValueError:
        return text


def _value(trial: TrialRecord) -> float:
    assert trial.value is not None, "ranked trials have a value"
    return trial.value


def _complete(trial: TrialRecord) -> bool:
    return trial.state == "complete"


def _best_so_far(search: SearchHistory) -> list[tuple[int, float]]:
    steps: list[tuple[int, float]] = []
    for trial in sorted(search.trials, key=lambda trial: trial.number):
        value = _value(trial)
        better = not steps or (value > steps[-1][1]) == search.maximize
        if _complete(trial) and better:
            steps.append((trial.number, value))
    return steps


def _points(axes: Axes, points: Sequence[tuple[float, TrialRecord]], search: SearchHistory) -> None:
    for complete, marker, colour, label in (
        (False, "x", SERIES[9], "pruned"),
        (True, "o", PRIMARY, "trials"),
    ):
        chosen = [(x, _value(trial)) for x, trial in points if _complete(trial) == complete]
        if chosen:
            axes.plot(*zip(*chosen, strict=True), marker, color=colour, label=label, markersize=4)
    best = [(x, _value(trial)) for x, trial in points if trial.number == search.best]
    if best:
        axes.plot(
            *zip(*best, strict=True), "o", color=SECONDARY, markerfacecolor="none", markersize=9
        )


def _value_axis(axes: Axes, values: Sequence[float], search: SearchHistory) -> None:
    axes.set_ylabel(search.objective)
    if not search.maximize and min(values) > 0 and max(values) / min(values) > VALUE_LOG_RATIO:
        axes.set_yscale("log")
        plain_ticks(axes, x=False)
    if search.default is not None:
        axes.axhline(
            search.default, color=MUTED, linewidth=0.9, linestyle=(0, (3, 3)), zorder=0,
            label="defaults",
        )  # fmt: skip


def _trials_text(search: SearchHistory) -> str:
    more = len(search.trials) > TRIALS_DRAWN
    return f" The best {TRIALS_DRAWN} of {count(len(search.trials))} are drawn." if more else ""
