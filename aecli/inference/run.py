"""Pass of a table through a loaded model, shared by all streaming commands."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, nullcontext

import pyarrow as pa
import torch

from aecli.errors import UsageError
from aecli.features.training_range import Tally
from aecli.inference.batches import (
    EncodedBatch,
    PrepareSamples,
    SampleBatch,
    Used,
    WindowedTable,
    encoded_batches,
    open_windows,
    row_batches,
    sample_batches,
    window_batches,
)
from aecli.inference.loaded_model import LoadedModel
from aecli.inference.pipeline import write_behind
from aecli.inference.range_notes import range_notes
from aecli.inference.stream_result import StreamResult
from aecli.model_directory.location import require_not_a_part
from aecli.progress import SILENT, Progress
from aecli.schema.model_spec import ModelSpec
from aecli.schema.read_options import ReadOptions
from aecli.table.column_match import match_columns
from aecli.table.source import Data, Source, open_source
from aecli.table.writers import Write, open_writer


class Pass:
    """One pass of a table through a model: samples in, record batches out, in order.

    `over` opens a table, `output` or `output_encoded` defines the output, whose batches are
    computed lazily and then written or collected.

    Attributes:
        model: the loaded model.
        source: the table, with the columns to read or copy; None if rows are drawn.
        carried: columns of the table that are copied to the output, before its own columns.
        ignored: columns of the table that are unknown to the model.
        has_label: whether the table has the model's label.
        constants: reads the constant columns of the table.
        tallies: counts of cells, of varying and of constant columns.
        windowed: the table divided into windows; None before reading, or for models of rows.
        by_row: whether the output has rows although the model reads windows.
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
        # An exception of the writer keeps the batches, and so the threads that compute them.
        self._closing = ExitStack()

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
        """Open a pass over a table, matched with the model; `data` may be a source.

        Identifiers and the columns of `keep` are copied, if `carry` is True, and so are
        `references`, such as anomaly labels, which are not inputs of the model. `batch_size` is
        rows, or windows, per batch of the network.

        Raises:
            DataError: the table cannot be read, or columns are missing.
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

    def samples(
        self,
        stage: str,
        *,
        carried: Sequence[str] | None = None,
        kept: Sequence[str] | None = None,
    ) -> Iterator[SampleBatch]:
        """Return the rows of the table with all columns, or its windows with those in `carried`.

        Windows of rows are staged at once, because they have their own order. The caller reports
        the progress of `stage`. Rows have only the columns `kept`, if it is given.

        Raises:
            DataError: the table cannot be divided into windows.
        """
        samples = sample_batches(self._prepared(stage, carried, kept))
        self._closing.callback(samples.close)
        return samples

    def _prepared(
        self, stage: str, carried: Sequence[str] | None, kept: Sequence[str] | None
    ) -> Generator[PrepareSamples]:
        """Return what prepares the samples that `samples` returns."""
        assert self.source is not None, "only a pass over a table has samples"
        if self.model.spec.network.window == 1:
            self.progress.stage(stage, self.source.n_rows)
            return row_batches(
                self.model, self.source, self.constants, self.batch_size, self.tallies, kept
            )
        self.windowed = open_windows(
            self.model, self.source, self.constants, tallies=self.tallies, progress=self.progress
        )
        self.progress.stage(stage, len(self.windowed.windows), "window")
        columns = self.carried if carried is None else carried
        return window_batches(self.model, self.windowed, columns, self.batch_size)

    def encoded(
        self,
        stage: str = "encoding",
        *,
        carried: Sequence[str] | None = None,
        kept: Sequence[str] | None = None,
    ) -> Iterator[EncodedBatch]:
        """Return the samples with their latents; `carried` and `kept` are those of `samples`."""
        return self._encoded(lambda encoded: encoded, stage, carried, kept)

    def _encoded(
        self,
        use: Callable[[EncodedBatch], Used],
        stage: str = "encoding",
        carried: Sequence[str] | None = None,
        kept: Sequence[str] | None = None,
    ) -> Iterator[Used]:
        """Return what `use` returns for the batches of `encoded`, in the thread of each."""
        prepared = self._prepared(stage, carried, kept)
        encoded = encoded_batches(self.model, prepared, use, self.progress)
        self._closing.callback(encoded.close)
        return encoded

    def output(self, fields: Sequence[pa.Field], batches: Iterator[pa.RecordBatch]) -> Pass:
        """Set the output: the copied columns, then `fields`; `batches` contain both.

        Raises:
            UsageError: two output columns have the same name.
        """
        schema = pa.schema([]) if self.source is None else self.source.schema
        carried = [schema.field(n).with_name(title) for n, title in self.titles().items()]
        self.schema = output_schema(carried, fields, self.model.spec)
        self.batches = batches
        return self

    def output_encoded(
        self, fields: Sequence[pa.Field], arrays: Callable[[EncodedBatch], list[pa.Array]]
    ) -> Pass:
        """Set the output to the arrays, one per field, that `arrays` returns for encoded batches.

        Raises:
            DataError: the table cannot be divided into windows.
            UsageError: two output columns have the same name.
        """

        def joined(samples: EncodedBatch) -> pa.RecordBatch:
            return self.joined(samples.batch, arrays(samples))

        return self.output(fields, self._encoded(joined, kept=self.carried))

    def titles(self) -> dict[str, str]:
        """Return what each carried column is called in the output, by its name in the source."""
        copies = {} if self.source is None else self.source.copies
        return {name: copies.get(name, name) for name in self.carried}

    def joined(self, batch: pa.RecordBatch, arrays: Sequence[pa.Array]) -> pa.RecordBatch:
        """Return a batch of the output: the copied columns of `batch`, then the arrays."""
        carried = [batch.column(name) for name in self.carried]
        return pa.RecordBatch.from_arrays([*carried, *arrays], schema=self.schema)

    def write(self, output: str | None, to: str | None, *, began: float) -> StreamResult:
        """Write the complete output, or nothing, to a file or standard output.

        Without `output` the batches are computed and not written. `to` is the format, for any
        suffix; `began` is the start of the command by `time.perf_counter`.

        Raises:
            UsageError: the output is a file of a model, or an input.
            DataError: a batch cannot be read.
            OutputError: the output cannot be written.
        """
        rows, inputs = 0, self.source.paths if self.source else []
        by_window = self.windowed is not None and not self.by_row
        writer: AbstractContextManager[Write] = nullcontext(lambda batch: None)
        if output is not None:
            require_not_a_part(output)
            writer = open_writer(output, self.schema, inputs=inputs, format=to)
        with writer as write, _in_background(write) as write_later, self._closing:
            for batch in self.batches:
                write_later(batch)
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
        """Return the number of values of each column that are out of range, or not its constant."""
        counts = [*self.tallies[0].beyond(), *self.tallies[1].beyond()]
        return {column.name: below + above for column, _, below, above in counts}

    def range_notes(self) -> list[str]:
        """Return one line on each column with many values out of range."""
        return range_notes(*(tally.beyond() for tally in self.tallies))

    def cell_shares(self) -> dict[str, float]:
        """Return the shares of cells that are missing, unseen and out of range."""
        varying, constants = self.tallies
        counts = {
            "missing_share": varying.missing_cells + constants.missing_cells,
            "unseen_share": sum(varying.unseen().values()),
            "out_of_range_share": sum(self.out_of_range().values()),
        }
        return {name: count / max(1, self.cells) for name, count in counts.items()}

    @property
    def cells(self) -> int:
        """Return the number of cells that were read, of varying and of constant columns."""
        return sum(tally.cells for tally in self.tallies)

    def read_all(self) -> pa.Table:
        """Return the output as one table in memory."""
        with self._closing:
            return pa.Table.from_batches(self.batches, self.schema)


def _in_background(write: Write) -> AbstractContextManager[Write]:
    """Write in a thread of its own, where more than one may be used."""
    return write_behind(write) if torch.get_num_threads() > 1 else nullcontext(write)


def output_schema(
    carried: Sequence[pa.Field], new: Sequence[pa.Field], spec: ModelSpec
) -> pa.Schema:
    """Return the schema of an output: copied columns, then new ones.

    Raises:
        UsageError: two columns have the same name.
    """
    twice = [name for name, count in Counter(field.name for field in new).items() if count > 1]
    if twice:
        raise UsageError(
            f"two output columns have the name {twice[0]!r}",
            hint="rename one of the columns that it is derived from, and train again",
        )
    clash = {field.name for field in carried} & {field.name for field in new}
    if clash:
        raise _name_clash(min(clash), spec)
    return pa.schema([*carried, *new])


def _name_clash(name: str, spec: ModelSpec) -> UsageError:
    if name not in [item.name for item in spec.ids]:
        return UsageError(
            f"the kept column {name!r} has the name of an output column",
            hint="omit it from --keep, or rename it in the table",
        )
    windows = spec.options.windows
    ordering = name in (*windows.group, windows.time)
    other = f"{name}_id"
    return UsageError(
        f"the identifier {name!r} has the name of an output column",
        facts=["identifiers of the training table are copied to every output"],
        hint=f"rename it in the table to {other!r}, and "
        + ("train again" if ordering else f"--keep {other!r}"),
    )
