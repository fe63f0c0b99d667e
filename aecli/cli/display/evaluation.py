"""Draw an evaluation: losses, columns worst first, classification, latent, gates."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from aecli.cli.display.evaluation_extras import (
    anomaly_block,
    compared_block,
    confusion_table,
    group_blocks,
    note_lines,
    probe_block,
)
from aecli.cli.display.quality import evaluation_quality, score_text
from aecli.cli.display.widgets import (
    BAD,
    COMPACT_WIDTH,
    DIM,
    GOOD,
    FittedBlock,
    clipped,
    facts,
    figures,
    stacked,
    titled,
    user,
)
from aecli.cli.display.written import cell_counts
from aecli.formatting import count, figure, percent, weight

if TYPE_CHECKING:
    from aecli.evaluation.results import EvaluateResult
    from aecli.metrics.classification import Classification
    from aecli.metrics.column_scores import ColumnScore
    from aecli.metrics.gates import Gate
    from aecli.metrics.latent import LatentHealth

WORST_COLUMNS_SHOWN = 10


def evaluation_report(result: EvaluateResult, *, all_columns: bool = False) -> RenderableType:
    """Return the whole evaluation; the ten worst columns unless `all_columns`."""
    windows = f"{count(result.samples, 'window')} in " if result.unit == "window" else ""
    counted = f"{windows}{count(result.rows, 'row')}"
    title = Text.assemble((counted, "bold"), (", model ", DIM), user(result.model, "bold"))
    unseen = list(cell_counts("values that training did not have", result.unseen))
    return stacked(
        [
            Group(title, *unseen, *note_lines(result.notes)),
            evaluation_quality(result),
            titled("losses", _losses(result)),
            _columns(result, all_columns),
            _classification(result.classification, result.unit) if result.classification else None,
            titled("latent", _latent(result.latent)),
            anomaly_block(result.anomaly) if result.anomaly and result.anomaly.auroc else None,
            probe_block(result.probe) if result.probe else None,
            group_blocks(result),
            _comparison(result, all_columns),
            titled("gates", _gates(result.gates)) if result.gates else None,
        ]
    )


def _comparison(result: EvaluateResult, all_columns: bool) -> RenderableType | None:
    if result.compared is None:
        return None
    return compared_block(result.compared, str(result.model), all_columns=all_columns)


def _losses(result: EvaluateResult) -> RenderableType:
    table = figures("term", "value", "weight", "share")
    for name, term in result.losses.items():
        table.add_row(name, figure(term.value), weight(term.weight), percent(term.share))
    table.add_row("total", figure(result.total), "", "", style="bold")
    if result.number_mse is None:
        return table
    numbers = figures("numbers", "model", "PCA", "trivial")
    mse = (result.number_mse, result.number_mse_pca, result.number_mse_baseline)
    numbers.add_row("MSE (standardised)", *map(figure, mse))
    return stacked([table, numbers])


def _columns(result: EvaluateResult, all_columns: bool) -> RenderableType | None:
    columns = result.columns
    if not columns:
        return None
    worst = result.worst_first
    shown = worst if all_columns else worst[:WORST_COLUMNS_SHOWN]
    table = FittedBlock(lambda console, width: _column_table(shown, compact=width < COMPACT_WIDTH))
    hidden = len(columns) - len(shown)
    note = f"… and {count(hidden)} more (--all-columns lists all)" if hidden else ""
    limited: list[RenderableType] = [
        *cell_counts("outliers limited for R²", result.limited, style=DIM)
    ]
    if result.retrieved:
        shares = (f"{clipped(n, 16)} {percent(share)}" for n, share in result.retrieved.items())
        limited.append(Text(f"texts returned exactly: {', '.join(shares)}", style=DIM))
    order = "largest share of the error first" if len(columns) > 1 else ""
    return titled(_title("columns", order), Group(table, *limited), note)


def _column_table(columns: Sequence[ColumnScore], *, compact: bool) -> Table:
    """Return one line per column; without kind, metric and share where it is `compact`."""
    titles = ["column", "model", "PCA", "trivial"]
    if not compact:
        titles = ["column", "kind", "metric", *titles[1:], "share"]
    table = figures(*titles, left=1 if compact else 3)
    for column in columns:
        scores = [score_text(column.metric, value) for value in (column.pca, column.baseline)]
        name = clipped(column.name, 14 if compact else 26)
        if compact:
            table.add_row(name, _styled_value(column), *scores)
            continue
        metric = "R²" if column.metric == "r2" else column.metric
        table.add_row(
            name, column.kind, metric, _styled_value(column), *scores, percent(column.share)
        )
    return table


def _styled_value(column: ColumnScore) -> Text:
    """Return a figure, coloured if it is below that of the trivial prediction."""
    text = Text(score_text(column.metric, column.value))
    if column.value is not None and column.baseline is not None:
        worse = column.value < column.baseline - 1e-9
        text.stylize(BAD if worse else "")
    return text


def _classification(result: Classification, unit: str) -> RenderableType:
    table = Table.grid(padding=(0, 2))
    table.add_column(style=DIM)
    table.add_column(justify="right")
    table.add_column(style=DIM)
    table.add_row(
        "accuracy",
        percent(result.accuracy),
        f"most frequent class: {percent(result.baseline_accuracy)}",
    )
    table.add_row("balanced accuracy", percent(result.balanced_accuracy))
    table.add_row("macro F1", figure(result.macro_f1, 3))
    table.add_row("AUROC", figure(result.auroc, 3))
    table.add_row("log loss", figure(result.log_loss, 3))
    table.add_row("calibration error", figure(result.ece, 3), "ECE of the most probable class")
    return stacked(
        [
            titled(_title("classification", count(result.rows, f"labelled {unit}")), table),
            titled("confusion", confusion_table(result, unit)),
        ]
    )


def _latent(latent: LatentHealth) -> RenderableType:
    return facts(_latent_facts(latent))


def _latent_facts(latent: LatentHealth) -> Iterator[tuple[str, RenderableType]]:
    units = f"{latent.active} of {latent.size} ({percent(latent.active_share)})"
    dead = ", ".join(f"z{unit}" for unit in latent.dead[:8]) + (", …" * (len(latent.dead) > 8))
    yield "active units", Text(f"{units}; dead: {dead}" if latent.dead else units)
    yield "effective rank", Text(figure(latent.effective_rank, 3))
    small = f"{percent(latent.near_zero_share)} of values near zero"
    if latent.zero_share:
        small = f"{percent(latent.zero_share)} of values are 0"
    yield "mean |z|", Text(f"{figure(latent.mean_abs, 3)}; {small}")
    if latent.rho is not None:
        low, high = min(latent.means), max(latent.means)
        mean = sum(latent.means) / len(latent.means)
        ends = f"units from {figure(low, 3)} to {figure(high, 3)}"
        yield "mean activation", Text(f"{figure(mean, 3)} for rho {latent.rho:g}; {ends}")


def _gates(gates: Sequence[Gate]) -> Table:
    grid = Table.grid(padding=(0, 2))
    for gate in gates:
        verdict = Text("failed", style=BAD) if gate.failed else Text("passed", style=GOOD)
        grid.add_row(verdict, user(gate.condition), Text(f"it is {figure(gate.value)}", style=DIM))
    return grid


def _title(name: str, quiet: str) -> Text:
    return Text(f"{name}, {quiet}" if quiet else name)
