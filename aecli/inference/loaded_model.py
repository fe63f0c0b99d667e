"""Load a model directory, ready to run."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import torch
from torch import Tensor

from aecli.device import choose_device, set_threads
from aecli.errors import UsageError
from aecli.features.layout import Inputs
from aecli.features.reader import CellReader
from aecli.features.training_range import as_varying
from aecli.model.build import build
from aecli.model.weights import load_into
from aecli.model_directory.read import read_model, read_weights
from aecli.nn.autoencoder import AutoencoderNetwork
from aecli.safetensors_header import MODEL_IN_MEMORY
from aecli.schema.model_spec import ModelSpec

Part = TypeVar("Part")

BATCH_CELLS = 1 << 21
"""Values of the widest layer in one batch: 8 MB, so that memory stays flat and the caches warm."""

MOST_CELLS = 1 << 26
"""The same where batches of few rows would be slow: 256 MB."""


@dataclass(frozen=True)
class LoadedModel:
    """A model ready to run: its spec, its network on a device, its baseline's tensors.

    `reader` reads the columns that vary.
    """

    directory: Path
    spec: ModelSpec
    network: AutoencoderNetwork
    inputs: Inputs
    reader: CellReader
    device: torch.device
    baseline: dict[str, Tensor]

    def constant_reader(self, names: Collection[str]) -> CellReader:
        """Return a reader of those of the constant columns that are among `names`."""
        present = [column for column in as_varying(self.spec.columns) if column.name in names]
        return CellReader(present, nonfinite=self.reader.nonfinite)

    @property
    def batch_rows(self) -> int:
        """Return how many rows to take at a time unless the user says so."""
        network = self.spec.network
        wanted = max(256 // network.window, network.samples_within(BATCH_CELLS))
        samples = min(1 << 14, wanted, network.samples_within(MOST_CELLS))
        return min(1 << 14, max(1, samples) * network.window)

    def batch_rows_beside(self, cells: int) -> int:
        """Return the same where so many other cells are read beside each row's own."""
        return min(self.batch_rows, max(256, BATCH_CELLS // max(1, cells)))


def require_decoder(model: LoadedModel) -> None:
    """Refuse a model whose decoder was left as it was drawn.

    Raises:
        UsageError: it was trained for its label alone.
    """
    if "reconstruction" in model.spec.loss_weights:
        return
    raise UsageError(
        f"the decoder of {model.directory} was not trained: --reconst-weight 0",
        hint="aecli train DATA --label COLUMN (without --reconst-weight 0)",
    )


def load_model(directory: Path, *, device: str = "auto", threads: int | None = None) -> LoadedModel:
    """Load a model directory onto a device.

    Raises:
        ModelError: the directory holds no model, or a damaged or newer one.
        UsageError: there is no such device.
    """
    return load_with(directory, lambda spec: None, device=device, threads=threads)[0]


def load_with(
    directory: Path,
    read: Callable[[ModelSpec], Part],
    *,
    device: str = "auto",
    threads: int | None = None,
) -> tuple[LoadedModel, Part]:
    """Load a model directory onto a device, and with `read` what else belongs to this model.

    Raises:
        ModelError: the directory holds no model, or a damaged or newer one.
        UsageError: there is no such device.
    """

    def read_all(spec: ModelSpec) -> tuple[bytes, Part]:
        return read_weights(directory, spec), read(spec)

    spec, (weights, more) = read_model(directory, read_all)
    set_threads(threads)
    return model_of(spec, weights, directory=directory, device=device), more


def model_of(
    spec: ModelSpec, weights: bytes, *, directory: Path, device: str = "auto"
) -> LoadedModel:
    """Build a spec's network with the bytes of its weights file, on a device.

    Raises:
        ModelError: the weights are damaged or of another network.
        UsageError: there is no such device.
    """
    target = choose_device(device)
    with torch.device("meta"):  # allocates nothing until the weights' header has been checked
        network = build(spec.network, columns=spec.columns)
    in_memory = directory == MODEL_IN_MEMORY
    path = MODEL_IN_MEMORY if in_memory else directory / spec.weights.file
    baseline = load_into(network, weights, path)
    nonfinite = spec.options.columns.nonfinite
    reader = CellReader(spec.columns, nonfinite=nonfinite)
    return LoadedModel(
        directory=directory,
        spec=spec,
        network=network.to(target).eval(),
        inputs=Inputs(reader.layout).to(target),
        reader=reader,
        device=target,
        baseline=baseline,
    )
