"""Open a model and a table for one streaming pass: what the streaming verbs share."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa

from aecli.features.reader import Tally
from aecli.inference.batches import Chunk, joined_schema, latents
from aecli.inference.loaded_model import LoadedModel, load_model
from aecli.inference.windows import WindowedTable, open_windows, window_chunks
from aecli.model_directory import model_directory
from aecli.progress import SILENT, Progress
from aecli.schema.options import ReadOptions
from aecli.table.column_match import MatchedColumns, match_columns
from aecli.table.source import Data, Source, open_source
from aecli.table.writers import open_sink


@dataclass(frozen=True)
class StreamResult:
    """Hold what `encode`, `reconstruct` or `predict` wrote.

    `unseen` counts cells whose category the training rows did not have, `missing` counts empty
    cells in columns that had none, both per column; `ignored` are columns the model does not know.
    `notes` say how rows were cut into windows and what else was odd; `uncovered` rows lie in no
    window. `filled` and `unfilled` count, per column, the missing cells that `reconstruct` with
    `fill` had an answer for and those it had none for.
    """

    model: Path
    output: str
    rows: int
    columns: Sequence[str]
    seconds: float
    unseen: Mapping[str, int]
    missing: Mapping[str, int]
    ignored: Sequence[str]
    notes: Sequence[str] = ()
    uncovered: int = 0
    filled: Mapping[str, int] = field(default_factory=dict)
    unfilled: Mapping[str, int] = field(default_factory=dict)


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
class Feed:
    """Hold a table on its way through a model, whose `chunks` are made as they are asked for.

    `kept` are the columns that the chunks carry; `tally` counts cells as they pass.
    """

    source: Source
    matched: MatchedColumns
    kept: Sequence[str]
    chunks: Iterator[Chunk]
    tally: Tally
    table: WindowedTable | None


@dataclass(frozen=True)
class Pass:
    """Hold one pass of a table through a model, whose `batches` are made as they are asked for."""

    feed: Feed
    schema: pa.Schema
    batches: Iterator[pa.RecordBatch]


def open_feed(
    model: LoadedModel,
    data: Data,
    *,
    keep: Sequence[str] = (),
    carry: bool = True,
    batch_size: int | None = None,
    read: ReadOptions | None = None,
    progress: Progress = SILENT,
) -> Feed:
    """Match a table with the model and encode it as it is read.

    Identifier and kept columns go along, unless `carry` is False. Windows of rows are staged first,
    since they follow their own order. `data` may be a source that is open.
    """
    source = data if isinstance(data, Source) else open_source(data, read or ReadOptions())
    source, matched = match_columns(source, model.spec, keep=keep)
    kept = matched.kept if carry else []
    tally, table = Tally(model.reader.layout), None
    if model.spec.network.window > 1:
        table = open_windows(model, source, tally=tally, progress=progress)
        chunks = window_chunks(model, table, kept, batch_windows=batch_size, progress=progress)
    else:
        chunks = latents(model, source, batch_rows=batch_size, tally=tally, progress=progress)
    return Feed(source, matched, kept, chunks, tally, table)


def open_pass(model: LoadedModel, data: Data, step: Step, **how: Any) -> Pass:
    """Open a pass of `data` through the model: the same rows, in the same order.

    The columns that `open_feed` carries go before what the step makes; `how` are its arguments.
    """
    feed = open_feed(model, data, **how)
    carried = [feed.source.schema.field(name) for name in feed.kept]
    schema = joined_schema(carried, step.fields(model), model.spec)
    return Pass(feed, schema, step.batches(model, feed.chunks, schema, feed.table))


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
    rows, feed = 0, opened.feed
    with open_sink(output, opened.schema, inputs=feed.source.paths, format=to) as sink:
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
        unseen=feed.tally.unseen(),
        missing=feed.tally.missing(),
        ignored=feed.matched.ignored,
        notes=feed.table.notes if feed.table else [],
        uncovered=feed.table.uncovered if feed.table else 0,
    )
