"""Steps with fixed addresses, which CUDA graphs repeat, train the same bits as steps one by one."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from aecli.features.inputs import Inputs
from aecli.features.layout import lay_out
from aecli.features.staging import Staged
from aecli.features.windows import Windows
from aecli.model.build import build, build_reconstruction_loss, resolve_weights
from aecli.model.sizes import resolve_network
from aecli.progress import Progress
from aecli.schema.model_spec import Column
from aecli.schema.options import TrainOptions
from aecli.training import epoch_steps, streamed_batches
from aecli.training.checkpoint import Checkpoint
from aecli.training.epoch_steps import has_static_steps, is_captured
from aecli.training.fit_result import FitResult
from aecli.training.image_shift import ImageShift
from aecli.training.noise import Noise
from aecli.training.objective import Objective, weight_matrices
from aecli.training.optimizers import make_optimizer
from aecli.training.static_batches import StaticBatches
from aecli.training.static_steps import steps_per_replay
from aecli.training.step import training_step
from aecli.training.trainer import Trainer
from aecli.training.validation import NumberTarget
from tests.columns import boolean, category, number

NUMBERS: list[Column] = [number(f"x{i}", low=[-3.0], high=[3.0]) for i in range(16)]
MIXED: list[Column] = [*NUMBERS[:4], boolean("b"), category("c", "u", "v", "w")]
LABEL = {"label": "y", "encoder": [8, 3]}
WINDOW = {"window": 4, "latent": 3}

TRAININGS: dict[str, tuple[list[Column], dict[str, Any]]] = {
    "plain": (NUMBERS, {"encoder": [8, 3]}),
    "classifier": (NUMBERS, LABEL | {"balance": True}),
    "number weight": (MIXED, LABEL | {"target": True}),
    "missing cells": (MIXED, {"encoder": [8, 3], "missing": True}),
    "dropout and norm": (NUMBERS, {"encoder": [8, 3], "dropout": 0.2, "norm": "batch"}),
    "variational": (NUMBERS, {"encoder": [8, 3], "variational": True}),
    "gaussian": (MIXED, {"encoder": [8, 3], "noise": "gaussian:0.1"}),
    "mask": (MIXED, {"encoder": [8, 3], "noise": "mask:0.2"}),
    "swap": (MIXED, {"encoder": [8, 3], "noise": "swap:0.2"}),
    "trimmed": (NUMBERS, {"encoder": [8, 3], "trimmed_loss": True, "clip": 0}),
    "gradients": (NUMBERS, {"encoder": [8, 3], "log_gradients": True}),
    "sparse": (NUMBERS, {"encoder": [8, 3], "l1": 1e-3}),
    "topk": (NUMBERS, {"encoder": [8, 6], "topk": 2}),
    "adam": (
        NUMBERS,
        {"encoder": [8, 3], "optimizer": "Adam:amsgrad=true", "schedule": "constant"},
    ),
    "images": (NUMBERS, {"arch": "conv2d", "shape": "4x4", "latent": 3, "moved": True}),
    "conv1d": (NUMBERS, WINDOW | {"arch": "conv1d"}),
    "lstm": (NUMBERS, WINDOW | {"arch": "lstm", "hidden": 8}),
    "transformer": (NUMBERS, WINDOW | {"arch": "transformer", "hidden": 8, "heads": 2}),
}


def staged(columns: list[Column], windows: bool, missing: bool) -> Staged:
    layout = lay_out(columns)
    generator = torch.Generator().manual_seed(1)
    count = 75
    cells = torch.randn(count, 2, generator=generator) @ torch.randn(
        2, layout.cells, generator=generator
    )
    if layout.booleans:
        cells[:, layout.numbers] = (cells[:, layout.numbers] > 0).float()
        cells[:, layout.numbers + 1] = torch.randint(3, (count,), generator=generator).float()
    if missing:
        cells[torch.rand(cells.shape, generator=generator) < 0.1] = torch.nan
    codes = (cells[:, 0] > 0).long()
    codes[::7] = -1
    if not windows:
        return Staged(cells, codes, complete=not missing)
    order, starts = np.arange(count)[::-1].copy(), np.arange(0, count - 4, 2)
    cut = Windows(order=order, starts=starts, size=4, firsts=np.zeros(1, dtype=np.int64))
    return Staged(cells, codes[: len(starts)], complete=True, windows=cut)


def trainer(name: str, folder: Path, *, static: bool, epochs: int = 3) -> Trainer:
    columns, values = TRAININGS[name]
    values = {"batch_size": 8, "lr": 0.01, "epochs": epochs} | values
    target, moved = values.pop("target", False), values.pop("moved", False)
    missing = values.pop("missing", False)
    options = TrainOptions.from_flat(values)
    layout, classes = lay_out(columns), 2 if options.columns.label else 0
    network = resolve_network(options, columns=columns, layout=layout, classes=classes)
    rows = staged(columns, "window" in values, missing)
    torch.manual_seed(0)
    objective = Objective(
        build(network, columns=columns),
        Inputs(layout),
        build_reconstruction_loss(layout, options.losses, complete=rows.complete),
        resolve_weights(options.losses, network, cells=layout.cells, trivial=1.0),
        torch.tensor([0.5, 2.0]) if options.losses.balance else None,
        Noise.parse(
            options.training.noise,
            numbers=layout.numbers,
            corrupted_with=(0, 0, *range(2, layout.cells)),
        ),
        trimmed_loss=options.losses.trimmed_loss,
        label_smoothing=0.1 if options.losses.balance else 0.0,
        shift=ImageShift(range(16), 4, 4) if moved else None,
    )
    bounds = torch.full((layout.numbers,), 9.0)
    return Trainer(
        objective,
        rows,
        rows.first(20),
        options.training,
        device=torch.device("cpu"),
        precision="fp32",
        batch_size=8,
        widest=64,
        checkpoint=Checkpoint(folder, {"options": {}, "columns": [], "rows": []}),
        target=NumberTarget(-bounds, bounds, error=0.01) if target else None,
        static=static,
        captured=static,
    )


def outcome(fit: FitResult, run: Trainer) -> tuple[Any, ...]:
    """Return the weights, and the history without seconds."""
    epochs = [(e.train, e.valid, e.metrics, e.gradients, e.learning_rate) for e in fit.history]
    state = run._objective.network.state_dict()
    weights = {name: tensor.numpy().tobytes() for name, tensor in state.items()}
    return weights, epochs, [epoch.number_weight for epoch in fit.history]


@pytest.mark.parametrize("name", TRAININGS)
def test_steps_with_fixed_addresses_train_the_same_bits(tmp_path: Path, name: str):
    one_by_one, fixed = (trainer(name, tmp_path, static=static) for static in (False, True))
    first, second = (outcome(run.fit(), run) for run in (one_by_one, fixed))
    assert first == second
    if name == "number weight":
        assert first[2][-1] > 1


def test_a_training_resumed_with_fixed_addresses_has_the_same_bits(tmp_path: Path):
    whole = trainer("dropout and norm", tmp_path, static=False)
    wanted = outcome(whole.fit(), whole)
    first = trainer("dropout and norm", tmp_path, static=True)
    first._on_epoch = lambda epoch: "stopped" if epoch.number == 2 else None
    first.fit()
    first._snapshots.save()
    second = trainer("dropout and norm", tmp_path, static=True)
    assert outcome(second.fit(resume=True), second) == wanted


class Terminate(Progress):
    """Send this process a signal when so many rows are trained."""

    rest = 100

    def rows(self, count: int) -> None:
        before, self.rest = self.rest, self.rest - count
        if before > 0 >= self.rest:
            os.kill(os.getpid(), signal.SIGTERM)


@pytest.mark.parametrize("in_blocks", [False, True])
def test_an_unfinished_epoch_continues_with_fixed_addresses(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, in_blocks: bool
):
    whole = trainer("dropout and norm", tmp_path, static=False)
    wanted = outcome(whole.fit(), whole)
    monkeypatch.setattr("aecli.training.trainer.CHECK_SECONDS", 0.0)
    monkeypatch.setattr(epoch_steps, "fits_on", lambda device, cells: not in_blocks)
    monkeypatch.setattr(streamed_batches, "STREAMED_BYTES", 8 * 16 * 4 * 4 * 3)
    first = trainer("dropout and norm", tmp_path, static=True)
    first._progress = Terminate()
    stopped = first.fit()
    assert not stopped.finished
    second = trainer("dropout and norm", tmp_path, static=True)
    resumed = outcome(second.fit(resume=True), second)
    assert resumed[0] == wanted[0]
    assert [epoch[:2] for epoch in resumed[1]] == [epoch[:2] for epoch in wanted[1]]


@pytest.mark.parametrize("name", ["plain", "classifier", "lstm"])
@pytest.mark.parametrize("block", [1, 8 * 16 * 4 * 4 * 3])
def test_a_table_in_blocks_trains_the_same_bits(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, block: int
):
    whole = trainer(name, tmp_path, static=True)
    wanted = outcome(whole.fit(), whole)
    monkeypatch.setattr(epoch_steps, "fits_on", lambda device, cells: False)
    monkeypatch.setattr(streamed_batches, "STREAMED_BYTES", block)
    streamed = trainer(name, tmp_path, static=True)
    assert outcome(streamed.fit(), streamed) == wanted


class HostCopies(TorchDispatchMode):
    """Record of operations that copy numbers between the device and main memory.

    A number that Python reads is an error of the device "meta", which has none.
    """

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        return False  # which would import torch's compiler, for seconds

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func.__name__.startswith("_fused_adam"):
            return None  # torch has no such kernel for this device
        result = func(*args, **(kwargs or {}))
        tensors = [part for part in tree_leaves((args, kwargs, result)) if torch.is_tensor(part)]
        if len({tensor.device for tensor in tensors}) > 1:
            self.found.append(func.__name__)
        return result


@pytest.fixture
def without_numbers() -> Iterator[torch.device]:
    """A device whose tensors have no numbers, and modules that can be moved there."""
    torch.__future__.set_overwrite_module_params_on_conversion(True)
    yield torch.device("meta")
    torch.__future__.set_overwrite_module_params_on_conversion(False)


@pytest.mark.parametrize("name", TRAININGS)
def test_a_step_copies_no_number_from_or_to_the_device(
    tmp_path: Path, name: str, without_numbers: torch.device
):
    run = trainer(name, tmp_path, static=True)
    objective = run._objective.to(without_numbers)
    if name == "number weight":
        objective.number_weight = torch.empty((), dtype=torch.float64, device=without_numbers)
    objective.kl_warm_up = torch.empty((), dtype=torch.float64, device=without_numbers)
    optimizer = make_optimizer("AdamW", objective.network.parameters(), lr=0.01)
    batches = StaticBatches(run._train, 8, without_numbers, seed=0)
    layers = weight_matrices(objective.network).values()
    with HostCopies() as copies:
        batch = batches.batch(torch.zeros(1, dtype=torch.int64, device=without_numbers), 8)
        training_step(objective, optimizer, *batch, clip=1.0, precision="fp32", layers=layers)
    assert copies.found == []


class Debug(Progress):
    def __init__(self) -> None:
        self.lines: list[str] = []

    def debug(self, message: str) -> None:
        self.lines.append(message)


def test_steps_that_cannot_be_captured_run_one_by_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    def refuse(*args: object) -> None:
        raise RuntimeError("CUDA out of memory")

    one_by_one = trainer("plain", tmp_path, static=False)
    wanted = outcome(one_by_one.fit(), one_by_one)
    monkeypatch.setattr("aecli.training.static_steps.capture", refuse)
    run = trainer("plain", tmp_path, static=True)
    run._progress = told = Debug()
    assert outcome(run.fit(), run) == wanted
    assert told.lines == ["training without a CUDA graph: CUDA out of memory"]


def test_no_earlier_graph_is_repeated_after_a_capture_that_fails(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    happened: list[str] = []

    def capture_once(function: Callable[[], None], *_: object) -> Callable[[], None]:
        if happened:
            happened.append("failed")
            raise RuntimeError("CUDA out of memory")

        def replay() -> None:
            happened.append("replayed")
            function()

        return replay

    one_by_one = trainer("dropout and norm", tmp_path, static=False)
    wanted = outcome(one_by_one.fit(), one_by_one)
    monkeypatch.setattr("aecli.training.static_steps.capture", capture_once)
    run = trainer("dropout and norm", tmp_path, static=True)
    assert outcome(run.fit(), run) == wanted
    assert happened == ["replayed", "failed"]


@pytest.mark.parametrize(
    ("values", "reason"),
    [
        ({}, None),
        ({"optimizer": "SGD:momentum=0.9"}, None),
        ({"optimizer": "Adagrad"}, "torch cannot capture the optimizer Adagrad"),
        (WINDOW | {"arch": "lstm", "layers": 2, "dropout": 0.1}, "dropout between LSTM layers"),
    ],
)
def test_what_a_graph_cannot_contain_is_known_before(values: dict[str, Any], reason: str | None):
    options, told = TrainOptions.from_flat(values), Debug()
    network = resolve_network(options, columns=NUMBERS, layout=lay_out(NUMBERS), classes=0)
    module = build(network, columns=NUMBERS)
    gpu = torch.device("cuda")
    assert is_captured(options.training, gpu, module, told) == (reason is None)
    assert len(told.lines) == (reason is not None)
    assert reason is None or reason in told.lines[0]
    assert not has_static_steps(options.training, torch.device("cpu"))


@pytest.mark.parametrize(
    ("full", "parameters", "samples", "steps"),
    [(0, 10, 8, 1), (5, 10, 8, 5), (100, 10, 8, 8), (100, 10**7, 256, 3), (100, 10**10, 256, 1)],
)
def test_a_graph_has_fewer_steps_if_they_take_long(
    full: int, parameters: int, samples: int, steps: int
):
    assert steps_per_replay(full, parameters=parameters, samples=samples) == steps
