"""Numbers are reconstructed with as many decimals as the training rows have."""

from __future__ import annotations

import csv
import itertools
import re
from decimal import Decimal
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import aecli
from aecli.schema.options import ColumnOptions
from aecli.schema.read_options import ReadOptions
from aecli.table.column_plan import plan_columns
from aecli.table.decimal_grid import first_decimals, on_grid, with_decimals
from aecli.table.source import open_source

ROWS = 400
RNG = np.random.default_rng(0)
CENTS = RNG.gamma(3, 20, ROWS).round(2)
NOISE = RNG.normal(size=ROWS)


def planned(values: object) -> int | None:
    table = pa.table({"x": values})
    [column] = plan_columns(open_source(table, ReadOptions()), ColumnOptions()).columns
    return column.decimals


@pytest.mark.parametrize(
    ("values", "decimals"),
    [
        (CENTS, 2),
        (CENTS.astype("float32"), 2),
        (-CENTS / 10, 3),
        (np.where(RNG.random(ROWS) < 0.1, np.nan, CENTS), 2),
        (CENTS.round(0), 0),
        (CENTS.round(0) * 1_000, 0),  # thousands are not a grid of their own
        (CENTS.round(0) * 1e9 + 0.5, 1),
        (RNG.integers(0, 9, ROWS) * 1e-6, 6),
        (RNG.integers(0, 9, ROWS) * 1e-7, None),
        (NOISE, None),
        (NOISE * 1e-15, None),  # small is not 0
        (1 + np.abs(NOISE) * 1e-8, None),  # nor are small differences
        (1 + np.abs(NOISE) * 1e-13, None),
        (np.append(CENTS, 1e-9), None),
        (np.append(np.zeros(20), NOISE * 1e-9), None),
        (np.append(np.full(2_000, np.nan), NOISE * 1e-9), None),
        (np.append(np.full(2_000, np.nan), CENTS), 2),
        (np.append(np.zeros(20), CENTS), 2),
        (CENTS + 1000.0 - 1000.0, 2),  # what a difference of floats leaves
        (NOISE.astype("float32"), None),
        (NOISE.astype("float32") * 1e-12, None),
        (NOISE.astype("float32") * 1_000, None),
        (RNG.integers(1, 9, ROWS) / 3, None),
        (np.append(CENTS, 1 / 3), None),
        (np.append(CENTS, 1e200), None),
        (CENTS.round(0).astype("int64"), None),  # whole by its type
        ([Decimal(f"{value:.2f}00") for value in CENTS], 2),
        ([[float(value), float(value) + 0.5] for value in CENTS], 2),
    ],
)
def test_the_scan_finds_the_decimals_of_a_column(values, decimals):
    assert planned(values) == decimals


def test_batches_only_ever_refine_the_grid():
    rounding = np.full(3, 2.0**-51)
    state = first_decimals(rounding)
    for batch in ([[1.0, 2], [1, 2], [0.5, 2]], [[3, 4], [0.25, 1], [1 / 3, 1]], [[5.0, 6]] * 3):
        state = with_decimals(state, np.array(batch), rounding)
    assert state.tolist() == [0, 2, -1]


def test_numbers_too_large_for_the_grid_stay_as_they_are():
    values = np.array([0.336, -1e300, np.inf, np.nan, 1234.567])
    found = on_grid(values, 2)
    assert found[[0, 1, 2, 4]].tolist() == [0.34, -1e300, np.inf, 1234.57]
    assert np.isnan(found[3])


TEXT = "carat,share,count,noise\n" + "".join(
    f"{value:.2f},{100 * share:.0f}%,{'' if row % 7 == 0 else f'{n}.0'},{noise!r}\n"
    for row, (value, share, n, noise) in enumerate(
        zip(CENTS / 50, RNG.random(ROWS), RNG.integers(0, 30, ROWS), NOISE.tolist(), strict=True)
    )
)


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("grid")
    (folder / "gems.csv").write_text(TEXT)
    aecli.train(folder / "gems.csv", model=folder / "m", latent=2, epochs=2)
    return folder


def written(path: Path) -> list[dict[str, str]]:
    with path.open() as file:
        return list(csv.DictReader(file))


@pytest.mark.parametrize("command", ["reconstruct", "fill", "decode"])
def test_csv_has_the_decimals_of_training(model: Path, command: str):
    output, data = model / f"{command}.csv", model / "gems.csv"
    if command == "decode":
        aecli.encode(data, str(model / "z.parquet"), model=model / "m")
        aecli.decode(model / "z.parquet", str(output), model=model / "m")
    else:
        aecli.reconstruct(data, str(output), model=model / "m", fill=command == "fill")
    rows = written(output)
    assert all(len(row["carat"].partition(".")[2]) <= 2 for row in rows)
    assert all(row["count"] == "" or float(row["count"]).is_integer() for row in rows)
    assert any(len(row["noise"]) > 8 for row in rows)


NEGATIVE = "half,whole,noise,signed\n" + "".join(
    f"{n / 10:.1f},{round(n):.1f},{n!r},{-0.0 if row % 3 else n:.3f}\n"
    for row, n in enumerate(NOISE.tolist())
)


@pytest.fixture(scope="module")
def around_0(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("around_0")
    (folder / "t.csv").write_text(NEGATIVE)
    aecli.train(folder / "t.csv", model=folder / "m", latent=2, epochs=2, variational=True)
    return folder


@pytest.mark.parametrize(
    ("command", "suffix"),
    [
        *itertools.product(("fill", "score"), ("csv", "jsonl")),  # Parquet has the cells as read
        *itertools.product(("reconstruct", "residuals", "decode", "sample"), ("csv", "parquet")),
    ],
)
def test_no_zero_has_a_sign(around_0: Path, command: str, suffix: str):
    data, model, output = around_0 / "t.csv", around_0 / "m", around_0 / f"{command}.{suffix}"
    if command == "sample":
        aecli.sample(str(output), count=400, model=model)
    elif command == "decode":
        aecli.encode(data, str(around_0 / "z.csv"), model=model)
        aecli.decode(around_0 / "z.csv", str(output), model=model)
    elif command == "score":
        aecli.score(data, str(output), model=model, detail=True)
    elif command == "fill":
        (around_0 / "holes.csv").write_text(NEGATIVE + ",,,\n" * 3)
        aecli.reconstruct(around_0 / "holes.csv", str(output), model=model, fill=True)
    else:
        aecli.reconstruct(data, str(output), model=model, residuals=command == "residuals")
    if suffix == "parquet":
        columns = pq.read_table(output).columns
        numbers = [c.to_numpy() for c in columns if pa.types.is_floating(c.type)]
        assert not any((np.signbit(values) & (values == 0)).any() for values in numbers)
    else:
        assert not re.search(r"(^|[,: ])-0(\.0*)?($|[,}])", output.read_text(), re.MULTILINE)
