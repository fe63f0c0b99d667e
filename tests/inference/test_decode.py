"""What decode promises: rows in their own units from latents that encode wrote or a person did."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq
import pytest

import aecli
from aecli.errors import DataError, UsageError


def table(rows: int = 90) -> pa.Table:
    x = np.random.default_rng(0).normal(size=rows)
    return pa.table(
        {
            "id": range(rows),
            "x": x,
            "count": np.rint(10 * x).astype(np.int32),
            "colour": np.where(x > 0, "red", "blue"),
            "more": [f"note {i % 5}" for i in range(rows)],
        }
    )


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("decode") / "m"
    aecli.train(table(), model=folder, id=["id"], exclude=["more"], latent=3, epochs=3)
    return folder


def decoded(model: Path, latents: Any, folder: Path, **how: Any) -> pa.Table:
    aecli.decode(latents, str(folder / "rows.parquet"), model=model, **how)
    return pq.read_table(folder / "rows.parquet")


@pytest.mark.parametrize("as_list", [False, True])
def test_latents_come_back_as_their_reconstruction(model: Path, tmp_path: Path, as_list: bool):
    latents = str(tmp_path / "z.parquet")
    aecli.encode(table(), latents, model=model, as_list=as_list, keep=["more"])
    found = decoded(model, latents, tmp_path, keep=["mor*"])
    aecli.reconstruct(table(), str(tmp_path / "r.parquet"), model=model, keep=["more"])
    assert found.schema.names == ["id", "more", "x", "count", "colour"]
    assert found == pq.read_table(tmp_path / "r.parquet")


def test_a_changed_csv_file_is_decoded(model: Path, tmp_path: Path):
    latents = pa.table({"z2": [0, 1], "z0": [0.5, -2], "z1": [1.0, 3.0], "mood": ["a", "b"]})
    pyarrow.csv.write_csv(latents, tmp_path / "z.csv")
    found = decoded(model, str(tmp_path / "z.csv"), tmp_path)
    assert found.schema.names == ["x", "count", "colour"]
    assert found.schema.field("count").type == pa.int32()
    again = decoded(model, latents.select(["z0", "z1", "z2"]), tmp_path, batch_size=1)
    np.testing.assert_allclose(found["x"], again["x"], rtol=1e-5)  # sums round apart in batches
    assert found.drop_columns("x") == again.drop_columns("x")


def test_windows_are_numbered_over_all_latents(tmp_path: Path):
    rows = pa.table({"t": range(40), "window": np.arange(40.0) % 7})
    aecli.train(rows, model=tmp_path / "m", window=4, time="t", latent=2, epochs=1)
    aecli.encode(rows, str(tmp_path / "z.parquet"), model=tmp_path / "m")
    found = decoded(tmp_path / "m", str(tmp_path / "z.parquet"), tmp_path, batch_size=5)
    assert found.schema.names == ["t", "window_", "window"]
    assert found["window_"].to_pylist() == np.arange(37).repeat(4).tolist()
    assert found["t"].to_pylist() == np.arange(3, 40).repeat(4).tolist()


GOOD = {"z0": [0.0, 1.0], "z1": [0.0, 1.0], "z2": [0.0, 1.0]}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"z1": None}, "it lacks: z1"),
        ({"z3": [0.0, 1.0]}, "it also has: z3"),
        ({"z1": [0.0, None]}, "'z1' of the table has no value in row 2"),
        ({"z2": [float("inf"), 0.0]}, "contains inf, not a finite float32, in row 1"),
        ({"z2": [0.0, 1e300]}, "contains 1e\\+300, not a finite float32, in row 2"),
        ({"z2": [0.0, 3e38], "z1": [0.0, 3e38]}, "the latent in row 2 of .* is too large"),
        ({"z0": ["a", "b"]}, "'z0' is text; a latent is a number"),
        ({"z0": None, "z1": None, "z2": None, "z": [[1.0, 2.0]] * 2}, "whose length is not 3"),
        ({"z0": None, "z1": None, "z2": None, "z": [1.0, 2.0]}, "a list of 3 numbers"),
    ],
)
def test_what_is_no_latent_is_named(
    model: Path, tmp_path: Path, change: dict[str, Any], message: str
):
    latents = {name: values for name, values in (GOOD | change).items() if values is not None}
    with pytest.raises(DataError) as caught:
        decoded(model, pa.table(latents), tmp_path)
    assert re.search(message, "\n".join(caught.value.lines()))
    assert not list(tmp_path.iterdir())


def test_a_kept_column_must_not_hide_a_feature(model: Path, tmp_path: Path):
    with pytest.raises(UsageError, match="'x' has the name of an output column"):
        decoded(model, pa.table(GOOD | {"x": [1, 2]}), tmp_path, keep=["x"])


def test_no_latents_give_no_rows(model: Path, tmp_path: Path):
    found = decoded(model, pa.table(GOOD).slice(0, 0), tmp_path)
    assert (found.num_rows, found.schema.names) == (0, ["x", "count", "colour"])
