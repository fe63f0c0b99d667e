"""A model is read whole: every byte of its parts is checked, and all are of one training."""

from __future__ import annotations

import os
from functools import partial
from pathlib import Path

import pytest

from aecli.errors import ModelError
from aecli.model_directory import read
from aecli.model_directory.read import (
    read_history,
    read_model,
    read_part,
    read_spec,
    read_tuning,
    read_weights,
    require_part,
)
from aecli.model_directory.save import save
from aecli.schema.model_spec import ModelSpec

READERS = {"weights": read_weights, "history": read_history, "tuning": read_tuning}
each_part = pytest.mark.parametrize("part", READERS)


@pytest.fixture
def model(tmp_path: Path, model_spec: ModelSpec) -> Path:
    save(tmp_path / "model", model_spec, b"weights", [{"epoch": 1}, {"epoch": 2}], {"best": 3})
    return tmp_path / "model"


def part_path(model: Path, part: str) -> Path:
    return model / getattr(read_spec(model), part).file


def test_the_parts_come_back(model: Path, tmp_path: Path, model_spec: ModelSpec) -> None:
    spec = read_spec(model)
    assert read_weights(model, spec) == b"weights"
    assert read_history(model, spec) == [{"epoch": 1}, {"epoch": 2}]
    assert read_tuning(model, spec) == {"best": 3}
    plain, _ = save(tmp_path / "plain", model_spec, b"weights", [])
    assert read_tuning(tmp_path / "plain", plain) is None


@each_part
def test_every_flipped_bit_of_a_part_is_found(model: Path, part: str) -> None:
    spec, path = read_spec(model), part_path(model, part)
    content = path.read_bytes()
    for place in range(len(content)):
        path.write_bytes(content[:place] + bytes([content[place] ^ 4]) + content[place + 1 :])
        with pytest.raises(ModelError, match=f"{path.name} is damaged") as caught:
            READERS[part](model, spec)
        assert caught.value.facts[0].startswith("its SHA-256 is ")


@each_part
@pytest.mark.parametrize(
    ("change", "fact"),
    [
        (-1, "it has {:,} of the {:,} bytes saved"),
        (1, "it has more than the {1:,} bytes that were saved"),
    ],
)
def test_a_shorter_or_longer_part_is_damaged(
    model: Path, part: str, change: int, fact: str
) -> None:
    spec, path = read_spec(model), part_path(model, part)
    size = path.stat().st_size
    os.truncate(path, size + change)
    with pytest.raises(ModelError, match="is damaged") as caught:
        READERS[part](model, spec)
    assert caught.value.facts == (fact.format(size + change, size),)


def test_all_digits_of_a_hash_are_compared(model: Path) -> None:
    weights = read_spec(model).weights
    for place in range(64):
        digit = "1" if weights.sha256[place] == "0" else "0"
        wrong = weights.sha256[:place] + digit + weights.sha256[place + 1 :]
        with pytest.raises(ModelError, match="is damaged"):
            read_part(model, weights.model_copy(update={"sha256": wrong}))


@each_part
def test_a_part_that_is_not_a_regular_file_is_refused(model: Path, part: str) -> None:
    spec, path = read_spec(model), part_path(model, part)
    path.rename(model / "moved")
    path.symlink_to("moved")
    with pytest.raises(ModelError, match="is a symbolic link"):
        READERS[part](model, spec)


@each_part
def test_a_missing_part_is_named_by_the_model_alone(model: Path, part: str) -> None:
    spec, path = read_spec(model), part_path(model, part)
    path.unlink()
    with pytest.raises(FileNotFoundError):
        READERS[part](model, spec)
    with pytest.raises(ModelError, match=f"{path} is missing"):
        read_model(model, partial(READERS[part], model))


@pytest.mark.parametrize("limit", [3, 4])
def test_a_model_is_read_anew_up_to_a_limit(
    model: Path, model_spec: ModelSpec, monkeypatch: pytest.MonkeyPatch, limit: int
) -> None:
    monkeypatch.setattr("aecli.model_directory.read.MAX_REPLACEMENTS", limit)
    replaced: list[ModelSpec] = []

    def read(spec: ModelSpec) -> bytes:
        if len(replaced) < 3:
            weights = f"weights {len(replaced)}".encode()
            replaced.append(save(model, model_spec, weights, [], keep_generations=0)[0])
        return read_weights(model, spec)

    if limit == 3:
        with pytest.raises(ModelError, match="is replaced faster than it can be read") as caught:
            read_model(model, read)
        assert caught.value.hint == "run the same command again"
    else:
        assert read_model(model, read) == (replaced[2], b"weights 2")


def test_a_model_may_be_replaced_a_thousand_times() -> None:
    from aecli.model_directory.read import MAX_REPLACEMENTS

    assert MAX_REPLACEMENTS == 1_000


@pytest.mark.parametrize("make", [os.mkfifo, os.mkdir, lambda path: path.symlink_to("x")])
def test_a_spec_that_is_not_a_regular_file_is_refused(model: Path, make) -> None:
    (model / "spec.json").unlink()
    make(model / "spec.json")
    with pytest.raises(ModelError, match="may contain regular files only"):
        read_spec(model)


def test_what_is_no_directory_holds_no_model(model: Path) -> None:
    with pytest.raises(ModelError, match="is a file; a model is a directory"):
        read_spec(model / "spec.json")
    with pytest.raises(ModelError, match="there is no model directory"):
        read_spec(model / "missing")


def test_files_that_may_not_be_read_say_so(
    open_path: Path, model_spec: ModelSpec, unprivileged
) -> None:
    spec, _ = save(open_path, model_spec, b"weights", [])
    (open_path / spec.weights.file).chmod(0)
    with unprivileged(), pytest.raises(ModelError, match="Permission denied"):
        read_weights(open_path, spec)
    (open_path / "spec.json").chmod(0)
    with unprivileged(), pytest.raises(ModelError, match=r"spec\.json: Permission denied"):
        read_spec(open_path)


@each_part
def test_a_part_of_another_size_is_damaged_before_it_is_hashed(model: Path, part: str) -> None:
    spec, path = read_spec(model), part_path(model, part)
    size = path.stat().st_size
    path.write_bytes(path.read_bytes() + b"x")
    with pytest.raises(ModelError, match=f"{path.name} is damaged") as caught:
        require_part(model, getattr(spec, part))
    assert caught.value.facts == (f"it has {size + 1:,} of the {size:,} bytes saved",)


def test_weights_beyond_the_memory_are_not_damaged(
    model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_memory(path: Path, most: int) -> bytes:
        raise MemoryError

    spec = read_spec(model)
    monkeypatch.setattr(read, "read_regular", no_memory)
    with pytest.raises(ModelError, match="needs 7 bytes of memory, more than available"):
        read_weights(model, spec)
