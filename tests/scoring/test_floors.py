"""What divides an error: never almost nothing, so that no ordinary row scores in the hundreds."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

import aecli


def refunds(rows: int, seed: int) -> pa.Table:
    """Return normal numbers, and columns that are 0 in 99.6 % of the rows."""
    random = np.random.default_rng(seed)
    columns = {name: random.normal(size=rows) for name in "xyz"}
    for i in range(5):
        values = random.integers(1, 9, rows)
        columns[f"refunds{i}"] = np.where(random.random(rows) < 0.004, values, 0)
    return pa.table(columns)


def pixels(rows: int, seed: int) -> pa.Table:
    """Return correlated pixels, a third of them dark in nearly every row."""
    random = np.random.default_rng(seed)
    bright = random.normal(size=(rows, 3)) @ np.arange(1, 25).reshape(3, 8) + random.random(
        (rows, 8)
    )
    dark = np.where(random.random((rows, 4)) < 0.002, random.integers(1, 256, (rows, 4)), 0)
    values = np.hstack([bright, dark])
    return pa.table({f"p{i}": values[:, i] for i in range(values.shape[1])})


def orders(rows: int, seed: int) -> pa.Table:
    """Return orders where `paid` follows from `status` but in 0.4 % of the rows."""
    random = np.random.default_rng(seed)
    status = random.choice(["shipped", "open", "returned"], rows, p=[0.7, 0.2, 0.1])
    paid = np.where(status == "open", "no", "yes")
    paid[random.random(rows) < 0.004] = "no"
    price, quantity = random.gamma(3, 20, rows).round(2), random.integers(1, 6, rows)
    total = (price * quantity).round(2)
    columns = {"status": status, "paid": paid, "gift": random.random(rows) < 0.003}
    return pa.table(columns | {"price": price, "quantity": quantity, "total": total})


@pytest.mark.parametrize("make", [refunds, pixels, orders])
def test_ordinary_rows_with_a_rare_value_score_within_bounds(tmp_path: Path, make):
    aecli.train(make(1_200, 0), model=tmp_path / "m", epochs=12)
    found = aecli.load(tmp_path / "m").score(make(2_000, 1))
    scores = found["score"].to_numpy()
    assert np.quantile(scores, 0.99) < 20 * np.median(scores)
    assert scores.max() < 100
    assert found["is_outlier"].to_numpy(zero_copy_only=False).mean() < 0.05


def test_an_absurd_number_is_first_also_in_a_table_that_was_trained_on(tmp_path: Path):
    rows = orders(1_000, 0)
    totals = rows["total"].to_numpy().copy()
    totals[123] = 99_999.0
    rows = rows.set_column(rows.column_names.index("total"), "total", pa.array(totals))
    aecli.train(rows, model=tmp_path / "m", epochs=12)
    found = aecli.load(tmp_path / "m").score(rows).to_pandas()
    assert found["score"].idxmax() == 123
    assert (found["top1_column"][123], found["is_outlier"][123]) == ("total", True)


def test_the_further_a_cell_the_higher_the_score_and_each_tenfold_adds_as_much(tmp_path: Path):
    rows = orders(1_000, 0)
    aecli.train(rows, model=tmp_path / "m", epochs=5)
    one = rows.take([7] * 5)
    totals = pa.array([10.0**power for power in range(4, 9)])
    found = aecli.load(tmp_path / "m").score(
        one.set_column(one.column_names.index("total"), "total", totals)
    )
    scores = found["score"].to_numpy()
    steps = np.diff(scores)
    assert (steps > 0).all()
    assert steps.max() < 2 * steps.min()
    assert scores.max() < 500


def test_a_rare_value_is_among_the_reasons(tmp_path: Path):
    aecli.train(refunds(1_200, 0), model=tmp_path / "m", epochs=12)
    rows = refunds(2_000, 1).select(["x", "y", "z", "refunds0", "refunds2", "refunds3", "refunds4"])
    rows = rows.append_column("refunds1", pa.array([0] * 2_000))
    found = aecli.load(tmp_path / "m").score(rows, explain=3).to_pandas()
    reasons = found[["top1_column", "top2_column", "top3_column"]].to_numpy()
    cells = rows.select([f"refunds{i}" for i in range(5)]).to_pandas()
    one = np.flatnonzero((cells > 0).sum(axis=1) == 1)
    named = [name in row for name, row in zip(cells.idxmax(axis=1)[one], reasons[one], strict=True)]
    assert np.mean(named) > 0.9
