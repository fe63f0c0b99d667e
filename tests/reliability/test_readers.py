"""Reading a model during trainings that replace it returns one of the models, complete."""

from __future__ import annotations

import shutil
from pathlib import Path

from tests.reliability.models import read_whole
from tests.reliability.readers import command_failures, during_training, load_failures


def test_readers_during_training_get_a_whole_model(folder: Path) -> None:
    model = folder / "model"
    shutil.copytree(folder / "old", model)
    with during_training(folder, model, savers=1, trainers=1):
        models, failures = load_failures(model, reads=150)
        failures += command_failures(folder, model, reads=4)
    assert models > 1
    assert failures == []
    assert read_whole(model)[0].table in ("a.csv", "b.csv")
