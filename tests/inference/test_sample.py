from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pyarrow import csv

import aecli
from aecli.errors import DataError, ModelError, UsageError
from aecli.inference.loaded_model import load_model
from aecli.inference.row_distribution import ROWS_PREFIX
from aecli.inference.sample import sample_pass

pytestmark = pytest.mark.usefixtures("no_cross_fitting")


def table(rows: int = 400) -> pa.Table:
    generator = np.random.default_rng(0)
    kind = generator.choice(["small", "large"], rows)
    size = np.where(kind == "small", 10.0, 50.0) + generator.normal(0, 2, rows)
    return pa.table(
        {
            "kind": kind,
            "size": size,
            "weight": 2 * size + generator.normal(0, 2, rows),
            "count": generator.integers(0, 5, rows),
            "colour": np.where(size > 30, "red", "blue"),
        }
    )


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("sample") / "model"
    aecli.train(table(), model=directory, label="kind", variational=True, latent=2, epochs=30)
    return directory


def drawn(model: Path, folder: Path, **how: object) -> pa.Table:
    aecli.sample(str(folder / "rows.parquet"), model=model, **how)
    return pq.read_table(folder / "rows.parquet")


def test_rows_come_in_the_columns_types_and_units_of_the_table(model: Path, tmp_path: Path):
    rows = drawn(model, tmp_path, count=500)
    assert rows.schema.names == ["size", "weight", "count", "colour", "kind"]
    assert rows.schema.field("count").type == pa.int64()
    assert set(rows["colour"].to_pylist()) == {"red", "blue"}
    size, weight = rows["size"].to_numpy(), rows["weight"].to_numpy()
    assert 5 < np.quantile(size, 0.1) < np.quantile(size, 0.9) < 60
    assert np.corrcoef(size, weight)[0, 1] > 0.9


def test_one_seed_gives_the_same_rows_and_another_gives_others(model: Path, tmp_path: Path):
    first, again = (drawn(model, tmp_path, count=20, seed=3) for _ in range(2))
    assert first.equals(again)
    assert not first.equals(drawn(model, tmp_path, count=20, seed=4))


@pytest.mark.parametrize(("of_class", "size"), [("small", 10), ("large", 50)])
def test_rows_of_a_class_look_like_it(model: Path, tmp_path: Path, of_class: str, size: float):
    rows = drawn(model, tmp_path, count=200, of_class=of_class)
    assert set(rows["kind"].to_pylist()) == {of_class}
    assert np.mean(rows["size"].to_numpy()) == pytest.approx(size, abs=6)


def test_drawn_columns_vary_as_those_of_the_table_and_stay_in_their_range(
    model: Path, tmp_path: Path
):
    rows, whole = drawn(model, tmp_path, count=4000), table()
    for name in ("size", "weight", "count"):
        found, wanted = rows[name].to_numpy(), whole[name].to_numpy()
        assert np.std(found) == pytest.approx(np.std(wanted), rel=0.25), name
        assert wanted.min() <= found.min() < found.max() <= wanted.max()
    for name in ("kind", "colour"):
        shares = [
            {c["values"]: c["counts"] / len(t) for c in t[name].value_counts().to_pylist()}
            for t in (rows, whole)
        ]
        assert shares[0] == pytest.approx(shares[1], abs=0.05)


def test_without_a_label_penguins_are_drawn_as_they_are(tmp_path: Path):
    path = Path(__file__).parents[2] / "sample_data" / "penguins.csv"
    aecli.train(str(path), model=tmp_path / "m", variational=True, epochs=25)
    rows, whole = drawn(tmp_path / "m", tmp_path, count=4000), csv.read_csv(path)
    for name in ("bill_length_mm", "bill_depth_mm", "flipper_length_mm", "body_mass_g", "year"):
        found, wanted = (t[name].drop_null().to_numpy() for t in (rows, whole))
        assert np.std(found) == pytest.approx(np.std(wanted), rel=0.25), name
    species = np.mean(np.array(rows["species"].to_pylist()) == "Adelie")
    assert species == pytest.approx(152 / 344, abs=0.08)


def structured(rows: int = 800) -> pa.Table:
    """Return rows with a spike, decimals, columns that belong together, and missing cells."""
    generator = np.random.default_rng(1)
    place = generator.integers(0, 8, rows)
    paid = np.where(generator.random(rows) < 0.8, 0.0, generator.exponential(50, rows).round(2))
    pairs = generator.normal(0, 1, (rows, 2)).astype(np.float32)
    return pa.table(
        {
            "town": np.array(list("hgfedcba"))[place],
            "postcode": 1000 + 37 * place,
            "paid": paid,
            "seen": pa.array(place, mask=generator.random(rows) < 0.2, type=pa.timestamp("s")),
            "known": pa.array(paid > 10, mask=generator.random(rows) < 0.1),
            "point": [list(pair) if number % 4 else None for number, pair in enumerate(pairs)],
        }
    )


