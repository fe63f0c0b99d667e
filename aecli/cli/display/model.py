"""Draw a trained model: quality, columns, network, training, and the next command."""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from rich.box import ROUNDED
from rich.console import Console, Group, RenderableType
from rich.padding import Padding
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from aecli.cli.display.generations import replaced_lines
from aecli.cli.display.quality import training_quality
from aecli.cli.display.widgets import (
    BAD,
    COMPACT_WIDTH,
    CONSOLE_WIDTH,
    DIM,
    FittedBlock,
    clipped,
    facts,
    figures,
    name_list,
    names,
    stacked,
    user,
)
from aecli.cli.display.written import cell_counts
from aecli.formatting import count, duration, figure, percent, safe, weight
from aecli.schema.model_spec import (
    Column,
    Identifier,
    Label,
    LeftOut,
    ModelSpec,
    Summary,
)
from aecli.schema.network import Network

if TYPE_CHECKING:
    from aecli.training.train import TrainResult


_PLURALS = {"category": "categories"}
SUMMARY_EPOCHS_SHOWN = 8
LAYERS_SHOWN = 3
MIN_GROUPS_WIDTH = 50
"""Minimum number of cells for two columns; with fewer the names are below their kind."""

DATES_SHOWN = 3
OWN_ACTIVATIONS = ("lstm", "transformer")


def training_report(result: TrainResult, *, every_epoch: bool = False) -> RenderableType:
    """Return the table of losses and the panel that describes the model."""
    from aecli.cli.display.history import EpochTable

    limit = len(result.history) if every_epoch else SUMMARY_EPOCHS_SHOWN
    table = EpochTable(result.history, limit=limit) if result.history else None
    body = stacked([training_quality(result.spec), facts(_model_facts(result))])
    panel = FittedBlock(
        lambda console, width: _framed(body, width) if console.is_terminal else body
    )
    return stacked([table, panel])


def _framed(body: RenderableType, width: int) -> Panel:
    return Panel(
        body,
        box=ROUNDED,
        border_style="dim",
        title=Text("trained", style="bold"),
        title_align="left",
        width=min(width, CONSOLE_WIDTH),
        padding=(0, 1),
    )


def _model_facts(result: TrainResult) -> Iterator[tuple[str, RenderableType]]:
    model, spec = result.model, result.spec
    yield "columns", column_groups(spec.columns)
    if spec.label:
        yield "label", label_line(spec.label)
    if spec.ids:
        yield "identifiers", ids_line(spec.ids)
    if spec.left_out:
        yield "left out", left_out_lines(spec.left_out)
    yield "network", network_line(spec.network, spec.parameters)
    if len(spec.loss_weights) > 1 or spec.number_weight != 1:
        yield "loss", Text(loss_sum(spec.loss_weights, spec.number_weight))
    yield from training_facts(spec)
    yield "saved in", Text(safe(model), style="bold")
    yield from replaced_lines(result.replaced, result.undo)
    yield "next", Text(next_command(model, spec), style="bold")


def column_groups(columns: Sequence[Column]) -> FittedBlock:
    """Return one line per kind and scaling: `784 numbers, scaled to 0..1   px0, px1 … px783`."""
    groups: dict[tuple[str, str], list[Column]] = {}
    for column in columns:
        groups.setdefault((column.kind, scaling(column)), []).append(column)
    lines = []
    for (kind, scale), members in groups.items():
        what = count(len(members), kind, _PLURALS.get(kind, ""))
        listed = name_list([_with_size(column) for column in members])
        lines.append((f"{what}, {scale}" if scale else what, listed))

    def draw(console: Console, width: int) -> RenderableType:
        if width < MIN_GROUPS_WIDTH:
            return Group(*(Group(what, Padding(named, (0, 0, 0, 2))) for what, named in lines))
        grid = Table.grid(padding=(0, 2))
        grid.add_column(no_wrap=True)
        grid.add_column(overflow="fold")
        for what, named in lines:
            grid.add_row(what, named)
        return grid

    return FittedBlock(draw)


def scaling(column: Column) -> str:
    """Describe how the numbers of a column are scaled, from its bounds, center and scale."""
    if column.constant:
        return "constant"
    if not column.scale or not column.low:
        return ""
    cells = list(zip(column.low, column.high, column.center, column.scale, strict=False))
    if all(center == 0 and scale == 1 for _, _, center, scale in cells):
        return "not scaled"
    lowest = min((low - center) / scale for low, _, center, scale in cells)
    highest = max((high - center) / scale for _, high, center, scale in cells)
    if lowest >= -1e-9 and highest <= 1 + 1e-9:
        return "scaled to 0..1"
    means = zip(column.mean, column.center, column.scale, strict=False)
    standard = all(abs(mean - center) <= 1e-6 * scale for mean, center, scale in means)
    return "standardised" if standard else "scaled by quartiles"


def column_table(columns: Iterable[Column]) -> FittedBlock:
    """Return one line per column: its kind and the reason for it."""
    listed = list(columns)
    return FittedBlock(lambda console, width: _column_table(listed, compact=width < COMPACT_WIDTH))


