"""Draw what `inspect` found: a model directory, or what each column of a table would become."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from aecli.cli.display.charts import Curves
from aecli.cli.display.columns import became, grouped, ids_line, label_line, left_out_lines
from aecli.cli.display.train_summary import training_facts
from aecli.cli.display.widgets import DIM, clipped, facts, figures, stacked, titled, user
from aecli.formatting import count, figure, size, weight
from aecli.inspection.inspect import DataInspection, Layer, ModelInspection
from aecli.schema.model_spec import Identifier, Label, LeftOut, ModelSpec

COLUMNS_SHOWN = 20


def inspection_report(
    found: ModelInspection | DataInspection, *, all_columns: bool = False
) -> RenderableType:
    """Return a model's or a table's description; every column if `all_columns`."""
    if isinstance(found, ModelInspection):
        if found.history is not None:
            return Group(user(found.model, "bold"), Curves(found.history))
        return _model(found, all_columns)
    return _data(found, all_columns)


def _model(found: ModelInspection, all_columns: bool) -> RenderableType:
    spec = found.spec
    columns: RenderableType = became(spec.columns) if all_columns else grouped(spec.columns)
    note = "" if all_columns else "--columns lists each one with its reason"
    roles = list(_roles(spec.label, spec.ids, spec.left_out))
    return stacked(
        [
            Group(user(found.model, "bold"), Text(_origin(found), style=DIM)),
            titled("columns", columns, note),
            titled("other columns", facts(roles)) if roles else None,
            titled("network", _network(found.layers, found.parameters)),
            titled("losses", _losses(spec)),
            titled("training", facts(training_facts(spec))),
        ]
    )


def _data(found: DataInspection, all_columns: bool) -> RenderableType:
    shown = found.columns if all_columns else found.columns[:COLUMNS_SHOWN]
    hidden = len(found.columns) - len(shown)
    note = f"… and {count(hidden)} more (--columns lists all)" if hidden else ""
    roles = list(_roles(found.label, found.ids, found.left_out))
    about = f"{found.format}, {count(found.rows, 'row')}, {count(len(found.columns), 'feature')}"
    return stacked(
        [
            Group(user(found.data, "bold"), Text(about, style=DIM)),
            *(Text(clipped(note, 400)) for note in found.notes),
            titled("summary", grouped(found.columns)) if hidden else None,
            titled("columns", became(shown), note) if shown else None,
            titled("other columns", facts(roles)) if roles else None,
        ]
    )


def _origin(found: ModelInspection) -> str:
    spec = found.spec
    made = spec.created.replace("T", " ").removesuffix("+00:00")
    by = f"aecli {spec.versions.get('aecli', '?')}, torch {spec.versions.get('torch', '?')}"
    return f"trained {made} UTC with {by}; {size(found.bytes)}"


def _roles(
    label: Label | None, ids: Sequence[Identifier], left_out: Sequence[LeftOut]
) -> Iterator[tuple[str, RenderableType]]:
    if label:
        yield "label", label_line(label)
    if ids:
        yield "identifiers", ids_line(ids)
    if left_out:
        yield "left out", left_out_lines(left_out, most=20)


def _network(layers: Sequence[Layer], parameters: int) -> Table:
    table = figures("part", "layer", "inputs", "outputs", "parameters", left=2)
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
