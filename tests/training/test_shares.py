"""A table prepared by several ranks: the plan and the rows of one process, each row on one rank."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.csv as pacsv
import pyarrow.parquet as pq
import pytest
import torch

from aecli.errors import DataError, UsageError
from aecli.features.reader import CellReader
from aecli.progress import SILENT
from aecli.ranks import Ranks
from aecli.schema.model_spec import Column
from aecli.schema.options import TrainOptions
from aecli.table.shares import share_of, share_types
from aecli.table.source import open_source
from aecli.training.data import PreparedTable, prepare
from tests.thread_ranks import on_ranks

ROWS = 700
SMALL = {"memory": "1MB"}
"""Too little to read the table into memory."""


def table(rows: int = ROWS) -> pa.Table:
    rng = np.random.default_rng(0)
    names = np.array(["red", "green", "blue", None], dtype=object)
    words = np.array(["fine day", "rain again", "snow and ice", "sun today"])
    numbers = rng.integers(0, 4, (rows, 3))
    vectors = rng.normal(size=(rows, 3)).astype(np.float32)
    return pa.table(
        {
            "n": pa.array(np.arange(rows)),
            "x": pa.array(rng.normal(5, 2, rows), mask=rng.random(rows) < 0.1),
            "price": pa.array(np.round(rng.gamma(2, 10, rows), 2)),
            "color": pa.array(names[rng.integers(0, 4, rows)]),
            "flag": pa.array(rng.random(rows) < 0.3),
            "day": pa.array(np.datetime64("2020-01-01") + np.arange(rows)),
            "big": pa.array(2**60 + rng.integers(0, 1000, rows)),
            "v": pa.FixedSizeListArray.from_arrays(pa.array(vectors.reshape(-1)), 3),
            "text": pa.array([f"{words[i]} {words[j]} {k}" for i, j, k in numbers.tolist()]),
            "site": pa.array(rng.integers(0, 9, rows).astype(str)),
            "y": pa.array(np.array(["a", "b", "c"])[rng.choice(3, rows, p=[0.6, 0.3, 0.1])]),
        }
    )  # fmt: skip


def written(folder: Path, suffix: str, cuts: list[int], rows: int = ROWS) -> Path:
    """Write the table as several files, which end at the cuts."""
    folder.mkdir()
    whole = table(rows)
    for at, (start, stop) in enumerate(zip([0, *cuts], [*cuts, rows], strict=True)):
        part = whole.slice(start, stop - start)
        if suffix == "parquet":
            pq.write_table(part, folder / f"{at}.parquet", row_group_size=64)
        else:
            part = part.drop_columns(["v"])
            pacsv.write_csv(part, folder / f"{at}.csv")
    return folder


def prepared(data: Any, size: int, **options: Any) -> list[PreparedTable]:
    chosen = TrainOptions.from_flat({"exclude": ["n"], **options})
    return on_ranks(size, lambda ranks: prepare(str(data), chosen, SILENT, ranks=ranks))


def assert_same_columns(found: tuple[Column, ...], expected: tuple[Column, ...]) -> None:
    """Assert equal columns; sums of floats may differ in the last digits."""
    assert [c.name for c in found] == [c.name for c in expected]
    for column, other in zip(found, expected, strict=True):
        for name, value in other.model_dump().items():
            ours = column.model_dump()[name]
            if isinstance(value, list) and value and isinstance(value[0], float):
                assert ours == pytest.approx(value, rel=1e-12, abs=1e-12), (other.name, name)
            elif not isinstance(value, float):
                assert ours == value, (other.name, name)


def assert_same_rows(parts: list[PreparedTable], data: Path, whole: PreparedTable) -> None:
    """Assert that the ranks' rows, in their order, are those of one process, bit for bit."""
    reader = CellReader(parts[0].plan.columns)
    source = open_source(str(data)).select([c.name for c in reader.layout.columns])
    cells = torch.from_numpy(np.concatenate([reader.read(b) for b in source.batches()]))
    for side in ("train", "valid"):
        staged = [getattr(part, side) for part in parts]
        joined = torch.cat([part.cells for part in staged])
        alone = getattr(whole, side)
        torch.testing.assert_close(joined, alone.cells, rtol=1e-5, atol=1e-5, equal_nan=True)
        rows = {row.numpy().tobytes() for row in cells}
        assert all(row.numpy().tobytes() in rows for row in joined)
        assert {part.complete for part in staged} == {alone.complete}
        if alone.codes is not None:
            assert torch.equal(torch.cat([part.codes for part in staged]), alone.codes)
    assert sum(len(part.train) + len(part.valid) for part in parts) == len(cells)
    assert {(part.n_train, part.n_valid) for part in parts} == {
        (len(whole.train), len(whole.valid))
    }


