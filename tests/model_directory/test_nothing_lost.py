"""Neither a good earlier model nor a file of somebody else is lost by a save."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from aecli.cli.main import main
from aecli.directory_lock import Lock
from aecli.errors import AecliWarning, ModelError, UsageError
from aecli.model_directory.generations import continues, generations
from aecli.model_directory.read import read_spec, read_weights
from aecli.model_directory.rollback import roll_back
from aecli.model_directory.save import check_target, replace_spec, save
from aecli.model_directory.spec_file import digest_of
from aecli.schema.model_spec import NO_DIGEST, ModelSpec
from aecli.training.checkpoint import Checkpoint, TrainingState


def rewrite(path: Path, **values: object) -> Path:
    """Change keys of a spec, whose digest is right again; return it under the name of its hash."""
    spec = json.loads(path.read_text()) | values | {"digest": NO_DIGEST}
    text = json.dumps(spec, indent=2)
    digest = digest_of(text.encode())
    target = path if path.name == "spec.json" else path.with_name(f"spec-{digest[:12]}.json")
    path.unlink()
    target.write_text(text.replace(NO_DIGEST, digest, 1))
    return target


@pytest.mark.parametrize(
    ("name", "content"),
    [("checkpoint/epoch1.ckpt", "years"), (".lock", "of another program\n")],
)
def test_files_of_others_are_not_taken_for_ours(
    tmp_path: Path, model_spec: ModelSpec, name: str, content: str
) -> None:
    (tmp_path / name).parent.mkdir(exist_ok=True)
    (tmp_path / name).write_text(content)
    with pytest.raises(UsageError, match="contains other files and no model"):
        save(tmp_path, model_spec, b"weights", [])
    assert (tmp_path / name).read_text() == content


def test_a_checkpoint_goes_and_a_file_of_somebody_beside_it_stays(tmp_path: Path) -> None:
    checkpoint = Checkpoint(tmp_path, {})
    checkpoint.save(TrainingState())
    (tmp_path / "checkpoint" / "notes.txt").write_text("mine")
    checkpoint.remove()
    assert os.listdir(tmp_path / "checkpoint") == ["notes.txt"]


def test_our_own_lock_of_a_killed_run_is_no_obstacle(tmp_path: Path, model_spec: ModelSpec) -> None:
    for content in ("", "4242 machine\n"):
        (tmp_path / ".lock").write_text(content)
        check_target(tmp_path)
    with Lock(tmp_path):
        save(tmp_path, model_spec, b"weights", [])


def test_only_the_same_training_continues_an_unfinished_one(model_spec: ModelSpec) -> None:
    def with_training(**values: object) -> ModelSpec:
        training = model_spec.options.training.model_copy(update=values)
        options = model_spec.options.model_copy(update={"training": training})
        return model_spec.model_copy(update={"options": options})

    stopped = model_spec.summary.model_copy(update={"finished": False})
    unfinished = model_spec.model_copy(update={"summary": stopped})
    assert continues(unfinished, model_spec)
    assert continues(unfinished, with_training(time_limit=60.0, threads=2, memory="1GB"))
    assert not continues(model_spec, model_spec)
    assert not continues(unfinished, with_training(lr=0.1))
    assert not continues(unfinished, model_spec.model_copy(update={"columns": []}))
    assert not continues(unfinished, model_spec.model_copy(update={"label": None}))


def test_an_unfinished_model_of_another_training_is_kept(
    tmp_path: Path, model_spec: ModelSpec
) -> None:
    stopped = model_spec.summary.model_copy(update={"finished": False})
    other = {"summary": stopped, "label": None}
    first, _ = save(tmp_path, model_spec.model_copy(update=other), b"first", [])
    save(tmp_path, model_spec, b"second", [], resumed=True)
    assert generations(tmp_path) == [first]


def test_calibrating_a_model_that_was_trained_again_is_refused(
    tmp_path: Path, model_spec: ModelSpec
) -> None:
    old, _ = save(tmp_path, model_spec, b"same weights", [{"epoch": 1, "seconds": 1.0}])
    new, _ = save(tmp_path, model_spec, b"same weights", [{"epoch": 1, "seconds": 2.0}])
    with pytest.raises(ModelError, match="a newer model has replaced"):
        replace_spec(tmp_path, old, old)
    assert read_spec(tmp_path) == new


def test_a_model_of_a_newer_version_is_refused_before_one_is_trained(
    tmp_path: Path, model_spec: ModelSpec
) -> None:
    save(tmp_path, model_spec, b"weights", [])
    network = json.loads((tmp_path / "spec.json").read_text())["network"]
    rewrite(
        tmp_path / "spec.json", schema="aecli.model/1.7", network=network | {"architecture": "gru"}
    )
    with pytest.raises(ModelError, match="saved by a newer aecli"):
        check_target(tmp_path)


def test_an_earlier_model_of_a_newer_version_and_its_files_stay(
    tmp_path: Path, model_spec: ModelSpec
) -> None:
    first, _ = save(tmp_path, model_spec, b"first", [])
    save(tmp_path, model_spec, b"second", [])
    (earlier,) = tmp_path.glob("spec-*")
    newer = rewrite(earlier, schema="aecli.model/2.0")
    with pytest.warns(AecliWarning, match="is saved, but a later step failed: .*newer aecli"):
        save(tmp_path, model_spec, b"third", [])
    assert newer.exists()
    assert read_weights(tmp_path, first) == b"first"


def test_rolling_back_after_a_retrain_puts_back_what_it_replaced(
    tmp_path: Path, model_spec: ModelSpec
) -> None:
    dates = iter(("2026-01-01", "2026-01-02", "2026-01-03"))
    first, rejected, third = (
        model_spec.model_copy(update={"created": next(dates)}) for _ in range(3)
    )
    saved, _ = save(tmp_path, first, b"first", [], keep_generations=3)
    save(tmp_path, rejected, b"rejected", [], keep_generations=3)
    assert roll_back(tmp_path)[0] == saved
    save(tmp_path, third, b"third", [], keep_generations=3)
    assert roll_back(tmp_path)[0] == saved


def test_an_output_does_not_replace_a_file_of_a_model(
    tmp_path: Path, model_spec: ModelSpec, capsys: pytest.CaptureFixture[str]
) -> None:
    saved, _ = save(tmp_path / "m", model_spec, b"weights", [])
    (tmp_path / "link.html").symlink_to("m/spec.json")
    for output in (f"m/{saved.history.file}", "m/spec.json", "m/.lock", "link.html"):
        code = main(["report", str(tmp_path / "m"), "-o", str(tmp_path / output)])
        assert (code, "is a file of a model" in capsys.readouterr().err) == (2, True), output
    assert read_spec(tmp_path / "m") == saved
