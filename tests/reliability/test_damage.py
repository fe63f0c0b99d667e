"""Flipped bits, links, pipes, devices and hostile specs are refused; nothing outside is touched."""

from __future__ import annotations

import os
import random
import shutil
import stat
from pathlib import Path

import pytest

from aecli.atomic_files import clean_temporaries, write_file
from aecli.errors import ModelError
from aecli.inference.loaded_model import load_with
from aecli.model_directory.read import read_history, read_tuning
from tests.reliability.children import command, run_child
from tests.reliability.damage import (
    HOSTILE,
    READERS,
    flip,
    hostile_arguments,
    hostile_places,
    parts,
    refused_with,
    undetected,
)
from tests.reliability.hostile_specs import hostile_specs
from tests.reliability.models import run_checked, train_arguments


def test_every_flipped_bit_is_detected(folder: Path) -> None:
    rng, missed = random.Random(14), []
    for part, path in parts(folder / "full").items():
        content = path.read_bytes()
        for _ in range(12):
            place = flip(path, rng)
            missed += [(part, place, what) for what in undetected(folder / "full", part, path)]
            path.write_bytes(content)
    assert missed == []


@pytest.mark.parametrize(
    ("name", "kind"),
    [("train", kind) for kind in HOSTILE]
    + [(name, kind) for name in READERS if name != "train" for kind in ("link", "pipe")],
)
def test_hostile_files_are_refused(folder: Path, name: str, kind: str) -> None:
    model, victim = folder / "hostile", folder / "victim"
    victim.write_text("years of work")
    for part in READERS[name]:
        shutil.copytree(folder / "full", model)
        HOSTILE[kind](dict(hostile_places(model))[part], victim)
        done = run_child(command(*hostile_arguments(name, folder, model)), kill_after=20)
        assert (part, done.code) == (part, refused_with(kind, part)), done.err
        assert victim.read_text() == "years of work"
        shutil.rmtree(model)


def test_calibrate_refuses_a_hostile_lock_before_it_reads_the_table(folder: Path) -> None:
    (folder / "full" / ".lock").symlink_to(folder / "victim")
    done = run_child(command("calibrate", folder / "none.csv", "-m", folder / "full"))
    assert (done.code, done.err.count("is a symbolic link")) == (4, 1)
    assert not (folder / "victim").exists()


def test_hostile_specs_are_refused(folder: Path) -> None:
    model = folder / "old"
    path = model / "spec.json"
    for name, content in hostile_specs(path.read_bytes()):
        path.write_bytes(content)
        error = load_error(model)
        assert error is not None, f"accepted: {name}"
        assert max(map(len, error.lines())) <= 2_000, name


def load_error(model: Path) -> ModelError | None:
    try:
        load_with(model, lambda spec: (read_history(model, spec), read_tuning(model, spec)))
    except ModelError as error:
        return error
    return None


def test_modes_are_kept_where_files_are_replaced(folder: Path) -> None:
    model = folder / "old"
    for path in model.iterdir():
        path.chmod(0o600)
    run_checked(*train_arguments(folder, "b", model))
    assert {stat.S_IMODE(path.stat().st_mode) for path in model.iterdir()} == {0o600}
    output = folder / "out.csv"
    output.write_text("")
    output.chmod(0o600)
    run_checked(*hostile_arguments("encode", folder, model))
    assert stat.S_IMODE(output.stat().st_mode) == 0o600


def test_strange_temporary_files_do_not_keep_the_others(tmp_path: Path) -> None:
    victim = tmp_path / "victim"
    victim.write_text("years of work")
    names = [tmp_path / f".aecli-{number:016x}.tmp" for number in range(6)]
    names[0].symlink_to(victim)
    os.mkfifo(names[1])
    names[2].mkdir()
    names[3].symlink_to("/dev/zero")
    names[5].write_text("left of a killed run")
    write_file(tmp_path / "output", b"new")
    clean_temporaries(tmp_path)
    left = sorted(path.name for path in tmp_path.iterdir())
    assert left == sorted([*(path.name for path in names[:4]), "output", "victim"])
    assert victim.read_text() == "years of work"
