"""Inspect a model directory, or how the columns of a table are used in training; without torch."""

from __future__ import annotations

import os
import stat
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import pairwise
from math import prod
from pathlib import Path
from typing import TYPE_CHECKING, Any

from aecli.errors import DataError, UsageError
from aecli.formatting import TABLE_IN_MEMORY
from aecli.model_directory.errors import readable
from aecli.model_directory.generations import Generation, describe, generations
from aecli.model_directory.location import model_directory
from aecli.model_directory.read import read_history, read_model, read_weights
from aecli.model_directory.spec_file import is_model
from aecli.progress import SILENT, Progress
from aecli.remote_files.path import location
from aecli.safetensors_header import TensorInfo, read_header
from aecli.schema.model_spec import Column, Identifier, Label, LeftOut, ModelSpec
from aecli.schema.options import ColumnOptions
from aecli.schema.read_options import ReadOptions

if TYPE_CHECKING:
    from aecli.model_directory.verify import CheckedFile

LAYER_PART_NAMES = {"head": "classifier", "path": "linear path"}
"""Displayed names of parts of the network, if they differ from those in the weights file."""


@dataclass(frozen=True)
class Layer:
    """Layer of the network: its part of the network, shape and number of parameters."""

    part: str
    name: str
    inputs: int
    outputs: int
    parameters: int


@dataclass(frozen=True)
class ModelInspection:
    """Contents of a model directory: its spec, the layers of the network, its size on disk.

    `generations` are the earlier models that `rollback` can restore, newest first. `history`
    contains the records of the epochs and `verified` the checked files, None if not requested. If
    one of these files is damaged, there are neither layers nor history.
    """

    model: Path
    spec: ModelSpec
    layers: Sequence[Layer]
    parameters: int
    bytes: int
    generations: Sequence[Generation] = ()
    history: Sequence[Mapping[str, Any]] | None = None
    verified: Sequence[CheckedFile] | None = None


@dataclass(frozen=True)
class DataInspection:
    """Use of each column of a table in training, and the reasons."""

    data: str
    format: str
    rows: int
    columns: Sequence[Column]
    ids: Sequence[Identifier]
    left_out: Sequence[LeftOut]
    label: Label | None
    notes: Sequence[str]


def inspect(
    target: Any = None,
    *,
    model: str | os.PathLike[str] | None = None,
    tag: str | None = None,
    read: ReadOptions | None = None,
    columns: ColumnOptions | None = None,
    history: bool = False,
    verified: bool = False,
    progress: Progress = SILENT,
) -> ModelInspection | DataInspection:
    """Inspect a model directory or a table; without a target, the default model of commands.

    With `history` the losses of every epoch of a model are read too, and with `verified` all of its
    files are checked.

    Raises:
        UsageError: `history` or `verified` is requested for a table.
        ModelError: the directory contains no model, or a damaged one.
        DataError: the table cannot be read, or has no rows.
    """
    if target is None:
        return inspect_model(model_directory(model, tag), history=history, verified=verified)
    if isinstance(target, (str, os.PathLike)) and is_model(target):
        return inspect_model(location(target), history=history, verified=verified)
    if history or verified:
        name = target if isinstance(target, (str, os.PathLike)) else TABLE_IN_MEMORY
        what = "a history" if history else "files to verify"
        raise UsageError(f"{name} is a table; only a model has {what}", hint="aecli inspect")
    return inspect_data(target, read or ReadOptions(), columns or ColumnOptions(), progress)


def inspect_model(
    directory: Path, *, history: bool = False, verified: bool = False
) -> ModelInspection:
    """Read a model directory: its spec, the layers of its network, its earlier models.

    Raises:
        ModelError: the directory contains no model, or a damaged one.
    """
    checked: Sequence[CheckedFile] | None = None
    if verified:
        from aecli.model_directory.verify import verify

        checked = verify(directory)
    whole = all(file.problem is None for file in checked or ())

    def read(spec: ModelSpec) -> tuple[Sequence[Layer], Sequence[Mapping[str, Any]] | None]:
        layers = layers_of(directory, spec) if whole else []
        return layers, read_history(directory, spec) if history and whole else None

    spec, (layers, epochs) = read_model(directory, read)
    with readable(directory):
        # A training may have replaced the model by now, and kept it.
        earlier = [describe(g) for g in generations(directory) if g.digest != spec.digest]
        size = _size(directory, spec)
    return ModelInspection(
        model=directory,
        spec=spec,
        layers=layers,
        parameters=spec.parameters,
        bytes=size,
        generations=earlier,
        history=epochs,
        verified=checked,
    )