@pytest.fixture(scope="module")
def structured_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("structured") / "model"
    how = {"variational": True, "latent": 2, "epochs": 10, "categorical": ["town"]}
    aecli.train(structured(), model=directory, **how)
    return directory


def test_spikes_decimals_and_missing_cells_are_drawn_as_often(
    structured_model: Path, tmp_path: Path
):
    rows, whole = drawn(structured_model, tmp_path, count=4000), structured()
    paid = rows["paid"].to_numpy()
    assert np.mean(paid == 0) == pytest.approx(0.8, abs=0.03)
    assert np.abs(paid - paid.round(2)).max() < 1e-9
    for name in whole.column_names:
        wanted = whole[name].null_count / len(whole)
        assert rows[name].null_count / len(rows) == pytest.approx(wanted, rel=0.2, abs=0.01), name


def test_columns_that_belong_together_are_drawn_together(structured_model: Path, tmp_path: Path):
    rows, whole = drawn(structured_model, tmp_path, count=4000), structured()
    of_table, of_rows = (
        list(zip(t["town"].to_pylist(), t["postcode"].to_pylist(), strict=True))
        for t in (whole, rows)
    )
    assert np.mean([pair in set(of_table) for pair in of_rows]) > 0.95
    agreeing = [
        p > 10
        for p, k in zip(rows["paid"].to_pylist(), rows["known"].to_pylist(), strict=True)
        if k
    ]
    assert np.mean(agreeing) > 0.9


@pytest.mark.parametrize("name", ["points", "point_counts", "missing", "start", "embedding"])
def test_a_damaged_distribution_of_rows_is_refused(structured_model: Path, name: str):
    model = load_model(structured_model)
    for baseline in (
        {key: t for key, t in model.baseline.items() if key != ROWS_PREFIX + name},
        model.baseline | {ROWS_PREFIX + name: model.baseline[ROWS_PREFIX + name][:1]},
    ):
        with pytest.raises(ModelError, match="has a distribution of rows that differs"):
            sample_pass(replace(model, baseline=baseline))


def test_a_model_of_an_older_version_draws_rows_from_its_decoder(tmp_path: Path):
    older = Path(__file__).parents[1] / "golden" / "0.2.0" / "variational"
    rows, whole = drawn(older / "model", tmp_path, count=50), pq.read_table(older / "table.parquet")
    assert set(rows.column_names) <= set(whole.column_names)
    assert rows.num_rows == 50
    for name in rows.column_names:
        assert rows.schema.field(name).type == whole.schema.field(name).type


@pytest.mark.parametrize("rows", [2, 3, 12])
def test_tables_of_few_rows_are_drawn(tmp_path: Path, rows: int):
    x = np.arange(float(rows))
    table = pa.table({"x": x, "y": [None, *x[1:] * 2]})
    aecli.train(table, model=tmp_path / "m", variational=True, latent=1, epochs=1)
    found = drawn(tmp_path / "m", tmp_path, count=20)["x"].to_numpy()
    assert 0 <= found.min() <= found.max() <= rows - 1


def test_what_cannot_be_drawn_is_refused(model: Path, tmp_path: Path):
    with pytest.raises(UsageError, match="no class 'smal'") as caught:
        drawn(model, tmp_path, of_class="smal")
    assert caught.value.hint == "--class small"
    aecli.train(table(), model=tmp_path / "plain", latent=2, epochs=1)
    with pytest.raises(UsageError, match="is not variational"):
        drawn(tmp_path / "plain", tmp_path)
    assert not (tmp_path / "rows.parquet").exists()


def test_scales_are_written_where_they_are_asked_for(model: Path, tmp_path: Path):
    output = str(tmp_path / "z.parquet")
    aecli.encode(table(), output, model=model, with_std=True)
    latents = pq.read_table(output)
    assert latents.schema.names == ["z0", "z1", "s0", "s1"]
    assert 0 < np.min(latents["s0"].to_numpy()) < 1
    aecli.encode(table(), output, model=model)
    assert pq.read_table(output)["z0"].equals(latents["z0"])


def test_a_class_at_the_end_of_a_sorted_table_is_found(tmp_path: Path):
    generator = np.random.default_rng(0)
    x = np.concatenate([generator.normal(0, 1, 3000), generator.normal(8, 1, 600)])
    rows = pa.table({"x": x, "y": -x, "kind": ["a"] * 3000 + ["b"] * 600})
    how = {"label": "kind", "variational": True, "latent": 1, "epochs": 3}
    aecli.train(rows, model=tmp_path / "m", **how)
    found = drawn(tmp_path / "m", tmp_path, count=300, of_class="b")
    assert np.mean(found["x"].to_numpy()) == pytest.approx(8, abs=2)


