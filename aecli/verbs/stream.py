"""Open a model and a table for one streaming pass: what the streaming verbs share."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa

from aecli.bundle import model_directory
from aecli.feed.cells import Tally
from aecli.progress import SILENT, Progress
from aecli.spec.options import ReadOptions
from aecli.stream.model import LoadedModel, load_model
from aecli.stream.rows import Chunk, joined_schema, latents
from aecli.stream.windows import WindowedTable, open_windows, window_chunks
from aecli.table.match import Matched, match_columns
from aecli.table.source import Data, Source, open_source
from aecli.table.write import open_sink
from aecli.verbs.results import StreamResult


@dataclass(frozen=True)
class Step:
    """Say what a verb makes of each row: its `fields`, and the `batches` that hold them.

    `batches` gets the model, the chunks on their way, the schema of what it is to yield, and the
    windowed table where there is one.
    """

    fields: Callable[[LoadedModel], list[pa.Field]]
    batches: Callable[
        [LoadedModel, Iterator[Chunk], pa.Schema, WindowedTable | None], Iterator[pa.RecordBatch]
    ]


@dataclass(frozen=True)
class Pass:
    """Hold one pass of a table through a model, whose `batches` are made as they are asked for."""

    source: Source
    matched: Matched
    schema: pa.Schema
    batches: Iterator[pa.RecordBatch]
    tally: Tally
    table: WindowedTable | None


def open_pass(
    model: LoadedModel,
    data: Data,
    step: Step,
    *,
    keep: Sequence[str] = (),
    carry: bool = True,
    batch_size: int | None = None,
    read: ReadOptions | None = None,
    progress: Progress = SILENT,
) -> Pass:
    """Open a pass of `data` through the model: the same rows, in the same order.

    Identifier and kept columns go before what the step makes, unless `carry` is False. Windows of
    rows are staged first, since they follow their own order. `data` may be a source that is open.
    """
    source = data if isinstance(data, Source) else open_source(data, read or ReadOptions())
    source, matched = match_columns(source, model.spec, keep=keep)
    kept = matched.kept if carry else []
    schema = joined_schema([source.schema.field(name) for name in kept], step.fields(model))
    tally, table = Tally(model.reader.layout), None
    if model.spec.network.window > 1:
        table = open_windows(model, source, tally=tally, progress=progress)
        chunks = window_chunks(model, table, kept, batch_windows=batch_size, progress=progress)
    else:
        chunks = latents(model, source, batch_rows=batch_size, tally=tally, progress=progress)
    return Pass(source, matched, schema, step.batches(model, chunks, schema, table), tally, table)


def run_stream(
    data: Data,
    output: str,
    step: Step,
    *,
    model: str | Path | None = None,
    tag: str | None = None,
    keep: Sequence[str] = (),
    carry: bool = True,
    to: str | None = None,
    batch_size: int | None = None,
    device: str = "auto",
    threads: int | None = None,
    read: ReadOptions | None = None,
    progress: Progress = SILENT,
) -> StreamResult:
    """Stream `data` through the model into `output`, as `open_pass` says."""
    began = time.perf_counter()
    loaded = load_model(model_directory(model, tag), device=device, threads=threads)
    opened = open_pass(
        loaded, data, step,
        keep=keep, carry=carry, batch_size=batch_size, read=read, progress=progress,
    )  # fmt: skip
    rows, table = 0, opened.table
    with open_sink(output, opened.schema, inputs=opened.source.paths, format=to) as sink:
        for batch in opened.batches:
            sink.write(batch)
            rows += batch.num_rows
    progress.finish()
    return StreamResult(
        model=loaded.directory,
        output=output,
        rows=rows,
        columns=opened.schema.names,
        seconds=time.perf_counter() - began,
        unseen=opened.tally.unseen(),
        missing=opened.tally.missing(),
        ignored=opened.matched.ignored,
        notes=table.notes if table else [],
        uncovered=table.uncovered if table else 0,
    )
