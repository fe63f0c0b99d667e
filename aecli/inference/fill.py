"""Write a whole table again with its missing features filled."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pyarrow as pa

from aecli.features.impute import Filler
from aecli.inference.decoded_rows import Answer
from aecli.inference.loaded_model import LoadedModel
from aecli.schema.model_spec import Column
from aecli.table.arrow_types import is_text, parse_type
from aecli.table.column_match import TEXT_FORMATS
from aecli.table.source import Source
from aecli.table.type_inference import join_types


def whole_table(model: LoadedModel, source: Source) -> Source:
    """Return a source with every column in its own type, and one that holds a feature's values.

    The types of text formats are those of this table's cells; a column of whole numbers that the
    training table had fractions in is a double, and one without any cell is what it was there.
    """
    schema = source.schema
    types = dict(zip(schema.names, schema.types, strict=True))
    for column in model.spec.columns:
        if column.name in types:
            types[column.name] = _own_type(column, types[column.name], source.format)
    return source.select(source.names, types)


def filled(
    answers: Iterator[Answer], source: Source, filler: Filler, *, batch_rows: int
) -> Iterator[pa.RecordBatch]:
    """Yield the source's batches, in order, filled from the answers to the same rows."""
    rows = _Rows(answers)
    for batch in source.batches(batch_rows):
        if batch.num_rows:
            yield filler.fill(batch, *rows.take(batch.num_rows))


class _Rows:
    """Hand out as many rows of the answers as are asked for, whatever their batches."""

    def __init__(self, answers: Iterator[Answer]) -> None:
        parts = ((a.cells, a.outputs, a.covered) for a in answers)
        self._parts = (part for part in parts if len(part[0]))
        self._held: tuple[np.ndarray, ...] | None = None

    def take(self, count: int) -> tuple[np.ndarray, ...]:
        """Return cells, outputs and coverage of the next `count` rows."""
        found = []
        while count > 0:
            part = self._held or next(self._parts)
            found.append(tuple(piece[:count] for piece in part))
            rest = tuple(piece[count:] for piece in part)
            count -= len(found[-1][0])
            self._held = rest if len(rest[0]) else None
        return tuple(np.concatenate(pieces) for pieces in zip(*found, strict=True))


def _own_type(column: Column, has: pa.DataType, format: str) -> pa.DataType:
    stored = parse_type(column.type)
    if pa.types.is_null(has):
        return stored
    if format not in TEXT_FORMATS:
        return has
    if pa.types.is_dictionary(stored):
        stored = stored.value_type
    return join_types(has, stored) or (stored if is_text(stored) else has)
