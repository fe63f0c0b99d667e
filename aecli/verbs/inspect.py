"""Show a model directory, or what each column of a table would become; without torch."""

from __future__ import annotations

import os
from itertools import pairwise
from pathlib import Path
from typing import Any

from aecli.bundle import model_directory, read_spec
from aecli.errors import DataError
from aecli.progress import SILENT, Progress
from aecli.spec.model import ModelSpec
from aecli.spec.options import ColumnOptions, ReadOptions
from aecli.verbs.results import DataInspection, Layer, ModelInspection


def inspect(
    target: Any = None,
    *,
    model: str | os.PathLike[str] | None = None,
    tag: str | None = None,
    read: ReadOptions | None = None,
    columns: ColumnOptions | None = None,
    progress: Progress = SILENT,
) -> ModelInspection | DataInspection:
    """Inspect a model directory or a table; without a target, the model that commands would use.

    Raises:
        ModelError: the directory holds no model, or a damaged one.
        DataError: the table cannot be read, or has no rows.
    """
    if target is None:
        return inspect_model(model_directory(model, tag))
    if isinstance(target, (str, os.PathLike)) and (Path(target) / "spec.json").exists():
        return inspect_model(Path(target))
    return inspect_data(target, read or ReadOptions(), columns or ColumnOptions(), progress)


def inspect_model(directory: Path) -> ModelInspection:
    """Read a model directory's spec and lay out its network."""
    spec = read_spec(directory)
    size = sum(file.stat().st_size for file in directory.iterdir() if file.is_file())
    return ModelInspection(
        model=directory,
        spec=spec,
        layers=_layers(spec),
        parameters=spec.weights.parameters,
        bytes=size,
    )


def inspect_data(
    data: Any, read: ReadOptions, columns: ColumnOptions, progress: Progress
) -> DataInspection:
    """Read a table once and say what each column would become."""
    from aecli.table.columns import describe_columns
    from aecli.table.labels import read_labels
    from aecli.table.source import open_source

    source = open_source(data, read)
    label = None if columns.label is None else read_labels(source, columns.label)[0]
    plan = describe_columns(source, columns, label=label, progress=progress)
    if not plan.rows:
        raise DataError(f"{source.name} has no rows", hint="a table with at least one row")
    return DataInspection(
        data=source.name,
        format=source.format,
        rows=plan.rows,
        columns=plan.columns,
        ids=plan.ids,
        left_out=plan.left_out,
        label=label,
        notes=[*source.notes, *plan.notes],
    )


def _layers(spec: ModelSpec) -> list[Layer]:
    network = spec.network
    parts = {
        "encoder": [network.inputs, *network.encoder],
        "decoder": [network.latent, *network.decoder, network.outputs],
    }
    if network.classes:
        parts["classifier"] = [network.latent, *network.classifier, network.classes]
    layers = []
    for part, sizes in parts.items():
        pairs = list(pairwise(sizes))
        for index, (inputs, outputs) in enumerate(pairs):
            last = index == len(pairs) - 1
            extra = 0 if last else _norm_parameters(spec, outputs)
            layers.append(
                Layer(
                    part,
                    _layer_name(spec, part, last),
                    inputs,
                    outputs,
                    (inputs + 1) * outputs + extra,
                )
            )
    return layers


def _layer_name(spec: ModelSpec, part: str, last: bool) -> str:
    network = spec.network
    if last:
        after = {"encoder": str(network.latent_activation), "decoder": network.output}
        name = after.get(part, "linear")
        return "Linear" if name in ("Identity", "linear") else f"Linear, {name}"
    pieces = ["Linear"]
    if network.norm.name != "none":
        pieces.append(f"{network.norm.name} norm")
    pieces.append(str(network.activation))
    if network.dropout:
        pieces.append(f"dropout {network.dropout:g}")
    return ", ".join(pieces)


def _norm_parameters(spec: ModelSpec, width: int) -> int:
    norm = spec.network.norm
    affine = norm.args.get("affine", norm.args.get("elementwise_affine", True))
    default = norm.name in ("batch", "layer") or (norm.name == "instance" and "affine" in norm.args)
    return 2 * width if default and affine else 0
