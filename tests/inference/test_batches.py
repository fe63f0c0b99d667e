"""A model of windows gives a latent per window, and every row back in the order of the table."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch

import aecli
from aecli.errors import DataError, UsageError
from aecli.features.windows import cut_windows
from aecli.inference.loaded_model import load_model

pytestmark = pytest.mark.usefixtures("no_cross_fitting")

HOW = {"window": 4, "group": ["g"], "time": "t", "latent": 3, "epochs": 1}


def table(lengths=(30, 20, 3), seed=0, **more):
    """Interleave series of these lengths, each with a time that runs from 0."""
    generator = np.random.default_rng(seed)
    pairs = [(name, step) for name, rows in enumerate(lengths) for step in range(rows)]
    pairs.sort(key=lambda pair: (pair[1], pair[0]))
    groups, times = np.array(pairs).T
    made = {"x": np.sin(times / 3) + groups, "y": generator.normal(size=len(pairs))}
    return pa.table({"g": groups, "t": times} | made | more)


def trained(folder: Path, data: pa.Table, **values) -> Path:
    return aecli.train(data, model=folder / "m", **HOW | values).model


def encoded(model: Path, data: pa.Table, **how) -> pa.Table:
    aecli.encode(data, str(model / "z.parquet"), model=model, **how)
    return pq.read_table(model / "z.parquet")


def reconstructed(model: Path, data: pa.Table, **how) -> pa.Table:
    aecli.reconstruct(data, str(model / "rows.parquet"), model=model, **how)
    return pq.read_table(model / "rows.parquet")


def test_each_window_is_a_row_with_its_group_and_end(tmp_path: Path):
    latents = encoded(trained(tmp_path, table()), table())
    assert latents.schema.names == ["g", "t", "z0", "z1", "z2"]
    ends = [*[(0, end) for end in range(3, 30)], *[(1, end) for end in range(3, 20)]]
    assert list(zip(*latents.select(["g", "t"]).to_pydict().values(), strict=True)) == ends


def test_a_latent_depends_on_its_own_rows_only(tmp_path: Path):
    model, data = trained(tmp_path, table()), table()
    whole = encoded(model, data).to_pylist()
    few = data.filter((pa.compute.field("g") == 1) & (pa.compute.field("t") >= 10))
    part = encoded(model, few).to_pylist()
    expected = [row for row in whole if row["g"] == 1 and row["t"] >= 13]
    assert [row["t"] for row in part] == list(range(13, 20))
    for got, row in zip(part, expected, strict=True):
        assert [got[name] for name in got] == pytest.approx([row[name] for name in got], abs=1e-5)


def test_every_row_comes_back_in_order_and_empty_where_no_window_is(tmp_path: Path):
    data = table(b=[True, False] * 26 + [True], c=["u", "v", "w"] * 17 + ["u", "v"], same=[7] * 53)
    model = trained(tmp_path, data)
    result = aecli.reconstruct(data, str(tmp_path / "rows.parquet"), model=model)
    rows = pq.read_table(tmp_path / "rows.parquet")
    assert (result.rows, result.uncovered) == (53, 3)
    assert rows.select(["g", "t"]) == data.select(["g", "t"])
    assert rows.schema.names == ["g", "t", "x", "y", "b", "c", "same"]
    for name in ("x", "y", "b", "c", "same"):
        empty = [row["g"] for row in rows.to_pylist() if row[name] is None]
        assert empty == [2, 2, 2], name


def test_a_row_in_several_windows_gets_the_mean(tmp_path: Path):
    data = table((12,))
    model = load_model(trained(tmp_path, data), device="cpu")
    x = data.select(["x", "y"]).to_pandas().to_numpy()
    center = np.array([column.center[0] for column in model.spec.columns])
    scale = np.array([column.scale[0] for column in model.spec.columns])
    windows = cut_windows(12, size=4).rows()
    cells = torch.tensor((x - center) / scale, dtype=torch.float32)[windows.reshape(-1)]
    outputs = model.network(model.inputs(cells)).detach().numpy().reshape(9, 4, 2)
    for row, got in enumerate(reconstructed(model.directory, data).to_pylist()):
        mean = outputs[windows == row].mean(0) * scale + center
        assert [got["x"], got["y"]] == pytest.approx(mean.tolist(), abs=1e-4)


def test_shuffled_rows_with_a_time_come_back_as_sorted_ones(tmp_path: Path):
    data = table()
    model = trained(tmp_path, data)
    order = np.random.default_rng(5).permutation(len(data))
    expected = reconstructed(model, data).take(order).to_pylist()
    shuffled = reconstructed(model, data.take(order)).to_pylist()
    for got, row in zip(shuffled, expected, strict=True):
        assert (got["g"], got["t"], got["x"] is None) == (row["g"], row["t"], row["x"] is None)
        if row["x"] is not None:
            assert [got["x"], got["y"]] == pytest.approx([row["x"], row["y"]], abs=1e-5)


def test_training_on_shuffled_rows_with_a_time_finds_the_same_windows(tmp_path: Path):
    order = np.random.default_rng(1).permutation(53)
    summary = aecli.train(table().take(order), model=tmp_path / "a", **HOW).spec.summary
    assert "rows were not in the order of t: sorted" in summary.notes
    sorted_rows = aecli.train(table(), model=tmp_path / "b", **HOW).spec.summary
    counts = [(s.train_rows, s.valid_rows) for s in (summary, sorted_rows)]
    assert counts[0] == counts[1] == (23 + 13, 1 + 1)


def test_file_order_counts_without_keys(tmp_path: Path):
    data = table().select(["x", "y"])
    model = trained(tmp_path, data, group=[], time=None)
    assert encoded(model, data).shape == (50, 3)
    assert None not in reconstructed(model, data)["x"].to_pylist()


def test_the_stride_of_the_training_cuts_new_tables_too(tmp_path: Path):
    model = trained(tmp_path, table(), stride=3)
    assert encoded(model, table((11,)))["t"].to_pylist() == [3, 6, 9]
    empty = [row is None for row in reconstructed(model, table((11,)))["x"].to_pylist()]
    assert empty == [False] * 10 + [True]


def test_batches_of_windows_change_nothing(tmp_path: Path):
    model = trained(tmp_path, table())
    whole, pieces = (reconstructed(model, table(), batch_size=size) for size in (None, 5))
    pairs = zip(whole["y"].to_pylist(), pieces["y"].to_pylist(), strict=True)
    assert all(a == b or a == pytest.approx(b, abs=1e-5) for a, b in pairs)


def test_a_table_of_short_series_is_refused_and_leaves_no_file(tmp_path: Path):
    model = trained(tmp_path, table())
    with pytest.raises(DataError, match="longer than any series") as caught:
        aecli.encode(table((3, 2)), str(tmp_path / "z.parquet"), model=model)
    assert caught.value.facts == ("2 series, the longest of 3 rows",)
    assert not (tmp_path / "z.parquet").exists()


@pytest.mark.parametrize("how", ["last", "majority"])
def test_windows_are_classified_by_their_label(tmp_path: Path, how: str):
    data = table((20, 20)).append_column("label", pa.array(["u", "u", "v", None] * 10))
    spec = aecli.train(
        data, model=tmp_path / "m", label="label", window_label=how, **HOW | {"epochs": 2}
    ).spec
    scored = aecli.evaluate(data, model=tmp_path / "m").classification
    assert spec.label.classes == ["u", "v"]
    labelled = sum(label is not None for label in data["label"].to_pylist()[6:])
    assert scored.rows == {"last": labelled, "majority": 34}[how]


def test_a_table_without_rows_gives_an_empty_file(tmp_path: Path):
    model = trained(tmp_path, table())
    assert encoded(model, table().slice(0, 0)).num_rows == 0
    assert reconstructed(model, table().slice(0, 0)).num_rows == 0


def test_a_table_without_rows_cannot_be_evaluated(tmp_path: Path):
    data = table(label=["a", "b"] * 26 + ["a"])
    model = trained(tmp_path, data, label="label")
    assert aecli.evaluate(data, model=model).rows == len(data)
    with pytest.raises(DataError, match="has no rows"):
        aecli.evaluate(data.slice(0, 0), model=model)


def test_a_new_table_is_told_in_words_and_not_in_options_of_training(tmp_path: Path):
    model = trained(tmp_path, table())
    for data, said, hint in (
        (table((3, 2)), "window of 4 rows is longer than any series", "a series of 4 rows"),
        (table().rename_columns(["g", "time", "x", "y"]), "lacks the column 't'", "a table"),
        (table().drop_columns("g"), "lacks the column 'g'", "a table with the column 'g'"),
        (table().set_column(1, "t", pa.nulls(53, pa.int64())), "time column t", "fill them"),
    ):
        with pytest.raises(DataError, match=said) as caught:
            encoded(model, data)
        assert hint in caught.value.hint
        assert "--" not in "".join(caught.value.lines())


def test_a_time_of_another_kind_than_in_training_is_refused_with_both_types(tmp_path: Path):
    model, data = trained(tmp_path, table()), table()
    assert len(encoded(model, data.set_column(1, "t", data["t"].cast("double")))) == 44
    dates = data.set_column(1, "t", data["t"].cast(pa.timestamp("s")))
    with pytest.raises(DataError, match=r"'t' of .* is timestamp\[s\]; .* trained on int64"):
        encoded(model, dates)
    dated = trained(tmp_path / "dated", dates)
    assert len(encoded(dated, dates.set_column(1, "t", dates["t"].cast(pa.string())))) == 44
    with pytest.raises(DataError, match=r"is int64; this model was trained on timestamp\[s\]"):
        encoded(dated, data)


def test_rows_without_a_group_are_a_series_of_their_own(tmp_path: Path):
    data = table((12, 12))
    holes = pa.compute.if_else(pa.compute.equal(data["g"], 1), None, data["g"])
    latents = encoded(trained(tmp_path, table()), data.set_column(0, "g", holes))
    assert latents["g"].to_pylist() == [0] * 9 + [None] * 9


@pytest.mark.parametrize(("role", "flag"), [("group", "--group"), ("time", "--time")])
def test_a_label_that_is_a_key_is_named_by_both_options(tmp_path: Path, role: str, flag: str):
    with pytest.raises(UsageError, match=f"named by {flag} and by --label"):
        aecli.train(table(), model=tmp_path / "m", window=4, label="g", **{role: "g"})


def test_advice_names_only_what_was_given(tmp_path: Path):
    with pytest.raises(DataError) as caught:
        aecli.train(table((1, 1)), model=tmp_path / "m", window=4, group="g")
    assert caught.value.hint == "no --group"
