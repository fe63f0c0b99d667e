"""Figures of training, evaluation and report that rank what is better first."""

from __future__ import annotations

import re
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

import aecli
from aecli.errors import DataError, UsageError
from tests.reporting.reading import Page

pytestmark = pytest.mark.usefixtures("no_cross_fitting")

ROWS = 300


def orders(rows: int = ROWS, seed: int = 0) -> pa.Table:
    rng = np.random.default_rng(seed)
    price, quantity = rng.gamma(3, 20, rows), rng.integers(1, 6, rows)
    towns = [f"town{i}" for i in range(3)] + [f"village{i}" for i in range(40)]
    return pa.table(
        {
            "price": price,
            "quantity": quantity.astype(float),
            "total": price * quantity,
            "paid": price > 40,
            "town": rng.choice(towns, rows, p=[0.13] * 3 + [0.61 / 40] * 40),
            "status": np.where(rng.random(rows) < 0.8, "sent", "open"),
        }
    )


def with_cell(table: pa.Table, name: str, value: float) -> pa.Table:
    values = table[name].to_numpy().copy()
    values[7] = value
    return table.set_column(table.schema.get_field_index(name), name, pa.array(values))


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("rank") / "m"
    aecli.train(orders(), model=folder, label="status", epochs=6, max_categories=3, latent=3)
    return folder


@pytest.fixture(scope="module")
def classifier(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("rank") / "c"
    aecli.train(orders(), model=folder, label="status", epochs=2, reconst_weight=0)
    return folder


@pytest.mark.parametrize("value", [99_999.0, -1e9, 1e200])
def test_an_absurd_cell_does_not_decide_r2(model: Path, value: float):
    plain = aecli.evaluate(orders(seed=1), model=model)
    odd = aecli.evaluate(with_cell(orders(seed=1), "total", value), model=model)
    assert plain.limited == {}
    assert 1 <= odd.limited["total"] <= 3
    assert odd.number_r2 == pytest.approx(plain.number_r2, abs=0.2)
    assert odd.number_mse > 10 * plain.number_mse


def test_shares_of_the_error_are_one_and_fall(model: Path):
    shares = [column.share for column in aecli.evaluate(orders(seed=1), model=model).worst_first]
    assert shares == sorted(shares, reverse=True)
    assert sum(shares) == pytest.approx(1)


def test_the_shared_slot_is_the_mode_and_no_answer(model: Path):
    result = aecli.train(orders(), model=model.parent / "again", epochs=1, max_categories=3)
    town = next(column for column in result.spec.columns if column.name == "town")
    assert town.other_is_mode
    assert town.mode in town.categories
    scores = {column.name: column for column in aecli.evaluate(orders(seed=1), model=model).columns}
    assert scores["town"].baseline == pytest.approx(0.61, abs=0.07)


def test_the_most_frequent_class_stands_beside_the_accuracy(model: Path):
    summary = aecli.inspect(model).spec.summary
    assert summary.majority_accuracy == pytest.approx(0.8, abs=0.1)
    assert summary.metrics["accuracy"] <= 1


def test_no_figure_of_an_untrained_decoder_is_anywhere(classifier: Path, tmp_path: Path):
    summary = aecli.inspect(classifier).spec.summary
    assert (summary.baselines, summary.limited) == ([], {})
    assert not re.search("column means|reconstruct", " ".join(summary.health))
    found = asdict(aecli.evaluate(orders(seed=1), model=classifier))
    decoder = {name: value for name, value in found.items() if name.startswith("number_")}
    assert set(decoder.values()) == {None}
    assert found["columns"] == []
    assert found["notes"] == ["the decoder was not trained (--reconst-weight 0): it has no figures"]
    aecli.report(orders(seed=1), str(tmp_path / "r.html"), model=classifier)
    page = Page((tmp_path / "r.html").read_text())
    assert "the decoder was not trained (--reconst-weight 0)" in page.text
    assert not re.search("variance unexplained|explains|What each unit does|median row", page.text)


@pytest.mark.parametrize("kind", ["columns", "rows", "traversal"])
def test_a_picture_of_an_untrained_decoder_says_why_there_is_none(kind, classifier, tmp_path):
    with pytest.raises(UsageError, match=r"the decoder was not trained \(--reconst-weight 0\)"):
        aecli.plot(kind, orders(seed=1), str(tmp_path / "p.png"), model=classifier)


def test_a_picture_of_rows_has_the_worst_row_first(model: Path, tmp_path: Path):
    data = with_cell(orders(seed=1), "total", 99_999.0)
    shows = aecli.plot("rows", data, str(tmp_path / "p.png"), model=model).shows
    assert [text.split()[3] for text in shows] == ["worst", "median", "best"]


@pytest.mark.parametrize("value", [1e200, -1e30, 2e6])
def test_numbers_too_large_for_scale_none_are_refused_before_the_training(value, tmp_path):
    data = with_cell(orders(), "total", value)
    with pytest.raises(DataError, match=rf"column 'total' .* contains {re.escape(f'{value:g}')}"):
        aecli.train(data, model=tmp_path / "m", scale="none", epochs=1)
    aecli.train(orders(), model=tmp_path / "m", scale="none", epochs=1)


@pytest.mark.parametrize("scale", ["auto", "minmax", "robust"])
def test_a_huge_number_gives_a_model(scale: str, tmp_path: Path):
    data = with_cell(orders(), "total", 1e200)
    result = aecli.train(data, model=tmp_path / "m", scale=scale, epochs=1, number_loss="huber")
    assert all(one.mse is not None for one in result.spec.summary.baselines)
    assert aecli.evaluate(data, model=tmp_path / "m").number_mse is not None