def _column_table(columns: Sequence[Column], *, compact: bool) -> Table:
    """Return the lines; without type and reason where the table is `compact`."""
    titles = ["column", "treated as", "type", "missing", "why"]
    table = figures(*(titles[:2] + titles[3:4] if compact else titles), left=2 if compact else 3)
    if not compact:
        table.columns[4].justify, table.columns[4].no_wrap = "left", False
    for column in columns:
        missing = count(column.missing) if column.missing else "–"
        if compact:
            table.add_row(clipped(column.name, 22), column.kind, missing)
            continue
        table.add_row(
            clipped(column.name, 24),
            column.kind,
            clipped(column.type, 18),
            missing,
            user(column.reason, "dim"),
        )
    return table


def left_out_lines(left_out: Sequence[LeftOut], most: int = 6) -> Text:
    """Name the columns that are not features, one line per reason."""
    reasons: dict[str, list[str]] = {}
    for item in left_out:
        reasons.setdefault(item.reason, []).append(item.name)
    shown = list(reasons.items())
    lines = [f"{names(members, 36)}: {clipped(reason, 200)}" for reason, members in shown[:most]]
    rest = sum(len(members) for _, members in shown[most:])
    return Text("\n".join([*lines, f"… and {count(rest)} more"] if rest else lines))


def label_line(label: Label) -> Text:
    """Describe the label: `income: 2 classes (<=50K 76 %, >50K 24 %)`."""
    total = sum(label.counts) or 1
    pairs = zip(label.classes, label.counts, strict=False)
    shares = [f"{clipped(name, 16)} {percent(number / total, 0)}" for name, number in pairs]
    listed = ", ".join(shares[:5]) + (", …" if len(shares) > 5 else "")
    return Text(f"{clipped(label.name, 24)}: {len(label.classes)} classes ({listed})")


def ids_line(ids: Sequence[Identifier]) -> Text:
    """Name the identifier columns."""
    return Text(f"{names([item.name for item in ids])}: copied to every output")


def _with_size(column: Column) -> str:
    if column.kind == "category" and column.categories:
        return f"{clipped(column.name, 20)} ({len(column.categories)})"
    return (
        f"{clipped(column.name, 20)} ({column.size})"
        if column.kind in ("vector", "text")
        else column.name
    )


def _latent_in_use(summary: Summary, spec: ModelSpec) -> str:
    parts = [f"{summary.latent_active} of {count(spec.network.latent, 'unit')} active"]
    parts += ["independent axes"] if spec.options.network.axes == "independent" else []
    penalties = [name for name in ("l0", "l1", "l2", "kl") if name in spec.loss_weights]
    parts += [f"{n} {percent(summary.shares[n])} of the loss" for n in penalties if summary.shares]
    if spec.network.has_zeros and summary.latent_zero is not None:
        parts.append(f"{percent(summary.latent_zero)} of values are 0")
    elif (penalties or spec.network.has_zeros) and summary.latent_near_zero is not None:
        parts.append(f"{percent(summary.latent_near_zero)} of values near zero")
    if "kl" in spec.loss_weights and summary.latent_mean is not None:
        mean = figure(summary.latent_mean, 3)
        parts.append(f"mean activation {mean} for rho {spec.options.losses.rho:g}")
    return "; ".join(parts)


def training_facts(spec: ModelSpec) -> Iterator[tuple[str, RenderableType]]:
    """Yield facts of a training: rows, why it stopped, best epoch, latent, dead units."""
    summary = spec.summary
    valid = count(summary.valid_rows) if summary.valid_rows else "none"
    batches = f"in batches of {count(summary.batch_size)}"
    samples = "rows" if spec.network.window == 1 else "windows"
    rows = f"{count(summary.train_rows)} to train {batches}, {valid} to validate"
    if summary.dropped_rows:
        rows += f", {count(summary.dropped_rows)} isolated rows left out"
    yield samples, Text(rows)
    if summary.stored_rows:
        stored = f"the model contains {count(summary.stored_rows)} training {samples}"
        yield "privacy", Text(f"{stored} (--store-rows)")
    yield "stopped", Text(f"{safe(summary.stopped)}, after {duration(summary.seconds)}")
    side, losses = ("validation", summary.valid) if summary.valid else ("training", summary.train)
    measures = [_terms(losses), *(f"{k} {percent(v)}" for k, v in summary.metrics.items())]
    if summary.majority_accuracy is not None and summary.metrics:
        measures[-1] += f" (most frequent class: {percent(summary.majority_accuracy)})"
    best = f"{summary.best_epoch} of {summary.epochs}"
    if not summary.best_epoch:
        best = f"0 of {summary.epochs}, no epoch beat the initial weights"
    yield "best epoch", Text(f"{best}: {side} {', '.join(measures)}")
    limited = list(cell_counts("outliers limited for R²", summary.limited, style=DIM))
    if limited:
        yield "outliers", Group(*limited)
    if summary.latent_active is not None:
        yield "latent", Text(_latent_in_use(summary, spec))
    if spec.network.architecture not in OWN_ACTIVATIONS:
        yield "dead units", dead_units_line(summary.dead_units)
    later = [column for column in spec.columns if column.moves_forward]
    if later and spec.calibration is not None:
        yield "scores", later_times_line(later)
    if summary.health:
        yield "health", Text("\n".join(map(safe, summary.health)), style=BAD)


