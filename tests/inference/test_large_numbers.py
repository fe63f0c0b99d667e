"""Integers and decimals beyond float64, from the table through a model and back."""

from __future__ import annotations

from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import aecli

pytestmark = pytest.mark.usefixtures("no_cross_fitting")

ROWS = 200
NEAR = np.random.default_rng(0).integers(0, 40, ROWS)


def decimals(kind: pa.DataType, base: int, steps: np.ndarray = NEAR) -> pa.Array:
    texts = [f"{base + int(step)}e{-kind.scale}" for step in steps]
    return pa.array([None if i % 9 == 4 else Decimal(text) for i, text in enumerate(texts)], kind)


def integers(kind: pa.DataType, base: int) -> pa.Array:
    return pa.array([None if i % 9 == 4 else base + int(s) for i, s in enumerate(NEAR)], kind)


@pytest.fixture(scope="module")
def table() -> pa.Table:
    wide = np.random.default_rng(1).integers(0, 2**62, ROWS)
    return pa.table(
        {
            "key": decimals(pa.decimal256(76, 0), 10**75),
            "x": NEAR / 7 + np.random.default_rng(2).normal(size=ROWS),
            "int64": integers(pa.int64(), 4 * 10**18),
            "uint64": integers(pa.uint64(), 2**64 - 41),
            "decimal64": decimals(pa.decimal64(18, 2), 10**17),
            "decimal128": decimals(pa.decimal128(20, 2), 12345678901234567800),
            "decimal256": decimals(pa.decimal256(76, 10), 10**75),
            "wide": decimals(pa.decimal128(38, 10), 10**30, wide),
            "same": decimals(pa.decimal128(38, 4), 10**37 + 1, 0 * NEAR),
        }
    )


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory, table: pa.Table) -> Path:
    folder = tmp_path_factory.mktemp("large") / "m"
    aecli.train(table, model=folder, id=["key"], latent=2, init="pca", epochs=10, noise="mask:0.1")
    return folder


def cells(table: pa.Table, name: str) -> list[Any]:
    return [cell for cell in table[name].to_pylist() if cell is not None]


def test_reconstructions_lie_around_the_training_values(
    table: pa.Table, model: Path, tmp_path: Path
) -> None:
    aecli.reconstruct(table, str(tmp_path / "r.parquet"), model=model, residuals=True)
    found = pq.read_table(tmp_path / "r.parquet")
    assert found["key"].equals(table["key"])
    for name in ("int64", "uint64", "decimal64", "decimal128", "decimal256"):
        low, high = Fraction(min(cells(table, name))), Fraction(max(cells(table, name)))
        assert all(low - (high - low) <= cell <= 2 * high - low for cell in cells(found, name))
        assert len(set(cells(found, name))) > 10
        pairs = zip(table[name].to_pylist(), found[name].to_pylist(), strict=True)
        wanted = [np.nan if a is None else float(a - b) for a, b in pairs]
        residuals = found[f"{name}_residual"].to_numpy()
        assert residuals == pytest.approx(wanted, rel=1e-12, abs=1e-14, nan_ok=True)
    assert set(cells(found, "same")) == set(cells(table, "same"))


def test_every_column_is_learned(table: pa.Table, model: Path) -> None:
    result = aecli.evaluate(table, model=model)
    values = {column.name: column.value for column in result.columns}
    assert set(values) == {*table.schema.names} - {"key", "same"}
    assert all(value > 0.9 for name, value in values.items() if name not in ("x", "wide"))


@pytest.mark.parametrize("suffix", ["parquet", "arrow"])
def test_filling_leaves_every_observed_digit(
    table: pa.Table, model: Path, tmp_path: Path, suffix: str
) -> None:
    output = tmp_path / f"f.{suffix}"
    aecli.reconstruct(table, str(output), model=model, fill=True)
    found = pa.ipc.open_file(output).read_all() if suffix == "arrow" else pq.read_table(output)
    assert found.schema == table.schema
    for name in table.schema.names:
        present = table[name].is_valid()
        assert found[name].filter(present).equals(table[name].filter(present))
        if name in ("int64", "uint64", "decimal64", "decimal128", "decimal256", "same"):
            assert found[name].null_count == 0
            assert min(cells(table, name)) <= min(cells(found, name))
            assert max(cells(found, name)) <= max(cells(table, name))


@pytest.mark.parametrize(
    ("cell", "filled"),
    [
        ("4000000000000000007", "4000000000000000007"),
        ("4000000000000000007.0", "4000000000000000007"),
        ("4000000000000000007.25", "4000000000000000007.25"),
        ("4e18", "4000000000000000000"),
        ("-5", "-5"),
        ("99999999999999999999999", "99999999999999999999999"),
    ],
)
def test_text_cells_are_written_as_the_number_they_are(
    cell: str, filled: str, tmp_path: Path
) -> None:
    rows = pa.table({"v": integers(pa.int64(), 4 * 10**18), "x": NEAR / 7})
    aecli.train(rows, model=tmp_path / "m", epochs=1)
    (tmp_path / "t.csv").write_text(f"v,x\n{cell},1.5\n,2.5\n")
    aecli.reconstruct(
        str(tmp_path / "t.csv"), str(tmp_path / "f.csv"), model=tmp_path / "m", fill=True
    )
    lines = (tmp_path / "f.csv").read_text().splitlines()
    assert Decimal(lines[1].split(",")[0]) == Decimal(filled)
    assert 4 * 10**18 <= Decimal(lines[2].split(",")[0]) <= 4 * 10**18 + 39


@pytest.mark.parametrize("suffix", ["csv", "jsonl"])
def test_text_with_the_same_digits_has_the_same_latents(
    table: pa.Table, model: Path, tmp_path: Path, suffix: str
) -> None:
    features = table.drop_columns(["key"])
    aecli.reconstruct(features, str(tmp_path / f"t.{suffix}"), model=model, fill=True)
    aecli.reconstruct(features, str(tmp_path / "t.parquet"), model=model, fill=True)
    latents = []
    for name in (f"t.{suffix}", "t.parquet"):
        aecli.encode(str(tmp_path / name), str(tmp_path / "z.parquet"), model=model)
        latents.append(np.array(pq.read_table(tmp_path / "z.parquet").select(["z0", "z1"])))
    assert np.allclose(latents[0], latents[1], atol=1e-6)
