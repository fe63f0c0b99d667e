"""Reconstruct a table's rows, or fill its missing cells with what the model makes of them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from aecli.errors import UsageError
from aecli.features.impute import FillCounts, Filler
from aecli.features.inverse import Restorer
from aecli.features.residuals import residual_fields, residuals
from aecli.inference.batches import Chunk, with_carried
from aecli.inference.decoded_rows import Answer, answers
from aecli.inference.fill import filled, whole_table
from aecli.inference.loaded_model import LoadedModel, require_decoder
from aecli.inference.run import Step, StreamResult, run_stream
from aecli.inference.windows import WindowedTable
from aecli.schema.options import ReadOptions
from aecli.table.source import Data, Source, open_source


def reconstruct(
    data: Data, output: str, *, fill: bool = False, residuals: bool = False, **how: Any
) -> StreamResult:
    """Write `data`'s rows as the model gives them back to `output`, in order, in constant memory.

    Args:
        data: paths, globs or folders, `-`, or a table in memory; the label may be absent.
        output: a file whose name says the format, or `-` for standard output.
        fill: write the whole table as it is, with only its missing features filled.
        residuals: add a column `<name>_residual` for every feature that varies.
        **how: `model`, `tag`, `keep`, `to`, `batch_size`, `device`, `threads`, `read`, `progress`
            as in `aecli.inference.run.run_stream`.

    Raises:
        UsageError: `fill` comes with `residuals` or `keep`, or the decoder was not trained.
        ModelError: the model is missing, damaged or too new.
        DataError: the table cannot be read or lacks columns, or a column cannot be filled.
        OutputError: the output cannot be written.
    """
    if fill:
        return _fill(data, output, residuals=residuals, **how)
    return run_stream(data, output, reconstruction(residuals=residuals), **how)


def reconstruction(*, residuals: bool = False) -> Step:
    """Return the step that gives rows back as the model sees them."""
    return Step(
        fields=lambda model: restored_fields(model, with_residuals=residuals),
        batches=lambda model, chunks, schema, table: reconstructed(
            model, answers(model, chunks, table), schema, with_residuals=residuals
        ),
    )


def _fill(data: Data, output: str, *, residuals: bool, **how: Any) -> StreamResult:
    if residuals or how.get("keep"):
        option = "--residuals" if residuals else "--keep"
        why = "changes no value that is there" if residuals else "writes every column"
        raise UsageError(f"--fill {why}: it leaves nothing for {option}", hint="one of them")
    source = open_source(data, how.pop("read", None) or ReadOptions())
    counts, notes = FillCounts(), list[str]()
    result = run_stream(source, output, filling(source, counts, notes), carry=False, **how)
    return replace(
        result,
        filled={name: count for name, count in counts.filled.items() if count},
        unfilled={name: count for name, count in counts.unfilled.items() if count},
        notes=[*result.notes, *notes],
    )


def filling(source: Source, counts: FillCounts, notes: list[str]) -> Step:
    """Return the step that writes the whole of `source` again, with its missing features filled.

    `counts` learn what was filled, and `notes` what there is to say of it.
    """

    def batches(
        model: LoadedModel,
        chunks: Iterator[Chunk],
        schema: pa.Schema,
        table: WindowedTable | None,
    ) -> Iterator[pa.RecordBatch]:
        options = model.spec.options
        infinite = options.columns.nonfinite == "missing"
        filler = Filler(model.spec.columns, schema, counts, infinite_is_missing=infinite)
        found = answers(model, chunks, table)
        yield from filled(found, whole_table(model, source), filler, batch_rows=model.batch_rows)
        if any(counts.filled.values()) and not options.training.noise.startswith("mask"):
            notes.append(UNPREPARED)

    def fields(model: LoadedModel) -> list[pa.Field]:
        require_decoder(model)
        return list(whole_table(model, source).schema)

    return Step(fields, batches)


UNPREPARED = "training emptied no cells, so the fills are poor: aecli train --noise mask:0.2"


def restored_fields(model: LoadedModel, *, with_residuals: bool) -> list[pa.Field]:
    """Return the fields of `reconstruct`: every feature, then the residuals of those that vary.

    Raises:
        UsageError: the model's decoder was not trained.
    """
    require_decoder(model)
    fields = list(Restorer(model.spec.columns).schema)
    return fields + (residual_fields(model.reader.layout) if with_residuals else [])


def reconstructed(
    model: LoadedModel, found: Iterator[Answer], schema: pa.Schema, *, with_residuals: bool
) -> Iterator[pa.RecordBatch]:
    """Yield batches of carried columns and every column as the model restores it.

    A row in no window is null in every column but the carried ones.
    """
    restorer = Restorer(model.spec.columns)
    for answer in found:
        arrays = restorer.restore(answer.outputs)
        if with_residuals:
            arrays += residuals(restorer, answer.batch, answer.cells, answer.outputs)
        if not answer.covered.all():
            covered = pa.array(answer.covered)
            places = pc.if_else(covered, pa.array(np.arange(len(covered))), None)
            arrays = [array.take(places) for array in arrays]
        yield with_carried(answer.batch, arrays, schema)
