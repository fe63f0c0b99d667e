"""What encode and reconstruct promise: rows in order, whatever the batches, and the right types."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import aecli
from aecli.errors import DataError, UsageError

pytestmark = pytest.mark.usefixtures("no_cross_fitting")


def table(rows: int, seed: int = 0) -> pa.Table:
    generator = np.random.default_rng(seed)
    a = generator.normal(size=rows)
    return pa.table(
        {
            "id": [f"row-{i}" for i in range(rows)],
            "a": a,
            "b": pa.array(np.rint(10 * a + generator.normal(size=rows)).astype(np.int32)),
            "colour": generator.choice(["red", "green", "blue"], rows),
            "flag": a > 0,
            "constant": np.full(rows, 7),
            "y": np.where(a + generator.normal(size=rows) / 4 > 0, "yes", "no"),
        }
    )


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("model") / "m"
    aecli.train(table(400), model=folder, label="y", id=["id"], latent=3, epochs=15)
    return folder


def test_encode_writes_one_latent_per_row_in_order(model: Path, tmp_path: Path):
    rows = table(100, seed=1)
    result = aecli.encode(rows, str(tmp_path / "z.parquet"), model=model)
    found = pq.read_table(tmp_path / "z.parquet")
    assert result.rows == 100
    assert found.schema.names == ["id", "z0", "z1", "z2"]
    assert found["id"].to_pylist() == rows["id"].to_pylist()
    assert found.schema.field("z0").type == pa.float32()


@pytest.mark.parametrize("size", [1, 7, 64, 1000])
def test_latents_do_not_depend_on_the_batch_size(model: Path, tmp_path: Path, size: int):
    found = []
    for batch in (size, None):
        aecli.encode(table(100), str(tmp_path / "z.parquet"), model=model, batch_size=batch)
        found.append(pq.read_table(tmp_path / "z.parquet").select(["z0", "z1", "z2"]).to_pandas())
    np.testing.assert_allclose(found[0], found[1], rtol=1e-4, atol=1e-5)


def test_a_table_without_the_label_encodes_the_same(model: Path, tmp_path: Path):
    for name, rows in (("with", table(50)), ("without", table(50).drop_columns(["y"]))):
        aecli.encode(rows, str(tmp_path / f"{name}.parquet"), model=model)
    assert pq.read_table(tmp_path / "with.parquet") == pq.read_table(tmp_path / "without.parquet")


def test_columns_may_come_in_any_order_and_with_others(model: Path, tmp_path: Path):
    rows = table(50)
    shuffled = rows.select(rows.schema.names[::-1]).append_column("more", pa.array(range(50)))
    result = aecli.encode(shuffled, str(tmp_path / "b.parquet"), model=model)
    aecli.encode(rows, str(tmp_path / "a.parquet"), model=model)
    assert result.ignored == ["more"]
    assert pq.read_table(tmp_path / "a.parquet") == pq.read_table(tmp_path / "b.parquet")


def test_latents_as_one_list_column(model: Path, tmp_path: Path):
    aecli.encode(table(9), str(tmp_path / "z.parquet"), model=model, as_list=True, keep=["y"])
    schema = pq.read_schema(tmp_path / "z.parquet")
    assert schema.names == ["id", "y", "z"]
    assert schema.field("z").type == pa.list_(pa.float32(), 3)


def test_reconstruct_gives_every_column_back_in_its_type(model: Path, tmp_path: Path):
    rows = table(200, seed=2)
    aecli.reconstruct(rows, str(tmp_path / "r.parquet"), model=model)
    found = pq.read_table(tmp_path / "r.parquet")
    features = ["a", "b", "colour", "flag", "constant"]
    assert found.schema.names == ["id", *features]
    assert all(found.schema.field(name).type == rows.schema.field(name).type for name in features)
    assert found["constant"].to_pylist() == [7] * 200
    assert np.corrcoef(found["a"], rows["a"])[0, 1] > 0.9


def test_cells_that_training_did_not_prepare_for_are_counted(model: Path, tmp_path: Path):
    rows = table(10).to_pandas()
    rows.loc[[0, 1], "colour"] = "mauve"
    rows.loc[3, "a"] = None
    result = aecli.encode(rows, str(tmp_path / "z.parquet"), model=model)
    assert (result.unseen, result.missing) == ({"colour": 2}, {"a": 1})
    latents = pq.read_table(tmp_path / "z.parquet").select(["z0", "z1", "z2"]).to_pandas()
    assert np.isfinite(latents.to_numpy()).all()


def test_a_missing_column_is_named_and_nothing_is_written(model: Path, tmp_path: Path):
    rows = table(10).rename_columns(["id", "a", "b", "color", "flag", "constant", "y"])
    with pytest.raises(DataError, match="colour") as caught:
        aecli.encode(rows, str(tmp_path / "z.parquet"), model=model)
    assert "did you mean 'color'" in " ".join(caught.value.lines())
    assert not list(tmp_path.iterdir())


def test_a_kept_column_must_not_hide_a_latent(model: Path, tmp_path: Path):
    rows = table(10).append_column("z0", pa.array(range(10)))
    with pytest.raises(UsageError, match="'z0' has the name of an output column"):
        aecli.encode(rows, str(tmp_path / "z.parquet"), model=model, keep=["z0"])


def test_an_empty_table_gives_an_empty_output(model: Path, tmp_path: Path):
    assert aecli.encode(table(0), str(tmp_path / "z.parquet"), model=model).rows == 0
    assert pq.read_table(tmp_path / "z.parquet").num_rows == 0
