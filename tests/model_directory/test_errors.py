"""What is said of a directory that holds no model, and what to try."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from aecli.model_directory.errors import (
    damaged_error,
    missing_error,
    name_list,
    no_model_error,
    recovery_command,
    unreadable_error,
)
from aecli.model_directory.save import save
from aecli.schema.model_spec import ModelSpec


def two_models(directory: Path, spec: ModelSpec) -> Path:
    save(directory, spec, b"first", [])
    save(directory, spec, b"second", [])
    return directory


def test_the_way_back_is_an_earlier_model_or_a_training(
    tmp_path: Path, model_spec: ModelSpec
) -> None:
    train = f"aecli train DATA -m '{tmp_path}/my model'"
    assert recovery_command(tmp_path / "my model") == train
    save(tmp_path / "my model", model_spec, b"first", [])
    assert recovery_command(tmp_path / "my model") == train
    two_models(tmp_path / "my model", model_spec)
    path = tmp_path / "my model" / "spec.json"
    back = f"aecli rollback -m '{tmp_path}/my model'"
    assert damaged_error(path, "why").hint == missing_error(path).hint == back
    assert damaged_error(path, "why").facts == ("why",)


def test_a_directory_that_lost_its_spec_has_an_earlier_model(
    tmp_path: Path, model_spec: ModelSpec
) -> None:
    two_models(tmp_path, model_spec)
    (tmp_path / "spec.json").unlink()
    error = no_model_error(tmp_path)
    assert error.what == f"{tmp_path}/spec.json is missing"
    assert error.facts == ("it has an earlier model",)
    assert error.hint == f"aecli rollback -m {tmp_path}"


@pytest.mark.parametrize(
    ("names", "fact"),
    [
        ([], "it is empty"),
        (["a.csv"], "it has: a.csv"),
        ([".lock"], "a training in it has not saved a model yet"),
        ([".lock", "a.csv"], "it has: .lock, a.csv"),
        (list("abcde"), "it has: a, b, c, d, e"),
        (list("abcdef"), "it has: a, b, c, d, e and 1 more"),
    ],
)
def test_a_directory_without_a_model_says_what_it_has(
    tmp_path: Path, names: list[str], fact: str
) -> None:
    for name in names:
        (tmp_path / name).touch()
    error = no_model_error(tmp_path)
    assert error.what == f"{tmp_path} is not a model directory: it has no spec.json"
    assert error.facts == (fact,)
    assert error.hint == f"aecli train DATA -m {tmp_path}"


def test_a_file_leads_to_its_model_if_it_is_a_part_of_one(
    tmp_path: Path, model_spec: ModelSpec
) -> None:
    saved, _ = save(tmp_path / "m", model_spec, b"first", [])
    (tmp_path / "m" / "notes.txt").touch()
    (tmp_path / "spec-0123456789ab.json").touch()
    part = no_model_error(tmp_path / "m" / saved.weights.file)
    assert part.hint == f"-m {tmp_path}/m"
    for path in (tmp_path / "m" / "notes.txt", tmp_path / "spec-0123456789ab.json"):
        error = no_model_error(path)
        assert error.what == f"{path} is a file; a model is a directory"
        assert error.hint == "aecli train DATA -m aecli_model"


def test_a_directory_of_models_leads_to_the_first(tmp_path: Path, model_spec: ModelSpec) -> None:
    for name in ("b", "a"):
        save(tmp_path / name, model_spec, b"first", [])
    (tmp_path / "c").mkdir()
    error = no_model_error(tmp_path)
    assert error.what == f"{tmp_path} is not a model directory, but contains some: a, b"
    assert error.hint == f"-m {tmp_path}/a"


def test_a_file_that_cannot_be_read_says_why() -> None:
    error = unreadable_error(Path("m/my spec"), PermissionError(13, os.strerror(13)))
    assert error.what == "cannot read m/my spec: Permission denied"
    assert error.hint == "ls -l 'm/my spec'"


def test_names_are_listed_up_to_a_limit() -> None:
    assert name_list("abc", 3) == "a, b, c"
    assert name_list("abcd", 3) == "a, b, c and 1 more"
