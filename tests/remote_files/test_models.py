"""What a model directory on an object store promises: complete or not there, read once."""

from __future__ import annotations

import stat
from pathlib import Path

import pyarrow as pa
import pyarrow.csv as pacsv
import pytest

import aecli
from aecli.cli.main import main
from aecli.errors import ModelError, OutputError, UsageError
from aecli.model_directory.spec_file import is_model
from aecli.model_directory.staging import StagedDirectory
from aecli.regular_files import read_regular
from aecli.remote_files.path import location
from tests.remote_files.conftest import Bucket, WebFolder, rows

pytestmark = pytest.mark.usefixtures("no_cross_fitting")

OPTIONS = {"latent": 2, "epochs": 2, "threads": 1}


def latents(model: object) -> pa.Table:
    return aecli.load(model).encode(rows(20))


def test_training_writes_the_model_of_one_on_disk(
    bucket: Bucket, local_model: Path, tmp_path: Path
) -> None:
    address = f"{bucket.address}/runs/m"
    aecli.train(rows(200), model=tmp_path / "m", **OPTIONS)
    bucket.requests.clear()
    result = aecli.train(rows(200), model=address, **OPTIONS)
    assert str(result.model) == address
    written = [path for method, path in bucket.requests if method in ("PUT", "POST")]
    assert written[-1].endswith("/spec.json")
    assert latents(address).equals(latents(tmp_path / "m"))
    names = [name.removeprefix("runs/m/") for name in bucket.names()]
    assert "spec.json" in names
    assert not [name for name in names if name.startswith((".lock", "checkpoint"))]


def test_weights_are_downloaded_once(bucket: Bucket, local_model: Path, tmp_path: Path) -> None:
    address = bucket.put_folder(local_model, "m")
    first = latents(address)
    copies = list((tmp_path / "cache/aecli/models").iterdir())
    assert [stat.S_IMODE(copy.stat().st_mode) for copy in copies] == [0o600]
    assert stat.S_IMODE((tmp_path / "cache/aecli/models").stat().st_mode) == 0o700
    bucket.requests.clear()
    assert latents(address).equals(first)
    assert not [path for _, path in bucket.requests if "weights" in path]
    copies[0].write_bytes(b"damaged")
    assert latents(address).equals(first)


def test_every_command_reads_it(bucket: Bucket, local_model: Path, tmp_path: Path) -> None:
    address = bucket.put_folder(local_model, "m")
    assert str(aecli.inspect(address, history=True, verified=True).model) == address
    aecli.score(rows(30), f"{tmp_path}/s.csv", model=address)
    assert str(aecli.evaluate(rows(30), model=address, compare=local_model).model) == address
    assert str(aecli.report(rows(30), f"{tmp_path}/r.html", model=address).model) == address


def test_damaged_model_is_refused(bucket: Bucket, local_model: Path) -> None:
    address = bucket.put_folder(local_model, "m")
    weights = next(name for name in bucket.names() if "weights" in name)
    whole = bucket.get(weights)
    bucket.put(weights, whole[:-1] + b"x")
    with pytest.raises(ModelError, match=r"s3://.*/m/weights.* is damaged"):
        aecli.load(address)
    with pytest.raises(ModelError, match="has no spec"):
        aecli.load(f"{bucket.address}/none")
    with pytest.raises(ModelError, match="its bucket does not exist"):
        aecli.load("s3://no-such-bucket/m")


