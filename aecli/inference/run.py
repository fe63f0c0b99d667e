"""One pass of a table through a loaded model: what every streaming command does."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pyarrow as pa

from aecli.errors import UsageError
from aecli.features.training_range import Tally
from aecli.inference.batches import (
    EncodedBatch,
    SampleBatch,
    WindowedTable,
    encoded_batches,
    open_windows,
    row_batches,
    window_batches,
)
from aecli.inference.loaded_model import LoadedModel
from aecli.inference.range_notes import range_notes
from aecli.model_directory.location import require_not_a_part
from aecli.progress import SILENT, Progress
from aecli.schema.model_spec import ModelSpec
from aecli.schema.read_options import ReadOptions
from aecli.table.column_match import match_columns
from aecli.table.source import Data, Source, open_source
from aecli.table.writers import open_writer


@dataclass(frozen=True)
class StreamResult:
    """Result of `encode`, `reconstruct` or `predict`.

    `rows` are those written; `unit` says whether each is a row or a window of the table.
    `unseen` counts cells whose category the training rows did not have, `out_of_range` those
    outside the range of training or other than its constant, `missing` empty cells in columns that
    had none, all per column; `ignored` are columns the model does not know.
    `notes` say how rows were cut into windows and what else was unusual; `uncovered` rows lie in no
    window. `filled` and `unfilled` count, per column, the missing cells that `reconstruct` with
    `fill` had a value for and those it had none for.
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
    out_of_range: Mapping[str, int] = field(default_factory=dict)
    unit: str = "row"


