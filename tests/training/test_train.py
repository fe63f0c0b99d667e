from __future__ import annotations

import json
import os
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

import aecli
from aecli.errors import DataError, UsageError
from aecli.model_directory.read import read_history, read_spec


def table(rows: int = 200) -> pa.Table:
    generator = np.random.default_rng(0)
    a = generator.normal(size=rows)
    return pa.table({"a": a, "b": 2 * a + generator.normal(size=rows) / 9, "c": a**2})


def test_a_model_directory_holds_a_spec_weights_and_history(tmp_path: Path):
    result = aecli.train(table(), model=tmp_path / "m", latent=2, epochs=3)
    spec = read_spec(tmp_path / "m")
    assert spec == result.spec
    assert sorted(os.listdir(tmp_path / "m")) == sorted(
        [spec.history.file, "spec.json", spec.weights.file]
    )
    assert [entry["epoch"] for entry in read_history(tmp_path / "m", spec)] == [1, 2, 3]
    assert spec.summary.train_rows + spec.summary.valid_rows == 200


def flat(rows: int = 300) -> pa.Table:
    """Return rows of a plane, on which PCA of two units makes no error."""
    plane = np.random.default_rng(0).normal(size=(rows, 2)) @ [[1, 0, 2, -1], [0, 1, 1, 3]]
    return pa.table({name: plane[:, place] for place, name in enumerate("abcd")})


def test_the_start_at_pca_is_kept_where_no_epoch_is_better(tmp_path: Path):
    summary = aecli.train(flat(), model=tmp_path / "m", latent=2, lr=1.0, patience=3).spec.summary
    assert (summary.best_epoch, summary.epochs, summary.train) == (0, 3, {})
    stopped = "early stopping: no improvement for 3 epochs (best: the initial weights)"
    assert summary.stopped == stopped
    assert summary.valid["total"] < 1e-9
    assert summary.health == []  # PCA is perfect here
    assert aecli.evaluate(flat(), model=tmp_path / "m").number_mse < 1e-9
    history = read_history(tmp_path / "m", read_spec(tmp_path / "m"))
    assert [(entry["epoch"], entry["best"]) for entry in history] == [(n, False) for n in (1, 2, 3)]


@pytest.mark.parametrize("elsewhere", [{"noise": "mask:0.2"}, {"trimmed_loss": True}])
def test_what_aims_elsewhere_than_pca_is_trained_in_any_case(tmp_path: Path, elsewhere):
    summary = aecli.train(
        flat(), model=tmp_path / "m", latent=2, epochs=2, **elsewhere
    ).spec.summary
    assert summary.best_epoch > 0


def test_the_same_seed_writes_the_same_weights(tmp_path: Path):
    hashes = [
        aecli.train(
            table(), model=tmp_path / name, latent=2, epochs=2, seed=seed
        ).spec.weights.sha256
        for name, seed in (("a", 1), ("b", 1), ("c", 2))
    ]
    assert hashes[0] == hashes[1] != hashes[2]


def test_staging_on_disk_trains_the_same_model(tmp_path: Path):
    hashes = {
        aecli.train(
            table(), model=tmp_path / memory, latent=2, epochs=2, memory=memory
        ).spec.weights.sha256
        for memory in ("4GB", "1KB")
    }
    assert len(hashes) == 1


def test_statistics_come_from_training_rows_only(tmp_path: Path):
    rows = table()
    valid = pa.table({name: np.full(5, 1e6) for name in rows.schema.names})
    import pyarrow.parquet as pq

    pq.write_table(valid, tmp_path / "valid.parquet")
    spec = aecli.train(
        rows, model=tmp_path / "m", latent=1, epochs=1, valid=str(tmp_path / "valid.parquet")
    ).spec
    assert spec.columns[0].mean[0] == pytest.approx(np.mean(rows["a"]))


