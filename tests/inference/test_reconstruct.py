"""What reconstruct --fill promises: missing features get an answer, and nothing else changes."""

from __future__ import annotations

import datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv
import pyarrow.parquet as pq
import pytest

import aecli
from aecli.errors import DataError, UsageError

pytestmark = pytest.mark.usefixtures("no_cross_fitting")

ROWS = 240
FEATURES = ["number", "whole", "price", "day", "colour", "size", "flag", "vector", "same"]


def complete() -> pa.Table:
    x = np.random.default_rng(0).normal(size=ROWS)
    days = [datetime.date(2024, 1, 1) + datetime.timedelta(days=int(20 * v)) for v in x]
    sizes = pa.array(np.where(x > 0, "large", "small")).dictionary_encode()
    return pa.table(
        {
            "id": [f"row {i}" for i in range(ROWS)],
            "number": x,
            "whole": pa.array(np.rint(10 * x).astype(np.int16)),
            "price": pa.array([Decimal(f"{v:.2f}") for v in x], pa.decimal128(6, 2)),
            "day": days,
            "colour": np.where(x > 0, "[red]", "grün"),
            "size": sizes.cast(pa.dictionary(pa.int8(), pa.string())),
            "flag": x > 0,
            "vector": pa.array([[float(v), -float(v)] for v in x], pa.list_(pa.float32(), 2)),
            "same": pa.array(np.full(ROWS, 7, np.int8)),
            "text": [f"free text {i} of many" for i in range(ROWS)],
            "y": np.where(x > 0, "yes", "no"),
        }
    )


def with_holes(table: pa.Table) -> pa.Table:
    dice = np.random.default_rng(1)
    columns = []
    for name, kind in zip(table.schema.names, table.schema.types, strict=True):
        hole = pa.array(dice.random(len(table)) < (0 if name == "id" else 0.1))
        kept = pc.if_else(hole, None, pa.array(np.arange(len(table))))
        columns.append(table[name].combine_chunks().take(kept).cast(kind))
    return pa.table(columns, schema=table.schema)


@pytest.fixture(scope="module")
def holes() -> pa.Table:
    return with_holes(complete())


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory, holes: pa.Table) -> Path:
    folder = tmp_path_factory.mktemp("fill") / "m"
    how = {"label": "y", "id": ["id"], "latent": 4, "epochs": 15, "noise": "mask:0.2"}
    aecli.train(holes, model=folder, exclude=["text"], **how)
    return folder


@pytest.fixture(scope="module")
def filled(model: Path, holes: pa.Table) -> tuple[pa.Table, dict[str, int]]:
    output = model.parent / "filled.parquet"
    result = aecli.reconstruct(holes, str(output), model=model, fill=True, batch_size=64)
    return pq.read_table(output), dict(result.filled)


def test_only_missing_features_change(holes: pa.Table, filled: tuple[pa.Table, dict[str, int]]):
    table, counts = filled
    assert table.schema == holes.schema
    for name in holes.schema.names:
        present = holes[name].is_valid()
        assert table[name].filter(present).to_pylist() == holes[name].filter(present).to_pylist()
        if name in FEATURES:
            per_cell = 2 if name == "vector" else 1
            assert table[name].null_count == 0
            assert counts[name] == per_cell * holes[name].null_count > 0
        else:
            assert table[name].null_count == holes[name].null_count


def test_the_answers_are_good_and_in_range(filled: tuple[pa.Table, dict[str, int]]):
    truth, table = complete(), filled[0]
    number = table["number"].to_numpy()
    assert np.corrcoef(number, truth["number"])[0, 1] > 0.95
    assert set(table["same"].to_pylist()) == {7}
    for name in ("colour", "size", "flag"):
        right = pc.equal(table[name].cast(pa.string()), truth[name].cast(pa.string()))
        assert pc.mean(right.cast(pa.int8())).as_py() > 0.95
    assert pc.min(truth["whole"]).as_py() <= pc.min(table["whole"]).as_py()
    assert pc.max(table["whole"]).as_py() <= pc.max(truth["whole"]).as_py()


