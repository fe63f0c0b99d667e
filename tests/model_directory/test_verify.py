"""Every file of a directory is checked, and each damaged one is named with what it belongs to."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

import pytest

from aecli.errors import ModelError
from aecli.model_directory.read import read_spec
from aecli.model_directory.save import save
from aecli.model_directory.verify import CheckedFile, require_undamaged, verify
from aecli.schema.model_spec import ModelSpec


@pytest.fixture
def model(tmp_path: Path, model_spec: ModelSpec) -> Path:
    model = tmp_path / "model"
    save(model, model_spec, b"old weights", [])
    save(model, model_spec, b"weights", [{"epoch": 1}], {"best": 1})
    (model / "checkpoint").mkdir()
    (model / "checkpoint" / "notes.txt").touch()
    (
        model / "checkpoint" / f"state-{hashlib.sha256(b'state').hexdigest()}.safetensors"
    ).write_bytes(b"state")
    return model


def problems(model: Path) -> dict[str, str]:
    return {file.file: file.problem for file in verify(model) if file.problem is not None}


def by_kind(checked: list[CheckedFile], model: Path) -> dict[str, str]:
    names = {}
    for file in checked:
        assert file.bytes == (model / file.file).lstat().st_size
        names[file.file] = file.belongs_to
    return names


def test_every_file_of_a_whole_directory_is_listed_once(model: Path) -> None:
    checked = verify(model)
    spec, (earlier,) = read_spec(model), [p for p in os.listdir(model) if p.startswith("spec-")]
    found = by_kind(checked, model)
    owner = earlier[5:17]
    (state,) = (name for name in found if name.startswith("checkpoint/"))
    old = [n for n in os.listdir(model) if n.startswith(("weights", "history"))]
    mine = {part.file for part in spec.parts}
    assert found == {
        "spec.json": "the model",
        **dict.fromkeys(mine, "the model"),
        earlier: owner,
        **{name: owner for name in old if name not in mine},
        state: "checkpoint",
    }
    assert len(checked) == len(found) == 8
    assert problems(model) == {}
    require_undamaged(model, checked)


def test_a_file_of_both_models_belongs_to_the_present_one(
    tmp_path: Path, model_spec: ModelSpec
) -> None:
    save(tmp_path, model_spec, b"weights", [{"epoch": 1}])
    saved, _ = save(tmp_path, model_spec, b"weights", [{"epoch": 2}])
    owners = [file.belongs_to for file in verify(tmp_path) if file.file == saved.weights.file]
    assert owners == ["the model"]


def test_a_flipped_bit_of_any_file_is_named(model: Path) -> None:
    for name in [file.file for file in verify(model) if file.file != "spec.json"]:
        content = (model / name).read_bytes()
        if not content:
            continue
        (model / name).write_bytes(bytes([content[0] ^ 1]) + content[1:])
        found = problems(model)
        assert list(found) == [name]
        assert "is damaged" in found[name]
        (model / name).write_bytes(content)


@pytest.mark.parametrize("kind", ["missing", "directory", "unreadable"])
def test_a_part_that_is_not_there_is_named(model: Path, kind: str) -> None:
    name = read_spec(model).weights.file
    (model / name).unlink()
    if kind == "directory":
        (model / name).mkdir()
    if kind == "unreadable":
        (model / name).symlink_to("loop")
    text = {"missing": "is missing", "directory": "is a directory", "unreadable": "is a symbolic"}
    assert text[kind] in problems(model)[name]
    checked = verify(model)
    assert next(file.bytes for file in checked if file.file == name) == (
        0 if kind == "missing" else (model / name).lstat().st_size
    )
    with pytest.raises(ModelError, match=r"1 of 8 files of .* are damaged") as caught:
        require_undamaged(model, checked)
    assert caught.value.facts[0].startswith(f"{name} {text[kind]}")
    assert caught.value.hint == f"aecli rollback -m {model}"


def test_a_part_that_may_not_be_read_is_named(
    open_path: Path, model_spec: ModelSpec, unprivileged
) -> None:
    spec, _ = save(open_path, model_spec, b"weights", [])
    (open_path / spec.weights.file).chmod(0)
    with unprivileged():
        assert "Permission denied" in problems(open_path)[spec.weights.file]


@pytest.mark.parametrize("kind", ["renamed", "damaged", "pipe"])
def test_an_earlier_spec_that_is_not_what_its_name_says(model: Path, kind: str) -> None:
    (earlier,) = model.glob("spec-*")
    content = earlier.read_bytes()
    name = "spec-ffffffffffff.json"
    earlier.unlink()
    if kind == "pipe":
        os.mkfifo(model / name)
    else:
        (model / name).write_bytes(content if kind == "renamed" else content[:-9])
    found = problems(model)
    assert list(found) == [name]
    owners = {file.file: file.belongs_to for file in verify(model)}
    assert owners[name] == "ffffffffffff"
    if kind == "renamed":
        assert "its name does not match its content" in found[name]


def test_a_checkpoint_is_of_its_hash(model: Path) -> None:
    (path,) = (model / "checkpoint").glob("state-*")
    path.rename(path.with_name(f"state-{'0' * 64}.safetensors"))
    (problem,) = problems(model).values()
    assert "its content was changed" in problem


def test_a_damaged_spec_is_an_error(model: Path) -> None:
    (model / "spec.json").write_text("{}")
    with pytest.raises(ModelError):
        verify(model)