def test_kinds_are_balanced_by_their_trivial_losses(tmp_path: Path):
    rows = table().append_column("k", pa.array(["u", "v"] * 100))
    spec = aecli.train(rows, model=tmp_path / "m", latent=2, epochs=1).spec
    losses = {column.name: column.trivial_loss for column in spec.columns}
    assert losses["k"] == pytest.approx(np.log(2), rel=0.01)
    assert losses["a"] == pytest.approx(1, rel=0.01)


def test_a_reconstruction_of_pixels_weighs_as_much_as_the_label(tmp_path: Path):
    generator = np.random.default_rng(0)
    pixels = generator.integers(0, 255, (100, 20)).astype(np.uint8)
    rows = pa.table({f"p{i}": pixels[:, i] for i in range(20)} | {"y": pixels[:, 0] > 127})
    spec = aecli.train(rows, model=tmp_path / "m", label="y", latent=2, epochs=1).spec
    trivial = float((pixels / 255).var(0).mean())
    assert spec.loss_weights["reconstruction"] == pytest.approx(1 / trivial, rel=0.1)


def test_unlabelled_rows_train_the_autoencoder_only(tmp_path: Path):
    labels = ["x", "y", None, None] * 50
    rows = table().append_column("y", pa.array(labels))
    spec = aecli.train(rows, model=tmp_path / "m", label="y", latent=2, epochs=2).spec
    assert spec.label.classes == ["x", "y"]
    assert spec.summary.train_rows + spec.summary.valid_rows == 200


@pytest.mark.parametrize(
    ("values", "error", "message"),
    [
        ({"latnet": 3}, UsageError, "latnet"),
        ({"lr": -1}, UsageError, "lr"),
        ({"label": "z"}, DataError, "'z'"),
        ({"device": "cuda:7"}, UsageError, "cuda"),
        ({"resume": True}, UsageError, "no unfinished training"),
    ],
)
def test_what_cannot_be_is_refused_and_leaves_nothing(tmp_path, values, error, message):
    with pytest.raises(error, match=message):
        aecli.train(table(), model=tmp_path / "m", **values)
    assert not (tmp_path / "m").exists()


def test_a_failed_training_leaves_the_old_model(tmp_path: Path):
    spec = aecli.train(table(), model=tmp_path / "m", latent=2, epochs=1).spec
    with pytest.raises(DataError):
        aecli.train(table(0), model=tmp_path / "m")
    assert read_spec(tmp_path / "m") == spec


def test_the_history_is_json_without_nan(tmp_path: Path):
    aecli.train(table(12), model=tmp_path / "m", latent=1, epochs=2, valid="none")
    file = read_spec(tmp_path / "m").history.file
    lines = (tmp_path / "m" / file).read_text().splitlines()
    assert [json.loads(line)["valid"] for line in lines] == [None, None]


def test_the_checkpoint_goes_once_a_resumed_training_is_saved(tmp_path: Path):
    how = {"model": tmp_path / "m", "latent": 2, "epochs": 60, "patience": 0}
    stopped = aecli.train(table(), time_limit=0.05, **how)
    assert not stopped.spec.summary.finished
    assert (tmp_path / "m" / "checkpoint").exists()
    finished = aecli.train(table(), resume=True, memory="1KB", **how)
    assert [epoch.number for epoch in finished.history] == list(range(1, 61))
    assert not (tmp_path / "m" / "checkpoint").exists()


@pytest.mark.parametrize("options", [{"label": "y"}, {"exclude": ["y"]}])
def test_a_classifier_reads_long_tails_compressed_and_tells_small_values_apart(
    tmp_path: Path, options: dict
):
    gains = np.random.default_rng(0).choice([0.0, 500.0, 1e5], 3000, p=[0.5, 0.498, 0.002])
    rows = pa.table({"gain": gains, "x": np.arange(3000) % 7, "y": gains > 0})
    spec = aecli.train(rows, model=tmp_path / "m", latent=2, epochs=3, **options).spec
    assert [c.name for c in spec.columns if c.compressed] == (["gain"] if spec.label else [])
    found = aecli.evaluate(rows, model=tmp_path / "m").classification
    assert found is None or found.accuracy > 0.95