def later_times_line(columns: Sequence[Column]) -> Text:
    """Name the time columns with their last training value, after which they are not scored."""
    from aecli.table.bounds import bound_text

    names = [clipped(column.name, 24) for column in columns[:DATES_SHOWN]]
    dates = [bound_text(column, column.high[0]) for column in columns[:DATES_SHOWN]]
    if len(columns) == 1:
        return Text(f"{names[0]} is not scored after its last training date {dates[0]}")
    listed = ", ".join(f"{name} {date}" for name, date in zip(names, dates, strict=True))
    rest = len(columns) - DATES_SHOWN
    more = f", … and {count(rest)} more" if rest > 0 else ""
    return Text(f"not scored after their last training dates: {listed}{more}")


def network_line(network: Network, parameters: int) -> Text:
    """Draw the network in one line: `784 → 512 → [64] → 512 → 784 · ReLU · 1,142,352 …`."""
    *hidden, latent = network.encoder
    rows = "" if network.window == 1 else f"{network.window} × "
    layers = [*hidden, f"[{latent}]", *network.decoder]
    if network.architecture not in ("mlp", "vanilla"):
        layers = [_body(network), f"[{latent}]", _body(network)]
    widths = [f"{rows}{network.inputs}", *layers, f"{rows}{network.outputs}"]
    parts = [" → ".join(map(str, widths))]
    parts += _latent_kind(network)
    parts += [str(network.activation)] if network.architecture not in OWN_ACTIVATIONS else []
    if network.norm.name != "none":
        parts.append(f"{network.norm} norm")
    if network.dropout:
        parts.append(f"dropout {network.dropout:g}")
    size = count(parameters, "parameter")
    if not network.classes:
        return Text(" · ".join([*parts, size]))
    head = " → ".join(map(str, [latent, *network.classifier, network.classes]))
    return Text(f"{' · '.join(parts)}\nclassifier {head} · {size}")


def _body(network: Network) -> str:
    """Describe the layers of an architecture other than an MLP, as in `conv2d 16,32`."""
    match network.architecture:
        case "conv1d" | "conv2d":
            return f"{network.architecture} {','.join(map(str, network.channels))}"
        case "lstm":
            return f"lstm {network.hidden}" + f" × {network.layers}" * (network.layers > 1)
    return f"transformer {network.hidden} × {network.depth}"


def _latent_kind(network: Network) -> list[str]:
    kinds = ["variational"] if network.variational else []
    if network.latent_activation.name != "Identity":
        kinds.append(f"{network.latent_activation} latent")
    if network.topk is not None:
        kinds.append(f"top {network.topk}")
    if network.threshold != "none":
        kinds.append(f"{network.threshold} threshold")
    return kinds + (["linear path"] if network.linear_path else [])


def loss_sum(weights: Mapping[str, float], number_weight: float = 1.0) -> str:
    """Return the minimised loss: `13.01 · reconstruction + classification + 0.0001 · l1`."""
    terms = (
        name if factor == 1 else f"{weight(factor)} · {name}" for name, factor in weights.items()
    )
    raised = f", numbers × {weight(number_weight)}" if number_weight != 1 else ""
    return " + ".join(terms) + raised


def dead_units_line(dead: Mapping[str, int]) -> Text:
    """Name the layers with dead units, and the advice."""
    counts = sorted(((n, layer) for layer, n in dead.items() if n), reverse=True)
    if not counts:
        return Text("none")
    listed = ", ".join(f"{n} in {clipped(layer, 24)}" for n, layer in counts[:LAYERS_SHOWN])
    rest = sum(n for n, _ in counts[LAYERS_SHOWN:])
    more = f", {rest} in other layers" if rest else ""
    return Text(f"{listed}{more}; --activation LeakyReLU avoids them", style=BAD)


def next_command(model: Path, spec: ModelSpec) -> str:
    """Return a command to run next."""
    if not spec.summary.finished:
        return "the same command with --resume continues the training"
    where = "" if str(model) == "aecli_model" else f" -m {shlex.quote(safe(model))}"
    if spec.label is not None:
        return f"aecli evaluate test.parquet{where}"
    return f"aecli encode data.parquet{where} -o latents.parquet"


def _terms(losses: Mapping[str, float]) -> str:
    parts = [f"{name} {figure(value)}" for name, value in losses.items() if name != "total"]
    total = f"loss {figure(losses['total'])}" if "total" in losses else ""
    return total if len(parts) == 1 and total else ", ".join(filter(None, [total, *parts]))
