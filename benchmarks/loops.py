"""Training loops to compare with: the same network, batches, epochs, optimizer and loss.

Each function trains on standardised rows and returns the seconds of the training alone, and a
function that reconstructs rows. All networks have ReLU between their layers and Adam at 1e-3. PyOD
and scikit-learn have ReLU after the latent layer too, and PyOD leaves out the last partial batch.
"""

from __future__ import annotations

import itertools
import os
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from tables import table_of
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.data import DataLoader, TensorDataset

import aecli

Matrix = npt.NDArray[np.float32]
Trained = tuple[float, Callable[[Matrix], Any]]
Loop = Callable[[Matrix, list[int], int], Trained]

BATCH = 1_024
RATE = 1e-3


def network_of(width: int, widths: list[int]) -> nn.Sequential:
    """Return the autoencoder of all loops, with the same weights each time."""
    torch.manual_seed(0)
    sizes = [width, *widths, *widths[-2::-1], width]
    layers: list[nn.Module] = []
    for position, (inputs, outputs) in enumerate(itertools.pairwise(sizes), start=1):
        layers.append(nn.Linear(inputs, outputs))
        if position not in (len(widths), len(sizes) - 1):
            layers.append(nn.ReLU())
    return nn.Sequential(*layers)


def reconstruction(network: nn.Module) -> Callable[[Matrix], Any]:
    """Return the function that reconstructs rows by a network of torch."""
    return lambda rows: network.eval()(torch.from_numpy(rows)).detach().numpy()


def tutorial_epochs(
    network: nn.Module, rows: Tensor, epochs: int, batch: int = BATCH, device: str = "cpu"
) -> Iterator[float]:
    """Train by a DataLoader, as a tutorial does; yield the mean loss of each epoch."""
    network.to(device)
    optimizer = torch.optim.Adam(network.parameters(), lr=RATE)
    loader = DataLoader(TensorDataset(rows), batch_size=batch, shuffle=True)
    for _ in range(epochs):
        total = 0.0
        for (loaded,) in loader:
            inputs = loaded.to(device)
            optimizer.zero_grad()
            loss = F.mse_loss(network(inputs), inputs)
            loss.backward()
            optimizer.step()
            total += loss.item()
        yield total / len(loader)


def lean_epochs(
    network: nn.Module, rows: Tensor, epochs: int, batch: int = BATCH, device: str = "cpu"
) -> Iterator[float]:
    """Train on resident rows by `index_select` and a fused Adam; yield the mean losses."""
    network.to(device)
    optimizer = torch.optim.Adam(network.parameters(), lr=RATE, fused=True)
    rows = rows.to(device)
    for _ in range(epochs):
        total = torch.zeros((), device=device)
        batches = torch.randperm(len(rows), device=device).split(batch)
        for indices in batches:
            inputs = rows.index_select(0, indices)
            optimizer.zero_grad()
            loss = F.mse_loss(network(inputs), inputs)
            loss.backward()
            optimizer.step()
            total += loss.detach()
        yield float(total) / len(batches)


def tutorial(values: Matrix, widths: list[int], epochs: int) -> Trained:
    """Train by a DataLoader."""
    network = network_of(values.shape[1], widths)
    began = time.perf_counter()
    list(tutorial_epochs(network, torch.from_numpy(values), epochs))
    return time.perf_counter() - began, reconstruction(network)


def lean(values: Matrix, widths: list[int], epochs: int) -> Trained:
    """Train without a DataLoader."""
    network = network_of(values.shape[1], widths)
    began = time.perf_counter()
    list(lean_epochs(network, torch.from_numpy(values), epochs))
    return time.perf_counter() - began, reconstruction(network)


def own(values: Matrix, widths: list[int], epochs: int, precision: str = "auto") -> Trained:
    """Train by aecli; the seconds are those of its epochs."""
    folder = tempfile.mkdtemp()
    result = aecli.train(
        table_of(values),
        model=folder,
        encoder=widths,
        init="default",
        activation="ReLU",
        output="linear",
        scale="none",
        optimizer="Adam",
        lr=RATE,
        schedule="constant",
        clip=0,
        batch_size=BATCH,
        epochs=epochs,
        valid="none",
        precision=precision,
    )
    model = aecli.load(folder)
    seconds = sum(epoch.seconds for epoch in result.history)
    return seconds, lambda rows: np.stack(
        [column.to_numpy() for column in model.reconstruct(table_of(rows)).columns], axis=1
    )


