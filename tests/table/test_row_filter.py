"""Which rows `where` reads, from every format, and which row groups and files it does not open."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.csv as pacsv
import pyarrow.dataset as ds
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

import aecli
from aecli.errors import DataError, UsageError
from aecli.schema.read_options import ReadOptions
from aecli.table.source import open_source

ROWS = 60


def table() -> pa.Table:
    rng = np.random.default_rng(0)
    start = dt.datetime(2026, 1, 1)
    return pa.table(
        {
            "n": np.arange(ROWS),
            "x": pa.array(rng.normal(size=ROWS).round(2), mask=rng.random(ROWS) < 0.1),
            "time": pa.array([start + dt.timedelta(hours=i) for i in range(ROWS)]),
            "country": pa.array(rng.choice(["DE", "FR", "New Zealand", None], ROWS).tolist()),
            "ok": rng.random(ROWS) < 0.5,
        }
    )


def read(data: object, where: str, names: list[str] | None = None) -> pa.Table:
    source = open_source(data, ReadOptions(where=where))
    source = source.select(names or source.names)
    return pa.Table.from_batches(source.batches(7), source.schema)


CONDITIONS = {
    "n<10": lambda t: t["n"] < 10,
    "n >= 10 and n!=12": lambda t: (t["n"] >= 10) & (t["n"] != 12),
    "x>0": lambda t: t["x"] > 0,
    "time>=2026-01-02": lambda t: t["time"] >= dt.datetime(2026, 1, 2),
    "time<'2026-01-02 05:00'": lambda t: t["time"] < dt.datetime(2026, 1, 2, 5),
    "country=DE AND ok=true": lambda t: (t["country"] == "DE") & t["ok"],
    'country="New Zealand"': lambda t: t["country"] == "New Zealand",
    "country!=DE": lambda t: t["country"].notna() & (t["country"] != "DE"),
}


@pytest.mark.parametrize("suffix", ["parquet", "csv", "jsonl", "arrow", "memory"])
@pytest.mark.parametrize("where", CONDITIONS)
def test_rows_are_those_of_a_comparison_in_pandas(where, suffix, tmp_path):
    rows, path = table(), tmp_path / f"t.{suffix}"
    data: object = str(path)
    match suffix:
        case "parquet":
            pq.write_table(rows, path, row_group_size=9)
        case "csv":
            pacsv.write_csv(rows, path)
        case "jsonl":
            path.write_text(
                rows.to_pandas().to_json(orient="records", lines=True, date_format="iso")
            )
        case "arrow":
            with pa.ipc.new_file(path, rows.schema) as writer:
                writer.write_table(rows)
        case "memory":
            data = rows
    frame = rows.to_pandas()
    expected = frame["n"][CONDITIONS[where](frame).fillna(False).astype(bool)].tolist()
    assert 0 < len(expected) < ROWS
    assert read(data, where, ["n"])["n"].to_pylist() == expected
    assert read(data, where, ["ok"]).num_rows == len(expected)


@given(
    low=st.integers(-5, 65),
    high=st.integers(-5, 65),
    size=st.integers(1, 30),
    comparison=st.sampled_from(["<", "<=", ">", ">=", "=", "!="]),
)
def test_row_groups_change_no_row(low, high, size, comparison, tmp_path_factory):
    path = tmp_path_factory.mktemp("groups") / "t.parquet"
    pq.write_table(pa.table({"n": np.arange(60) // 2}), path, row_group_size=size)
    found = read(path, f"n{comparison}{low} and n>={high - 30}")["n"].to_pylist()
    field, other = ds.field("n"), {"=": "__eq__", "!=": "__ne__", "<": "__lt__"}
    names = {**other, "<=": "__le__", ">": "__gt__", ">=": "__ge__"}
    chosen = getattr(field, names[comparison])(low) & (field >= high - 30)
    assert found == ds.dataset(path).to_table(filter=chosen)["n"].to_pylist()


@pytest.mark.parametrize(
    ("kind", "values", "where", "expected"),
    [
        (pa.int8(), [-5, 0, 5], "v>=-200", [-5, 0, 5]),
        (pa.int8(), [-5, 0, 5], "v<200", [-5, 0, 5]),
        (pa.int32(), [1, 2], "v>=1.5", [2]),
        (pa.uint64(), [1, 2**64 - 1], "v>=18446744073709551615", [2**64 - 1]),
        (pa.uint64(), [1, 2], "v>-1", [1, 2]),
        (pa.float16(), np.array([0.5, 2], np.float16), "v=0.5", [0.5]),
        (pa.decimal128(6, 2), [Decimal("1.25"), Decimal("2.5")], "v<2.501", ["1.25", "2.50"]),
        (pa.date32(), [dt.date(2026, 1, 1), dt.date(2026, 1, 2)], "v>=2026-01-01 12:00", ["02"]),
        (pa.timestamp("us", "Europe/Oslo"), [dt.datetime(2026, 1, 1, 22), dt.datetime(2026, 1, 2)],
         "v>=2026-01-02", ["02 01"]),
        (pa.timestamp("ns"), [1_000_000_123, 2_000_000_456], "v>=1970-01-01 00:00:02", ["456"]),
        (pa.duration("ns"), [1, 2_000], "w>0", [1, 2_000]),
    ],
)  # fmt: skip
@pytest.mark.parametrize("stored", [False, True])
def test_values_beyond_the_type_of_a_column(kind, values, where, expected, stored, tmp_path):
    rows = pa.table({"v": pa.array(values, kind), "w": np.arange(1, len(values) + 1)})
    if stored:
        pq.write_table(rows, tmp_path / "t.parquet", row_group_size=1)
    found = read(str(tmp_path / "t.parquet") if stored else rows, where)["v"]
    if isinstance(expected[0], str):
        texts = found.cast(pa.string()).to_pylist()
        assert len(texts) == len(expected)
        assert all(part in text for part, text in zip(expected, texts, strict=True))
    else:
        assert found.cast(kind).equals(
            pa.chunked_array(
                [
                    pa.array(
                        np.array(expected, np.float16) if kind == pa.float16() else expected, kind
                    )
                ]
            )
        )


def test_quoted_names_and_values_may_have_any_text():
    rows = pa.table({"c and d": [1, 2, 3], "a<b": ["x and y", "O'Brien", "="]})
    assert read(rows, "'c and d'>=2 and \"a<b\"='='")["c and d"].to_pylist() == [3]
    assert read(rows, "\"a<b\"='x and y'")["c and d"].to_pylist() == [1]
    assert read(rows, "'a<b'=O'Brien and 'c and d'=2")["c and d"].to_pylist() == [2]


def test_files_of_different_types_have_the_rows_of_their_common_type(tmp_path):
    days = [dt.date(2025, 1, 5), dt.date(2025, 1, 6)]
    times = [dt.datetime(2025, 1, 6, 11), dt.datetime(2025, 1, 6, 13)]
    pq.write_table(pa.table({"v": pa.array(days, pa.date32())}), tmp_path / "a.parquet")
    pq.write_table(pa.table({"v": pa.array(times)}), tmp_path / "b.parquet", row_group_size=1)
    assert read(tmp_path, "v<2025-01-06 12:00").num_rows == 3


def test_row_groups_without_such_rows_are_not_read(tmp_path):
    path = tmp_path / "t.parquet"
    pq.write_table(table(), path, row_group_size=20, compression="none", use_dictionary=False)
    damage(path, group=0)
    with pytest.raises(DataError):
        read(path, "n>=0")
    assert read(path, "n>=20").num_rows == 40
    assert read(path, "n>=20 and time<2026-01-02 16:00")["n"].to_pylist() == list(range(20, 40))


def damage(path: Path, *, group: int) -> None:
    """Overwrite the pages of a row group's first column."""
    column = pq.read_metadata(path).row_group(group).column(0)
    content = bytearray(path.read_bytes())
    start = column.data_page_offset
    content[start : start + column.total_compressed_size] = b"\xff" * column.total_compressed_size
    path.write_bytes(content)