def test_windows_are_numbered_beside_a_column_called_window(tmp_path: Path):
    rows = pa.table({"window": np.arange(60.0) % 7, "x": np.arange(60.0) % 5})
    aecli.train(rows, model=tmp_path / "m", window=4, variational=True, latent=2, epochs=1)
    found = drawn(tmp_path / "m", tmp_path, count=3)
    assert found.schema.names == ["window_", "window", "x"]
    assert found["window_"].to_pylist() == [0] * 4 + [1] * 4 + [2] * 4


def test_a_vector_weighs_as_much_as_its_numbers_in_columns(tmp_path: Path):
    values = np.random.default_rng(0).normal(size=(80, 6))
    vector = pa.FixedSizeListArray.from_arrays(pa.array(values.reshape(-1)), 6)
    tables = [
        pa.table({"v": vector}),
        pa.table({f"x{i}": values[:, i] for i in range(6)}),
    ]
    weights = [
        aecli.train(
            rows, model=tmp_path / str(i), variational=True, latent=2, epochs=1, scale="none"
        ).spec.loss_weights["kl_normal"]
        for i, rows in enumerate(tables)
    ]
    assert weights[0] == pytest.approx(weights[1], rel=0.01)


def test_windows_are_numbered_over_all_that_are_drawn(tmp_path: Path):
    rows = pa.table({"x": np.arange(60.0) % 5})
    aecli.train(rows, model=tmp_path / "m", window=4, variational=True, latent=2, epochs=1)
    found = drawn(tmp_path / "m", tmp_path, count=5_000)
    assert found["window"].to_pylist() == np.arange(5_000).repeat(4).tolist()


@pytest.fixture(scope="module")
def windowed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model whose class "rare" is at no window's end, and "often" at every second one's."""
    x = np.arange(120.0)
    kinds = np.array(["often", "rare", "rest", "rest"] * 30)
    kinds[3::8] = "often"
    directory = tmp_path_factory.mktemp("windowed") / "m"
    how = {"window": 4, "stride": 4, "variational": True, "latent": 2, "epochs": 1}
    aecli.train(pa.table({"x": x, "kind": kinds}), model=directory, label="kind", **how)
    return directory


def test_classes_are_drawn_as_often_as_windows_have_them(windowed: Path, tmp_path: Path):
    with pytest.raises(UsageError, match="the label 'kind' has no class 'rare'"):
        drawn(windowed, tmp_path, of_class="rare")
    kinds = drawn(windowed, tmp_path, count=400)["kind"].to_pylist()
    assert set(kinds) == {"often", "rest"}
    assert kinds.count("often") / len(kinds) == pytest.approx(0.5, abs=0.1)


def test_windows_without_any_label_are_refused(tmp_path: Path):
    rows = pa.table({"x": np.arange(80.0), "kind": ["a", "b", None, None] * 20})
    with pytest.raises(DataError, match="no training window") as caught:
        aecli.train(rows, model=tmp_path / "m", label="kind", window=4, stride=4)
    assert caught.value.hint == "--window-label majority"


def test_a_model_without_a_classifier_has_no_classes_and_says_why(tmp_path: Path):
    how = {"variational": True, "latent": 2, "epochs": 1}
    aecli.train(table(60), model=tmp_path / "m", label="kind", class_weight=0, **how)
    with pytest.raises(UsageError, match="no classifier: it was trained with --class-weight 0"):
        drawn(tmp_path / "m", tmp_path, of_class="small")
    assert drawn(tmp_path / "m", tmp_path, count=5).num_rows == 5


def test_nothing_is_given_back_by_a_decoder_that_was_not_trained(tmp_path: Path):
    folder, output = tmp_path / "m", str(tmp_path / "out.parquet")
    how = {"label": "kind", "variational": True, "latent": 2, "epochs": 1, "reconst_weight": 0}
    aecli.train(table(60), model=folder, **how)
    latents = pa.table({"z0": [0.0], "z1": [0.0]})
    for run in (
        lambda: aecli.sample(output, model=folder),
        lambda: aecli.decode(latents, output, model=folder),
        lambda: aecli.reconstruct(table(60), output, model=folder),
        lambda: aecli.reconstruct(table(60), output, model=folder, fill=True),
    ):
        with pytest.raises(UsageError, match="was not trained: --reconst-weight 0"):
            run()
    assert not Path(output).exists()
