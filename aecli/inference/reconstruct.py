"""Reconstruct the rows of a table, or fill its missing values with their reconstruction."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import partial

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from aecli.array_types import AnyArray
from aecli.device import limited_threads
from aecli.errors import UsageError
from aecli.features.impute import Filler
from aecli.features.inverse import InverseColumns, residual_arrays, residual_fields
from aecli.inference.batches import DecodedRows, decoded_rows
from aecli.inference.folder.write import output_folder, write_folder
from aecli.inference.loaded_model import LoadedModel, load_model, require_decoder
from aecli.inference.run import Pass
from aecli.inference.stream_result import StreamResult
from aecli.model_directory.location import model_directory
from aecli.progress import SILENT, Progress
from aecli.schema.model_spec import Column
from aecli.schema.read_options import ReadOptions
from aecli.schema.text_format import TextFormat
from aecli.table.arrow_types import decoded_type, is_text, parse_type
from aecli.table.cells.type_joins import join_types
from aecli.table.column_match import TEXT_FORMATS
from aecli.table.exact_numbers import wide_decimal
from aecli.table.source import Data, Source, open_source

NOT_TRAINED_TO_FILL = (
    "the model was not trained with masked cells, so fills are poor: aecli train --noise mask:0.2"
)


@limited_threads()
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
    resume: bool = False,
    shard: str | None = None,
    engine: str = "local",
    batch_size: int | None = None,
    device: str = "auto",
    threads: int | None = None,
    read: ReadOptions | None = None,
    progress: Progress = SILENT,
) -> StreamResult:
    """Write the reconstruction of `data`'s rows to `output`, in order, in constant memory.

    Args:
        data: paths, globs or folders, `-`, or a table in memory; the label is optional.
        output: a file whose suffix is the format, `-` for standard output, or a folder, `out/`,
            for one file per file of `data`.
        fill: write the whole table unchanged, except that missing features are filled.
        residuals: add a column `<name>_residual` for every varying feature.
        model: the model directory; `tag` is short for `runs/TAG`.
        keep: columns of `data` to copy (names or globs), in addition to the identifiers.
        to: the output format, for any suffix.
        resume: keep the finished files of a folder.
        shard: write every Nth file of a folder only, from the Kth: `K/N`.
        engine: `ray` writes the files of a folder as tasks on a Ray cluster.
        batch_size: rows, or windows, per batch of the network.

    Raises:
        UsageError: `fill` with `residuals` or `keep`, or the decoder was not trained.
        ModelError: the model is missing, damaged or too new.
        DataError: the table cannot be read, columns are missing, or a column cannot be filled.
        OutputError: the output cannot be written.
    """
    began = time.perf_counter()
    if fill:
        _refuse_with_fill(residuals=residuals, keep=keep)
    folder = output_folder(output, to=to, resume=resume, shard=shard, engine=engine)
    loaded = load_model(model_directory(model, tag), device=device, threads=threads)
    open_pass = partial(
        _open, fill=fill, residuals=residuals, keep=list(keep), batch_size=batch_size, read=read
    )
    if folder is None:
        return _write(open_pass(loaded, data, progress=progress), output, to, began=began)
    return write_folder(
        "reconstruct", loaded, data, folder, open_pass, _write, StreamResult, threads=threads,
        began=began, progress=progress,
    )  # fmt: skip


def _open(
    model: LoadedModel,
    data: Data,
    *,
    fill: bool,
    residuals: bool,
    keep: Sequence[str],
    batch_size: int | None,
    read: ReadOptions | None,
    progress: Progress,
) -> tuple[Pass, Filler | None]:
    if fill:
        return fill_pass(model, data, batch_size=batch_size, read=read, progress=progress)
    opened = reconstruct_pass(
        model, data, residuals=residuals, keep=keep, batch_size=batch_size, read=read,
        progress=progress,
    )  # fmt: skip
    return opened, None


def _write(
    opened: tuple[Pass, Filler | None], path: str | None, to: str | None, *, began: float
) -> StreamResult:
    table, filler = opened
    result = table.write(path, to, began=began)
    return result if filler is None else _with_fills(result, filler, table.model)


def _with_fills(result: StreamResult, filler: Filler, model: LoadedModel) -> StreamResult:
    filled, unfilled = dict(+filler.filled), dict(+filler.unfilled)
    unprepared = bool(filled) and not model.spec.options.training.noise.startswith("mask")
    notes = [*result.notes, *([NOT_TRAINED_TO_FILL] if unprepared else [])]
    return replace(result, filled=filled, unfilled=unfilled, notes=notes)


def _refuse_with_fill(*, residuals: bool, keep: Sequence[str]) -> None:
    if residuals or keep:
        option = "--residuals" if residuals else "--keep"
        why = "changes no existing value" if residuals else "writes every column"
        raise UsageError(f"--fill {why}: {option} has no effect", hint=f"omit {option}")


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
    """Prepare a pass that reconstructs rows; arguments and errors are those of `reconstruct`."""
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
            if not covered.all():  # rows in no window are null
                indices = pc.if_else(pa.array(covered), pa.array(np.arange(len(covered))), None)
                arrays = [array.take(indices) for array in arrays]
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
    """Prepare a pass that fills a table, and return it with its filler, which counts the fills.

    Raises:
        UsageError: the decoder was not trained.
        DataError: the table cannot be read, columns are missing, or a column cannot be filled.
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
    """Yield each batch with the cells, outputs and coverage of its rows, for any batch sizes."""
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
    """Return a source with all columns in types that fit the filled values, and text formats.

    The text formats are those of features in text columns, whose existing text is not changed.
    Types of text files come from the cells of this table; an integer column that had fractions in
    training is float64, and a column without values has its type in training.

    Args:
        model: the model.
        source: the whole table.
        matched: the table with the model's readings.
    """
    # The model's reading of a column takes precedence: its cells may be ambiguous.
    readings, formats = {**source.readings, **matched.readings}, {}
    written = source.with_texts(source.names).readings
    features = {column.name: column for column in model.spec.columns}
    chosen = dict(written)
    for name in source.names:
        matched_reading, reading = readings[name], written[name]
        text = is_text(decoded_type(reading.type))
        if matched_reading.format is not None or (
            text and not is_text(decoded_type(matched_reading.type))
        ):
            formats[name] = matched_reading.format or TextFormat()
            chosen[name] = replace(reading, type=reading.type if text else pa.string())
        elif name in features:
            kind = _filled_type(features[name], reading.type, source.format)
            chosen[name] = replace(reading, type=kind)
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
        # Integers too long for an integer type are text, those with a point or exponent floats.
        return pa.decimal256(76, 0) if is_text(present) else wide_decimal(stored)
    if pa.types.is_dictionary(stored):
        stored = stored.value_type
    return join_types(present, stored) or (stored if is_text(stored) else present)