def test_missing_elements_of_a_vector_are_filled_alone(model: Path, tmp_path: Path):
    rows = complete().slice(0, 3)
    vectors = pa.array([[0.5, None], None, [float("nan"), 1.5]], pa.list_(pa.float32(), 2))
    rows = rows.set_column(rows.schema.get_field_index("vector"), "vector", vectors)
    result = aecli.reconstruct(rows, str(tmp_path / "f.parquet"), model=model, fill=True)
    found = pq.read_table(tmp_path / "f.parquet")["vector"].to_pylist()
    assert (found[0][0], found[2][1]) == (0.5, 1.5)
    assert np.isfinite(found).all()
    assert result.filled == {"vector": 4}


def test_csv_cells_keep_their_values(tmp_path: Path):
    train = pa.table({"a": np.arange(30.0) / 4, "b": np.arange(30) % 7, "c": [*"xyz"] * 10})
    aecli.train(train, model=tmp_path / "m", epochs=1)
    (tmp_path / "t.csv").write_text("code,b,a,c\n007,3,,x\n8,,1.25,\nNA,4.0,2,new\n")
    result = aecli.reconstruct(
        str(tmp_path / "t.csv"), str(tmp_path / "f.csv"), model=tmp_path / "m", fill=True
    )
    lines = (tmp_path / "f.csv").read_text().replace('"', "").splitlines()
    header, first, second, third = (line.split(",") for line in lines)
    assert header == ["code", "b", "a", "c"]
    assert (first[:2], first[3]) == (["007", "3"], "x")
    assert (second[0], second[2]) == ("8", "1.25")
    assert second[1].isdigit()
    assert second[3] in "xyz"
    assert third == ["NA", "4", "2", "new"]
    assert result.filled == {"a": 1, "b": 1, "c": 1}
    assert "--noise mask:0.2" in result.notes[-1]


def test_a_column_of_another_type_is_filled_in_it_or_refused(model: Path, tmp_path: Path):
    rows = complete().slice(0, 2)
    place = rows.schema.get_field_index("whole")
    as_float = rows.set_column(place, "whole", pa.array([None, 2.5], pa.float64()))
    aecli.reconstruct(as_float, str(tmp_path / "f.parquet"), model=model, fill=True)
    whole = pq.read_table(tmp_path / "f.parquet")["whole"]
    assert whole.type == pa.float64()
    assert whole[0].as_py() == round(whole[0].as_py())
    place = rows.schema.get_field_index("colour")
    as_number = rows.set_column(place, "colour", pa.array([None, 2]))
    with pytest.raises(DataError, match="'colour' is int64 here and string in the model"):
        aecli.reconstruct(as_number, str(tmp_path / "g.parquet"), model=model, fill=True)
    assert not (tmp_path / "g.parquet").exists()