def own_fp32(values: Matrix, widths: list[int], epochs: int) -> Trained:
    """Train by aecli without bf16."""
    return own(values, widths, epochs, "fp32")


def scikit_learn(values: Matrix, widths: list[int], epochs: int) -> Trained:
    """Train scikit-learn's MLPRegressor to predict its inputs."""
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.neural_network import MLPRegressor

    regressor = MLPRegressor(
        hidden_layer_sizes=[*widths, *widths[-2::-1]],
        alpha=0.0,
        batch_size=BATCH,
        learning_rate_init=RATE,
        max_iter=epochs,
        tol=0.0,
        random_state=0,
    )
    warnings.simplefilter("ignore", ConvergenceWarning)
    began = time.perf_counter()
    regressor.fit(values, values)
    return time.perf_counter() - began, regressor.predict


def pyod(values: Matrix, widths: list[int], epochs: int) -> Trained:
    """Train PyOD's AutoEncoder as its `fit` does, without scoring the rows at the end."""
    from pyod.models.auto_encoder import AutoEncoder
    from pyod.utils.torch_utility import TorchDataset

    detector = AutoEncoder(
        preprocessing=False,
        lr=RATE,
        epoch_num=epochs,
        batch_size=BATCH,
        optimizer_params={},
        hidden_neuron_list=widths,
        batch_norm=False,
        dropout_rate=0.0,
        verbose=0,
    )
    detector.feature_size = values.shape[1]
    detector.build_model()
    detector.training_prepare()
    loader = DataLoader(TorchDataset(X=values), batch_size=BATCH, shuffle=True, drop_last=True)
    began = time.perf_counter()
    detector.train(loader)
    return time.perf_counter() - began, reconstruction(detector.model)


def skorch(values: Matrix, widths: list[int], epochs: int) -> Trained:
    """Train by skorch."""
    from skorch import NeuralNetRegressor

    network = network_of(values.shape[1], widths)
    learner = NeuralNetRegressor(
        network,
        optimizer=torch.optim.Adam,
        lr=RATE,
        batch_size=BATCH,
        max_epochs=epochs,
        train_split=None,
        iterator_train__shuffle=True,
        verbose=0,
    )
    began = time.perf_counter()
    learner.fit(values, values)
    return time.perf_counter() - began, learner.predict


def lightning(values: Matrix, widths: list[int], epochs: int) -> Trained:
    """Train by Lightning, without loggers and checkpoints."""
    import lightning as library

    class Module(library.LightningModule):  # type: ignore[misc,name-defined]
        """Autoencoder with its loss and optimizer."""

        def __init__(self) -> None:
            super().__init__()
            self.network = network_of(values.shape[1], widths)

        def training_step(self, batch: list[torch.Tensor]) -> torch.Tensor:
            """Return the loss of a batch."""
            return F.mse_loss(self.network(batch[0]), batch[0])

        def configure_optimizers(self) -> torch.optim.Optimizer:
            """Return the optimizer."""
            return torch.optim.Adam(self.network.parameters(), lr=RATE)

    warnings.simplefilter("ignore")  # advice about workers and log steps
    module = Module()
    loader = DataLoader(TensorDataset(torch.from_numpy(values)), batch_size=BATCH, shuffle=True)
    trainer = library.Trainer(
        max_epochs=epochs,
        accelerator="cpu",
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
    )
    began = time.perf_counter()
    trainer.fit(module, loader)
    return time.perf_counter() - began, reconstruction(module.network)


def keras(values: Matrix, widths: list[int], epochs: int) -> Trained:
    """Train by Keras, with torch as its backend."""
    os.environ["KERAS_BACKEND"] = "torch"
    import keras as library

    sizes = [*widths, *widths[-2::-1], values.shape[1]]
    plain = (len(widths) - 1, len(sizes) - 1)
    network = library.Sequential(
        [
            library.layers.Dense(size, activation=None if at in plain else "relu")
            for at, size in enumerate(sizes)
        ]
    )
    network.compile(optimizer=library.optimizers.Adam(RATE), loss="mse")
    began = time.perf_counter()
    network.fit(values, values, batch_size=BATCH, epochs=epochs, verbose=0)
    seconds = time.perf_counter() - began
    return seconds, lambda rows: network.predict(rows, verbose=0)
