"""Draw the result of `train`: the losses, and a panel that describes the model."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from rich.box import ROUNDED
from rich.console import Console, ConsoleOptions, RenderableType, RenderResult
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from aecli.cli.display.columns import column_groups, ids_line, label_line, left_out_lines
from aecli.cli.display.loss_table import EpochTable
from aecli.cli.display.widgets import BAD, CONSOLE_WIDTH, GOOD, clipped, facts, figures, stacked
from aecli.formatting import count, duration, figure, percent, safe, weight
from aecli.schema.model_spec import ModelSpec, Network, Summary

if TYPE_CHECKING:
    from aecli.training.train import TrainResult

SUMMARY_EPOCHS_SHOWN = 16
LAYERS_SHOWN = 3
BASELINE_MEASURES = {
    "mse": "squared error, scaled",
    "r2": "R² of number columns",
    "accuracy": "accuracy of categories",
}


def training_report(result: TrainResult) -> RenderableType:
    """Return the table of losses and the panel that describes the model."""
    table = EpochTable(result.history, limit=SUMMARY_EPOCHS_SHOWN) if result.history else None
    return stacked([table, TrainSummaryPanel(result)])


class TrainSummaryPanel:
    """Panel that describes a trained model; framed on a terminal only."""

    def __init__(self, result: TrainResult) -> None:
        self.result = result

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        body = facts(_model_facts(self.result.model, self.result.spec))
        if not console.is_terminal:
            yield body
            return
        width = min(options.max_width, CONSOLE_WIDTH)
        yield Panel(
            body,
            box=ROUNDED,
            border_style="dim",
            title=Text("trained", style="bold"),
            title_align="left",
            width=width,
            padding=(0, 1),
        )


def _model_facts(model: Path, spec: ModelSpec) -> Iterator[tuple[str, RenderableType]]:
    yield "columns", column_groups(spec.columns)
    if spec.label:
        yield "label", label_line(spec.label)
    if spec.ids:
        yield "identifiers", ids_line(spec.ids)
    if spec.left_out:
        yield "left out", left_out_lines(spec.left_out)
    yield "network", network_line(spec.network, spec.weights.parameters)
    if len(spec.loss_weights) > 1:
        yield "loss", Text(loss_sum(spec.loss_weights))
    yield from training_facts(spec)
    yield "saved in", Text(safe(model), style="bold")
    yield "next", Text(next_command(model, spec), style="bold")


def _latent_in_use(summary: Summary, spec: ModelSpec) -> str:
    parts = [f"{summary.latent_active} of {count(spec.network.latent, 'unit')} active"]
    penalties = [name for name in ("l1", "l2", "kl") if name in spec.loss_weights]
    parts += [f"{n} {percent(summary.shares[n])} of the loss" for n in penalties if summary.shares]
    if (penalties or spec.network.topk is not None) and summary.latent_near_zero is not None:
        parts.append(f"{percent(summary.latent_near_zero)} of values near zero")
    if "kl" in spec.loss_weights and summary.latent_mean is not None:
        mean = figure(summary.latent_mean, 3)
        parts.append(f"mean activation {mean} for rho {spec.options.losses.rho:g}")
    return "; ".join(parts)


def training_facts(spec: ModelSpec) -> Iterator[tuple[str, RenderableType]]:
    """Yield facts of a training: rows, what stopped it, best epoch, comparison, dead units."""
    summary = spec.summary
    valid = count(summary.valid_rows) if summary.valid_rows else "none"
    batches = f"in batches of {count(summary.batch_size)}"
    samples = "rows" if spec.network.window == 1 else "windows"
    yield samples, Text(f"{count(summary.train_rows)} to train {batches}, {valid} to validate")
    yield "stopped", Text(f"{safe(summary.stopped)}, after {duration(summary.seconds)}")
    side, losses = ("validation", summary.valid) if summary.valid else ("training", summary.train)
    measures = [_terms(losses), *(f"{k} {percent(v)}" for k, v in summary.metrics.items())]
    best = f"{summary.best_epoch} of {summary.epochs}"
    if not summary.best_epoch:
        best = f"none of {summary.epochs}, so the start at PCA"
    yield "best epoch", Text(f"{best}: {side} {', '.join(measures)}")
    if summary.baselines:
        yield "compared", baseline_table(summary, spec.network)
    if summary.latent_active is not None:
        yield "latent", Text(_latent_in_use(summary, spec))
    if spec.network.architecture not in OWN_ACTIVATIONS:
        yield "dead units", dead_units_line(summary.dead_units)
    if summary.health:
        yield "health", Text("\n".join(map(safe, summary.health)), style=BAD)


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


OWN_ACTIVATIONS = ("lstm", "transformer")


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
    return kinds + (["linear path"] if network.linear_path else [])


def loss_sum(weights: Mapping[str, float]) -> str:
    """Return what is minimised: `13.01 · reconstruction + classification + 0.0001 · l1`."""
    terms = (
        name if factor == 1 else f"{weight(factor)} · {name}" for name, factor in weights.items()
    )
    return " + ".join(terms)


def baseline_table(summary: Summary, network: Network) -> Table:
    """Compare this model's reconstruction with PCA of the same latent size and the column means."""
    components = min(network.latent, network.inputs * network.window, summary.train_rows)
    named = {"PCA": f"PCA with {components:,}"}
    rows = f"{count(summary.compared_rows, 'row')}" if summary.compared_rows else ""
    table = figures(rows, *(named.get(b.name, b.name) for b in summary.baselines))
    for name, title in BASELINE_MEASURES.items():
        values = [getattr(baseline, name) for baseline in summary.baselines]
        if any(value is not None for value in values):
            this, *others = (
                percent(v) if name == "accuracy" else figure(v, 4 if name == "mse" else 3)
                for v in values
            )
            table.add_row(title, Text(this, style=_comparison_style(name, values)), *others)
    return table


def _comparison_style(measure: str, values: Sequence[float | None]) -> str:
    """Return the style of this model's figure: better or worse than PCA's."""
    this, pca = (values[0], values[1]) if len(values) > 1 else (None, None)
    if this is None or pca is None or this == pca:
        return ""
    return GOOD if (this < pca) == (measure == "mse") else BAD


def dead_units_line(dead: Mapping[str, int]) -> Text:
    """Name the layers with units that never fire, and the advice."""
    counts = sorted(((n, layer) for layer, n in dead.items() if n), reverse=True)
    if not counts:
        return Text("none")
    listed = ", ".join(f"{n} in {clipped(layer, 24)}" for n, layer in counts[:LAYERS_SHOWN])
    rest = sum(n for n, _ in counts[LAYERS_SHOWN:])
    more = f", {rest} elsewhere" if rest else ""
    return Text(f"{listed}{more}; --activation LeakyReLU keeps units alive", style=BAD)


def next_command(model: Path, spec: ModelSpec) -> str:
    """Return a command to run next."""
    if not spec.summary.finished:
        return "the same command with --resume goes on from here"
    where = "" if str(model) == "aecli_model" else f" -m {shlex.quote(safe(model))}"
    if spec.label is not None:
        return f"aecli evaluate test.parquet{where}"
    return f"aecli encode data.parquet{where} -o latents.parquet"


def _terms(losses: Mapping[str, float]) -> str:
    parts = [f"{name} {figure(value)}" for name, value in losses.items() if name != "total"]
    total = f"loss {figure(losses['total'])}" if "total" in losses else ""
    return total if len(parts) == 1 and total else ", ".join(filter(None, [total, *parts]))
