"""Batches of a table's rows or windows: read, encoded and decoded by a model."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from functools import partial
from typing import NamedTuple, TypeAlias, TypeVar

import numpy as np
import pyarrow as pa
import torch
from torch import Tensor

from aecli.array_types import AnyFloats, Codes, Indices, Mask
from aecli.device import share_heap
from aecli.features.reader import CellReader, Cells
from aecli.features.staging import Staged, stage
from aecli.features.training_range import Tally
from aecli.features.windows import Windows, read_series, window_codes
from aecli.inference.loaded_model import LoadedModel
from aecli.inference.pipeline import in_threads, read_ahead
from aecli.nn.autoencoder import EncoderOutput
from aecli.progress import SILENT, Progress
from aecli.schema.model_spec import Label
from aecli.table.labels import label_codes, unknown_labels
from aecli.table.source import Source

NETWORK_BLOCK_CELLS = 1 << 18
"""Number of values of the widest layer that a CPU computes at once: 1 MB, which its cache holds.

Larger blocks of memory between the small ones of the output, which stay, fragment the heap.
"""

STAGING_MEMORY = 1 << 30
"""Maximum size in bytes of staged rows in memory; more are written to disk."""


@dataclass(frozen=True)
class WindowedTable:
    """Table whose rows are staged and divided into a model's windows.

    `differs` `(n_rows, n_constants)` is as in `SampleBatch`, for all rows of the table.
    """

    source: Source
    staged: Staged
    windows: Windows
    differs: Mask
    notes: list[str]

    @property
    def uncovered(self) -> int:
        """Return the number of rows in no window."""
        return int((self.windows.coverage() == 0).sum())


class SampleBatch(NamedTuple):
    """Samples before encoding: the columns as read, and cells `(n_rows, n_cells)`.

    For windows, the columns are those of the last row of each, the cells those of all their rows,
    and `rows` are the indices of these rows in the table. `differs` `(n_rows, n_constants)` is
    True where the value of a constant column differs from its constant.
    """

    batch: pa.RecordBatch
    cells: Cells
    differs: Mask
    rows: Indices | None = None


@dataclass(frozen=True)
class EncodedBatch:
    """Samples as in `SampleBatch`, with their latent distribution on the model's device.

    `outputs` are those of the decoder `(n_rows, n_outputs)` where they are known already.
    """

    batch: pa.RecordBatch
    cells: Cells
    differs: Mask
    code: EncoderOutput
    rows: Indices | None = None
    outputs: Tensor | None = None

    @property
    def latent(self) -> Tensor:
        """Return the latents `(n_samples, latent)`."""
        return self.code.latent


PrepareSamples: TypeAlias = Callable[[], SampleBatch]
"""Function that returns samples of rows that have been read, in any thread."""

Used = TypeVar("Used")

DecodedRows = tuple[pa.RecordBatch, Cells, AnyFloats, Mask]
"""Rows in table order: as read, as cells `(n_rows, n_cells)`, as outputs of the decoder
`(n_rows, n_outputs)`, and whether they are in a window `(n_rows,)`."""


def row_batches(
    model: LoadedModel,
    source: Source,
    constants: CellReader,
    batch_rows: int | None,
    tallies: tuple[Tally, Tally],
    kept: Sequence[str] | None = None,
) -> Generator[PrepareSamples]:
    """Read the rows of the source, in order, and yield what prepares and counts their cells.

    `tallies` are those of the varying columns and of the `constants`; `kept` are the columns that
    the batches still have, None for all.
    """
    before = 0
    batches = source.batches(batch_rows or model.batch_rows_with(constants.layout.cells))
    # An exception keeps this generator, and so a thread that reads ahead.
    with closing(batches):
        for batch in batches:
            rows = source.name, before, batch
            yield partial(_row_samples, model, constants, tallies, kept, *rows)
            before += batch.num_rows


def _row_samples(
    model: LoadedModel,
    constants: CellReader,
    tallies: tuple[Tally, Tally],
    kept: Sequence[str] | None,
    table: str,
    before: int,
    batch: pa.RecordBatch,
) -> SampleBatch:
    cells = model.reader.read(batch, table=table, before=before)
    constant_cells = constants.read(batch, table=table, before=before)
    for tally, part in zip(tallies, (cells, constant_cells), strict=True):
        tally.add(part)
    batch = batch if kept is None else batch.select(kept)
    return SampleBatch(batch, cells, tallies[1].differing(constant_cells))


def sample_batches(prepared: Generator[PrepareSamples]) -> Generator[SampleBatch]:
    """Return prepared samples; with more than one thread, one reads and another computes cells."""
    if torch.get_num_threads() == 1:
        return _computed(prepared)
    share_heap()
    return read_ahead(_computed(read_ahead(prepared)))


def _computed(prepared: Generator[PrepareSamples]) -> Generator[SampleBatch]:
    with closing(prepared):
        for samples in prepared:
            yield samples()


def open_windows(
    model: LoadedModel,
    source: Source,
    constants: CellReader,
    *,
    tallies: tuple[Tally, Tally],
    progress: Progress = SILENT,
) -> WindowedTable:
    """Stage the rows of a matched table and divide them into windows as in training.

    Raises:
        DataError: the columns that order rows are missing, or every series is too short.
    """
    series = read_series(source, model.spec.options.windows, model.spec.ids)
    assert series is not None, "only models of windows are supported"
    windows = series.cut()
    features = source.select([column.name for column in model.reader.layout.columns])
    rows = np.ones(series.keys.rows, dtype=np.bool_)
    staged, _ = stage(
        features, model.reader, rows=rows, codes=None, memory=STAGING_MEMORY, progress=progress
    )
    for block in staged.cells.split(1 << 16):
        tallies[0].add(block.numpy())
    return WindowedTable(
        source, replace(staged, windows=windows), windows,
        differs=_differs(source, constants, tallies[1], len(rows)), notes=series.notes(windows),
    )  # fmt: skip


def _differs(source: Source, constants: CellReader, tally: Tally, rows: int) -> Mask:
    columns = constants.layout.columns
    differs, before = np.zeros((rows, len(columns)), dtype=np.bool_), 0
    if columns:
        for batch in source.select([column.name for column in columns]).batches():
            cells = constants.read(batch, table=source.name, before=before)
            tally.add(cells)
            differs[before : before + len(cells)] = tally.differing(cells)
            before += len(cells)
    return differs


def labels_of_windows(table: WindowedTable, label: Label, rule: str) -> tuple[Codes, int]:
    """Return the label code `(n_windows,)` of each window, -1 for none, and a count.

    The count is the number of rows whose label is not a known class. `rule` is `--window-label`.
    """
    parts, unknown = [np.empty(0, dtype=np.int64)], 0
    for batch in table.source.select([label.name]).batches():
        parts.append(label_codes(batch.column(0), label))
        unknown += unknown_labels(batch.column(0), parts[-1])
    return window_codes(np.concatenate(parts), table.windows, rule), unknown


def window_batches(
    model: LoadedModel, table: WindowedTable, carried: Sequence[str], batch_windows: int | None
) -> Generator[PrepareSamples]:
    """Yield what prepares windows, series by series, with the copied columns of their last rows."""
    windows = table.windows
    size = batch_windows or max(1, model.batch_rows // model.spec.network.window)
    source = table.source.select(list(carried))
    columns = pa.Table.from_batches(source.batches(), source.schema)
    for chosen in np.split(np.arange(len(windows)), range(size, len(windows), size)):
        if len(chosen):  # a table without rows has one part
            yield partial(_window_samples, table, columns, chosen)


def _window_samples(table: WindowedTable, columns: pa.Table, chosen: Indices) -> SampleBatch:
    rows = table.windows.rows(chosen).reshape(-1)
    cells = table.staged.cells.index_select(0, torch.from_numpy(rows)).numpy()
    last = columns.take(pa.array(table.windows.last_rows[chosen])).combine_chunks()
    batch = last.to_batches()[0] if columns.num_columns else _without_columns(len(chosen))
    return SampleBatch(batch, cells, table.differs[rows], rows)


def encoded_batches(
    model: LoadedModel,
    prepared: Generator[PrepareSamples],
    use: Callable[[EncodedBatch], Used],
    progress: Progress,
) -> Generator[Used]:
    """Yield what `use` returns for the samples with their latents, in order.

    On a CPU each thread reads a batch, computes its cells and latents, and uses them.
    """

    def compute(samples: PrepareSamples) -> tuple[int, Used]:
        encoded = encode_samples(model, samples())
        return encoded.batch.num_rows, use(encoded)

    threads = torch.get_num_threads()
    if threads == 1 or model.device.type != "cpu":
        for samples in sample_batches(prepared):
            yield use(encode_samples(model, samples))
            progress.rows(samples.batch.num_rows)
        return
    share_heap()
    with closing(in_threads(compute, prepared, threads)) as computed:
        for rows, used in computed:
            yield used
            progress.rows(rows)


@torch.no_grad()
def encode_samples(model: LoadedModel, samples: SampleBatch) -> EncodedBatch:
    """Return samples with their latent distribution."""
    network = model.spec.network
    rows = max(256 // network.window, network.samples_within(NETWORK_BLOCK_CELLS)) * network.window
    cells = torch.from_numpy(samples.cells).to(model.device)
    blocks = cells.split(rows if model.device.type == "cpu" else max(1, len(cells)))
    parts: list[EncoderOutput] = []
    for block in blocks:
        parts.append(model.network.distribution(model.inputs(block)))
    code = parts[0]
    if len(parts) > 1:
        latents, log_variances = zip(*parts, strict=True)
        varies = log_variances[0] is not None
        code = EncoderOutput(torch.cat(latents), torch.cat(log_variances) if varies else None)
    return EncodedBatch(*samples[:3], code=code, rows=samples.rows)


def decoded_rows(
    model: LoadedModel, batches: Iterator[EncodedBatch], table: WindowedTable | None
) -> Iterator[DecodedRows]:
    """Decode the batches; the outputs of a row in several windows are averaged."""
    if table is not None:
        yield from _rows_of_windows(model, batches, table)
        return
    for samples in batches:
        covered = np.ones(samples.batch.num_rows, dtype=np.bool_)
        yield samples.batch, samples.cells, _outputs(model, samples).numpy(), covered


def _rows_of_windows(
    model: LoadedModel, batches: Iterator[EncodedBatch], table: WindowedTable
) -> Iterator[DecodedRows]:
    counts = torch.from_numpy(table.windows.coverage())
    sums = torch.zeros(len(counts), model.reader.layout.outputs)
    for samples in batches:
        assert samples.rows is not None, "samples of windows have row indices"
        sums.index_add_(0, torch.from_numpy(samples.rows), _outputs(model, samples))
    sums /= counts.clamp(min=1)[:, None]
    start = 0
    for batch in table.source.batches():
        rows = slice(start, start + batch.num_rows)
        start += batch.num_rows
        cells = table.staged.cells[rows].numpy()
        yield batch, cells, sums[rows].numpy(), (counts[rows] > 0).numpy()


@torch.no_grad()
def _outputs(model: LoadedModel, samples: EncodedBatch) -> Tensor:
    return model.network.decode(samples.latent).float().cpu()


def _without_columns(rows: int) -> pa.RecordBatch:
    return pa.RecordBatch.from_struct_array(pa.array([{}] * rows, pa.struct([])))
