"""Methods of a loaded model: the output of the commands, in memory, in the type of the input."""

from __future__ import annotations

import pickle
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch

import aecli
from aecli.errors import DataError, UsageError

pytestmark = pytest.mark.usefixtures("no_cross_fitting")


def frame(rows: int, seed: int = 0) -> pd.DataFrame:
    generator = np.random.default_rng(seed)
    a = generator.normal(size=rows)
    day = pd.Timestamp("2026-01-01") + pd.to_timedelta(np.arange(rows) % 30, unit="D")
    return pd.DataFrame(
        {
            "a": a,
            "b": (10 * a).astype(np.int32),
            "colour": generator.choice(["red", "blue"], rows),
            "day": day,
            "y": np.where(a > 0, "yes", "no"),
        },
        index=[f"row {i}" for i in range(rows)],
    ).rename_axis(None)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("models") / "mixed"
    aecli.train(pa.Table.from_pandas(frame(300)), model=path, label="y", latent=2, epochs=10)
    return path


@pytest.fixture(scope="module")
def model(folder: Path) -> aecli.Model:
    return aecli.load(folder)


@pytest.fixture(scope="module")
def of_numbers(tmp_path_factory: pytest.TempPathFactory) -> aecli.Model:
    path = tmp_path_factory.mktemp("models") / "numbers"
    values = np.random.default_rng(0).normal(size=(100, 4))
    lists = pa.FixedSizeListArray.from_arrays(values[:, 1:3].reshape(-1), 2)
    table = pa.table({"p": values[:, 0], "v": lists, "q": values[:, 3]})
    aecli.train(table, model=path, latent=3, epochs=3)
    return aecli.load(path)


@pytest.mark.parametrize("method", ["encode", "reconstruct", "score", "predict"])
def test_each_method_gives_what_the_command_writes(
    method: str, model: aecli.Model, folder: Path, tmp_path: Path
):
    table = pa.Table.from_pandas(frame(50, seed=1))
    getattr(aecli, method)(table, str(tmp_path / "out.parquet"), model=folder)
    assert getattr(model, method)(table).equals(pq.read_table(tmp_path / "out.parquet"))


@pytest.mark.parametrize("method", ["encode", "reconstruct", "score", "predict"])
def test_a_frame_comes_back_as_a_frame_with_its_index(method: str, model: aecli.Model):
    rows = frame(20, seed=1).iloc[::-2]
    result = getattr(model, method)(rows, keep=["y"])
    assert isinstance(result, pd.DataFrame)
    assert result.index.equals(rows.index)
    assert result["y"].tolist() == rows["y"].tolist()


def test_columns_come_back_in_their_own_kinds(model: aecli.Model):
    rows = frame(20)
    result = model.reconstruct(rows)
    assert result.dtypes.to_dict() == rows.drop(columns="y").dtypes.to_dict()
    assert set(result["colour"]) <= {"red", "blue"}


def test_fill_changes_only_missing_cells(model: aecli.Model):
    rows = frame(20)
    rows.loc["row 3", ["a", "colour"]] = None
    result = model.reconstruct(rows, fill=True)
    assert result.drop(index="row 3").equals(frame(20).drop(index="row 3"))
    assert result.loc["row 3"].notna().all()
    with pytest.raises(UsageError, match="have no effect"):
        model.reconstruct(rows, fill=True, residuals=True)


def test_latents_decode_to_what_reconstruct_gives(model: aecli.Model):
    rows = frame(20)
    pd.testing.assert_frame_equal(model.decode(model.encode(rows)), model.reconstruct(rows))


def test_an_array_goes_in_and_comes_out_by_position(of_numbers: aecli.Model):
    values = np.random.default_rng(1).normal(size=(7, 4))
    latents = of_numbers.encode(values)
    assert (latents.shape, latents.dtype) == ((7, 3), np.float32)
    assert of_numbers.columns == ["p", "v", "q"]
    reconstructed = of_numbers.reconstruct(values)
    assert reconstructed.shape == (7, 4)
    np.testing.assert_allclose(of_numbers.decode(latents), reconstructed)
    assert of_numbers.score(values).shape == (7,)


def test_an_array_of_another_width_is_refused(of_numbers: aecli.Model):
    with pytest.raises(DataError, match=r"shape 7×3; this model needs \(rows, 4\)"):
        of_numbers.encode(np.zeros((7, 3)))


def test_mixed_arrays_and_their_predictions(model: aecli.Model):
    rows = frame(9)
    values = rows.drop(columns="y").to_numpy()
    assert model.predict(values).tolist() == model.predict(rows)["prediction"].tolist()
    assert model.reconstruct(values).dtype == object


@pytest.mark.parametrize("convert", [pa.Table.from_pandas, lambda rows: rows])
def test_no_rows_give_no_rows(model: aecli.Model, convert: Any):
    assert len(model.encode(convert(frame(3).iloc[:0]))) == 0


def test_windows_keep_the_index_of_their_last_rows(tmp_path: Path):
    rows = frame(60).drop(columns=["y", "day"])
    aecli.train(rows, model=tmp_path / "m", window=5, stride=5, latent=2, epochs=1)
    model = aecli.load(tmp_path / "m")
    assert model.encode(rows).index.tolist() == [f"row {i}" for i in range(4, 60, 5)]
    assert model.reconstruct(rows).index.equals(rows.index)
    assert len(model.score(rows, score_unit="row")) == 60


def test_a_model_survives_a_pickle(model: aecli.Model):
    rows = frame(20)
    again = pickle.loads(pickle.dumps(model))
    assert again.spec == model.spec
    pd.testing.assert_frame_equal(again.score(rows), model.score(rows))


@pytest.fixture
def two_threads() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(before)


@pytest.mark.parametrize("command", ["train", "encode", "score", "evaluate", "report", "fit"])
def test_the_threads_of_a_call_end_with_it(
    command: str, folder: Path, tmp_path: Path, two_threads: None
):
    rows, output = frame(40), str(tmp_path / "out.parquet")
    if command == "train":
        aecli.train(rows, model=tmp_path / "m", epochs=1, latent=2, threads=1)
    elif command == "fit":
        estimator = aecli.Autoencoder(epochs=1, latent=2, threads=1).fit(rows)
        assert torch.get_num_threads() == 2
        estimator.transform(rows)
    elif command == "evaluate":
        aecli.evaluate(rows, model=folder, threads=1)
    elif command == "report":
        aecli.report(rows, str(tmp_path / "out.html"), model=folder, threads=1)
    else:
        getattr(aecli, command)(rows, output, model=folder, threads=1)
    assert torch.get_num_threads() == 2


def test_the_methods_of_a_model_have_its_own_threads(folder: Path, two_threads: None):
    seen = []
    for threads in (1, None):
        model = aecli.load(folder, threads=threads)
        assert torch.get_num_threads() == 2
        latents = model.encode(frame(20))
        decoder = next(m for m in model.loaded.network.decoder.modules() if not [*m.children()])
        decoder.register_forward_pre_hook(lambda *_: seen.append(torch.get_num_threads()))
        model.decode(latents)
    assert seen == [1, 2]
    assert torch.get_num_threads() == 2
