"""Draw the result of `tune`: best trials, importance of options, and the command of the best."""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Iterator, Sequence

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from aecli.cli.display.generations import replaced_lines
from aecli.cli.display.model import network_line, training_facts
from aecli.cli.display.quality import training_quality
from aecli.cli.display.widgets import DIM, GOOD, facts, figures, stacked, titled, user
from aecli.formatting import count, duration, figure, percent, safe
from aecli.tuning.trial import TrialRecord, TuneResult, ranking

TRIALS_SHOWN = 5
COMMAND_WIDTH = 76
TRIAL_STATES = {
    "pruned": "pruned",
    "cut": "stopped by the budget",
    "failed": "failed",
    "stopped": "stopped",
}


def tuning_report(result: TuneResult) -> RenderableType:
    """Return the top trials, the importance of each option, the model and its command."""
    ranked = ranking(result.trials, result.direction)
    defaults = [trial for trial in ranked[TRIALS_SHOWN:] if not trial.options][:1]
    shown = [*ranked[:TRIALS_SHOWN], *defaults]
    rest = len(ranked) - len(shown)
    top = titled(
        _heading(result),
        _trials(result, shown),
        f"and {count(rest, 'more trial')}" if rest > 0 else "",
    )
    blocks: list[RenderableType | None] = [top]
    if result.importance:
        blocks.append(titled("importance of options", _importance(result)))
    blocks += [training_quality(result.spec), facts(_model_facts(result))]
    # Not in a table, whose trailing spaces after a backslash would break the command.
    blocks.append(Group(Text("command of the best", style="bold"), _command(result.command)))
    return stacked(blocks)


def _heading(result: TuneResult) -> str:
    counts = [count(len(result.trials), "trial")]
    for state, name in TRIAL_STATES.items():
        number = sum(trial.state == state for trial in result.trials)
        counts += [f"{number} {name}"] if number else []
    return f"{', '.join(counts)}, in {duration(result.seconds)}"


def _trials(result: TuneResult, shown: Sequence[TrialRecord]) -> Table:
    table = figures("trial", result.objective, "epochs", "time", "options")
    table.columns[-1].justify, table.columns[-1].no_wrap = "left", False
    for trial in shown:
        options = " ".join(f"{name}={text}" for name, text in trial.options.items())
        note = (
            "" if trial.state == "complete" else f" ({TRIAL_STATES.get(trial.state, trial.state)})"
        )
        table.add_row(
            str(trial.number),
            Text(figure(trial.value, 5), style=GOOD if trial.number == result.best else ""),
            str(trial.epochs),
            duration(trial.seconds),
            user(f"{options or 'defaults'}{note}", DIM if trial.number != result.best else ""),
        )
    return table


def _importance(result: TuneResult) -> Table:
    table = figures("parameter", "share")
    for name, share in result.importance.items():
        table.add_row(name, percent(share, 0))
    return table


def _model_facts(result: TuneResult) -> Iterator[tuple[str, RenderableType]]:
    yield "network", network_line(result.spec.network, result.spec.parameters)
    yield from training_facts(result.spec)
    if result.notes:
        yield "notes", Text("\n".join(map(safe, result.notes)))
    yield "journal", Text(safe(result.journal))
    yield "saved in", Text(safe(result.model), style="bold")
    yield from replaced_lines(result.replaced, result.undo)


def _command(command: str) -> Text:
    """Break a command into lines that a shell accepts."""
    lines = [""]
    for words in _flags_with_values(map(shlex.quote, shlex.split(command))):
        if lines[-1] and len(lines[-1]) + len(words) + 3 > COMMAND_WIDTH:
            lines.append(" ")
        lines[-1] += f" {words}" if lines[-1] else words
    shown = " \\\n".join(f"  {safe(line)}" for line in lines)
    return Text(shown, style="bold", overflow="ignore", no_wrap=True)


def _flags_with_values(words: Iterable[str]) -> Iterator[str]:
    """Yield each flag with its value."""
    flag = ""
    for word in words:
        if flag and word.startswith("-"):
            yield flag
            flag = ""
        if word.startswith("-"):
            flag = word
        else:
            yield f"{flag} {word}" if flag else word
            flag = ""
    if flag:
        yield flag
