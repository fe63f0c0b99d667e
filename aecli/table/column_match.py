"""Match the columns of a table with those of a model, by name."""

from __future__ import annotations

import re
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

import pyarrow as pa

from aecli.errors import AecliWarning, DataError, UsageError, nearest
from aecli.formatting import name_list, shell_name
from aecli.schema.model_spec import Column, ModelSpec
from aecli.table.arrow_types import (
    is_list,
    is_plain_number,
    is_text,
    kind_of,
    parse_type,
    type_name,
)
from aecli.table.cells.conversion import NULLS
from aecli.table.cells.reading import Reading
from aecli.table.cells.text_survey import are_boolean_texts
from aecli.table.column_names import match_patterns, require_column
from aecli.table.column_plan import ColumnPlan
from aecli.table.exact_numbers import wide_decimal
from aecli.table.source import Source

TEXT_FORMATS = ("csv", "jsonl", "xlsx")

FittedColumns: TypeAlias = ModelSpec | ColumnPlan
"""Fitted columns of a training table: of a model, or of a plan that is not saved yet."""


@dataclass(frozen=True)
class MatchedColumns:
    """Columns that are ignored, columns copied to the output, and whether there is a label.

    `constants` are the constant columns that are read.
    """

    ignored: list[str]
    kept: list[str]
    label: bool
    constants: list[str]


def match_columns(
    source: Source,
    spec: FittedColumns,
    *,
    keep: Sequence[str] = (),
    with_label: bool = False,
    constants: bool = False,
    references: Sequence[str] = (),
) -> tuple[Source, MatchedColumns]:
    """Select the columns of a table that a model needs, in any order.

    The result contains each of these once, in this order: the identifiers that are present, the
    columns of `keep` (names or globs), the features that are not constant, with `constants` also
    the constant ones except `references`, and with `with_label` the label if it is present. A
    feature in `keep` is there twice; its copy is not converted.
    Text formats and partition names are read as the model's types.

    Raises:
        DataError: features are missing, a pattern of `keep` matches nothing, or a column has a type
            that the model cannot use.
    """
    names = set(source.names)
    features = [column for column in spec.columns if not column.constant]
    _require_features(source, [column.name for column in features])
    compared = [c for c in spec.columns if constants and c.constant and c.name in names]
    compared = [column for column in compared if column.name not in references]
    features += compared
    kept = [item.name for item in spec.ids if item.name in names]
    kept += [
        name
        for name in match_patterns(source.name, source.names, keep, "--keep")
        if name not in kept
    ]
    read = {column.name for column in features}
    source = source.with_copies([name for name in kept if name in read])
    copies = {name: copy for copy, name in source.copies.items()}
    kept = [copies.get(name, name) for name in kept]
    label = [spec.label.name] if spec.label and with_label and spec.label.name in names else []
    names_to_read = list(dict.fromkeys([*kept, *(column.name for column in features), *label]))
    source = source.with_texts(source.names)
    readings = _feature_readings(source, spec, features)
    readings |= _copied_readings(source, spec, kept, label)
    known = {*names_to_read, *_known_names(spec)}
    ignored = [name for name in source.names if name not in known]
    return source.select(names_to_read, readings), MatchedColumns(
        ignored=ignored, kept=kept, label=bool(label), constants=[c.name for c in compared]
    )


def require_reference_column(source: Source, spec: FittedColumns, name: str, option: str) -> None:
    """Check a column of reference values, such as anomaly labels, before any row is read.

    Raises:
        DataError: the table does not have the column.
        UsageError: the column is a feature of the model.
    """
    require_column(source.name, source.names, name, option)
    if any(column.name == name and not column.constant for column in spec.columns):
        raise UsageError(
            f"{option} {name}: this model was trained with {name!r} as a feature",
            facts=["the reference values would be part of the model's input"],
            hint=f"aecli train DATA --exclude {name!r}",
        )


def _known_names(spec: FittedColumns) -> set[str]:
    names = {column.name for column in spec.columns}
    names |= {item.name for item in spec.left_out}
    names |= {item.name for item in spec.ids}
    return names | ({spec.label.name} if spec.label else set())


def _require_features(source: Source, features: Sequence[str]) -> None:
    names = set(source.names)
    missing = [name for name in features if name not in names]
    if not missing:
        return
    known = set(features)
    others = [name for name in source.names if name not in known]
    if all(re.fullmatch(r"column_\d+", name) for name in missing):
        raise DataError(
            f"{source.name} lacks {name_list(missing)}: this model was trained on a table without "
            "column names",
            facts=[f"it has: {name_list(source.names)}"],
            hint="--header none",
        )
    near = [(name, other) for name in missing[:20] if (other := nearest(name, others))]
    facts = [f"{name!r}: did you mean {other!r}?" for name, other in near[:3]]
    if others:
        facts.append(f"it also has: {name_list(others)}")
    raise DataError(
        f"{source.name} lacks {len(missing):,} of the {len(features):,} columns this model was "
        f"trained on: {name_list(missing)}",
        facts=facts,
        hint=f"rename {near[0][1]!r} to {near[0][0]!r}"
        if near
        else f"aecli inspect {shell_name(source.name)}",
    )


def _feature_readings(
    source: Source, spec: FittedColumns, features: Sequence[Column]
) -> dict[str, Reading]:
    """Return how the features are read; in text formats as the model's types."""
    nulls = _null_values(source, spec)
    texts = set(source.names) if source.format in TEXT_FORMATS else source.partition_columns
    schema = source.select([c.name for c in features if c.name not in texts]).schema
    readings = {}
    for column in features:
        if column.name in texts:
            kind = _read_type(column)
        else:
            kind = _type_in(column, schema.field(column.name).type)
        known = frozenset(value for value in column.categories if isinstance(value, str))
        misfit = _another_value(column, kind) if column.constant else None
        readings[column.name] = Reading(kind, column.text_format, nulls, known, misfit)
    return readings


