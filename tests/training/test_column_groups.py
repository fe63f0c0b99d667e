"""Columns that are read in groups: the table of one pass, in bounded memory."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch

from aecli.progress import SILENT
from aecli.schema.options import TrainOptions
from aecli.table import column_groups as groups
from aecli.table import parquet_reader
from aecli.table.column_groups import column_groups
from aecli.table.source import open_source
from aecli.training.data import prepare

ROWS = 600


def of_every_kind(path: Path) -> None:
    """Write columns of every kind, two of one name and one of nested names, in row groups."""
    numbers = np.random.default_rng(0).normal(size=(ROWS, 3))
    columns: dict[str, Any] = {
        "x": numbers[:, 0],
        "flag": numbers[:, 1] > 0,
        "color": pa.array(["red", None, "green", "é"] * (ROWS // 4)),
        "time": pa.array(np.arange(ROWS) % 77 * 3_600, pa.timestamp("s")),
        "v": pa.array(list(numbers), pa.list_(pa.float64())),
        "big": np.arange(ROWS) ** 2 + 2**61,
        "words": [f"{number % 7} and {number % 96} of {number}" for number in range(ROWS)],
        "nested": pa.array([{"x": number} for number in range(ROWS)]),
        "y": pa.array(["a", "b", None] * (ROWS // 3)),
    }
    table = pa.table(columns).append_column("x", pa.array(numbers[:, 2].astype(np.float32)))
    pq.write_table(table, path, row_group_size=130)


@pytest.mark.parametrize("memory", ["2GB", "1MB"])
def test_groups_of_columns_are_the_same_table(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, memory: str
) -> None:
    path = tmp_path / "t.parquet"
    of_every_kind(path)
    options = TrainOptions.from_flat(
        {"memory": memory, "scale": "robust", "label": "y", "text": ["words"], "where": "x<1"}
    )

    whole = prepare(str(path), options, SILENT)
    monkeypatch.setattr(groups, "READER_BYTES", 1)
    assert len(list(column_groups(open_source(path)))) == 10
    parts = prepare(str(path), options, SILENT)
    ours, theirs = (
        [column.model_dump(exclude={"encoder"}) for column in table.plan.columns]
        for table in (parts, whole)
    )
    assert ours == theirs
    assert (parts.plan.left_out, parts.notes) == (whole.plan.left_out, whole.notes)
    for part, full in ((parts.train, whole.train), (parts.valid, whole.valid)):
        assert torch.equal(part.cells.nan_to_num(7e7), full.cells.nan_to_num(7e7))
        assert part.codes is not None
        assert full.codes is not None
        assert torch.equal(part.codes, full.codes)
        assert (part.complete, part.parts) == (full.complete, full.parts)
        assert (part.file is None) == (full.file is None) == (memory == "2GB")


@pytest.mark.parametrize("buffered", [True, False])
def test_a_group_takes_the_memory_that_is_counted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, buffered: bool
) -> None:
    path, most = tmp_path / "t.parquet", 8 << 20
    values = np.random.default_rng(0).normal(size=(24, 120_000))
    pq.write_table(pa.table(list(values), [f"x{number}" for number in range(24)]), path)
    monkeypatch.setattr(parquet_reader, "_SMALL_GROUP_BYTES", 0 if buffered else 1 << 40)
    monkeypatch.setattr(groups, "READER_BYTES", most)
    before, names = pa.total_allocated_bytes(), []
    for group in column_groups(open_source(path)):
        held = []
        for batch in group.batches(1_000):
            held.append(pa.total_allocated_bytes() - before - batch.nbytes)
        names += group.names
        file = sum(path.stat().st_size for _ in group.names) // 24
        assert max(held) < 1.5 * most + (0 if buffered else file)
        assert len(group.names) < 3 or max(held) > most / 3
    assert names == open_source(path).names


def test_samples_of_groups_have_the_limit_of_the_whole_table(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    numbers = np.random.default_rng(0).normal(size=(2_000, 5_000)).astype(np.float32)
    vectors = pa.FixedSizeListArray.from_arrays(pa.array(numbers.ravel()), 5_000)
    table = pa.table({"x": numbers[:, 0], "y": numbers[:, 1], "v": vectors})
    pq.write_table(table, tmp_path / "t.parquet")
    options = TrainOptions.from_flat({"memory": "1MB", "scale": "robust"})
    whole = prepare(str(tmp_path / "t.parquet"), options, SILENT)
    monkeypatch.setattr(groups, "READER_BYTES", 1)
    parts = prepare(str(tmp_path / "t.parquet"), options, SILENT)
    assert parts.plan.columns == whole.plan.columns
