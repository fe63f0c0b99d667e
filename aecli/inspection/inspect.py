"""Show a model directory, or what each column of a table would become; without torch."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from aecli.errors import DataError, UsageError
from aecli.inspection.layers import Layer, layers_of
from aecli.model_directory import model_directory, read_history, read_spec
from aecli.progress import SILENT, Progress
from aecli.schema.model_spec import Column, Identifier, Label, LeftOut, ModelSpec
from aecli.schema.options import ColumnOptions, ReadOptions


@dataclass(frozen=True)
class ModelInspection:
    """Hold a model directory as found: its spec, the network layer by layer, its size on disk.

    `history` are the lines of history.jsonl, None unless they were asked for.
    """

    model: Path
    spec: ModelSpec
    layers: Sequence[Layer]
    parameters: int
    bytes: int
    history: Sequence[Mapping[str, Any]] | None = None


@dataclass(frozen=True)
class DataInspection:
    """Hold what each column of a table would become, and why."""

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
    progress: Progress = SILENT,
) -> ModelInspection | DataInspection:
    """Inspect a model directory or a table; without a target, the model that commands would use.

    With `history` a model's losses of every epoch are read, too.

    Raises:
        UsageError: `history` is asked of a table.
        ModelError: the directory holds no model, or a damaged one.
        DataError: the table cannot be read, or has no rows.
    """
    if target is None:
        return inspect_model(model_directory(model, tag), history=history)
    if isinstance(target, (str, os.PathLike)) and (Path(target) / "spec.json").exists():
        return inspect_model(Path(target), history=history)
    if history:
        raise UsageError(f"{target} is a table; only a model has a history", hint="aecli inspect")
    return inspect_data(target, read or ReadOptions(), columns or ColumnOptions(), progress)


def inspect_model(directory: Path, *, history: bool = False) -> ModelInspection:
    """Read a model directory's spec and lay out its network."""
    spec = read_spec(directory)
    size = sum(file.stat().st_size for file in directory.iterdir() if file.is_file())
    return ModelInspection(
        model=directory,
        spec=spec,
        layers=layers_of(directory, spec),
        parameters=spec.weights.parameters,
        bytes=size,
        history=read_history(directory) if history else None,
    )


def inspect_data(
    data: Any, read: ReadOptions, columns: ColumnOptions, progress: Progress
) -> DataInspection:
    """Read a table once and say what each column would become."""
    from aecli.table.column_plan import describe_columns
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