class Pass:
    """One pass of a table through a model: samples in, record batches out, in order.

    A command opens it with `over`, says with `output` or `output_encoded` what is made of the
    samples, and writes or collects the batches, which are computed when they are asked for.

    Attributes:
        model: the loaded model.
        source: the table, narrowed to what the model reads and what is carried; None for draws.
        carried: columns of the table that go before those that are made.
        ignored: columns of the table that the model does not know.
        has_label: whether the table has the model's label.
        constants: reads the constant columns that the table has.
        tallies: counts of cells, of columns that vary and of constant ones, as they are read.
        windowed: the table cut into windows; None before it is read, or where samples are rows.
        by_row: whether the output has rows where the model reads windows.
        schema: of the batches.
        batches: the output.
    """

    def __init__(
        self,
        model: LoadedModel,
        source: Source | None = None,
        *,
        carried: Sequence[str] = (),
        ignored: Sequence[str] = (),
        constants: Sequence[str] = (),
        has_label: bool = False,
        batch_size: int | None = None,
        progress: Progress = SILENT,
    ) -> None:
        self.model = model
        self.source = source
        self.carried = list(carried)
        self.ignored = list(ignored)
        self.has_label = has_label
        self.batch_size = batch_size
        self.progress = progress
        self.constants = model.constant_reader(constants)
        self.tallies = Tally(model.reader.layout), Tally(self.constants.layout)
        self.windowed: WindowedTable | None = None
        self.by_row = False
        self.schema = pa.schema([])
        self.batches: Iterator[pa.RecordBatch] = iter(())

    @classmethod
    def over(
        cls,
        model: LoadedModel,
        data: Data,
        *,
        keep: Sequence[str] = (),
        references: Sequence[str] = (),
        carry: bool = True,
        with_label: bool = False,
        batch_size: int | None = None,
        read: ReadOptions | None = None,
        progress: Progress = SILENT,
    ) -> Pass:
        """Open a pass over a table, which is matched with the model; `data` may be a source.

        Identifiers and the columns of `keep` are carried, unless `carry` is False, and so are
        `references`, such as anomaly marks, which the model must not see. `batch_size` is rows, or
        windows, per pass through the network.

        Raises:
            DataError: the table cannot be read or lacks columns.
        """
        source = data if isinstance(data, Source) else open_source(data, read or ReadOptions())
        source, matched = match_columns(
            source,
            model.spec,
            keep=[*keep, *references],
            with_label=with_label,
            constants=True,
            references=references,
        )
        return cls(
            model,
            source,
            carried=matched.kept if carry else (),
            ignored=matched.ignored,
            constants=matched.constants,
            has_label=matched.label,
            batch_size=batch_size,
            progress=progress,
        )

    def samples(self, stage: str, *, carried: Sequence[str] | None = None) -> Iterator[SampleBatch]:
        """Return the table's rows, with every column read, or its windows with those `carried`.

        Windows of rows are staged at once, since they follow their own order. The caller reports
        the progress of `stage`.

        Raises:
            DataError: the table cannot be cut into windows.
        """
        assert self.source is not None, "only a pass over a table has samples"
        if self.model.spec.network.window == 1:
            self.progress.stage(stage, self.source.n_rows)
            return row_batches(
                self.model, self.source, self.constants, self.batch_size, self.tallies
            )
        self.windowed = open_windows(
            self.model, self.source, self.constants, tallies=self.tallies, progress=self.progress
        )
        self.progress.stage(stage, len(self.windowed.windows), "window")
        columns = self.carried if carried is None else carried
        return window_batches(self.model, self.windowed, columns, self.batch_size)

    def encoded(self, *, carried: Sequence[str] | None = None) -> Iterator[EncodedBatch]:
        """Return the samples with their latents."""
        samples = self.samples("encoding", carried=carried)
        return encoded_batches(self.model, samples, self.progress)

    def output(self, fields: Sequence[pa.Field], batches: Iterator[pa.RecordBatch]) -> Pass:
        """Set the output: the carried columns, then `fields`; `batches` are made of both.

        Raises:
            UsageError: a carried column has the name of one of `fields`, or two of these have one.
        """
        schema = pa.schema([]) if self.source is None else self.source.schema
        copies = {} if self.source is None else self.source.copies
        carried = [schema.field(n).with_name(copies.get(n, n)) for n in self.carried]
        self.schema = output_schema(carried, fields, self.model.spec)
        self.batches = batches
        return self

    def output_encoded(
        self, fields: Sequence[pa.Field], arrays: Callable[[EncodedBatch], list[pa.Array]]
    ) -> Pass:
        """Set the output to what `arrays` makes of each encoded batch: one array per field.

        Raises:
            DataError: the table cannot be cut into windows.
            UsageError: a carried column has the name of one of `fields`, or two of these have one.
        """

        def joined(samples: EncodedBatch) -> pa.RecordBatch:
            return self.joined(samples.batch, arrays(samples))

        return self.output(fields, map(joined, self.encoded()))

    def joined(self, batch: pa.RecordBatch, arrays: Sequence[pa.Array]) -> pa.RecordBatch:
        """Return a batch of the output: the carried columns of `batch`, then the arrays."""
        carried = [batch.column(name) for name in self.carried]
        return pa.RecordBatch.from_arrays([*carried, *arrays], schema=self.schema)

    def write(self, output: str, to: str | None, *, began: float) -> StreamResult:
        """Write the output to a file or standard output, whole or not at all.

        `to` is the format, whatever the name; `began` is when the command began, by
        `time.perf_counter`.

        Raises:
            UsageError: the output is a file of a model, or an input.
            DataError: a batch cannot be read.
            OutputError: the output cannot be written.
        """
        require_not_a_part(output)
        rows, inputs = 0, self.source.paths if self.source else []
        by_window = self.windowed is not None and not self.by_row
        with open_writer(output, self.schema, inputs=inputs, format=to) as write:
            for batch in self.batches:
                write(batch)
                rows += batch.num_rows
        self.progress.finish()
        return StreamResult(
            model=self.model.directory,
            output=output,
            rows=rows,
            columns=self.schema.names,
            seconds=time.perf_counter() - began,
            unseen=self.tallies[0].unseen(),
            missing=self.tallies[0].missing(),
            ignored=self.ignored,
            notes=[*(self.windowed.notes if self.windowed else []), *self.range_notes()],
            uncovered=self.windowed.uncovered if self.windowed else 0,
            out_of_range=self.out_of_range(),
            unit="window" if by_window else "row",
        )

    def out_of_range(self) -> dict[str, int]:
        """Return the cells of each column that are out of range, or not its constant."""
        found = [*self.tallies[0].beyond(), *self.tallies[1].beyond()]
        return {column.name: below + above for column, _, below, above in found}

    def range_notes(self) -> list[str]:
        """Return one line on each column of which many cells are out of range."""
        return range_notes(*(tally.beyond() for tally in self.tallies))

    def cell_shares(self) -> dict[str, float]:
        """Return the shares of the cells that were read which are missing, unseen, out of range."""
        varying, constants = self.tallies
        counts = {
            "missing_share": varying.missing_cells + constants.missing_cells,
            "unseen_share": sum(varying.unseen().values()),
            "out_of_range_share": sum(self.out_of_range().values()),
        }
        cells = max(1, varying.cells + constants.cells)
        return {name: count / cells for name, count in counts.items()}

    def read_all(self) -> pa.Table:
        """Return the output as one table in memory."""
        return pa.Table.from_batches(self.batches, self.schema)


def output_schema(
    carried: Sequence[pa.Field], new: Sequence[pa.Field], spec: ModelSpec
) -> pa.Schema:
    """Return the schema of an output: columns that are carried, then those that a model makes.

    Raises:
        UsageError: a carried column has the name of one that the model makes, or two of these
            have one name.
    """
    twice = [name for name, count in Counter(field.name for field in new).items() if count > 1]
    if twice:
        raise UsageError(
            f"two output columns would be called {twice[0]!r}",
            hint="rename one of the columns that it comes from, and train again",
        )
    clash = {field.name for field in carried} & {field.name for field in new}
    if clash:
        raise _name_clash(min(clash), spec)
    return pa.schema([*carried, *new])


def _name_clash(name: str, spec: ModelSpec) -> UsageError:
    if name not in [item.name for item in spec.ids]:
        return UsageError(
            f"the kept column {name!r} has the name of an output column",
            hint="leave it out of --keep, or rename it in the table",
        )
    windows = spec.options.windows
    ordering = name in (*windows.group, windows.time)
    other = f"{name}_id"
    return UsageError(
        f"the identifier {name!r} has the name of an output column",
        facts=["identifiers of the training table are carried into every output"],
        hint=f"rename it in the table to {other!r}, and "
        + ("train again" if ordering else f"--keep {other!r}"),
    )
