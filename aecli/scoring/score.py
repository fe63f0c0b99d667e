"""Score a table's rows: how odd each is, and which columns make it so."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import pyarrow as pa

from aecli.errors import UsageError
from aecli.features.reader import Tally
from aecli.inference.batches import joined_schema, row_cells
from aecli.inference.loaded_model import LoadedModel, load_model
from aecli.inference.run import StreamResult
from aecli.inference.windows import WindowedTable, open_windows, window_cells
from aecli.model_directory import model_directory
from aecli.progress import SILENT, Progress
from aecli.schema.model_spec import (
    AGGREGATES,
    ModelSpec,
)
from aecli.schema.options import ReadOptions
from aecli.scoring.output_columns import ScoreColumns, Shape, of_samples, scores_of_rows
from aecli.scoring.scorer import Scorer
from aecli.scoring.threshold import check_threshold, threshold_value
from aecli.table.column_match import MatchedColumns, match_columns
from aecli.table.source import Data, Source, open_source
from aecli.table.writers import open_sink


@dataclass(frozen=True)
class ScoreResult(StreamResult):
    """Hold what `score` wrote, and how many rows or windows lie above the threshold.

    `calibrated_on` names the rows that percentiles and the threshold come from, `calibrated_rows`
    of them.
    """

    outliers: int = 0
    threshold: float = 0.0
    calibrated_on: str = ""
    calibrated_rows: int = 0


def score(
    data: Data,
    output: str,
    *,
    explain: int = 3,
    detail: bool = False,
    threshold: str | float = "auto",
    aggregate: str = "mean",
    score_unit: str = "window",
    model: str | os.PathLike[str] | None = None,
    tag: str | None = None,
    keep: Sequence[str] = (),
    to: str | None = None,
    batch_size: int | None = None,
    device: str = "auto",
    threads: int | None = None,
    read: ReadOptions | None = None,
    progress: Progress = SILENT,
) -> ScoreResult:
    """Write how odd `data`'s rows are to `output`, in order, in constant memory.

    Args:
        data: paths, globs or folders, `-`, or a table in memory; the label may be absent.
        output: a file whose name says the format, or `-` for standard output.
        explain: how many of the columns that make a row odd to name.
        detail: every column's value, reconstruction and error as well.
        threshold: `auto`, a percentile such as `p99`, `fpr:0.01`, or a score.
        aggregate: how the columns' errors count in the score: `mean`, `max` or `top3`.
        score_unit: `window` or `row`, where the model encodes windows; a row has the mean of
            its windows.

    Raises:
        UsageError: an argument is unknown or out of bounds, or does not fit the model.
        ModelError: the model is missing, damaged, too new, or was saved without scores.
        DataError: the table cannot be read or lacks columns.
        OutputError: the output cannot be written.
    """
    began = time.perf_counter()
    _check(explain, aggregate, score_unit)
    check_threshold(threshold)
    loaded = load_model(model_directory(model, tag), device=device, threads=threads)
    opened = open_scoring(
        loaded, data, explain=explain, detail=detail, threshold=threshold, aggregate=aggregate,
        score_unit=score_unit, keep=keep, batch_size=batch_size, read=read, progress=progress,
    )  # fmt: skip
    run, schema = opened.run, opened.schema
    with open_sink(output, schema, inputs=opened.source.paths, format=to) as sink:
        rows = 0
        for batch in opened.batches():
            sink.write(batch)
            rows += batch.num_rows
    progress.finish()
    return ScoreResult(
        model=loaded.directory,
        output=output,
        rows=rows,
        columns=schema.names,
        seconds=time.perf_counter() - began,
        unseen=run.tally.unseen(),
        missing=run.tally.missing(),
        ignored=opened.matched.ignored,
        notes=run.table.notes if run.table else [],
        uncovered=run.table.uncovered if run.table else 0,
        outliers=opened.columns.outliers,
        threshold=opened.limit,
        calibrated_on=opened.calibrated_on,
        calibrated_rows=opened.calibrated_rows,
    )


@dataclass(frozen=True)
class Scoring:
    """Hold a table that is about to be scored; scores above `limit` are outliers."""

    source: Source
    matched: MatchedColumns
    schema: pa.Schema
    columns: ScoreColumns
    limit: float
    calibrated_on: str
    calibrated_rows: int
    run: Run
    by_row: bool

    def batches(self) -> Iterator[pa.RecordBatch]:
        """Yield the output, batch by batch."""
        return self.run.batches(self.matched.kept, by_row=self.by_row)


def open_scoring(
    model: LoadedModel,
    data: Data,
    *,
    explain: int = 3,
    detail: bool = False,
    threshold: str | float = "auto",
    aggregate: str = "mean",
    score_unit: str = "window",
    keep: Sequence[str] = (),
    batch_size: int | None = None,
    read: ReadOptions | None = None,
    progress: Progress = SILENT,
) -> Scoring:
    """Open a table to be scored with a loaded model; arguments and errors are those of `score`."""
    _check(explain, aggregate, score_unit)
    check_threshold(threshold)
    scorer, spec = Scorer.of(model), model.spec
    by_row = spec.network.window == 1 or score_unit == "row"
    if detail and not by_row:
        raise UsageError(
            "--detail shows rows, and this model scores windows", hint="--score-unit row"
        )
    assert spec.calibration is not None, "the scorer has looked"
    scale = spec.calibration.scales[aggregate]
    limit = threshold_value(threshold, scale)
    columns = ScoreColumns(spec.columns, Shape(aggregate, scale, limit, explain, detail))
    kept = [*keep, *(_varying(spec) if detail else [])]
    source, matched = match_columns(open_source(data, read or ReadOptions()), spec, keep=kept)
    made = columns.fields()
    if detail:
        _check_details(spec, [field.name for field in made])
    schema = joined_schema([source.schema.field(n) for n in matched.kept], made, spec)
    run = Run(model, scorer, columns, source, schema, aggregate, batch_size, progress)
    on, rows = spec.calibration.source, spec.calibration.rows
    return Scoring(source, matched, schema, columns, limit, on, rows, run, by_row)


class Run:
    """Score the rows or windows of one table, batch by batch."""

    def __init__(
        self,
        model: LoadedModel,
        scorer: Scorer,
        columns: ScoreColumns,
        source: Source,
        schema: pa.Schema,
        aggregate: str,
        batch_size: int | None,
        progress: Progress,
    ) -> None:
        self.tally = Tally(model.reader.layout)
        self.table: WindowedTable | None = None
        self._model = model
        self._scorer = scorer
        self._columns = columns
        self._source = source
        self._schema = schema
        self._aggregate = aggregate
        self._batch_size = batch_size
        self._progress = progress
        if scorer.window > 1:
            self.table = open_windows(model, source, tally=self.tally, progress=progress)

    def batches(self, kept: Sequence[str], *, by_row: bool) -> Iterator[pa.RecordBatch]:
        """Yield the output, with the columns `kept` of the table before the scores."""
        if self.table is None:
            return self._rows(kept)
        self._progress.stage("scoring", len(self.table.windows))
        return (
            self._rows_of_windows(kept, self.table) if by_row else self._windows(kept, self.table)
        )

    def _rows(self, kept: Sequence[str]) -> Iterator[pa.RecordBatch]:
        self._progress.stage("scoring", self._source.n_rows)
        for batch, cells in row_cells(self._model, self._source, self._batch_size, self.tally):
            found = self._scorer.score(cells)
            arrays = self._columns.arrays(of_samples(found, self._aggregate), found.outputs)
            yield self._joined(batch, kept, arrays)
            self._progress.rows(batch.num_rows)

    def _windows(self, kept: Sequence[str], table: WindowedTable) -> Iterator[pa.RecordBatch]:
        for batch, cells, _ in window_cells(self._model, table, kept, self._batch_size):
            found = self._scorer.score(cells)
            arrays = self._columns.arrays(of_samples(found, self._aggregate), None)
            yield self._joined(batch, kept, arrays)
            self._progress.rows(batch.num_rows)

    def _rows_of_windows(
        self, kept: Sequence[str], table: WindowedTable
    ) -> Iterator[pa.RecordBatch]:
        cut = window_cells(self._model, table, [], self._batch_size)
        found, outputs = scores_of_rows(
            self._scorer, table, ((cells, rows) for _, cells, rows in cut), self._aggregate,
            self._progress,
        )  # fmt: skip
        start = 0
        for batch in table.source.batches():
            rows = slice(start, start + batch.num_rows)
            start += batch.num_rows
            arrays = self._columns.arrays(found.rows(rows), outputs[rows])
            yield self._joined(batch, kept, arrays)

    def _joined(
        self, batch: pa.RecordBatch, kept: Sequence[str], arrays: list[pa.Array]
    ) -> pa.RecordBatch:
        carried = [batch.column(name) for name in kept]
        return pa.RecordBatch.from_arrays([*carried, *arrays], schema=self._schema)


def _varying(spec: ModelSpec) -> list[str]:
    return [column.name for column in spec.columns if not column.constant]


def _check_details(spec: ModelSpec, made: Sequence[str]) -> None:
    twice = next((name for name in _varying(spec) if name in made), None)
    if twice is not None:
        raise UsageError(
            f"--detail would write two columns called {twice!r}",
            facts=["it shows the feature of that name, and makes a column of that name"],
            hint=f"leave --detail out, or rename {twice!r} in the table and train again",
        )


def _check(explain: int, aggregate: str, score_unit: str) -> None:
    if explain < 0:
        raise UsageError(f"explain={explain}: there is nothing to name", hint="explain=3")
    if aggregate not in AGGREGATES:
        known = ", ".join(AGGREGATES)
        raise UsageError(f"aggregate={aggregate!r} is none of {known}", hint="aggregate='mean'")
    if score_unit not in ("window", "row"):
        raise UsageError(
            f"score_unit={score_unit!r} is neither window nor row", hint="score_unit='row'"
        )
