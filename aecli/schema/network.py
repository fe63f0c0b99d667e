"""Architecture and sizes of a saved network, with a limit on each of them."""

from __future__ import annotations

from math import prod
from typing import Annotated, Literal

from pydantic import Field

from aecli.schema.option_types import StrictModel
from aecli.schema.torch_classes import ARCHITECTURES, ActivationSpec, NormSpec

MAX_INPUTS = 1_000_000
MAX_CLASSES = 10_000
Width = Annotated[int, Field(ge=1, le=65_536)]


class Network(StrictModel):
    """Network with every size filled in: all that `model.build` needs."""

    architecture: Literal[ARCHITECTURES] = "mlp"  # type: ignore[valid-type]  # one list of names
    inputs: Annotated[int, Field(ge=1, le=MAX_INPUTS)] = Field(description="Inputs of one row.")
    outputs: Annotated[int, Field(ge=1, le=MAX_INPUTS)] = Field(description="Outputs of one row.")
    classes: Annotated[int, Field(ge=0, le=MAX_CLASSES)]
    window: Annotated[int, Field(ge=1, le=MAX_INPUTS)] = Field(1, description="Rows of a sample.")
    encoder: Annotated[list[Width], Field(min_length=1, max_length=64)]
    decoder: Annotated[list[Width], Field(max_length=64)]
    classifier: Annotated[list[Width], Field(max_length=64)]
    activation: ActivationSpec
    latent_activation: ActivationSpec
    norm: NormSpec
    dropout: Annotated[float, Field(ge=0, lt=1)]
    output: Literal["linear", "clipped", "sigmoid", "tanh", "unit_tanh"]
    variational: bool = False
    topk: Width | None = None
    threshold: Literal["none", "soft", "hard"] = Field(
        "none", description="Learned threshold below which |z| of a latent unit becomes 0."
    )
    linear_path: bool = Field(
        False, description="Linear skip connections of encoder and decoder, which start as PCA."
    )
    shape: Annotated[list[Width], Field(max_length=3)] = Field(
        default=[], description="Height, width and channels of an image."
    )
    channels: Annotated[list[Width], Field(max_length=64)] = []
    hidden: Width | None = None
    layers: Annotated[int, Field(ge=1, le=16)] = 1
    heads: Annotated[int, Field(ge=1, le=64)] = 1
    feedforward: Width | None = None
    depth: Annotated[int, Field(ge=1, le=32)] = 1

    @property
    def latent_floor(self) -> float:
        """Return the lower bound of a bounded latent: 0, or -1 for Tanh and Softsign."""
        return -1.0 if self.latent_activation.name in ("Tanh", "Softsign") else 0.0

    @property
    def linear_latent(self) -> bool:
        """Return whether nothing follows the encoder's last layer: no activation, no sampling."""
        is_identity = self.latent_activation.name == "Identity"
        return is_identity and not self.variational and not self.has_zeros

    @property
    def has_zeros(self) -> bool:
        """Return whether latents are set to 0, by top-k or a threshold."""
        return self.topk is not None or self.threshold != "none"

    @property
    def latent(self) -> int:
        """Return the latent size."""
        return self.encoder[-1]

    @property
    def widest(self) -> int:
        """Return the numbers of the widest layer for one sample, which determine memory."""
        inside = [*self.encoder, *self.decoder, *self.classifier]
        match self.architecture:
            case "conv1d" | "conv2d":
                sides = self.shape[:2] if self.architecture == "conv2d" else [self.window]
                for size in self.channels:
                    inside.append(prod(sides) * size)
                    sides = [(side + 1) // 2 for side in sides]
            case "lstm":
                inside.append(4 * self.window * (self.hidden or 1))
            case "transformer":
                step = (3 * (self.hidden or 1), self.feedforward or 1, self.heads * self.window)
                inside.append(self.window * max(step))
        return max(self.window * max(self.inputs, self.outputs), *inside)

    def samples_within(self, numbers: int) -> int:
        """Return how many samples have no layer of more than `numbers`; at least one."""
        return max(1, numbers // self.widest)