def test_folders_without_such_rows_are_not_opened_for_their_rows(tmp_path):
    for day in (1, 2, 3):
        place = tmp_path / "t" / f"day=2026-01-0{day}"
        place.mkdir(parents=True)
        rows = pa.table({"x": [day, day + 10]})
        pq.write_table(rows, place / "p.parquet", use_dictionary=False)
    damage(tmp_path / "t" / "day=2026-01-01" / "p.parquet", group=0)
    assert read(tmp_path / "t", "day>=2026-01-02")["x"].to_pylist() == [2, 12, 3, 13]
    assert read(tmp_path / "t", "day>2026-01-02 and x>10")["x"].to_pylist() == [13]
    with pytest.raises(DataError, match=r"no file of .* has rows with day>2027"):
        read(tmp_path / "t", "day>2027-01-01")


@pytest.mark.parametrize(
    ("where", "message", "hint"),
    [
        ("n", "is not a comparison", "--where 'day>=2026-01-01 and country=DE'"),
        ("n>1 or n<0", "'1 or n<0' is not a whole number", "--where"),
        ("contry=DE", "no column 'contry'", "--where 'country=DE'"),
        ("n=many", "'many' is not a whole number", "--where"),
        ("time>noon", "'noon' is not a date", "--where"),
    ],
)
def test_conditions_that_are_not_understood(where, message, hint):
    with pytest.raises(UsageError, match=message) as refused:
        read(table(), where)
    assert hint in (refused.value.hint or "")


def test_commands_see_the_chosen_rows_only(tmp_path):
    rows = table().drop_columns(["time"])
    read_options = ReadOptions(where="n<50")
    trained = aecli.train(rows, model=tmp_path / "m", where="n<50", epochs=1, latent=2)
    found = aecli.encode(
        rows, str(tmp_path / "z.parquet"), model=tmp_path / "m", read=read_options, keep=["n"]
    )
    summary = trained.spec.summary
    assert (summary.train_rows + summary.valid_rows, found.rows) == (50, 50)
    assert pq.read_table(tmp_path / "z.parquet")["n"].to_pylist() == list(range(50))
    with pytest.raises(DataError, match="no rows"):
        aecli.train(rows, model=tmp_path / "m2", where="n<0", epochs=1)


def test_an_output_folder_has_no_file_without_such_rows(tmp_path):
    for day in (1, 2):
        place = tmp_path / "t" / f"day={day}"
        place.mkdir(parents=True)
        pq.write_table(table().drop_columns(["time"]), place / "p.parquet")
    aecli.train(tmp_path / "t", model=tmp_path / "m", epochs=1, latent=2, exclude=["day"])
    found = aecli.encode(
        tmp_path / "t", f"{tmp_path}/out/", model=tmp_path / "m",
        read=ReadOptions(where="day=2 and n>=40"),
    )  # fmt: skip
    files = sorted(path.relative_to(tmp_path / "out") for path in (tmp_path / "out").rglob("p.*"))
    assert (found.rows, files) == (20, [Path("day=2/p.parquet")])