def test_a_dictionary_keeps_its_order_and_gets_what_it_lacks(model: Path, tmp_path: Path):
    rows = complete()
    codes = pa.array([0, None] * (ROWS // 2), pa.int8())
    sizes = pa.DictionaryArray.from_arrays(codes, pa.array(["small", "unused"]), ordered=True)
    rows = rows.set_column(rows.schema.get_field_index("size"), "size", sizes)
    aecli.reconstruct(rows, str(tmp_path / "f.arrow"), model=model, fill=True, to="parquet")
    found = pq.read_table(tmp_path / "f.arrow")["size"].combine_chunks()
    assert found.type.ordered
    assert found.dictionary.to_pylist() == ["small", "unused", "large"]
    assert found.null_count == 0


def test_the_slot_of_rare_categories_is_no_answer(tmp_path: Path):
    values = [*"abcdefghij"] * 12 + ["common"] * 5
    rows = pa.table({"x": np.arange(len(values)) % 7.0, "kind": [*values[:-3], None, None, None]})
    how = {"model": tmp_path / "m", "max_categories": 2, "noise": "mask:0.3", "epochs": 4}
    aecli.train(rows, **how)
    aecli.reconstruct(rows, str(tmp_path / "f.parquet"), model=tmp_path / "m", fill=True)
    found = pq.read_table(tmp_path / "f.parquet")["kind"]
    assert set(found[-3:].to_pylist()) <= set("abcdefghij")


def test_rows_in_no_window_stay_as_they_are(tmp_path: Path):
    x = np.arange(60.0) % 9
    holes = [None if i in (3, 57, 58) else v for i, v in enumerate(x)]
    rows = pa.table({"g": ["a"] * 55 + ["b"] * 5, "x": pa.array(holes), "z": -x})
    how = {"window": 8, "group": ["g"], "noise": "mask:0.2", "epochs": 2}
    aecli.train(rows, model=tmp_path / "m", **how)
    result = aecli.reconstruct(rows, str(tmp_path / "f.parquet"), model=tmp_path / "m", fill=True)
    found = pq.read_table(tmp_path / "f.parquet")
    assert (result.filled, result.unfilled, result.uncovered) == ({"x": 1}, {"x": 2}, 5)
    assert [i for i, v in enumerate(found["x"].to_pylist()) if v is None] == [57, 58]
    assert found.schema == rows.schema


def test_fill_and_what_it_leaves_nothing_for(model: Path, tmp_path: Path):
    for other in ({"residuals": True}, {"keep": ["id"]}):
        with pytest.raises(UsageError, match="has no effect"):
            aecli.reconstruct(
                complete(), str(tmp_path / "f.parquet"), model=model, fill=True, **other
            )


def test_an_empty_table_is_filled_with_nothing(model: Path, tmp_path: Path):
    rows = complete().slice(0, 0)
    result = aecli.reconstruct(rows, str(tmp_path / "f.parquet"), model=model, fill=True)
    assert (result.rows, result.filled) == (0, {})
    assert pq.read_table(tmp_path / "f.parquet").schema == rows.schema


def test_residuals_are_value_minus_reconstruction(model: Path, holes: pa.Table, tmp_path: Path):
    aecli.reconstruct(holes, str(tmp_path / "r.parquet"), model=model, residuals=True)
    found = pq.read_table(tmp_path / "r.parquet")
    varying = [name for name in FEATURES if name != "same"]
    assert {f"{name}_residual" for name in varying} <= set(found.schema.names)
    assert "same_residual" not in found.schema.names
    for name in ("number", "whole"):
        expected = pc.subtract(holes[name].cast(pa.float64()), found[name].cast(pa.float64()))
        assert found[f"{name}_residual"].to_pylist() == pytest.approx(expected.to_pylist())
    days = pc.subtract(holes["day"].cast(pa.int32()), found["day"].cast(pa.int32()))
    assert found["day_residual"].to_pylist() == days.to_pylist()
    assert found.schema.field("vector_residual").type == pa.list_(pa.float64(), 2)


def test_the_residual_of_a_category_is_one_minus_its_probability(model: Path, tmp_path: Path):
    rows = complete()
    wrong = pa.array(["[red]" if v == "grün" else "grün" for v in rows["colour"].to_pylist()])
    place = rows.schema.get_field_index("colour")
    found = []
    for table in (rows, rows.set_column(place, "colour", wrong)):
        aecli.reconstruct(table, str(tmp_path / "r.parquet"), model=model, residuals=True)
        residuals = pq.read_table(tmp_path / "r.parquet")["colour_residual"].to_numpy()
        assert ((residuals >= 0) & (residuals <= 1)).all()
        found.append(residuals.mean())
    assert found[0] < 0.1 < found[1]
    unseen = rows.set_column(place, "colour", pa.array(["mauve"] * ROWS))
    aecli.reconstruct(unseen, str(tmp_path / "r.parquet"), model=model, residuals=True)
    assert set(pq.read_table(tmp_path / "r.parquet")["colour_residual"].to_pylist()) == {1.0}


def test_two_columns_of_one_name_are_refused(tmp_path: Path):
    rows = pa.table({"a": np.arange(30.0) % 7, "a_residual": np.arange(30.0) % 5})
    aecli.train(rows, model=tmp_path / "m", epochs=1)
    with pytest.raises(UsageError, match="two output columns have the name 'a_residual'"):
        aecli.reconstruct(rows, str(tmp_path / "r.parquet"), model=tmp_path / "m", residuals=True)


def test_residuals_of_long_integers_and_instants_are_exact(tmp_path: Path):
    steps = np.random.default_rng(0).integers(0, 500, 90)
    whole = pa.array(2**60 + steps, mask=np.arange(90) % 9 == 0)
    when = pa.array(2**60 + steps[::-1]).cast(pa.timestamp("ns"))
    rows = pa.table({"whole": whole, "when": when})
    aecli.train(rows, model=tmp_path / "m", latent=1, epochs=1)
    found = aecli.load(tmp_path / "m").reconstruct(rows, residuals=True)
    pairs = zip(whole.to_pylist(), found["whole"].to_pylist(), strict=True)
    wanted = [None if value is None else float(value - answer) for value, answer in pairs]
    assert found["whole_residual"].to_pylist() == wanted
    apart = np.array(when.cast(pa.int64())) - np.array(found["when"].cast(pa.int64()))
    np.testing.assert_allclose(found["when_residual"], apart * 1e-9, rtol=1e-12, atol=0)


def indexed(index: Any) -> pd.DataFrame:
    frame = pd.DataFrame({"number": np.arange(40) % 7 / 2, "colour": list("rgrb") * 10})
    frame["nested"] = [{"a": [1], "b": "x"}] * 40
    frame["kept"] = pd.Categorical(["u", "v"] * 20)
    frame["when"] = pd.date_range("2024", periods=40, tz="Europe/Berlin")
    frame.loc[::5, "number"] = np.nan
    return frame.set_axis(index)


@pytest.fixture(scope="module")
def model_of_indexed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    model = tmp_path_factory.mktemp("indexed") / "model"
    frame = indexed(pd.RangeIndex(40)).assign(number=np.arange(40) % 7 / 2)
    columns = ["number", "colour"]
    aecli.train(frame[columns], model=model, epochs=1, encoder=2, noise="mask:0.2")
    return model


@pytest.mark.parametrize("suffix", ["parquet", "arrow"])
@pytest.mark.parametrize(
    "index",
    [
        pd.Index([f"row {i}" for i in range(40)]),
        pd.Index(range(5, 45), name="key"),
        pd.RangeIndex(10, 90, 2),
        pd.MultiIndex.from_product([range(20), ["x", "y"]]),
        pd.date_range("2024-01-01", periods=40, tz="UTC"),
    ],
    ids=["text", "named", "range", "levels", "dates"],
)
def test_the_index_of_pandas_comes_back_from_a_filled_table(
    tmp_path: Path, model_of_indexed: Path, index: Any, suffix: str
) -> None:
    frame = indexed(index)
    source, filled = tmp_path / "source.parquet", tmp_path / f"filled.{suffix}"
    frame.to_parquet(source)
    result = aecli.reconstruct(str(source), str(filled), fill=True, model=model_of_indexed)
    before = pq.read_table(source)
    assert list(result.columns) == before.column_names
    read = pd.read_parquet if suffix == "parquet" else pd.read_feather
    after = read(filled)
    assert after.index.equals(frame.index)
    assert after.index.names == frame.index.names
    assert not after["number"].isna().any()
    present = frame["number"].notna()
    assert after["number"][present].equals(frame["number"][present])
    others = [column for column in before.column_names if column != "number"]
    if suffix == "parquet":  # an Arrow file has its dictionaries decoded
        assert after.dtypes.equals(pd.read_parquet(source).dtypes)
        assert pq.read_table(filled).select(others).equals(before.select(others))


def test_files_with_the_index_of_pandas_are_filled_together(
    tmp_path: Path, model_of_indexed: Path
) -> None:
    for part in ("a", "b"):
        (tmp_path / "rows" / f"part={part}").mkdir(parents=True)
        frame = indexed(pd.Index([f"{part}{i}" for i in range(40)]))
        frame.to_parquet(tmp_path / "rows" / f"part={part}" / "rows.parquet")
    output = tmp_path / "filled.parquet"
    aecli.reconstruct(str(tmp_path / "rows"), str(output), fill=True, model=model_of_indexed)
    after = pd.read_parquet(output)
    assert list(after.index) == [f"{part}{i}" for part in "ab" for i in range(40)]
    assert after["part"].tolist() == ["a"] * 40 + ["b"] * 40


def test_a_filled_csv_has_the_index_as_a_column(tmp_path: Path, model_of_indexed: Path) -> None:
    frame = indexed(pd.Index([f"row {i}" for i in range(40)])).drop(columns="nested")
    frame.to_parquet(tmp_path / "source.parquet")
    output = tmp_path / "filled.csv"
    aecli.reconstruct(
        str(tmp_path / "source.parquet"), str(output), fill=True, model=model_of_indexed
    )
    assert list(pd.read_csv(output)["__index_level_0__"]) == list(frame.index)