def _size(directory: Path, spec: ModelSpec) -> int:
    """Return the total size of a directory's files in bytes; a file may disappear meanwhile.

    Web servers do not list files: there it is the size of the files that the spec refers to.
    """
    size, paths = 0, list(directory.iterdir())
    if not paths:
        return sum(part.size for part in (spec.weights, spec.history, spec.tuning) if part)
    for path in paths:
        with suppress(FileNotFoundError):
            status = path.lstat()
            size += status.st_size if stat.S_ISREG(status.st_mode) else 0
    return size


def inspect_data(
    data: Any, read: ReadOptions, columns: ColumnOptions, progress: Progress
) -> DataInspection:
    """Read a table once and return how each column is used in training."""
    from aecli.table.column_plan import describe_columns
    from aecli.table.labels import read_labels
    from aecli.table.source import open_source

    source = open_source(data, read)
    label = None if columns.label is None else read_labels(source, columns.label)[0]
    plan = describe_columns(source, columns, label=label, progress=progress)
    if plan.texts:
        from aecli.features.text.columns import with_text_columns

        plan = with_text_columns(plan, columns)
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


def layers_of(directory: Path, spec: ModelSpec) -> list[Layer]:
    """Return the layers: from the sizes of an MLP, else from the header of the weights.

    Raises:
        FileNotFoundError: the weights file, needed except for an MLP, is missing.
        ModelError: it is damaged.
    """
    by_character = any(column.kind == "characters" for column in spec.columns)
    if spec.network.architecture in ("mlp", "vanilla") and not by_character:
        return _layers_from_sizes(spec)
    path = directory / spec.weights.file
    return _layers_from_tensors(read_header(read_weights(directory, spec), path))


def _layers_from_tensors(header: Mapping[str, TensorInfo]) -> list[Layer]:
    shapes_by_module: dict[str, list[tuple[int, ...]]] = {}
    for name, info in header.items():
        if name.partition(".")[0] not in ("baseline", "code"):
            shapes_by_module.setdefault(name.rpartition(".")[0], []).append(info.shape)
    layers = []
    for module, shapes in sorted(shapes_by_module.items()):
        part, _, name = module.partition(".")
        largest = max(shapes, key=prod)
        inputs, outputs = (largest[1], largest[0]) if len(largest) > 1 else (largest[0], largest[0])
        parameters = sum(prod(shape) for shape in shapes)
        part_name = LAYER_PART_NAMES.get(part, part)
        layers.append(Layer(part_name, name or "parameters", inputs, outputs, parameters))
    order = ["linear path", "encoder", "decoder", "characters", "classifier"]
    return sorted(layers, key=lambda layer: order.index(layer.part))


def _layers_from_sizes(spec: ModelSpec) -> list[Layer]:
    network = spec.network
    inputs, outputs = network.window * network.inputs, network.window * network.outputs
    code = network.latent * (2 if network.variational else 1)
    parts = {
        "encoder": [inputs, *network.encoder[:-1], code],
        "decoder": [network.latent, *network.decoder, outputs],
    }
    if network.classes:
        parts["classifier"] = [network.latent, *network.classifier, network.classes]
    layers = []
    if network.linear_path:
        ends = [(inputs, network.latent), (network.latent, outputs)]
        layers = [Layer("linear path", "Linear", a, b, (a + 1) * b) for a, b in ends]
    for part, sizes in parts.items():
        pairs = list(pairwise(sizes))
        for index, (before, after) in enumerate(pairs):
            is_last = index == len(pairs) - 1
            parameters = (before + 1) * after + (0 if is_last else _norm_parameters(spec, after))
            layers.append(Layer(part, _layer_name(spec, part, is_last), before, after, parameters))
    return layers


def _layer_name(spec: ModelSpec, part: str, is_last: bool) -> str:
    network = spec.network
    if is_last:
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
