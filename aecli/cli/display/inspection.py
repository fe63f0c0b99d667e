"""Draw the result of `inspect`: a model directory, or the column plan of a table."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from rich.console import Console, Group, RenderableType
from rich.table import Table
from rich.text import Text

from aecli.cli.display.generations import created_text, generation_table, verified_table
from aecli.cli.display.model import (
    column_groups,
    column_table,
    ids_line,
    label_line,
    left_out_lines,
    training_facts,
)
from aecli.cli.display.quality import training_quality
from aecli.cli.display.widgets import (
    COMPACT_WIDTH,
    DIM,
    FittedBlock,
    clipped,
    facts,
    figures,
    stacked,
    titled,
    user,
)
from aecli.formatting import count, figure, safe, size, weight
from aecli.inspection.inspect import DataInspection, Layer, ModelInspection
from aecli.model_directory.generations import rollback_command
from aecli.schema.model_spec import Identifier, Label, LeftOut, ModelSpec

INSPECTED_COLUMNS_SHOWN = 20


def inspection_report(
    result: ModelInspection | DataInspection, *, all_columns: bool = False
) -> RenderableType:
    """Return a model's or a table's description; every column if `all_columns`."""
    if isinstance(result, ModelInspection):
        if result.verified is not None:
            return Group(user(result.model, "bold"), verified_table(result.verified))
        if result.history is not None:
            from aecli.cli.display.history import loss_chart

            return Group(user(result.model, "bold"), loss_chart(result.history))
        return _model(result, all_columns)
    return _data(result, all_columns)


def _model(result: ModelInspection, all_columns: bool) -> RenderableType:
    spec = result.spec
    columns: RenderableType = (
        column_table(spec.columns) if all_columns else column_groups(spec.columns)
    )
    note = "" if all_columns else "--all-columns lists each one with its reason"
    roles = list(_roles(spec.label, spec.ids, spec.left_out))
    return stacked(
        [
            Group(user(result.model, "bold"), Text(_origin(result), style=DIM)),
            titled("columns", columns, note),
            titled("other columns", facts(roles)) if roles else None,
            titled("network", _network_block(result)),
            titled("losses", _losses(spec)),
            titled("training", stacked([training_quality(spec), facts(training_facts(spec))])),
            _earlier_models(result) if result.generations else None,
        ]
    )


def _earlier_models(result: ModelInspection) -> RenderableType:
    undo = rollback_command(result.model, result.generations[0].id)
    note = f"{safe(undo)} restores the first"
    return titled("earlier models", generation_table(result.generations), note)


def _data(result: DataInspection, all_columns: bool) -> RenderableType:
    shown = result.columns if all_columns else result.columns[:INSPECTED_COLUMNS_SHOWN]
    hidden = len(result.columns) - len(shown)
    note = f"… and {count(hidden)} more (--all-columns lists all)" if hidden else ""
    roles = list(_roles(result.label, result.ids, result.left_out))
    about = f"{result.format}, {count(result.rows, 'row')}, {count(len(result.columns), 'feature')}"
    return stacked(
        [
            Group(user(result.data, "bold"), Text(about, style=DIM)),
            *(Text(clipped(note, 400)) for note in result.notes),
            titled("summary", column_groups(result.columns)) if hidden else None,
            titled("columns", column_table(shown), note) if shown else None,
            titled("other columns", facts(roles)) if roles else None,
        ]
    )


def _origin(result: ModelInspection) -> str:
    spec = result.spec
    created = created_text(spec.created)
    by = f"aecli {spec.versions.get('aecli', '?')}, torch {spec.versions.get('torch', '?')}"
    return f"trained {created} UTC with {by}; {size(result.bytes)}"


def _roles(
    label: Label | None, ids: Sequence[Identifier], left_out: Sequence[LeftOut]
) -> Iterator[tuple[str, RenderableType]]:
    if label:
        yield "label", label_line(label)
    if ids:
        yield "identifiers", ids_line(ids)
    if left_out:
        yield "left out", left_out_lines(left_out, most=20)


def _network_block(result: ModelInspection) -> FittedBlock:
    def draw(console: Console, width: int) -> RenderableType:
        return _network(result.layers, result.parameters, compact=width < COMPACT_WIDTH)

    return FittedBlock(draw)


def _network(layers: Sequence[Layer], parameters: int, *, compact: bool) -> Table:
    """Return one line per layer; with short titles where it is `compact`."""
    sizes = ("in", "out", "params") if compact else ("inputs", "outputs", "parameters")
    table = figures("part", "layer", *sizes, left=2)
    part = ""
    for layer in layers:
        table.add_row(
            "" if layer.part == part else layer.part,
            layer.name,
            count(layer.inputs),
            count(layer.outputs),
            count(layer.parameters),
        )
        part = layer.part
    table.add_row("total", "", "", "", count(parameters), style="bold")
    return table


def _losses(spec: ModelSpec) -> Table:
    weights, summary = spec.loss_weights, spec.summary
    table = figures("term", "weight", "train", "validation")
    for term in summary.train or summary.valid:
        sides = (figure(summary.train.get(term)), figure(summary.valid.get(term)))
        factor = weight(weights[term]) if term in weights else ""
        table.add_row(term, factor, *sides, style="bold" if term == "total" else "")
    return table