@pytest.mark.parametrize(
    "options",
    [
        {"label": "y"},
        {"label": "y", **SMALL},
        {"scale": ["robust"], "valid": "last:0.2"},
        {"valid": "group:site"},
        {"valid": "none"},
        {"where": "x>4", "label": "y"},
    ],
    ids=["label", "read again", "robust", "groups", "none", "where"],
)
@pytest.mark.parametrize("suffix", ["parquet", "csv"])
def test_ranks_prepare_the_table_of_one_process(
    tmp_path: Path, suffix: str, options: dict[str, Any]
):
    data = written(tmp_path / "t", suffix, [100, 100, 430])
    (whole,), parts = prepared(data, 1, **options), prepared(data, 3, **options)
    for part in parts:
        assert part.plan.label == whole.plan.label
        assert part.plan.columns == parts[0].plan.columns
        assert (part.plan.rows, part.plan.left_out) == (whole.plan.rows, whole.plan.left_out)
        assert_same_columns(part.plan.columns, whole.plan.columns)
    if "where" not in options:
        assert_same_rows(parts, data, whole)
    assert parts[0].notes == whole.notes


def test_a_rank_reads_only_its_row_groups_of_one_file(tmp_path: Path):
    data = written(tmp_path / "t", "parquet", []) / "0.parquet"
    (whole,), parts = prepared(data, 1, label="y"), prepared(data, 4, label="y", **SMALL)
    assert_same_rows(parts, data, whole)
    damaged = bytearray(data.read_bytes())
    group = pq.ParquetFile(data).metadata.row_group(0).column(1)
    at = group.data_page_offset
    damaged[at : at + group.total_compressed_size] = bytes(group.total_compressed_size)
    data.write_bytes(bytes(damaged))

    def read(ranks: Ranks) -> int:
        share = share_of(open_source(str(data)).select(["x"]), ranks)
        return sum(b.num_rows for b in share.source.batches()) if ranks.rank else -1

    assert on_ranks(4, read) == [-1, 175, 175, 175]


def test_ranks_without_rows_prepare_the_columns_of_the_others(tmp_path: Path):
    data = written(tmp_path / "t", "parquet", [], rows=30)
    (whole,), parts = (
        prepared(data, 1, exclude=["n", "text"]),
        prepared(data, 64, exclude=["n", "text"]),
    )
    assert sorted({len(part.train) + len(part.valid) for part in parts}) == [0, 1]
    assert_same_columns(parts[-1].plan.columns, whole.plan.columns)
    assert_same_rows(parts, data, whole)


def test_a_validation_file_is_divided_too(tmp_path: Path):
    data = written(tmp_path / "t", "parquet", [300])
    valid = written(tmp_path / "v", "csv", [20], rows=50)
    options = {"exclude": ["n", "v"], "label": "y", "valid": str(valid)}
    (whole,), parts = prepared(data, 1, **options), prepared(data, 3, **options)
    assert [len(part.valid) for part in parts] == [16, 17, 17]
    joined = torch.cat([part.valid.cells for part in parts])
    torch.testing.assert_close(joined, whole.valid.cells, rtol=1e-5, atol=1e-5, equal_nan=True)
    assert {part.n_valid for part in parts} == {50}


