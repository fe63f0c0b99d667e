"""Write a whole table again with its missing features filled: `reconstruct --fill`."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pyarrow as pa

from aecli.array_types import AnyArray
from aecli.features.impute import Filler
from aecli.inference.batches import DecodedRows, decoded_rows
from aecli.inference.loaded_model import LoadedModel, require_decoder
from aecli.inference.run import Pass
from aecli.progress import SILENT, Progress
from aecli.schema.model_spec import Column
from aecli.schema.options import ReadOptions
from aecli.table.arrow_types import is_text, parse_type
from aecli.table.column_match import TEXT_FORMATS
from aecli.table.source import Data, Source, open_source
from aecli.table.type_inference import join_types


def fill_pass(
    model: LoadedModel,
    data: Data,
    *,
    batch_size: int | None = None,
    read: ReadOptions | None = None,
    progress: Progress = SILENT,
) -> tuple[Pass, Filler]:
    """Open a pass that fills a table, and return it with the filler, which counts what it fills.

    Raises:
        UsageError: the decoder was not trained.
        DataError: the table cannot be read or lacks columns, or a column cannot be filled.
    """
    source = data if isinstance(data, Source) else open_source(data, read or ReadOptions())
    opened = Pass.over(model, source, carry=False, batch_size=batch_size, progress=progress)
    encoded = opened.encoded()
    require_decoder(model)
    whole = whole_table(model, source)
    infinite_is_missing = model.spec.options.columns.nonfinite == "missing"
    filler = Filler(model.spec.columns, whole.schema, infinite_is_missing=infinite_is_missing)

    def batches() -> Iterator[pa.RecordBatch]:
        rows = _RowQueue(decoded_rows(model, encoded, opened.windowed))
        for batch in whole.batches(model.batch_rows):
            if batch.num_rows:
                yield filler.fill(batch, *rows.take(batch.num_rows))

    return opened.output(list(whole.schema), batches()), filler


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


class _RowQueue:
    """Decoded rows, taken in any number, whatever their batches."""

    def __init__(self, rows: Iterator[DecodedRows]) -> None:
        parts = ((part.cells, part.outputs, part.covered) for part in rows)
        self._parts = (part for part in parts if len(part[0]))
        self._rest: tuple[AnyArray, ...] | None = None

    def take(self, count: int) -> tuple[AnyArray, ...]:
        """Return cells, outputs and coverage of the next `count` rows."""
        taken = []
        while count > 0:
            part = self._rest or next(self._parts)
            taken.append(tuple(array[:count] for array in part))
            rest = tuple(array[count:] for array in part)
            count -= len(taken[-1][0])
            self._rest = rest if len(rest[0]) else None
        return tuple(np.concatenate(arrays) for arrays in zip(*taken, strict=True))


def _own_type(column: Column, present: pa.DataType, format: str) -> pa.DataType:
    stored = parse_type(column.type)
    if pa.types.is_null(present):
        return stored
    if format not in TEXT_FORMATS:
        return present
    if pa.types.is_dictionary(stored):
        stored = stored.value_type
    return join_types(present, stored) or (stored if is_text(stored) else present)
