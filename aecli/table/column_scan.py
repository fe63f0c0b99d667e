"""Scan a table once for the statistics that decide how each column is used."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction

import numpy as np
import pyarrow as pa

from aecli.array_types import Floats, Indices, Mask
from aecli.errors import DataError
from aecli.progress import SILENT, Progress
from aecli.ranks import ONE_PROCESS, Ranks
from aecli.row_sample import RowSample, joined_columns, position_keys
from aecli.table.arrow_types import number_values, vector_values
from aecli.table.calendar_periods import smallest_step
from aecli.table.candidate import Candidate
from aecli.table.column_groups import column_groups
from aecli.table.column_statistics import Moments, RowNumbers, ValueCounts, quartiles, sample_rows
from aecli.table.decimal_grid import (
    first_decimals,
    grid_of,
    joined_decimals,
    rounding,
    with_decimals,
)
from aecli.table.exact_numbers import differences, first_value, needs_origin
from aecli.table.row_range import changed_error
from aecli.table.source import Source
from aecli.table.text_sample import SAMPLED_TEXTS, add_texts
from aecli.table.vector_statistics import VectorStatistics

# Number of float64 values of a tile that stays in the processor's cache during the passes over it.
TILE_VALUES = (2 << 20) // 8
# Number of values of a batch: at most 128 MB.
MAX_BATCH_VALUES = 1 << 24
MAX_BATCH_ROWS = 65_536


@dataclass(frozen=True)
class ScanPart:
    """Part of a table that a rank scans, after `before` rows, `trained` of them training rows."""

    before: int = 0
    trained: int = 0
    ranks: Ranks = ONE_PROCESS


WHOLE = ScanPart()
"""All rows of a table."""


class ColumnScan:
    """Statistics of a table's candidates, from one pass over its rows or over a part of them.

    `moments` has one entry per column of `scalars` (numbers, times, booleans), at `position[name]`;
    `steps` are the smallest differences of the times of a batch in the same order.
    `rows` counts training rows, `seen` all rows, `infinite` cells treated as missing. `origins`
    are the exact origins of columns whose moments are those of `value - origin`.
    """

    def __init__(
        self,
        table: str,
        candidates: Sequence[Candidate],
        *,
        nonfinite: str,
        quartiles: bool,
        part: ScanPart = WHOLE,
    ) -> None:
        self.table = table
        self.part = part
        self.scalars = [c for c in candidates if c.kind in ("number", "time", "boolean")]
        self.position = {c.name: index for index, c in enumerate(self.scalars)}
        self.moments = Moments(len(self.scalars))
        self.steps = np.full(len(self.scalars), np.inf)
        self.vectors = {c.name: VectorStatistics(c.type) for c in candidates if c.kind == "vector"}
        self.roundings = np.array(
            [rounding(c.type) if c.kind == "number" else 0.0 for c in self.scalars]
        )
        self.decimals = first_decimals(self.roundings)
        self.counts = {
            c.name: ValueCounts(c.name, keep=c.exact and not c.may_be_text)
            for c in candidates
            if c.counted
        }
        self.texts = {
            c.name: RowSample(SAMPLED_TEXTS, part.trained) for c in candidates if c.may_be_text
        }
        self.row_numbers = RowNumbers(
            (i for i, c in enumerate(self.scalars) if c.may_be_row_number), part.before
        )
        self.infinite: dict[str, int] = {}
        self.origins: dict[str, str] = {}
        self.sample: RowSample | None = None
        self.rows = self.seen = 0
        self._refuse_infinite = nonfinite == "error"
        self._quartiles = quartiles
        self._width = sum(getattr(c.type, "list_size", 1) for c in candidates)

    def read(
        self, source: Source, train_rows: Mask | None, progress: Progress = SILENT
    ) -> ColumnScan:
        """Read `source`, whose columns are the candidates in their order.

        `train_rows` are those of the part.

        Raises:
            DataError: a number is infinite, a text is not valid UTF-8, or the number of rows
                differs from `train_rows`.
        """
        progress.stage("fitting columns", source.n_rows)
        samples: list[RowSample] = []
        expected = None if train_rows is None else len(train_rows)
        batch_rows = source.batch_rows(self._batch_rows())
        for group in column_groups(source):
            self.rows, self.seen, self.sample = 0, 0, None
            share = len(group.names) / len(source.names)
            for batch in group.batches(batch_rows):
                at = slice(self.seen, self.seen + batch.num_rows)
                mask = None if train_rows is None else train_rows[at]
                self._add(batch, None if mask is None or mask.all() else np.flatnonzero(mask))
                progress.rows(round(share * batch.num_rows))
            if (expected := self.seen if expected is None else expected) != self.seen:
                raise changed_error(self.table, expected, self.seen)
            samples += [] if self.sample is None else [self.sample]
        self.sample = joined_columns(samples) if samples else None
        return self

    def merge(self, other: ColumnScan) -> None:
        """Add the statistics of the rows after these, without samples of them.

        Steps of times between the two parts count where all of one part are later.
        """
        times = np.array([candidate.kind == "time" for candidate in self.scalars], dtype=np.bool_)
        for step in (other.moments.low - self.moments.high, self.moments.low - other.moments.high):
            self.steps = np.where(times & (step > 0), np.fmin(self.steps, step), self.steps)
        self.steps = np.minimum(self.steps, other.steps)
        self.moments.merge(other.moments)
        self.decimals = joined_decimals(self.decimals, other.decimals)
        self.row_numbers.merge(other.row_numbers)
        for name, vectors in self.vectors.items():
            vectors.merge(other.vectors[name])
        for name, counts in self.counts.items():
            counts.merge(other.counts[name])
        for name, count in other.infinite.items():
            self.infinite[name] = self.infinite.get(name, 0) + count
        self.rows += other.rows
        self.seen += other.seen

    def training_columns(
        self, source: Source, names: Sequence[str], train_rows: Mask | None
    ) -> Iterator[list[pa.Array]]:
        """Yield some columns of the training rows, batch by batch."""
        start = 0
        for batch in source.select(names).batches(rows=self._batch_rows()):
            stop = start + batch.num_rows
            mask = None if train_rows is None else pa.array(train_rows[start:stop])
            yield [column if mask is None else column.filter(mask) for column in batch.columns]
            start = stop

    def read_differences(self, source: Source, train_rows: Mask | None) -> None:
        """Read columns again as differences from their first value, where float64 loses digits.

        The other statistics are already those of all ranks.
        """
        names = [candidate.name for candidate in self.scalars if self._loses_digits(candidate)]
        if not names:
            return
        self.origins = self._first_values(source, names, train_rows)
        origins = [Fraction(self.origins.get(name, 0)) for name in names]
        moments = Moments(len(names))
        for columns in self.training_columns(source, names, train_rows):
            for cell, (origin, column) in enumerate(zip(origins, columns, strict=True)):
                moments.add(differences(column, origin)[None, :], slice(cell, cell + 1))
        first, *others = self.part.ranks.gather(moments)
        for other in others:
            first.merge(other)
        self.moments.replace([self.position[name] for name in names], first)

    def _first_values(
        self, source: Source, names: Sequence[str], train_rows: Mask | None
    ) -> dict[str, str]:
        """Return the first training value of each column that has one, of the first rank first."""
        found: dict[str, str] = {}
        for columns in self.training_columns(source, names, train_rows):
            for name, column in zip(names, columns, strict=True):
                if name not in found and (first := first_value(column)) is not None:
                    found[name] = first
            if len(found) == len(names):
                break
        merged: dict[str, str] = {}
        for values in self.part.ranks.gather(found):
            merged = values | merged
        return merged

    def _loses_digits(self, candidate: Candidate) -> bool:
        at = self.position[candidate.name]
        low, high = float(self.moments.low[at]), float(self.moments.high[at])
        return needs_origin(candidate.type, low, high)

    def _add(self, batch: pa.RecordBatch, rows: Indices | None) -> None:
        self._add_scalars(batch, rows)
        for name, array in zip(batch.schema.names, batch.columns, strict=True):
            if name in self.vectors:
                self._add_vectors(name, self.vectors[name], array, rows)
            if name in self.counts:
                chosen = array if rows is None else array.take(pa.array(rows))
                self.counts[name].add(chosen)
                if name in self.texts:
                    add_texts(self.texts[name], chosen)
        if self._quartiles:
            self._add_sample(batch, rows)
        self.seen += batch.num_rows
        self.rows += batch.num_rows if rows is None else len(rows)

    def _add_scalars(self, batch: pa.RecordBatch, rows: Indices | None) -> None:
        step = max(1, TILE_VALUES // max(1, batch.num_rows))
        positions = [self.position[name] for name in batch.schema.names if name in self.position]
        first, end = min(positions, default=0), max(positions, default=-1) + 1
        buffer = np.empty((min(step, end - first), batch.num_rows))
        for start in range(first, end, step):
            chunk = self.scalars[start : min(start + step, end)]
            tile = buffer[: len(chunk)]
            for offset, candidate in enumerate(chunk):
                values = number_values(batch.column(candidate.name))
                self.row_numbers.add(start + offset, values)
                tile[offset] = values
            self._remove_infinite(tile, [c.name for c in chunk], self.part.before + self.seen)
            at = slice(start, start + len(chunk))
            values = tile if rows is None else tile.take(rows, axis=1)
            self.decimals[at] = with_decimals(self.decimals[at], values, self.roundings[at])
            for offset, candidate in enumerate(chunk):
                if candidate.kind == "time":
                    smallest = smallest_step(values[offset])
                    self.steps[start + offset] = min(smallest, self.steps[start + offset])
            self.moments.add(values, at)

    def _add_vectors(
        self,
        name: str,
        vectors: VectorStatistics,
        array: pa.Array,
        rows: Indices | None,
    ) -> None:
        vectors.set_size(array)
        if vectors.size is None or vectors.ragged:
            return
        step = max(1, TILE_VALUES // vectors.size)
        for start in range(0, len(array), step):
            values = vector_values(array.slice(start, step), vectors.size)
            if values is None:
                vectors.ragged = True
                return
            tile = np.array(values.T, order="C")
            self._remove_infinite(tile, [name] * vectors.size, self.part.before + self.seen + start)
            if rows is not None:
                inside = rows[(rows >= start) & (rows < start + step)]
                tile = tile.take(inside - start, axis=1)
            vectors.complete += int((~np.isnan(tile).any(axis=0)).sum())
            vectors.decimals = with_decimals(vectors.decimals, tile, vectors.roundings)
            vectors.moments.add(tile)

    def _remove_infinite(self, tile: Floats, names: Sequence[str], before: int) -> None:
        with np.errstate(over="ignore", invalid="ignore"):
            if np.isfinite(tile.sum(axis=1)).all():
                return
        infinite = np.isinf(tile)
        cells = np.flatnonzero(infinite.any(axis=1))
        if self._refuse_infinite and len(cells):
            row = before + int(infinite[cells[0]].argmax()) + 1
            raise DataError(
                f"column {names[cells[0]]!r} of {self.table} contains an infinite number in row "
                f"{row:,}",
                hint="--nonfinite missing",
            )
        for cell in cells.tolist():
            count = int(infinite[cell].sum())
            self.infinite[names[cell]] = self.infinite.get(names[cell], 0) + count
        tile[infinite] = np.nan

    def _add_sample(self, batch: pa.RecordBatch, rows: Indices | None) -> None:
        numbers = {c.name for c in self.scalars if c.kind != "boolean"} | self.vectors.keys()
        part = batch.select([name for name in batch.schema.names if name in numbers])
        if self.sample is None:
            self.sample = RowSample(sample_rows(self._cells()), self.part.trained)
        part = part if rows is None else part.take(pa.array(rows))

        def take(indices: Indices) -> dict[str, pa.RecordBatch]:
            all_rows = len(indices) == part.num_rows
            return {"cells": part if all_rows else part.take(pa.array(indices))}

        self.sample.add(position_keys(self.sample.seen, part.num_rows), take)

    def _cells(self) -> int:
        return len(self.scalars) + sum(v.size or 0 for v in self.vectors.values())

    def _batch_rows(self) -> int:
        return max(1024, min(MAX_BATCH_ROWS, MAX_BATCH_VALUES // max(1, self._width)))

    def size(self, candidate: Candidate) -> int:
        """Return the number of cells of a number, time or vector column."""
        if candidate.kind != "vector":
            return 1
        return self.vectors[candidate.name].size or 0

    def observed(self, candidate: Candidate) -> int:
        """Return the number of training rows in which a column has all of its cells."""
        if candidate.kind == "vector":
            return self.vectors[candidate.name].complete
        return int(self.moments.count[self.position[candidate.name]])

    def decimals_of(self, candidate: Candidate) -> int | None:
        """Return the number of decimals of a column's values; None if it is not limited."""
        if candidate.name in self.origins:
            return None
        if candidate.kind == "vector":
            cells: ColumnScan | VectorStatistics = self.vectors[candidate.name]
            at = slice(None)
        else:
            cells, first = self, self.position[candidate.name]
            at = slice(first, first + 1)
        low, high = cells.moments.low[at], cells.moments.high[at]
        return grid_of(cells.decimals[at], low, high, cells.roundings[at])

    def quartiles(self, names: Sequence[str]) -> tuple[Floats, Floats, Floats] | None:
        """Return the sampled quartiles of number, time and vector columns, one entry per cell."""
        sampled = self.sample.columns() if self.sample is not None else {}
        if not sampled:
            return None
        table = pa.Table.from_batches([sampled["cells"]])
        first, second, third = zip(
            *(quartiles(tile) for tile in self._tiles(table, names)), strict=True
        )
        return np.concatenate(first), np.concatenate(second), np.concatenate(third)

    def _tiles(self, table: pa.Table, names: Sequence[str]) -> Iterator[Floats]:
        for name in names:
            array = table.column(name).combine_chunks()
            if name not in self.vectors:
                if name in self.origins:
                    yield differences(array, Fraction(self.origins[name]))[None, :]
                else:
                    yield number_values(array).astype(np.float64)[None, :]
                continue
            vectors = vector_values(array, self.vectors[name].size or 0)
            if vectors is not None:
                yield vectors.T
