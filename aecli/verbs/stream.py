"""Open a model and a table for one streaming pass: what the streaming verbs share."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pyarrow as pa

from aecli.bundle import model_directory
from aecli.feed.cells import Tally
from aecli.progress import SILENT, Progress
from aecli.spec.options import ReadOptions
from aecli.stream.model import LoadedModel, load_model
from aecli.stream.rows import Chunk, joined_schema, latents
from aecli.stream.windows import WindowedTable, open_windows, window_chunks
from aecli.table.match import match_columns
from aecli.table.source import Data, Source, open_source
from aecli.table.write import open_sink
from aecli.verbs.results import StreamResult

Step = Callable[
    [LoadedModel, Iterator[Chunk], pa.Schema, WindowedTable | None], Iterator[pa.RecordBatch]
]


def run_stream(
    data: Data,
    output: str,
    *,
    fields: Callable[[LoadedModel], list[pa.Field]],
    step: Step,
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
    """Stream `data` through the model into `output`: the same rows, in the same order.

    `fields` says what the step makes of each row; identifier and kept columns go before it, unless
    `carry` is False. Windows of rows are staged first, since they follow their own order. `data`
    may be a source that is already open.
    """
    began = time.perf_counter()
    loaded = load_model(model_directory(model, tag), device=device, threads=threads)
    source = data if isinstance(data, Source) else open_source(data, read or ReadOptions())
    source, matched = match_columns(source, loaded.spec, keep=keep)
    kept = matched.kept if carry else []
    carried = [source.schema.field(name) for name in kept]
    schema = joined_schema(carried, fields(loaded))
    tally = Tally(loaded.reader.layout)
    rows, table = 0, None
    if loaded.spec.network.window > 1:
        table = open_windows(loaded, source, tally=tally, progress=progress)
    with open_sink(output, schema, inputs=source.paths, format=to) as sink:
        if table is None:
            chunks = latents(loaded, source, batch_rows=batch_size, tally=tally, progress=progress)
        else:
            chunks = window_chunks(loaded, table, kept, batch_windows=batch_size, progress=progress)
        for batch in step(loaded, chunks, schema, table):
            sink.write(batch)
            rows += batch.num_rows
    progress.finish()
    return StreamResult(
        model=loaded.directory,
        output=output,
        rows=rows,
        columns=schema.names,
        seconds=time.perf_counter() - began,
        unseen=tally.unseen(),
        missing=tally.missing(),
        ignored=matched.ignored,
        notes=table.notes if table else [],
        uncovered=table.uncovered if table else 0,
    )
