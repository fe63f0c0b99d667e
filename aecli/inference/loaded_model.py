"""Load a model directory for use."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import torch
from torch import Tensor

from aecli.device import choose_device, set_threads
from aecli.errors import UsageError
from aecli.features.inputs import Inputs
from aecli.features.reader import CellReader
from aecli.features.text.tensors import with_text_encoders
from aecli.features.training_range import as_varying
from aecli.model.build import build
from aecli.model.weights import load_into
from aecli.model_directory.read import read_model, read_weights
from aecli.nn.autoencoder import AutoencoderNetwork
from aecli.safetensors_header import MODEL_IN_MEMORY
from aecli.schema.model_spec import ModelSpec

Part = TypeVar("Part")

BATCH_CELLS = 1 << 21
"""Number of values of the widest layer in a batch: 8 MB, for low memory use and warm caches."""

MAX_LAYER_CELLS = 1 << 26
"""The same where batches of few rows would be slow: 256 MB."""


@dataclass(frozen=True)
class LoadedModel:
    """Model that can be applied: its spec, its network on a device, tensors of its baseline.

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
        """Return a reader of the constant columns in `names`."""
        present = [column for column in as_varying(self.spec.columns) if column.name in names]
        return CellReader(present, nonfinite=self.reader.nonfinite)

    @property
    def batch_rows(self) -> int:
        """Return the default number of rows per batch."""
        network = self.spec.network
        preferred = max(256 // network.window, network.samples_within(BATCH_CELLS))
        samples = min(1 << 14, preferred, network.samples_within(MAX_LAYER_CELLS))
        return min(1 << 14, max(1, samples) * network.window)

    def batch_rows_with(self, cells: int) -> int:
        """Return the default number of rows per batch if `cells` other cells per row are read."""
        return min(self.batch_rows, max(256, BATCH_CELLS // max(1, cells)))


def require_decoder(model: LoadedModel) -> None:
    """Raise if the decoder was not trained.

    Raises:
        UsageError: the model was trained for its label only.
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
        ModelError: the directory contains no model, or a damaged or newer one.
        UsageError: the device does not exist.
    """
    return load_with(directory, lambda spec: None, device=device, threads=threads)[0]


def load_with(
    directory: Path,
    read: Callable[[ModelSpec], Part],
    *,
    device: str = "auto",
    threads: int | None = None,
) -> tuple[LoadedModel, Part]:
    """Load a model directory onto a device, together with what `read` returns for the same model.

    Raises:
        ModelError: the directory contains no model, or a damaged or newer one.
        UsageError: the device does not exist.
    """

    def read_all(spec: ModelSpec) -> tuple[bytes, Part]:
        return read_weights(directory, spec), read(spec)

    spec, (weights, more) = read_model(directory, read_all)
    set_threads(threads)
    return model_of(spec, weights, directory=directory, device=device), more


def model_of(
    spec: ModelSpec, weights: bytes, *, directory: Path, device: str = "auto"
) -> LoadedModel:
    """Build the network of a spec on a device, with weights from the bytes of their file.

    Raises:
        ModelError: the weights are damaged or of another network.
        UsageError: the device does not exist.
    """
    target = choose_device(device)
    with torch.device("meta"):  # allocates no memory before the weights' header is checked
        network = build(spec.network, columns=spec.columns)
    in_memory = directory == MODEL_IN_MEMORY
    path = MODEL_IN_MEMORY if in_memory else directory / spec.weights.file
    baseline = load_into(network, weights, path)
    columns = with_text_encoders(spec.columns, baseline, path)
    spec = spec.model_copy(update={"columns": columns})
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
