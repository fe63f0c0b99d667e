"""Scan a table for the statistics of its columns, each rank a part of the rows."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence

from aecli.array_types import Mask
from aecli.progress import SILENT, Progress
from aecli.ranks import Ranks
from aecli.row_sample import RowSample
from aecli.table.column_scan import WHOLE, ColumnScan
from aecli.table.source import Source
from aecli.table.text_sample import SAMPLED_TEXTS, add_texts


def read_scan(
    scan: ColumnScan, source: Source, train_rows: Mask | None, progress: Progress = SILENT
) -> ColumnScan:
    """Read the rows of this rank, and return the statistics of the rows of all ranks.

    Raises:
        DataError: as for `ColumnScan.read`.
    """
    scan.read(source, train_rows, progress)
    if scan.part.ranks.size > 1:
        scan = _merged(scan, source, train_rows)
    scan.read_differences(source, train_rows)
    return scan


def _merged(scan: ColumnScan, source: Source, train_rows: Mask | None) -> ColumnScan:
    """Return the statistics and samples of the rows of all ranks."""
    ranks, own = scan.part.ranks, copy.copy(scan)
    own.part, own.sample, own.texts = WHOLE, None, {}
    merged, *others = ranks.gather(own)
    for other in others:
        merged.merge(other)
    merged.part = scan.part
    merged.sample = _merged_sample(scan.sample, ranks)
    texts = _texts_by_position(scan, source, train_rows)
    merged.texts = {name: sample.merged(ranks) for name, sample in texts.items()}
    return merged


def _merged_sample(sample: RowSample | None, ranks: Ranks) -> RowSample | None:
    """Return the sample of the rows of all ranks, of which some have no rows."""
    gathered = ranks.gather(None if sample is None else sample.limit)
    limits = [limit for limit in gathered if limit is not None]
    if not limits:
        return None
    sample = RowSample(min(limits)) if sample is None else sample
    sample.limit = min(limits)
    return sample.merged(ranks)


def _texts_by_position(
    scan: ColumnScan, source: Source, train_rows: Mask | None
) -> dict[str, RowSample]:
    """Return the samples of texts by their positions among the texts that are not missing.

    They are sampled again where texts of earlier ranks are missing and not all are sampled.
    """
    part, samples = scan.part, dict(scan.texts)
    counts = part.ranks.gather({name: s.seen - part.trained for name, s in samples.items()})
    again = {
        name: first
        for name in samples
        if (first := _total(counts[: part.ranks.rank], name)) != part.trained
        and _total(counts, name) > SAMPLED_TEXTS
    }
    if again:
        samples |= {name: RowSample(SAMPLED_TEXTS, first) for name, first in again.items()}
        for columns in scan.training_columns(source, list(again), train_rows):
            for name, column in zip(again, columns, strict=True):
                add_texts(samples[name], column)
    return samples


def _total(counts: Sequence[Mapping[str, int]], name: str) -> int:
    return sum(count[name] for count in counts)