def test_failed_save_keeps_the_old_model_and_the_new_one_on_disk(
    bucket: Bucket, local_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    address = bucket.put_folder(local_model, "m")
    before = latents(address)
    bucket.refuse = lambda method, path: 500 * (method in ("PUT", "POST") and "spec.json" in path)
    with pytest.raises(OutputError, match=r"cannot write s3://.*/m/spec\.json") as caught:
        aecli.train(rows(200), model=address, seed=1, **OPTIONS)
    bucket.refuse = lambda method, path: 0
    assert latents(address).equals(before)
    (kept,) = tmp_path.glob("aecli-model-*")
    assert f"the model is in {kept}" in caught.value.facts
    assert not latents(kept).equals(before)


def test_replaced_model_is_kept_and_rolled_back(bucket: Bucket, local_model: Path) -> None:
    address = bucket.put_folder(local_model, "m")
    before = latents(address)
    result = aecli.train(rows(200), model=address, seed=1, **OPTIONS)
    assert result.replaced is not None
    assert not latents(address).equals(before)
    aecli.rollback(model=address)
    assert latents(address).equals(before)
    aecli.calibrate(rows(100), model=address, fpr=0.2)
    assert latents(address).equals(before)


def test_last_of_several_earlier_models_is_restored(bucket: Bucket, local_model: Path) -> None:
    address = bucket.put_folder(local_model, "m")
    for seed in (1, 2):
        aecli.train(rows(200), model=address, seed=seed, keep_generations=2, **OPTIONS)
    restored = aecli.rollback(model=address).restored
    assert restored.id == aecli.inspect(model=address).spec.digest[:12]
    assert aecli.inspect(model=address).spec.options.training.seed == 1
    assert len(aecli.inspect(model=address).generations) == 2


def test_stopped_training_is_resumed_from_the_store(
    bucket: Bucket, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    address, options = f"{bucket.address}/m", {**OPTIONS, "epochs": 4}
    aecli.train(rows(200), model=tmp_path / "whole", **options)
    stopped = aecli.train(rows(200), model=address, **{**options, "time_limit": 1e-6})
    assert not stopped.spec.summary.finished
    assert [name for name in bucket.names() if name.startswith("m/checkpoint/state-")]
    aecli.train(rows(200), model=address, resume=True, **options)
    assert latents(address).equals(latents(tmp_path / "whole"))
    assert not [name for name in bucket.names() if "checkpoint" in name]


def test_checkpoints_are_uploaded_while_training(
    bucket: Bucket, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("training.requests.CHECKPOINT_SECONDS", "model_directory.staging.UPLOAD_SECONDS"):
        monkeypatch.setattr(f"aecli.{name}", 0.0)
    aecli.train(rows(200), model=f"{bucket.address}/m", **{**OPTIONS, "epochs": 4})
    states = {p for method, p in bucket.requests if method != "GET" and "/m/checkpoint/state-" in p}
    assert len(states) >= 2


def test_trainings_at_the_same_time_leave_a_whole_model(bucket: Bucket, local_model: Path) -> None:
    address = bucket.put_folder(local_model, "m")
    other = StagedDirectory(location(address))
    with other:
        aecli.train(rows(200), model=other.local, seed=1, **OPTIONS)
        aecli.train(rows(200), model=address, seed=2, **OPTIONS)
    assert aecli.inspect(model=address, verified=True).spec.options.training.seed == 1
    assert latents(address).num_rows == 20


def test_errors_name_the_store_and_not_the_copy(bucket: Bucket, local_model: Path) -> None:
    address = bucket.put_folder(local_model, "m")
    with pytest.raises(UsageError, match=r"s3://.*/m has no unfinished training to resume"):
        aecli.train(rows(200), model=address, resume=True, **OPTIONS)
    bucket.put("other/notes.txt", b"x")
    with pytest.raises(UsageError, match="contains other files and no model"):
        aecli.train(rows(200), model=f"{bucket.address}/other", **OPTIONS)


def test_validation_rows_are_read_from_the_store(bucket: Bucket, tmp_path: Path) -> None:
    pacsv.write_csv(rows(30, seed=1), tmp_path / "v.csv")
    address = bucket.put("v.csv", (tmp_path / "v.csv").read_bytes())
    result = aecli.train(rows(60), model=tmp_path / "m", valid=address, **OPTIONS)
    assert (result.spec.summary.train_rows, result.spec.summary.valid_rows) == (60, 30)
    assert result.spec.options.training.valid == address


def test_search_saves_the_best_model(
    bucket: Bucket, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("optuna")
    monkeypatch.chdir(tmp_path)
    result = aecli.tune(rows(100), trials=1, model=f"{bucket.address}/best", **OPTIONS)
    assert str(result.model) == f"{bucket.address}/best"
    assert (tmp_path / "best.journal").exists()
    assert latents(result.model).num_rows == 20


def test_estimator_saves_and_loads_it(bucket: Bucket) -> None:
    estimator = aecli.Autoencoder(latent=2, epochs=1, threads=1).fit(rows(60).to_pandas())
    estimator.save(f"{bucket.address}/e")
    loaded = aecli.Autoencoder.load(f"{bucket.address}/e")
    assert loaded.get_feature_names_out().tolist() == ["z0", "z1"]


def test_only_the_start_of_a_file_that_is_too_large_is_copied(
    bucket: Bucket, web: WebFolder
) -> None:
    content = bytes(range(200))
    (web.folder / "f").write_bytes(content)
    for address in (bucket.put("f", content), f"{web.address}/f"):
        with location(address).copied(50) as copy:
            assert copy.read() == content[:50]
        assert read_regular(location(address), 50) == content[:51]
        assert read_regular(location(address), 500) == content


def test_object_is_not_a_directory(bucket: Bucket) -> None:
    address = bucket.put("r.csv", b"x")
    with pytest.raises(OutputError, match=r"cannot write s3://.*/r\.csv/spec\.json: Not a dir"):
        aecli.train(rows(100), model=address, **OPTIONS)
    assert bucket.names() == ["r.csv"]


@pytest.mark.parametrize(
    ("command", "option", "name"),
    [("tune --trials 1", "--journal", "x.journal"), ("train", "--config", "x.toml")],
)
def test_files_that_have_to_be_on_disk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str],
    command: str, option: str, name: str,
) -> None:  # fmt: skip
    monkeypatch.chdir(tmp_path)
    assert main([*command.split(), "t.csv", option, f"s3://b/{name}"]) == 2
    error = capsys.readouterr().err
    assert f"{option} s3://b/{name} is an address; this file has to be on disk" in error
    assert f"try: {option} {name}" in error
    assert not list(tmp_path.iterdir())


def put_model(web: WebFolder, local_model: Path, name: str) -> str:
    (web.folder / name).mkdir()
    for path in local_model.iterdir():
        if path.is_file():
            (web.folder / name / path.name).write_bytes(path.read_bytes())
    return f"{web.address}/{name}"


def test_model_of_a_web_server_is_read(web: WebFolder, local_model: Path) -> None:
    address = put_model(web, local_model, "m")
    assert latents(address).equals(latents(local_model))
    files = [path for path in local_model.iterdir() if path.suffix in (".safetensors", ".jsonl")]
    size = sum(path.stat().st_size for path in files)
    assert aecli.inspect(address).bytes == size
    changes = (
        aecli.rollback,
        lambda model: aecli.calibrate(rows(50), model=model),
        lambda model: aecli.train(rows(50), model=model, **OPTIONS),
    )
    web.paths.clear()
    for change in changes:
        with pytest.raises(OutputError, match="addresses of web servers are only read") as caught:
            change(model=address)
        assert (
            caught.value.hint == "a path on disk, or an address of s3://, gs://, abfs://, abfss://"
        )
    assert web.paths == []  # before the model or the table is read


def test_only_the_spec_of_a_model_makes_a_web_address_one(
    web: WebFolder, local_model: Path
) -> None:
    assert is_model(put_model(web, local_model, "m"))
    for name, spec in {"page": "<html>", "list": "[]", "other": '{"schema": "x/1"}'}.items():
        (web.folder / name).mkdir()
        (web.folder / name / "spec.json").write_text(spec)
        assert not is_model(f"{web.address}/{name}")
    web.paths.clear()
    assert not is_model(f"{web.address}/m?token=x")
    assert not is_model(f"{web.address}/m.csv")
    assert web.paths == []
    web.refuse = lambda path: 503
    assert not is_model(f"{web.address}/m")
