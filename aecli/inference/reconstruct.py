"""Reconstruct a table's rows, or fill its missing cells with the model's reconstruction."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from aecli.array_types import AnyArray
from aecli.errors import UsageError
from aecli.features.impute import Filler
from aecli.features.inverse import InverseColumns, residual_arrays, residual_fields
from aecli.inference.batches import DecodedRows, decoded_rows
from aecli.inference.loaded_model import LoadedModel, load_model, require_decoder
from aecli.inference.run import Pass, StreamResult
from aecli.model_directory.location import model_directory
from aecli.progress import SILENT, Progress
from aecli.schema.model_spec import Column
from aecli.schema.read_options import ReadOptions
from aecli.schema.text_format import TextFormat
from aecli.table.arrow_types import decoded_type, is_text, parse_type
from aecli.table.cells.type_joins import join_types
from aecli.table.column_match import TEXT_FORMATS
from aecli.table.exact_numbers import roomy_decimal
from aecli.table.source import Data, Source, open_source

NOT_TRAINED_TO_FILL = (
    "training emptied no cells, so the fills are poor: aecli train --noise mask:0.2"
)


def reconstruct(
    data: Data,
    output: str,
    *,
    fill: bool = False,
    residuals: bool = False,
    model: str | os.PathLike[str] | None = None,
    tag: str | None = None,
    keep: Sequence[str] = (),
    to: str | None = None,
    batch_size: int | None = None,
    device: str = "auto",
    threads: int | None = None,
    read: ReadOptions | None = None,
    progress: Progress = SILENT,
) -> StreamResult:
    """Write the reconstruction of `data`'s rows to `output`, in order, in constant memory.

    Args:
        data: paths, globs or folders, `-`, or a table in memory; the label may be absent.
        output: a file whose name says the format, or `-` for standard output.
        fill: write the whole table as it is, with only its missing features filled.
        residuals: add a column `<name>_residual` for every feature that varies.
        model: the model directory, `tag` short for `runs/TAG`.
        keep: columns of `data` to carry along (names or globs), beside the identifiers.
        to: the format to write, whatever the name.
        batch_size: rows, or windows, per pass through the network.

    Raises:
        UsageError: `fill` comes with `residuals` or `keep`, or the decoder was not trained.
        ModelError: the model is missing, damaged or too new.
        DataError: the table cannot be read or lacks columns, or a column cannot be filled.
        OutputError: the output cannot be written.
    """
    began = time.perf_counter()
    if fill:
        _refuse_with_fill(residuals=residuals, keep=keep)
    loaded = load_model(model_directory(model, tag), device=device, threads=threads)
    if not fill:
        opened = reconstruct_pass(
            loaded, data, residuals=residuals, keep=keep, batch_size=batch_size, read=read,
            progress=progress,
        )  # fmt: skip
        return opened.write(output, to, began=began)
    opened, filler = fill_pass(loaded, data, batch_size=batch_size, read=read, progress=progress)
    result = opened.write(output, to, began=began)
    filled, unfilled = dict(+filler.filled), dict(+filler.unfilled)
    unprepared = bool(filled) and not loaded.spec.options.training.noise.startswith("mask")
    notes = [*result.notes, *([NOT_TRAINED_TO_FILL] if unprepared else [])]
    return replace(result, filled=filled, unfilled=unfilled, notes=notes)


def _refuse_with_fill(*, residuals: bool, keep: Sequence[str]) -> None:
    if residuals or keep:
        option = "--residuals" if residuals else "--keep"
        why = "changes no value that is there" if residuals else "writes every column"
        raise UsageError(f"--fill {why}: it leaves nothing for {option}", hint="one of them")


def reconstruct_pass(
    model: LoadedModel,
    data: Data,
    *,
    residuals: bool = False,
    keep: Sequence[str] = (),
    batch_size: int | None = None,
    read: ReadOptions | None = None,
    progress: Progress = SILENT,
) -> Pass:
    """Open a pass that reconstructs rows; arguments and errors are those of `reconstruct`."""
    opened = Pass.over(model, data, keep=keep, batch_size=batch_size, read=read, progress=progress)
    opened.by_row = True
    encoded = opened.encoded()
    require_decoder(model)
    inverse = InverseColumns(model.spec.columns)
    fields = [*inverse.schema, *(residual_fields(model.reader.layout) if residuals else [])]

    def batches() -> Iterator[pa.RecordBatch]:
        for batch, cells, outputs, covered in decoded_rows(model, encoded, opened.windowed):
            arrays = inverse.arrays(outputs)
            if residuals:
                arrays += residual_arrays(inverse, batch, cells, outputs)
            if not covered.all():  # a row in no window is null
                places = pc.if_else(pa.array(covered), pa.array(np.arange(len(covered))), None)
                arrays = [array.take(places) for array in arrays]
            yield opened.joined(batch, arrays)

    return opened.output(fields, batches())


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
    opened.by_row = True
    encoded = opened.encoded()
    require_decoder(model)
    whole, formats = with_all_columns(model, source.with_index(), opened.source or source)
    infinite_is_missing = model.spec.options.columns.nonfinite == "missing"
    filler = Filler(
        model.spec.columns, whole.schema, formats, infinite_is_missing=infinite_is_missing
    )

    def batches() -> Iterator[pa.RecordBatch]:
        rows = decoded_rows(model, encoded, opened.windowed)
        for batch, decoded in _with_decoded(whole.batches(model.batch_rows), rows):
            yield filler.fill(batch, *decoded)

    opened = opened.output(list(whole.schema), batches())
    if source.pandas_metadata is not None:
        opened.schema = opened.schema.with_metadata({b"pandas": source.pandas_metadata})
    return opened, filler


def _with_decoded(
    batches: Iterator[pa.RecordBatch], rows: Iterator[DecodedRows]
) -> Iterator[tuple[pa.RecordBatch, tuple[AnyArray, ...]]]:
    """Yield each batch with the cells, outputs and coverage of its rows, however these come."""
    parts = (part for _, *part in rows if len(part[0]))
    rest: tuple[AnyArray, ...] | None = None
    for batch in batches:
        taken, missing = [], batch.num_rows
        while missing:
            part = rest or next(parts)
            taken.append(tuple(array[:missing] for array in part))
            rest = tuple(array[missing:] for array in part) if len(part[0]) > missing else None
            missing -= len(taken[-1][0])
        if taken:
            yield batch, tuple(np.concatenate(arrays) for arrays in zip(*taken, strict=True))


def with_all_columns(
    model: LoadedModel, source: Source, matched: Source
) -> tuple[Source, dict[str, TextFormat]]:
    """Return a source with every column in its own type, and one that holds a feature's values.

    And how the columns of text spell the values of features: their text is read as it is written.
    The types of text formats are those of this table's cells; a column of whole numbers that the
    training table had fractions in is a double, and one without any cell is what it was there.

    Args:
        model: the model.
        source: the whole table.
        matched: the table as the model reads it.
    """
    # What the model reads a column as, which its own cells may leave open, counts.
    readings, formats = {**source.readings, **matched.readings}, {}
    written = source.with_texts(source.names).readings
    features = {column.name: column for column in model.spec.columns}
    chosen = dict(written)
    for name in source.names:
        found, own = readings[name], written[name]
        as_text = is_text(decoded_type(own.type))
        if found.format is not None or (as_text and not is_text(decoded_type(found.type))):
            formats[name] = found.format or TextFormat()
            chosen[name] = replace(own, type=own.type if as_text else pa.string())
        elif name in features:
            kind = _filled_type(features[name], own.type, source.format)
            chosen[name] = replace(own, type=kind)
    return source.select(source.names, chosen), formats


def _filled_type(column: Column, present: pa.DataType, format: str) -> pa.DataType:
    stored = parse_type(column.type)
    if pa.types.is_null(present):
        return stored
    if format not in TEXT_FORMATS:
        return present
    if column.origin is not None:
        if not pa.types.is_integer(stored) or pa.types.is_integer(present):
            return stored
        # Whole numbers too long for an integer are text, those with a point or exponent a double.
        return pa.decimal256(76, 0) if is_text(present) else roomy_decimal(stored)
    if pa.types.is_dictionary(stored):
        stored = stored.value_type
    return join_types(present, stored) or (stored if is_text(stored) else present)
