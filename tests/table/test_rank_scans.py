"""Scans of parts of a table, merged: the statistics of one pass, wherever the rows are cut."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aecli.ranks import Ranks
from aecli.table.arrow_types import kind_of
from aecli.table.candidate import Candidate
from aecli.table.column_scan import ColumnScan, ScanPart
from aecli.table.rank_scans import read_scan
from aecli.table.source import open_source
from aecli.table.text_sample import SAMPLED_TEXTS, sampled_texts
from tests.thread_ranks import on_ranks

FLOATS = st.floats(-1e6, 1e6, allow_subnormal=False)
COLUMNS: dict[str, tuple[pa.DataType, st.SearchStrategy[Any]]] = {
    "x": (pa.float64(), FLOATS | st.just(float("inf"))),
    "price": (pa.float32(), st.integers(-999, 999).map(lambda cents: cents / 100)),
    "n": (pa.int64(), st.integers(-(2**62), 2**62)),
    "big": (pa.int64(), st.integers(2**61, 2**61 + 9)),
    "order_id": (pa.int32(), st.integers(0, 5)),
    "flag": (pa.bool_(), st.booleans()),
    "color": (pa.string(), st.sampled_from(["red", "green", "", "é"])),
    "time": (pa.timestamp("s"), st.integers(0, 2**40)),
    "v": (pa.list_(pa.float64(), 2), st.lists(FLOATS, min_size=2, max_size=2)),
    "list": (pa.list_(pa.float64()), st.just([1.0, 2.0]) | st.just([3.0, 0.5])),
}


@st.composite
def tables(draw: st.DrawFn) -> pa.Table:
    rows = draw(st.integers(0, 25))
    return pa.table(
        {
            name: pa.array(draw(st.lists(st.none() | cell, min_size=rows, max_size=rows)), kind)
            for name, (kind, cell) in COLUMNS.items()
        }
        | {"row": pa.array(range(rows), pa.int64())}
    )


def scan_of(table: pa.Table, rows: np.ndarray, part: ScanPart) -> ColumnScan:
    candidates = []
    for field in table.schema:
        kind = kind_of(field.type)
        assert kind is not None
        candidates.append(Candidate(field.name, field.type, kind, exact=False))
    scan = ColumnScan("t", candidates, nonfinite="missing", quartiles=True, part=part)
    return read_scan(scan, open_source(table), rows)


def merged_scans(table: pa.Table, rows: np.ndarray, cuts: Sequence[int]) -> list[ColumnScan]:
    borders = [0, *cuts, len(table)]

    def scan(ranks: Ranks) -> ColumnScan:
        start, stop = list(pairwise(borders))[ranks.rank]
        part = ScanPart(start, int(rows[:start].sum()), ranks)
        return scan_of(table.slice(start, stop - start), rows[start:stop], part)

    return on_ranks(len(borders) - 1, scan)


def assert_same(found: ColumnScan, expected: ColumnScan) -> None:
    pairs = [(found.moments, expected.moments)]
    for name, vectors in expected.vectors.items():
        ours = found.vectors[name]
        assert (ours.size, ours.ragged, ours.complete) == (
            vectors.size, vectors.ragged, vectors.complete,
        )  # fmt: skip
        assert ours.decimals.tolist() == vectors.decimals.tolist()
        pairs.append((ours.moments, vectors.moments))
    for ours, theirs in pairs:
        for name in ("count", "low", "high"):
            assert getattr(ours, name).tolist() == getattr(theirs, name).tolist()
        reach = 1e-12 * np.where(theirs.count > 0, np.maximum(-theirs.low, theirs.high), 0)
        assert (np.abs(ours.mean - theirs.mean) <= reach).all()
        assert (np.abs(ours.std - theirs.std) <= reach).all()
    for name, counts in expected.counts.items():
        assert vars(found.counts[name]) == vars(counts)
    assert found.decimals.tolist() == expected.decimals.tolist()
    assert found.row_numbers.starts() == expected.row_numbers.starts()
    assert (found.infinite, found.origins) == (expected.infinite, expected.origins)
    assert (found.rows, found.seen) == (expected.rows, expected.seen)
    for name, texts in expected.texts.items():
        assert sampled_texts(found.texts[name]).equals(sampled_texts(texts))
    assert (found.sample is None) == (expected.sample is None)
    if expected.sample is not None and found.sample is not None:
        ours, theirs = found.sample.columns(), expected.sample.columns()
        assert ours.keys() == theirs.keys()
        assert not theirs or ours["cells"].equals(theirs["cells"])


@settings(max_examples=60, deadline=None)
@given(tables(), st.data())
def test_merged_scans_are_those_of_one_pass(table: pa.Table, data: st.DataObject) -> None:
    cuts = sorted(data.draw(st.lists(st.integers(0, len(table)), max_size=3)))
    rows = np.array(data.draw(st.lists(st.booleans(), min_size=len(table), max_size=len(table))))
    rows = rows.astype(np.bool_)
    expected = scan_of(table, rows, ScanPart())
    for found in merged_scans(table, rows, cuts):
        assert_same(found, expected)


@pytest.mark.parametrize("missing", [0.0, 0.3], ids=["complete", "missing"])
def test_samples_of_many_rows_are_those_of_one_pass(missing: float) -> None:
    rng = np.random.default_rng(0)
    size = 4 * SAMPLED_TEXTS
    texts = pa.array([f"text {at}" for at in range(size)], mask=rng.random(size) < missing)
    table = pa.table({"x": rng.normal(size=size), "text": texts, "row": np.arange(size) + 1})
    rows = rng.random(size) < 0.8
    expected = scan_of(table, rows, ScanPart())
    for found in merged_scans(table, rows, [size // 3, size - 7]):
        assert_same(found, expected)
        assert found.row_numbers.starts() == {1: 1}
    assert len(sampled_texts(expected.texts["text"])) == SAMPLED_TEXTS


def test_steps_of_times_between_parts_count() -> None:
    table = pa.table({"time": pa.array([0, 10, 20, 23, 33], pa.timestamp("s"))})
    rows = np.ones(5, dtype=np.bool_)
    assert [scan.steps[0] for scan in merged_scans(table, rows, [3])] == [3, 3]
