"""What training promises: the best weights, early stopping, limits, resuming bit for bit."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from aecli.errors import DivergedError, ModelError, UsageError
from aecli.features.inputs import Inputs
from aecli.features.layout import lay_out
from aecli.features.staging import Staged
from aecli.model.build import build, build_reconstruction_loss, resolve_weights
from aecli.model.sizes import resolve_network
from aecli.progress import Epoch, Progress
from aecli.schema.options import TrainOptions
from aecli.training.checkpoint import Checkpoint
from aecli.training.objective import Objective
from aecli.training.trainer import Trainer
from aecli.training.validation import NumberTarget
from tests.columns import number

HIGH = torch.full((6,), 9.0)
COLUMNS = [number(f"x{i}", low=[-3.0], high=[3.0]) for i in range(6)]


def rows(count: int, seed: int) -> Staged:
    generator = torch.Generator().manual_seed(seed)
    latent = torch.randn(count, 2, generator=generator)
    mixing = torch.randn(2, 6, generator=torch.Generator().manual_seed(0))
    noise = 0.1 * torch.randn(count, 6, generator=generator)
    codes = (latent[:, 0] > 0).long()
    codes[::7] = -1
    return Staged(latent @ mixing + noise, codes, complete=True)


def loop(
    folder: Path,
    progress: Progress | None = None,
    valid: int = 100,
    widest: int = 16,
    watch: Callable[[Epoch], str | None] | None = None,
    target: NumberTarget | None = None,
    computed: str = "fp32",
    **values: Any,
) -> Trainer:
    defaults = {"encoder": [16, 2], "epochs": 6, "batch_size": 32, "label": "y", "dropout": 0.1}
    options = TrainOptions.from_flat(defaults | values)
    network = resolve_network(options, columns=COLUMNS, layout=lay_out(COLUMNS), classes=2)
    torch.manual_seed(options.training.seed)
    objective = Objective(
        build(network, columns=COLUMNS),
        Inputs(lay_out(COLUMNS), complete=True),
        build_reconstruction_loss(lay_out(COLUMNS), options.losses, complete=True),
        resolve_weights(options.losses, network, cells=6, trivial=1.0),
    )
    given = options.model_dump(mode="json", exclude={"training": {"time_limit"}})
    identity = {"options": given, "columns": [], "rows": [500, valid]}
    return Trainer(
        objective,
        rows(500, seed=1),
        rows(valid, seed=2),
        options.training,
        device=torch.device("cpu"),
        precision=computed,
        batch_size=options.training.batch_size or 32,
        widest=widest,
        checkpoint=Checkpoint(folder, identity),
        progress=progress or Progress(),
        on_epoch=watch,
        target=target,
    )


def weights(run: Trainer) -> dict[str, Tensor]:
    return run._objective.network.state_dict()


class StopAfter(Progress):
    """Send this process a signal when an epoch ends, as a person or a scheduler would."""

    def __init__(self, epoch: int, number: int) -> None:
        self._epoch, self._number = epoch, number

    def epoch(self, epoch: Epoch) -> None:
        if epoch.number == self._epoch:
            os.kill(os.getpid(), self._number)


def test_losses_fall_and_the_best_epoch_is_marked(tmp_path: Path):
    fit = loop(tmp_path, epochs=15, lr=0.01, dropout=0.0).fit()
    losses = [epoch.valid["total"] for epoch in fit.history if epoch.valid]
    assert losses[-1] < losses[0] / 2
    assert losses[fit.best_epoch - 1] == min(losses)
    assert fit.history[fit.best_epoch - 1].best


@pytest.mark.parametrize(("epochs", "told"), [(1, "1 epoch done"), (2, "all 2 epochs done")])
def test_a_training_that_nothing_stopped_says_so(tmp_path: Path, epochs: int, told: str):
    assert loop(tmp_path, epochs=epochs).fit().stopped == told


def test_the_total_is_the_weighted_sum_of_the_terms(tmp_path: Path):
    fit = loop(tmp_path, epochs=1, l1=0.5, l2=0.25, class_weight=2.0, reconst_weight=3.0).fit()
    for side in (fit.history[0].train, fit.history[0].valid or {}):
        weighted = 3 * side["reconstruction"] + 2 * side["classification"]
        assert side["total"] == pytest.approx(weighted + 0.5 * side["l1"] + 0.25 * side["l2"])


def test_terms_that_weigh_nothing_are_absent(tmp_path: Path):
    fit = loop(tmp_path, epochs=1, reconst_weight=0.0).fit()
    assert set(fit.history[0].train) == {"classification", "total"}


def test_the_same_seed_trains_the_same_model(tmp_path: Path):
    first, second, other = (loop(tmp_path, seed=seed) for seed in (4, 4, 5))
    for run in (first, second, other):
        run.fit()
    pairs = list(zip(weights(first).values(), weights(second).values(), strict=True))
    assert all(torch.equal(a, b) for a, b in pairs)
    assert not torch.equal(*(next(iter(weights(run).values())) for run in (first, other)))


def test_early_stopping_restores_the_best_epoch(tmp_path: Path):
    run = loop(tmp_path, epochs=200, patience=3, lr=0.05, schedule="constant")
    fit = run.fit()
    assert fit.stopped.startswith("early stopping")
    assert len(fit.history) == fit.best_epoch + 3
    validated = run._validate()
    assert validated is not None
    assert fit.best.valid is not None
    assert validated.losses["total"] == pytest.approx(fit.best.valid["total"])


def test_a_watcher_sees_every_epoch_and_may_stop_the_training(tmp_path: Path):
    seen: list[int] = []

    def watch(epoch: Epoch) -> str | None:
        seen.append(epoch.number)
        return "enough" if epoch.number == 3 else None

    fit = loop(tmp_path, epochs=10, watch=watch).fit()
    assert (seen, fit.stopped, fit.finished) == ([1, 2, 3], "enough", True)


def test_without_validation_rows_every_epoch_is_run(tmp_path: Path):
    fit = loop(tmp_path, valid=0, patience=1, epochs=5).fit()
    assert len(fit.history) == 5
    assert fit.history[0].valid is None


@pytest.mark.parametrize("optimizer", ["AdamW", "SGD:momentum=0.9"])
@pytest.mark.parametrize("schedule", ["cosine", "plateau"])
def test_resuming_is_bit_identical_to_never_stopping(tmp_path: Path, optimizer: str, schedule: str):
    how: dict[str, Any] = {"optimizer": optimizer, "schedule": schedule, "epochs": 8, "lr": 0.01}
    how |= {"patience": 3, "target": NumberTarget(-HIGH, HIGH, error=1.0)}
    whole = loop(tmp_path / "whole", **how)
    straight = whole.fit()
    stopped = loop(tmp_path / "stopped", StopAfter(3, signal.SIGTERM), **how).fit()
    assert (stopped.signal, stopped.finished) == (signal.SIGTERM, False)
    run = loop(tmp_path / "stopped", **how)
    resumed = run.fit(resume=True)
    assert resumed.best_epoch == straight.best_epoch
    assert [e.train for e in resumed.history] == [e.train for e in straight.history]
    raised = [e.number_weight for e in straight.history]
    assert raised == sorted(raised)
    assert raised[0] < raised[-1] == resumed.history[-1].number_weight
    assert all(torch.equal(a, weights(run)[name]) for name, a in weights(whole).items())


class StopWithin(Progress):
    """Count trained rows, and do something when there are this many."""

    def __init__(self, rows: int = 0, act: Callable[[], None] = list) -> None:
        self.rest, self.trained, self._act = rows, 0, act

    def rows(self, count: int) -> None:
        self.trained += count
        if self.rest and self.trained >= self.rest:
            self.rest = 0
            self._act()


def terminate() -> None:
    os.kill(os.getpid(), signal.SIGTERM)


class KilledError(Exception):
    """What ends a training here as a kill would: nothing is saved after it."""


def be_killed() -> None:
    raise KilledError


@pytest.mark.parametrize("act", [terminate, be_killed])
def test_an_unfinished_epoch_continues_with_the_same_bits(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, act: Callable[[], None]
):
    monkeypatch.setattr("aecli.training.trainer.CHECK_SECONDS", 0.0)
    monkeypatch.setattr("aecli.training.requests.UNFINISHED_SECONDS", 0.0)
    how: dict[str, Any] = {"epochs": 3, "dropout": 0.2, "lr": 0.01}
    whole = loop(tmp_path / "whole", **how)
    straight = whole.fit()
    with suppress(KilledError):
        loop(tmp_path / "stopped", StopWithin(700, act), **how).fit()
    watched = StopWithin()
    run = loop(tmp_path / "stopped", watched, **how)
    resumed = run.fit(resume=True)
    assert [(e.train, e.valid) for e in resumed.history] == [
        (e.train, e.valid) for e in straight.history
    ]
    assert all(torch.equal(a, weights(run)[name]) for name, a in weights(whole).items())
    assert 3 * 500 - 850 < watched.trained < 3 * 500 - 600


@pytest.mark.parametrize(
    ("option", "has_bf16", "resumed"),
    [("auto", True, "bf16"), ("auto", False, "fp32"), ("bf16", False, "bf16")],
)
def test_a_resumed_training_keeps_its_precision_where_the_device_has_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, option: str, has_bf16: bool, resumed: str
):
    how: dict[str, Any] = {"precision": option, "epochs": 4, "batch_size": 256}
    stopped = loop(tmp_path, StopAfter(1, signal.SIGTERM), computed="bf16", **how).fit()
    assert (stopped.finished, stopped.precision) == (False, "bf16")
    monkeypatch.setattr("aecli.training.snapshots.has_bf16", lambda _: has_bf16)
    assert loop(tmp_path, computed="fp32", **how).fit(resume=True).precision == resumed


def test_an_interrupted_training_keeps_the_best_weights_so_far(tmp_path: Path):
    fit = loop(tmp_path, StopAfter(2, signal.SIGINT), epochs=50).fit()
    assert fit.signal == signal.SIGINT
    assert "SIGINT in epoch 3" in fit.stopped
    assert fit.best_epoch >= 1


def test_the_time_limit_leaves_a_model_that_can_go_on(tmp_path: Path):
    fit = loop(tmp_path, epochs=1_000_000, patience=0, time_limit=0.5).fit()
    assert fit.stopped == "time limit of 0.5 s reached"
    assert not fit.finished
    assert len(list((tmp_path / "checkpoint").iterdir())) == 1


ONE_BY_ONE = 1 << 30
"""A widest layer of which a batch of validation holds one sample only."""


def test_the_time_limit_ends_a_long_validation_and_its_part_counts_for_nothing(tmp_path: Path):
    fit = loop(tmp_path, valid=100_000, widest=ONE_BY_ONE, epochs=2, time_limit=0.5).fit()
    assert (fit.stopped, fit.best_epoch) == ("time limit of 0.5 s reached", 1)
    assert [epoch.valid for epoch in fit.history] == [None]


def test_a_signal_in_a_validation_keeps_the_epochs_before_it(tmp_path: Path, monkeypatch):
    monkeypatch.setattr("aecli.training.trainer.CHECK_SECONDS", 0.0)
    how = {"widest": ONE_BY_ONE, "epochs": 3}
    whole = loop(tmp_path / "whole", **how).fit()
    stopped = loop(tmp_path / "stopped", StopAfter(1, signal.SIGTERM), **how).fit()
    assert (stopped.signal, stopped.finished, len(stopped.history)) == (15, False, 1)
    resumed = loop(tmp_path / "stopped", **how).fit(resume=True)
    assert [e.valid for e in resumed.history] == [e.valid for e in whole.history]


def test_divergence_without_a_good_epoch_is_an_error(tmp_path: Path):
    with pytest.raises(DivergedError, match="diverged in epoch 1") as caught:
        loop(tmp_path, optimizer="SGD", lr=10.0, clip=0.0, l2=1e9, epochs=3).fit()
    assert caught.value.hint == "--lr 1"


def test_another_training_is_not_resumed(tmp_path: Path):
    loop(tmp_path, StopAfter(1, signal.SIGTERM)).fit()
    with pytest.raises(UsageError, match="encoder was 16,2, is 8,2"):
        loop(tmp_path, encoder=[8, 2]).fit(resume=True)


def test_nothing_to_resume_says_so(tmp_path: Path):
    with pytest.raises(UsageError, match="no unfinished training"):
        loop(tmp_path).fit(resume=True)


def test_a_damaged_checkpoint_says_so(tmp_path: Path):
    loop(tmp_path, StopAfter(1, signal.SIGTERM)).fit()
    (checkpoint,) = (tmp_path / "checkpoint").iterdir()
    checkpoint.write_bytes(b"\x08\0\0\0\0\0\0\0garbage!")
    with pytest.raises(ModelError, match="damaged"):
        loop(tmp_path).fit(resume=True)


def test_convolutions_on_a_gpu_are_deterministic_while_training(tmp_path: Path):
    settings: list[bool] = []

    def watch(epoch: Epoch) -> None:
        settings.append(torch.backends.cudnn.deterministic)

    before = torch.backends.cudnn.deterministic
    loop(tmp_path, epochs=1, watch=watch).fit()
    assert settings == [True]
    assert torch.backends.cudnn.deterministic == before


def test_training_leaves_the_callers_random_numbers_alone(tmp_path: Path):
    run = loop(tmp_path, epochs=1)
    torch.manual_seed(11)
    expected = torch.rand(3)
    torch.manual_seed(11)
    run.fit()
    assert torch.equal(torch.rand(3), expected)
