"""A save is complete or has not happened: the order of its steps, and what a failure leaves."""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path

import pytest

from aecli.errors import AecliWarning, ModelError, OutputError, UsageError
from aecli.model_directory.read import read_spec, read_tuning, read_weights
from aecli.model_directory.save import check_target, replace_spec, save
from aecli.schema.model_spec import ModelSpec


def content(directory: Path) -> dict[str, bytes]:
    return {name: (directory / name).read_bytes() for name in os.listdir(directory)}


def test_the_spec_is_renamed_last_and_nothing_goes_before(
    tmp_path: Path, model_spec: ModelSpec, system_calls: list[str]
) -> None:
    old, _ = save(tmp_path, model_spec, b"old", [], {"best": 1})
    system_calls.clear()
    new, _ = save(tmp_path, model_spec, b"new", [{"epoch": 1}], {"best": 2}, keep_generations=1)
    steps = [call for call in system_calls if call.startswith(("replace", "unlink", "fsync"))]
    names = [f"spec-{old.digest[:12]}.json", *(part.file for part in new.parts), "spec.json"]
    expected = []
    for name in names:
        expected += ["fsync TEMPORARY", f"replace TEMPORARY {name}", f"fsync {tmp_path.name}"]
    assert steps == expected


def test_old_files_go_after_the_commit(
    tmp_path: Path, model_spec: ModelSpec, system_calls: list[str]
) -> None:
    old, _ = save(tmp_path, model_spec, b"old", [{"epoch": 0}])
    system_calls.clear()
    save(tmp_path, model_spec, b"new", [{"epoch": 1}], keep_generations=0)
    steps = [call for call in system_calls if call.startswith(("replace", "unlink"))]
    assert steps[-3] == "replace TEMPORARY spec.json"
    assert sorted(steps[-2:]) == sorted(f"unlink {part.file}" for part in old.parts)


@pytest.mark.parametrize("mode", [0o600, 0o640])
def test_a_model_keeps_its_mode_when_it_is_replaced(
    tmp_path: Path, model_spec: ModelSpec, mode: int
) -> None:
    save(tmp_path, model_spec, b"old", [])
    (tmp_path / "spec.json").chmod(mode)
    save(tmp_path, model_spec, b"new", [{"epoch": 1}], {"best": 1})
    new = read_spec(tmp_path)
    for name in ("spec.json", *(part.file for part in new.parts)):
        assert stat.S_IMODE((tmp_path / name).stat().st_mode) == mode
    (earlier,) = tmp_path.glob("spec-*")
    assert stat.S_IMODE(earlier.stat().st_mode) == mode


def test_a_model_without_a_search_does_not_take_over_that_of_its_spec(
    tmp_path: Path, model_spec: ModelSpec
) -> None:
    first, _ = save(tmp_path, model_spec, b"old", [], {"best": 1})
    second, _ = save(tmp_path, first, b"new", [])
    assert second.tuning is None
    assert read_tuning(tmp_path, second) is None
    assert second.digest != first.digest


@pytest.mark.parametrize("place", [0, 1, 2, 3])
@pytest.mark.parametrize("number", [errno.EIO, errno.ENOSPC])
def test_a_save_that_fails_at_any_rename_leaves_the_old_model_alone(
    tmp_path: Path,
    model_spec: ModelSpec,
    monkeypatch: pytest.MonkeyPatch,
    place: int,
    number: int,
) -> None:
    save(tmp_path, model_spec, b"old", [])
    before, replace, done = content(tmp_path), os.replace, []

    def fail(source: Path, target: Path) -> None:
        if len(done) == place:
            raise OSError(number, os.strerror(number))
        done.append(target)
        replace(source, target)

    monkeypatch.setattr(os, "replace", fail)
    with pytest.raises(OutputError, match="cannot write"):
        save(tmp_path, model_spec, b"new", [{"epoch": 1}])
    assert content(tmp_path) == before


def test_a_failure_to_prune_is_a_warning(tmp_path: Path, model_spec: ModelSpec, failing) -> None:
    old, _ = save(tmp_path, model_spec, b"old", [])
    failing("unlink", errno.EIO, old.weights.file)
    with pytest.warns(AecliWarning, match="is saved, but a later step failed"):
        new, _ = save(tmp_path, model_spec, b"new", [], keep_generations=0)
    assert read_spec(tmp_path) == new


def test_an_old_spec_that_cannot_be_read_stops_the_save(
    tmp_path: Path, model_spec: ModelSpec, monkeypatch: pytest.MonkeyPatch
) -> None:
    save(tmp_path, model_spec, b"old", [])
    before = content(tmp_path)

    def fail(*_: object, **__: object) -> None:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    monkeypatch.setattr("aecli.model_directory.save.replaced_model", fail)
    with pytest.raises(OutputError, match=r"spec\.json: Input/output error"):
        save(tmp_path, model_spec, b"new", [])
    assert content(tmp_path) == before