def test_the_most_isolated_rows_of_all_ranks_are_dropped(tmp_path: Path):
    values = np.random.default_rng(0).normal(size=(300, 4))
    values[10:16] += 40
    values[:, 3] = np.arange(300) == 12  # the only row whose last column differs
    pq.write_table(pa.table({f"x{at}": values[:, at] for at in range(4)}), tmp_path / "t.parquet")
    options = {"exclude": [], "drop_isolated": 0.02, "valid": "none"}
    parts = prepared(tmp_path / "t.parquet", 3, **options)
    (whole,) = prepared(tmp_path / "t.parquet", 1, **options)
    kept = torch.cat([part.train.cells for part in parts])
    torch.testing.assert_close(kept, whole.train.cells, rtol=1e-5, atol=1e-5)
    assert [len(part.train) for part in parts] == [95, 100, 100]
    assert {(part.n_train, part.dropped) for part in parts} == {(295, 5)}
    assert "left out the 5 most isolated of 300 training rows" in parts[0].notes[-1]


def test_formats_are_those_of_all_cells(tmp_path: Path):
    """A thousands separator, a date order and a text that only one file decides."""
    lines = [f"{at},{at % 28 + 1:02}.{at % 12 + 1:02}.2024,{at % 7},no" for at in range(300)]
    lines[290] = '"1.234,5",31.12.2024,x7,yes'
    for file in range(3):
        text = "\n".join(["amount,day,code,known", *lines[file * 100 : file * 100 + 100], ""])
        (tmp_path / f"{file}.csv").write_text(text, encoding="utf-8")
    (whole,), parts = (prepared(tmp_path, size, exclude=[]) for size in (1, 3))
    for part in parts:
        assert_same_columns(part.plan.columns, whole.plan.columns)
    kinds = {column.name: column.kind for column in parts[0].plan.columns}
    assert kinds == {"amount": "number", "day": "time", "code": "category", "known": "boolean"}
    assert_same_rows(parts, tmp_path, whole)


def test_windows_are_refused(tmp_path: Path):
    data = written(tmp_path / "t", "parquet", [])
    with pytest.raises(UsageError, match="--window is not supported in a training by 2 processes"):
        prepared(data, 2, window=5)


@pytest.mark.parametrize(("data", "name"), [("-", "standard input"), (table(9), "the table")])
def test_a_table_that_is_not_in_files_is_refused(data: Any, name: str):
    options = TrainOptions.from_flat({})
    with pytest.raises(UsageError, match=f"{name} cannot be read by 2 processes"):
        on_ranks(2, lambda ranks: prepare(data, options, SILENT, ranks=ranks))


def test_ranks_that_see_other_files_are_an_error(tmp_path: Path):
    folders = [written(tmp_path / f"t{at}", "parquet", cuts) for at, cuts in ((0, []), (1, [9]))]
    options = TrainOptions.from_flat({})
    with pytest.raises(DataError, match="is not the same table for all 2 processes"):
        on_ranks(2, lambda r: prepare(str(folders[r.rank]), options, SILENT, ranks=r))


def test_a_file_that_changes_before_a_rank_reads_it_is_an_error(tmp_path: Path):
    data = written(tmp_path / "t", "csv", [300])

    def read(ranks: Ranks) -> int:
        source = open_source(str(data)).select(["x"])
        share_types(source, ranks)
        share = share_of(source, ranks)
        if ranks.rank:
            lines = (data / "1.csv").read_text(encoding="utf-8").splitlines(keepends=True)
            (data / "1.csv").write_text("".join(lines[:-5]), encoding="utf-8")
        return sum(batch.num_rows for batch in share.source.batches())

    with pytest.raises(DataError, match="changed while it was read") as raised:
        on_ranks(2, read)
    assert raised.value.facts == ("it had 400 rows at first and 395 now",)