def _type_in(column: Column, has: pa.DataType) -> pa.DataType:
    """Return the type to read a column of type `has` as; constants of any type are compared."""
    try:
        kind = _cast_type(column, has) or has
    except DataError:
        if not column.constant:
            raise
        return _read_type(column)
    if column.kind in ("text", "characters") and (
        pa.types.is_integer(has) or pa.types.is_boolean(has)
    ):
        message = f"column {column.name!r} is {type_name(has)}; its values are read as text"
        warnings.warn(message, AecliWarning, stacklevel=2)
    return kind


def _another_value(column: Column, kind: pa.DataType) -> pa.Scalar | None:
    """Return a value different from a constant, for cells that are not of its type."""
    if pa.types.is_dictionary(kind):
        return None
    if is_text(kind):
        return pa.scalar(f"not {column.mode}", kind)
    if column.kind == "boolean":
        return pa.scalar(not column.mode, kind)
    first = column.categories[0] if column.kind == "category" else column.low[0]
    other = 0 if first else 1
    if is_list(kind):
        return pa.scalar([other] * column.size, kind)
    width = pa.int32() if kind.bit_width == 32 and pa.types.is_temporal(kind) else pa.int64()
    return pa.scalar(other, width).cast(kind)


def _copied_readings(
    source: Source, spec: FittedColumns, kept: Sequence[str], label: Sequence[str]
) -> dict[str, Reading]:
    """Return how the label and copied text columns are read: `007` stays text."""
    if source.format not in TEXT_FORMATS:
        kept = [name for name in kept if name in source.partition_columns]
        label = [name for name in label if name in source.partition_columns]
    types = {item.name: parse_type(item.type) for item in spec.ids if item.name in kept}
    readings = {name: Reading(kind) for name, kind in types.items() if is_text(kind)}
    if spec.label and label:
        known = frozenset(value for value in spec.label.classes if isinstance(value, str))
        kind = _classes_type(parse_type(spec.label.type))
        nulls = _null_values(source, spec)
        # Together with yes and no, as with numbers, NA means missing.
        nulls |= frozenset(NULLS) if are_boolean_texts(known) else frozenset()
        readings[spec.label.name] = Reading(kind, null_values=nulls, categories=known)
    return readings


def _null_values(source: Source, spec: FittedColumns) -> frozenset[str]:
    """Return the texts that mean missing: the user's, else those of the training."""
    given = source.options
    if isinstance(spec, ModelSpec) and "null_values" not in given.model_fields_set:
        given = spec.options.read
    return frozenset(given.null_values)


def _read_type(column: Column) -> pa.DataType:
    """Return the type to which text cells are parsed, and other types are cast."""
    stored = parse_type(column.type)
    if column.kind == "vector":
        return pa.list_(pa.float64(), column.size)
    if column.kind in ("category", "text", "characters"):
        return _classes_type(stored)
    if not is_plain_number(stored):
        return stored
    return pa.float64() if column.origin is None else wide_decimal(stored)


def _classes_type(stored: pa.DataType) -> pa.DataType:
    if pa.types.is_dictionary(stored):
        stored = stored.value_type
    if pa.types.is_integer(stored):
        return stored if pa.types.is_uint64(stored) else pa.int64()
    return pa.string() if is_text(stored) else stored


def _cast_type(column: Column, has: pa.DataType) -> pa.DataType | None:
    """Return the type to cast a column of type `has` to, None if no cast is needed.

    Raises:
        DataError: the model was trained on an incompatible type.
    """
    target = _read_type(column)
    if pa.types.is_null(has):
        return target
    if column.kind == "vector":
        fits, usable = _as_vector(has, column.size)
    else:
        any_number = column.kind == "number" and is_plain_number(target)
        fits, usable = _as_scalar(has, pa.float64() if any_number else target)
    if fits:
        return None
    if usable:
        return target
    size = f" of length {column.size:,}" if is_list(target) else ""
    raise DataError(
        f"column {column.name!r} is {type_name(has)}; this model was trained on "
        f"{column.type}{size}",
        hint=f"convert {column.name!r} to {column.type}",
    )


def _as_vector(has: pa.DataType, size: int) -> tuple[bool, bool]:
    if not (is_list(has) and is_plain_number(has.value_type)):
        return False, False
    if pa.types.is_fixed_size_list(has):
        return has.list_size == size, False
    return False, True


def _as_scalar(has: pa.DataType, target: pa.DataType) -> tuple[bool, bool]:
    """Return whether `has` can be used as `target` without a cast, and whether with a cast."""
    types = pa.types
    inner = has.value_type if types.is_dictionary(has) else has
    text, boolean = is_text(inner), types.is_boolean(inner)
    whole, number = types.is_integer(inner), is_plain_number(inner)
    if types.is_temporal(target):
        same = inner.id == target.id or (kind_of(inner) == "time" == kind_of(target))
        if types.is_timestamp(inner) and types.is_timestamp(target):
            same = (inner.tz is None) == (target.tz is None)
        return has == target, same or text
    if is_text(target):
        return text, whole or boolean
    if types.is_boolean(target):
        return has == target, boolean or whole or text
    if types.is_integer(target):
        return whole or types.is_decimal(inner), number or boolean or text
    return inner is has and (number or boolean), number or text