PARTS = ["spec.json", ".lock", "weights-0123456789ab.safetensors", "history-0123456789ab.jsonl",
         "tuning-0123456789ab.json", "spec-0123456789ab.json", "checkpoint"]  # fmt: skip


@pytest.mark.parametrize("name", PARTS)
@pytest.mark.parametrize("kind", ["link", "dangling", "pipe", "other"])
def test_a_link_or_a_pipe_in_place_of_a_part_stops_the_save(
    tmp_path: Path, model_spec: ModelSpec, name: str, kind: str
) -> None:
    model, victim = tmp_path / "m", tmp_path / "victim"
    victim.write_text("precious")
    save(model, model_spec, b"old", [])
    part = model / name
    part.unlink(missing_ok=True)
    if kind == "pipe":
        os.mkfifo(part)
    elif kind == "other":
        part.touch() if name == "checkpoint" else part.mkdir()
    else:
        part.symlink_to(victim if kind == "link" else "nowhere")
    with pytest.raises(ModelError, match="may contain regular files only"):
        save(model, model_spec, b"new", [])
    assert victim.read_text() == "precious"
    assert not (model / "nowhere").exists()


def test_a_checkpoint_folder_and_a_leftover_do_not_stop_a_save(
    tmp_path: Path, model_spec: ModelSpec
) -> None:
    (tmp_path / "checkpoint").mkdir()
    (tmp_path / ".aecli-0123456789abcdef.tmp").symlink_to("elsewhere")
    save(tmp_path, model_spec, b"new", [])
    assert (tmp_path / "checkpoint").is_dir()


def test_a_directory_that_cannot_be_listed_or_made(
    open_path: Path, model_spec: ModelSpec, unprivileged
) -> None:
    (open_path / "m").mkdir()
    (open_path / "m").chmod(0)
    with unprivileged(), pytest.raises(OutputError, match="no permission"):
        check_target(open_path / "m")
    open_path.chmod(0o555)
    with unprivileged(), pytest.raises(OutputError, match="cannot write"):
        save(open_path / "new", model_spec, b"new", [])


@pytest.mark.parametrize("names", [["a.csv"], ["a.csv", ".lock"], ["a.csv", "checkpoint"]])
def test_strangers_files_are_named(tmp_path: Path, names: list[str]) -> None:
    for name in names:
        (tmp_path / name).mkdir() if name == "checkpoint" else (tmp_path / name).touch()
    with pytest.raises(UsageError, match="contains other files and no model") as caught:
        check_target(tmp_path)
    assert caught.value.facts == ("it has: a.csv",)
    assert caught.value.hint == f"-m {tmp_path}/aecli_model"


def test_a_strangers_spec_is_named(tmp_path: Path) -> None:
    (tmp_path / "spec.json").write_text('{"schema": 3}')
    (tmp_path / "a.csv").touch()
    with pytest.raises(UsageError) as caught:
        check_target(tmp_path)
    assert caught.value.facts == ("it has: spec.json",)


def test_new_and_empty_directories_and_models_with_other_files_are_fine(
    tmp_path: Path, model_spec: ModelSpec
) -> None:
    check_target(tmp_path / "missing")
    check_target(tmp_path)
    save(tmp_path, model_spec, b"old", [])
    (tmp_path / "notes.txt").touch()
    check_target(tmp_path)


def test_a_new_spec_for_the_same_weights(tmp_path: Path, model_spec: ModelSpec) -> None:
    old, _ = save(tmp_path, model_spec, b"weights", [])
    replace_spec(tmp_path, old, old.model_copy(update={"table": "other"}))
    new = read_spec(tmp_path)
    assert new.table == "other"
    assert new.digest != old.digest
    assert read_weights(tmp_path, new) == b"weights"
    with pytest.raises(ModelError, match="a newer model has replaced"):
        replace_spec(tmp_path, old, new)


def test_a_spec_of_replaced_weights_is_refused(tmp_path: Path, model_spec: ModelSpec) -> None:
    old, _ = save(tmp_path, model_spec, b"old", [])
    new, _ = save(tmp_path, model_spec, b"new", [])
    with pytest.raises(ModelError, match="a newer model has replaced") as caught:
        replace_spec(tmp_path, old, old)
    assert caught.value.hint == "run the same command again"
    assert read_spec(tmp_path) == new
    (tmp_path / new.history.file).unlink()
    (tmp_path / new.history.file).symlink_to("elsewhere")
    with pytest.raises(ModelError, match="may contain regular files only"):
        replace_spec(tmp_path, new, new)


def test_an_unfinished_model_is_kept_unless_it_is_resumed(
    tmp_path: Path, model_spec: ModelSpec
) -> None:
    summary = model_spec.summary.model_copy(update={"finished": False})
    half = model_spec.model_copy(update={"summary": summary})
    for resumed in (False, True):
        directory = tmp_path / str(resumed)
        save(directory, half, b"half", [])
        save(directory, model_spec, b"whole", [], resumed=resumed)
        assert len(list(directory.glob("spec-*"))) == (0 if resumed else 1)
