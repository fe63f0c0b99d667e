"""A checkpoint is saved whole, read whole, and damaged where a bit of it changed."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import resource
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import save as to_safetensors

from aecli.errors import AecliWarning, ModelError, OutputError, UsageError
from aecli.progress import Epoch
from aecli.training.checkpoint import (
    Checkpoint,
    TrainingState,
    copied,
    same_random_numbers,
)
from aecli.training.validation import Criterion

OPTIONS = {"training": {"epochs": 40}}
IDENTITY = {"options": OPTIONS, "columns": [{"name": "a", "mean": [1.0]}], "rows": [1000, 10]}


def state(epoch: int = 3) -> TrainingState:
    record = Epoch(1, {"total": 1.0}, {"total": 1.5}, 0.5, 1e-3, best=True, metrics={})
    return TrainingState(
        network={"0.weight": torch.arange(6.0).reshape(2, 3).T},
        best={"0.weight": torch.ones(2), "bias": torch.tensor(2.0)},
        optimizer={"a.b.c": torch.zeros(2, dtype=torch.float64)},
        epoch=epoch, step=40, best_epoch=2, best_criterion=Criterion(0.25, 0.1, 0.2), seconds=1.5,
        schedule_factor=0.5,
        schedule_waited=2, history=[record], start=record,
    )  # fmt: skip


def require_same(found: TrainingState, expected: TrainingState) -> None:
    for part in ("network", "best", "optimizer"):
        tensors, others = getattr(found, part), getattr(expected, part)
        assert list(tensors) == list(others)
        for name, tensor in tensors.items():
            assert tensor.dtype == others[name].dtype
            assert torch.equal(tensor, others[name])
    for name in ("epoch", "step", "best_epoch", "best_criterion", "seconds", "schedule_factor",
                 "schedule_waited", "history", "start"):  # fmt: skip
        assert getattr(found, name) == getattr(expected, name)


def file_of(directory: Path) -> Path:
    (path,) = (directory / "checkpoint").iterdir()
    return path


def rewrite(path: Path, content: bytes) -> None:
    """Replace a checkpoint by other content under the name of its hash."""
    path.unlink()
    name = f"state-{hashlib.sha256(content).hexdigest()}.safetensors"
    path.with_name(name).write_bytes(content)


def test_a_state_comes_back(tmp_path: Path) -> None:
    Checkpoint(tmp_path, IDENTITY).save(state())
    require_same(Checkpoint(tmp_path, IDENTITY).load(), state())
    digest = hashlib.sha256(file_of(tmp_path).read_bytes()).hexdigest()
    assert file_of(tmp_path).name == f"state-{digest}.safetensors"


def test_a_training_that_has_not_begun() -> None:
    fresh = TrainingState()
    assert (fresh.epoch, fresh.step, fresh.best_epoch, fresh.schedule_waited) == (0, 0, 0, 0)
    assert (fresh.best_criterion.total, fresh.seconds, fresh.schedule_factor) == (
        float("inf"),
        0.0,
        1.0,
    )
    assert (fresh.network, fresh.best, fresh.optimizer, fresh.history) == ({}, {}, {}, [])
    assert fresh.start is None


def test_the_new_checkpoint_is_named_before_the_old_one_goes(
    tmp_path: Path, system_calls: list[str]
) -> None:
    checkpoint = Checkpoint(tmp_path, IDENTITY)
    checkpoint.save(state(1))
    old = file_of(tmp_path).name
    system_calls.clear()
    checkpoint.save(state(2))
    new = file_of(tmp_path).name
    kinds = ("fsync", "replace", "rename", "unlink")
    assert [call for call in system_calls if call.startswith(kinds)] == [
        "fsync TEMPORARY",
        "replace TEMPORARY state.safetensors",
        "fsync checkpoint",
        f"rename state.safetensors {new}",
        "fsync checkpoint",
        f"unlink {old}",
    ]
    assert checkpoint.load().epoch == 2


def test_the_same_state_twice_stays(tmp_path: Path) -> None:
    checkpoint = Checkpoint(tmp_path, IDENTITY)
    checkpoint.save(state())
    checkpoint.save(state())
    assert checkpoint.load().epoch == 3


def test_the_later_of_two_checkpoints_is_resumed(tmp_path: Path) -> None:
    Checkpoint(tmp_path / "a", IDENTITY).save(state(1))
    Checkpoint(tmp_path, IDENTITY).save(state(2))
    for age in (-9, 9):
        other = tmp_path / "checkpoint" / file_of(tmp_path / "a").name
        other.write_bytes(file_of(tmp_path / "a").read_bytes())
        now = other.stat().st_mtime + age
        os.utime(other, (now, now))
        assert Checkpoint(tmp_path, IDENTITY).load().epoch == (1 if age > 0 else 2)
        (tmp_path / "checkpoint" / "notes.txt").touch()


def test_every_flipped_byte_is_damage(tmp_path: Path) -> None:
    checkpoint = Checkpoint(tmp_path, IDENTITY)
    checkpoint.save(state())
    path = file_of(tmp_path)
    content = path.read_bytes()
    for place in range(0, len(content), 29):
        path.write_bytes(content[:place] + bytes([content[place] ^ 1]) + content[place + 1 :])
        with pytest.raises(ModelError) as caught:
            checkpoint.load()
        assert caught.value.what == f"the checkpoint {path} is damaged"
        assert caught.value.facts == ("the hash in its name does not match its content",)
        assert caught.value.hint == "run the same command without --resume"


PLAIN = {"state": json.dumps({"epoch": 1}), "identity": json.dumps(IDENTITY)}


@pytest.mark.parametrize(
    ("tensors", "metadata"),
    [
        ({}, None),
        ({}, {**PLAIN, "state": "{"}),
        ({}, {**PLAIN, "state": "[]"}),
        ({}, {**PLAIN, "state": '{"epoch": "many"}'}),
        ({}, {**PLAIN, "state": '{"history": 3}'}),
        ({}, {**PLAIN, "identity": "3"}),
        ({}, {**PLAIN, "identity": '{"options": {"training": 3}}'}),
        ({}, {**PLAIN, "identity": '{"options": 3}'}),
        ({}, {**PLAIN, "identity": "{}"}),
        ({}, {**PLAIN, "identity": '{"rows": [1], "columns": []}'}),
        ({}, {"state": PLAIN["state"]}),
        ({}, {"identity": PLAIN["identity"]}),
        ({"elsewhere.weight": torch.ones(1)}, PLAIN),
        ({"epoch.weight": torch.ones(1)}, PLAIN),
    ],
    ids=str,
)
def test_content_of_other_types_is_damage_and_no_bug(
    tmp_path: Path, tensors: dict[str, torch.Tensor], metadata: dict[str, str] | None
) -> None:
    Checkpoint(tmp_path, IDENTITY).save(state())
    rewrite(file_of(tmp_path), to_safetensors(tensors, metadata))
    with pytest.raises((ModelError, UsageError)) as caught:
        Checkpoint(tmp_path, IDENTITY).load()
    assert caught.value.what.endswith("is damaged") or "different options" in caught.value.what
    assert len(caught.value.lines()) <= 6


@pytest.mark.parametrize("content", [b"", b"not safetensors", b"\xff" * 100])
def test_what_is_not_safetensors_is_damage(tmp_path: Path, content: bytes) -> None:
    Checkpoint(tmp_path, IDENTITY).save(state())
    rewrite(file_of(tmp_path), content)
    with pytest.raises(ModelError, match="is damaged"):
        Checkpoint(tmp_path, IDENTITY).load()


@pytest.mark.parametrize("make", [None, "folder", "link", "empty"])
def test_without_a_checkpoint_there_is_nothing_to_resume(tmp_path: Path, make: str | None) -> None:
    Checkpoint(tmp_path / "other", IDENTITY).save(state())
    folder = tmp_path / "m" / "checkpoint"
    folder.parent.mkdir()
    if make == "link":
        folder.symlink_to(tmp_path / "other" / "checkpoint")
    elif make == "folder":
        folder.touch()
    elif make == "empty":
        folder.mkdir()
        (folder / "state.safetensors").touch()
    with pytest.raises(UsageError, match="has no unfinished training") as caught:
        Checkpoint(tmp_path / "m", IDENTITY).load()
    assert caught.value.hint == "run the same command without --resume"


@pytest.mark.parametrize("link", [False, True])
def test_a_checkpoint_file_that_is_not_a_regular_file_is_refused(
    tmp_path: Path, link: bool
) -> None:
    (tmp_path / "victim").write_text("precious")
    folder = tmp_path / "m" / "checkpoint"
    folder.mkdir(parents=True)
    place = folder / "state.safetensors"
    place.symlink_to(tmp_path / "victim") if link else os.mkfifo(place)
    with pytest.raises(ModelError, match="may contain regular files only"):
        Checkpoint(tmp_path / "m", IDENTITY).save(state())
    assert (tmp_path / "victim").read_text() == "precious"


@pytest.mark.parametrize("function", ["replace", "rename", "mkdir"])
def test_a_checkpoint_that_cannot_be_written_leaves_the_one_before(
    tmp_path: Path, failing: Callable[[str, int, str], None], function: str
) -> None:
    checkpoint = Checkpoint(tmp_path, IDENTITY)
    if function != "mkdir":
        checkpoint.save(state(1))
    failing(function, errno.EIO, "")
    with pytest.raises(OutputError, match=r"cannot write .*Input/output error"):
        checkpoint.save(state(2))
    if function != "mkdir":
        assert checkpoint.load().epoch == 1


def test_a_checkpoint_that_is_on_disk_counts_though_the_one_before_stays(
    tmp_path: Path, failing: Callable[[str, int, str], None]
) -> None:
    checkpoint = Checkpoint(tmp_path, IDENTITY)
    checkpoint.save(state(1))
    failing("unlink", errno.EIO, "")
    with pytest.warns(AecliWarning, match="is saved, but a later step failed"):
        checkpoint.save(state(2))
    assert checkpoint.load().epoch == 2


def test_a_full_disk_is_said(tmp_path: Path) -> None:
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100, before[1]))
    try:
        with pytest.raises(OutputError, match="cannot write"):
            Checkpoint(tmp_path, IDENTITY).save(state())
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert os.listdir(tmp_path / "checkpoint") == []


def test_a_finished_training_removes_its_checkpoint(tmp_path: Path) -> None:
    checkpoint = Checkpoint(tmp_path, IDENTITY)
    checkpoint.remove()
    checkpoint.save(state())
    checkpoint.remove()
    assert os.listdir(tmp_path) == []


def test_a_checkpoint_that_cannot_be_removed_is_a_warning(
    tmp_path: Path, failing: Callable[[str, int, str], None]
) -> None:
    checkpoint = Checkpoint(tmp_path, IDENTITY)
    checkpoint.save(state())
    failing("rmdir", errno.EIO, "checkpoint")
    with pytest.warns(AecliWarning, match="is saved, but a later step failed"):
        checkpoint.remove()


DATA = [
    ({"rows": [1001, 10]}, "training rows were 1,000, are 1,001"),
    ({"rows": [1000, 9]}, "validation rows were 10, are 9"),
    ({"columns": [{"name": "a", "mean": [1.5]}]}, "the cells of a changed"),
    ({"columns": []}, "the cells of a changed"),
    ({"columns": [*IDENTITY["columns"], {"name": "b", "mean": []}]}, "the cells of b changed"),
]


@pytest.mark.parametrize(("change", "difference"), DATA)
def test_other_data_is_named(tmp_path: Path, change: dict[str, object], difference: str) -> None:
    Checkpoint(tmp_path, IDENTITY).save(state())
    with pytest.raises(UsageError) as caught:
        Checkpoint(tmp_path, {**IDENTITY, **change}).load()
    assert caught.value.what == f"the checkpoint has different data: {difference}"
    assert caught.value.hint == "the same table, or run without --resume to start over"


def test_all_changes_of_the_data_are_listed(tmp_path: Path) -> None:
    Checkpoint(tmp_path, IDENTITY).save(state())
    with pytest.raises(UsageError) as caught:
        Checkpoint(tmp_path, {**IDENTITY, "rows": [1, 2], "columns": []}).load()
    assert caught.value.what == "the checkpoint has different data"
    assert len(caught.value.facts) == 3


@pytest.mark.parametrize("count", [2, 3, 4, 5, 6])
def test_at_most_four_lines_say_what_differs(tmp_path: Path, count: int) -> None:
    Checkpoint(tmp_path, IDENTITY).save(state())
    options = {"training": {"epochs": 40, **{f"o{i}": i + 1 for i in range(count)}}}
    with pytest.raises(UsageError) as caught:
        Checkpoint(tmp_path, {**IDENTITY, "options": options}).load()
    lines = [f"o{i} was not set, is {i + 1}" for i in range(count)]
    expected = lines if count <= 4 else [*lines[:3], f"and {count - 3} more"]
    assert list(caught.value.facts) == expected
    assert caught.value.hint == "repeat its options, or run without --resume to start over"


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        ("", "not set"),
        (None, "not set"),
        (0, "0"),
        ([4, 2], "4,2"),
        ({"name": "SGD", "args": {}}, "SGD"),
        ({"name": "SGD"}, "SGD"),
        ({"name": "SGD", "args": {"lr": 1, "m": 2}}, "SGD:lr=1,m=2"),
        ({"other": 1}, "{'other': 1}"),
        ("x" * 60, "x" * 60),
        ("x" * 61, "x" * 59 + "…"),
    ],
)
def test_values_of_options_are_shown_as_they_are_given(
    tmp_path: Path, value: object, shown: str
) -> None:
    Checkpoint(tmp_path, IDENTITY).save(state())
    changed = {**IDENTITY, "options": {"training": {"epochs": value}}}
    with pytest.raises(UsageError) as caught:
        Checkpoint(tmp_path, changed).load()
    assert caught.value.what == f"the checkpoint has different options: epochs was 40, is {shown}"


def test_a_copy_is_not_changed_by_later_steps() -> None:
    weight = torch.ones(2, requires_grad=True)
    kept = copied({"w": weight})
    weight.data.add_(1)
    assert torch.equal(kept["w"], torch.ones(2))
    assert not kept["w"].requires_grad


def test_random_numbers_depend_on_the_seed_and_the_epoch() -> None:
    def drawn(seed: int, epoch: int) -> list[float]:
        same_random_numbers(seed, epoch)
        return list(torch.rand(4).tolist())

    places = [(seed, epoch) for seed in (0, 1, 7, 2**63 - 1) for epoch in (0, 1, 2)]
    found = [tuple(drawn(*place)) for place in places]
    assert len(set(found)) == len(places)
    assert drawn(7, 2) == drawn(7, 2)
    torch.manual_seed(7 * 1_000_003 + 2)
    assert torch.rand(4).tolist() == drawn(7, 2)
