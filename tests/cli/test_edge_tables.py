"""Odd tables: each trains and comes back row by row, or is refused in words."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import aecli

pytestmark = pytest.mark.usefixtures("no_cross_fitting")

ROWS = 60
RNG = np.random.default_rng(0)
BASE = RNG.normal(size=ROWS)
NAMES = ("[/red]", "a b", "🐧", "new\nline", "")
DAYS = [dt.date(2020, 1, 1) + dt.timedelta(days=int(d)) for d in RNG.integers(0, 900, ROWS)]

TABLES: dict[str, pa.Table] = {
    "one column": pa.table({"x": BASE}),
    "bytes": pa.table({f"p{i}": RNG.integers(0, 256, ROWS).astype(np.uint8) for i in range(20)}),
    "decimals": pa.table({"d": [Decimal(f"{v:.2f}") for v in BASE], "x": BASE}),
    "dates": pa.table({"day": DAYS, "x": BASE}),
    "zoned times": pa.table(
        {
            "t": pa.array(
                [dt.datetime(d.year, d.month, d.day) for d in DAYS], pa.timestamp("ns", "UTC")
            )
        }
    ),
    "dictionaries": pa.table({"c": pa.array(RNG.choice(list("abc"), ROWS)).dictionary_encode()}),
    "vectors": pa.table(
        {"v": pa.FixedSizeListArray.from_arrays(pa.array(RNG.normal(size=3 * ROWS)), 3)}
    ),
    "half floats": pa.table({"h": pa.array(BASE.astype(np.float16)), "x": BASE}),
    "huge integers": pa.table({"u": pa.array(RNG.integers(2**62, 2**63, ROWS).astype(np.uint64))}),
    "only categories": pa.table({c: RNG.choice(list("uvw"), ROWS) for c in "ab"}),
    "only booleans": pa.table({c: RNG.random(ROWS) > 0.4 for c in "ab"}),
    "odd names": pa.table({n: RNG.normal(size=ROWS) for n in NAMES}),
    "twice": pa.Table.from_arrays([pa.array(BASE), pa.array(-BASE)], names=["x", "x"]),
    "holes": pa.table(
        {"x": [None if i % 3 else v for i, v in enumerate(BASE)], "y": [None] * ROWS}
    ),
    "a row of nothing": pa.table(
        {"x": [None, *BASE[1:]], "c": [None, *["u", "v", "v"] * 19, "u", "u"]}
    ),
    "extremes": pa.table({"x": [1e300, -1e300, 5e-324, *BASE[3:]], "y": BASE * 1e-200}),
    "a constant beside": pa.table({"x": BASE, "k": ["same"] * ROWS, "n": [3] * ROWS}),
}


@pytest.mark.parametrize("name", TABLES)
def test_the_table_comes_back_row_by_row(tmp_path: Path, name: str):
    table, model = TABLES[name], tmp_path / "m"
    spec = aecli.train(table, model=model, epochs=2, latent=2).spec
    assert aecli.encode(table, str(tmp_path / "z.parquet"), model=model).rows == ROWS
    latents = pq.read_table(tmp_path / "z.parquet")
    assert all(np.isfinite(latents[f"z{i}"].to_numpy()).all() for i in range(2))
    aecli.reconstruct(table, str(tmp_path / "r.parquet"), model=model)
    rows = pq.read_table(tmp_path / "r.parquet")
    assert rows.num_rows == ROWS
    assert rows.schema.names == [column.name for column in spec.columns]
    if len(set(table.schema.names)) == table.num_columns and "" not in table.schema.names:
        assert all(
            rows.schema.field(n).type == table.schema.field(n).type for n in rows.schema.names
        )
    assert aecli.evaluate(table, model=model).rows == ROWS
    fill_and_compare(table, model, [column.name for column in spec.columns])


def fill_and_compare(table: pa.Table, model: Path, features: list[str]) -> None:
    empty = pa.Table.from_arrays([pa.nulls(2, c) for c in table.schema.types], schema=table.schema)
    rows, output = pa.concat_tables([table, empty]), model.with_name("f.parquet")
    aecli.reconstruct(rows, str(output), model=model, fill=True, batch_size=61)
    filled = pq.read_table(output)
    assert all(filled[name].null_count == 0 for name in features)
    for before, after in zip(rows.columns, filled.columns, strict=True):
        valid = before.is_valid()
        assert after.filter(valid).to_pylist() == before.filter(valid).to_pylist()
    assert aecli.reconstruct(rows, str(output), model=model, residuals=True).rows == len(rows)


@pytest.mark.parametrize("rows", [1, 2, 3])
def test_a_table_of_few_rows(tmp_path: Path, rows: int):
    table = pa.table({"x": BASE[:rows], "y": -BASE[:rows]})
    if rows == 1:
        with pytest.raises(aecli.DataError, match="no column to learn from in 1 row"):
            aecli.train(table, model=tmp_path / "m")
        assert not (tmp_path / "m").exists()
        return
    spec = aecli.train(table, model=tmp_path / "m", epochs=1, norm="batch").spec
    assert spec.summary.train_rows == rows


def test_two_thousand_columns(tmp_path: Path):
    values = RNG.normal(size=(40, 2_000)).astype(np.float32)
    table = pa.table({f"x{i}": values[:, i] for i in range(2_000)})
    aecli.train(table, model=tmp_path / "m", epochs=1, encoder=[16, 4])
    result = aecli.reconstruct(table, str(tmp_path / "r.parquet"), model=tmp_path / "m")
    assert (result.rows, len(result.columns)) == (40, 2_000)


def test_batch_norm_survives_a_last_batch_of_one_row(tmp_path: Path):
    table = pa.table({"x": BASE[:33], "y": BASE[:33] ** 2})
    spec = aecli.train(
        table, model=tmp_path / "m", epochs=2, norm="batch", batch_size=16, valid="none", latent=1
    ).spec
    assert np.isfinite(spec.summary.train["total"])


@pytest.mark.parametrize(
    "labels",
    [
        pa.array([True, False, None] * 20),
        pa.array([3, 7, 100] * 20),
        pa.array(["a", "b", None] * 20).dictionary_encode(),
    ],
    ids=["boolean", "gaps", "dictionary with holes"],
)
def test_labels_of_every_kind(tmp_path: Path, labels: pa.Array):
    table = pa.table({"x": BASE, "y": labels})
    aecli.train(table, model=tmp_path / "m", label="y", epochs=1)
    result = aecli.evaluate(table, model=tmp_path / "m").classification
    assert result.rows == ROWS - labels.null_count


def test_a_folder_of_parquet_files_is_one_table(tmp_path: Path):
    for part in range(3):
        (tmp_path / "parts").mkdir(exist_ok=True)
        rows = pa.table({"x": BASE[part * 20 : part * 20 + 20], "i": [part] * 20})
        pq.write_table(rows, tmp_path / "parts" / f"{part}.parquet")
    aecli.train(tmp_path / "parts", model=tmp_path / "m", epochs=1, valid="none")
    aecli.encode(tmp_path / "parts", str(tmp_path / "z.parquet"), model=tmp_path / "m", keep=["i"])
    assert pq.read_table(tmp_path / "z.parquet")["i"].to_pylist() == [0] * 20 + [1] * 20 + [2] * 20
