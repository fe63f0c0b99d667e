"""A checkpoint is resumed by the same options and data only, and the error says what differs."""

from __future__ import annotations

import pytest

from aecli.errors import UsageError
from aecli.training.checkpoint import Checkpoint, TrainingState

OPTIONS = {
    "training": {"epochs": 40, "lr": 0.004, "optimizer": {"name": "AdamW", "args": {}}},
    "network": {"encoder": [8, 2], "latent": None, "dropout": 0.0, "layers": 1},
}
COLUMNS = [{"name": "a", "mean": [1.0]}, {"name": "b", "mean": [2.0]}]
SAVED = {"options": OPTIONS, "columns": COLUMNS, "rows": [90, 10]}


def changed(section, **values):
    options = {**OPTIONS, section: {**OPTIONS[section], **values}}
    return {**SAVED, "options": options}


@pytest.mark.parametrize(
    ("present", "lines"),
    [
        (changed("training", epochs=60), ["different options: epochs was 40, is 60"]),
        (changed("network", encoder=[16, 2]), ["different options: encoder was 8,2, is 16,2"]),
        (changed("network", latent=3), ["different options: latent was not set, is 3"]),
        (
            changed("training", optimizer={"name": "SGD", "args": {"momentum": 0.9}}, lr=0.1),
            ["different options", "  lr was 0.004, is 0.1", "  optimizer was AdamW, is SGD:mom"],
        ),
        (
            changed("network", encoder=[4], latent=4, dropout=0.1, layers=2, hidden=5),
            ["different options", "  encoder", "  latent", "  dropout", "  and 2 more"],
        ),
        ({**SAVED, "rows": [95, 10]}, ["different data: training rows were 90, are 95"]),
        ({**SAVED, "columns": COLUMNS[:1]}, ["different data: the cells of b changed"]),
        (
            {**changed("training", epochs=60), "rows": [1, 1], "columns": []},
            ["different options: epochs was 40, is 60"],
        ),
    ],
    ids=str,
)
def test_what_differs_is_named_with_its_value_before_and_after(tmp_path, present, lines):
    Checkpoint(tmp_path, SAVED).save(TrainingState())
    assert Checkpoint(tmp_path, SAVED).load().epoch == 0
    with pytest.raises(UsageError) as caught:
        Checkpoint(tmp_path, present).load()
    message = caught.value.lines()
    assert message[0].startswith(f"the checkpoint has {lines[0]}")
    assert len(message) == len(lines) + 1 <= 6
    for line, start in zip(message, [message[0], *lines[1:]], strict=False):
        assert line.startswith(start)


def test_the_training_of_another_version_cannot_be_resumed(tmp_path):
    Checkpoint(tmp_path, SAVED).save(TrainingState())
    with pytest.raises(UsageError) as caught:
        Checkpoint(tmp_path, {**SAVED, "version": "9.0", "options": {}}).load()
    assert caught.value.lines() == [
        "the unfinished training was started with another version of aecli",
        "  the checkpoint is from an earlier version, this is 9.0",
        "  try: run the same command without --resume",
    ]
