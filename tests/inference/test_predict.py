"""What predict promises: the label in its own type, and probabilities that belong to it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import aecli
from aecli.errors import UsageError

pytestmark = pytest.mark.usefixtures("no_cross_fitting")


def table(labels: Any, rows: int = 120) -> pa.Table:
    kinds = np.arange(rows) % 3
    x = 5 * kinds + np.random.default_rng(0).normal(size=rows)
    classes = pa.array([labels[kind % len(labels)] for kind in kinds])
    return pa.table({"id": [f"r{i}" for i in range(rows)], "x": x, "w": -x, "y": classes})


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("predict") / "m"
    aecli.train(
        table("abc"), model=folder, label="y", id=["id"], latent=2, epochs=40, number_weight=1
    )
    return folder


def predicted(model: Path, rows: pa.Table, folder: Path, **how: Any) -> pa.Table:
    aecli.predict(rows, str(folder / "p.parquet"), model=model, **how)
    return pq.read_table(folder / "p.parquet")


def test_the_class_is_the_likeliest_and_usually_right(model: Path, tmp_path: Path):
    rows = table("abc")
    found = predicted(model, rows.drop_columns(["y"]), tmp_path)
    assert found.schema.names == ["id", "prediction", "prob_a", "prob_b", "prob_c"]
    assert found["id"].to_pylist() == rows["id"].to_pylist()
    chances = np.stack([found[f"prob_{name}"].to_numpy() for name in "abc"], axis=1)
    np.testing.assert_allclose(chances.sum(1), 1, rtol=1e-5)
    likeliest = ["abc"[place] for place in chances.argmax(1)]
    assert found["prediction"].to_pylist() == likeliest
    assert np.mean(np.array(likeliest) == np.array(rows["y"].to_pylist())) > 0.9


def test_the_likeliest_classes_alone(model: Path, tmp_path: Path):
    every = predicted(model, table("abc"), tmp_path)
    best = predicted(model, table("abc"), tmp_path, top=2, batch_size=7)
    names = ["prediction", "top1_class", "top1_prob", "top2_class", "top2_prob"]
    assert best.schema.names == ["id", *names]
    assert best["top1_class"].to_pylist() == every["prediction"].to_pylist()
    for row, chances in zip(best.to_pylist(), every.to_pylist(), strict=True):
        assert row["top1_prob"] >= row["top2_prob"]
        assert row["top2_prob"] == pytest.approx(chances[f"prob_{row['top2_class']}"], abs=1e-5)


@pytest.mark.parametrize(
    ("labels", "kind", "columns"),
    [
        ([3, 1, 2], pa.int8(), ["prob_1", "prob_2", "prob_3"]),
        ([True, False], pa.bool_(), ["prob_False", "prob_True"]),
        ([2.0, 4.0], pa.float64(), ["prob_2", "prob_4"]),
        (["ja", "nö"], pa.dictionary(pa.int8(), pa.string()), ["prob_ja", "prob_nö"]),
    ],
)
def test_predictions_have_the_type_of_the_label(
    tmp_path: Path, labels: list[Any], kind: pa.DataType, columns: list[str]
):
    rows = table(labels)
    values = rows["y"].combine_chunks()
    coded = values.dictionary_encode() if pa.types.is_dictionary(kind) else values
    rows = rows.set_column(3, "y", coded.cast(kind))
    aecli.train(rows, model=tmp_path / "m", label="y", id=["id"], epochs=1)
    found = predicted(tmp_path / "m", rows, tmp_path)
    assert found.schema.names == ["id", "prediction", *columns]
    assert found.schema.field("prediction").type == kind
    assert set(found["prediction"].to_pylist()) <= set(labels)


def test_windows_have_a_prediction_each(tmp_path: Path):
    rows = pa.table({"t": range(60), "x": np.arange(60.0) % 9, "y": ["a", "b", "b"] * 20})
    how = {"window": 6, "stride": 3, "time": "t", "label": "y"}
    aecli.train(rows, model=tmp_path / "m", epochs=1, **how)
    found = predicted(tmp_path / "m", rows, tmp_path)
    assert found["t"].to_pylist() == list(range(5, 60, 3))
    assert found.schema.names == ["t", "prediction", "prob_a", "prob_b"]


def test_a_model_without_a_classifier_says_what_to_do(tmp_path: Path):
    aecli.train(table("ab").drop_columns(["y"]), model=tmp_path / "m", epochs=1)
    with pytest.raises(UsageError, match="no classifier: it was trained without a label") as caught:
        predicted(tmp_path / "m", table("ab"), tmp_path)
    assert caught.value.hint == "aecli train DATA --label COLUMN"
    assert not (tmp_path / "p.parquet").exists()


def test_what_has_no_room_is_refused(model: Path, tmp_path: Path):
    with pytest.raises(UsageError, match="the label 'y' has 3 classes"):
        predicted(model, table("abc"), tmp_path, top=4)
    more = table("abc").append_column("prob_a", pa.array(range(120)))
    with pytest.raises(UsageError, match="'prob_a' has the name of an output column"):
        predicted(model, more, tmp_path, keep=["prob_*"])


def test_an_empty_table_has_no_predictions(model: Path, tmp_path: Path):
    assert predicted(model, table("abc").slice(0, 0), tmp_path).num_rows == 0
