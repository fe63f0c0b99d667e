"""Join an encoder, a decoder and an optional classification head."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn


class Outputs(NamedTuple):
    """Hold what one forward pass gave.

    `latent` is `(n_rows, n_latent)`, `reconstruction` `(n_rows, n_outputs)`, `logits`
    `(n_rows, n_classes)` or None without a head.
    """

    latent: Tensor
    reconstruction: Tensor
    logits: Tensor | None


class Autoencoder(nn.Module):
    """Encode rows into latents, decode latents into rows, and classify latents with a head.

    The decoder's first `numbers` outputs are scaled numbers, and only they go through `output`
    (sigmoid or tanh; None is linear); the rest are logits of booleans and categories. A tanh output
    serves numbers scaled into 0..1 as well, with the upper half of its range.
    """

    def __init__(
        self,
        *,
        encoder: nn.Module,
        decoder: nn.Module,
        head: nn.Module | None,
        output: nn.Module | None,
        numbers: int,
    ) -> None:
        super().__init__()
        self.encoder = encoder
        self.decoder = decoder
        self.head = head
        self.output = output
        self.numbers = numbers

    def encode(self, x: Tensor) -> Tensor:
        """Return the latents `(n_rows, n_latent)` of inputs `(n_rows, n_inputs)`."""
        latent: Tensor = self.encoder(x)
        return latent

    def decode(self, z: Tensor) -> Tensor:
        """Return the outputs `(n_rows, n_outputs)` of latents `(n_rows, n_latent)`."""
        return self.bounded(self.decoder(z))

    def bounded(self, raw: Tensor) -> Tensor:
        """Return the decoder's raw outputs with `output` applied to the numbers."""
        if self.output is None or self.numbers == 0:
            return raw
        if self.numbers == raw.shape[1]:
            whole: Tensor = self.output(raw)
            return whole
        numbers, logits = raw.tensor_split([self.numbers], dim=1)
        return torch.cat([self.output(numbers), logits], dim=1)

    def classify(self, z: Tensor) -> Tensor:
        """Return the class logits `(n_rows, n_classes)` of latents `(n_rows, n_latent)`.

        Raises:
            ValueError: this autoencoder has no classification head.
        """
        if self.head is None:
            raise ValueError("this autoencoder has no classification head")
        logits: Tensor = self.head(z)
        return logits

    def forward(self, x: Tensor) -> Outputs:
        """Return latents, outputs and, with a head, logits of inputs `(n_rows, n_inputs)`."""
        latent = self.encode(x)
        logits = None if self.head is None else self.classify(latent)
        return Outputs(latent, self.decode(latent), logits)
