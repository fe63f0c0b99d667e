"""Combine an encoder, a decoder and an optional classifier."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor, nn

LOG_VARIANCE_BOUND = 20.0
"""Maximum magnitude of a latent's log-variance; the variance underflows or overflows beyond."""


class EncoderOutput(NamedTuple):
    """Latent of each sample, and for a variational encoder its variance.

    Both are `(n_samples, n_latent)`; `log_variance` is None for a deterministic latent.
    """

    latent: Tensor
    log_variance: Tensor | None

    @property
    def variance(self) -> Tensor:
        """Return the variance of each latent; 0 for a deterministic latent."""
        free = self.log_variance
        return torch.zeros_like(self.latent) if free is None else free.exp()

    def sample(self) -> Tensor:
        """Draw from N(latent, variance), or return a deterministic latent."""
        if self.log_variance is None:
            return self.latent
        return self.latent + torch.randn_like(self.latent) * (self.log_variance / 2).exp()


def clip_to_unit(x: Tensor) -> Tensor:
    """Clip numbers `(n_rows, n_numbers)` to 0..1, with the gradient of the identity.

    With squared errors this is the matching loss of clipping (Auer et al. 1996), convex in the
    numbers before clipping: a number beyond the bound of its target has no gradient.
    """
    cut = x.clamp(0, 1)
    return cut.detach() + (x - x.detach()) if x.requires_grad else cut


def unit_tanh(x: Tensor) -> Tensor:
    """Return tanh rescaled from -1..1 to 0..1, so that it saturates at both ends of the range."""
    return (x.tanh() + 1) / 2


class LinearPath(nn.Module):
    """Linear skip connections; the nonlinear encoder and decoder learn the residual.

    `encode` maps `(n_samples, n_inputs)` to `(n_samples, n_latent)`, `decode` back to
    `(n_samples, n_outputs)`.
    """

    def __init__(self, *, inputs: int, latent: int, outputs: int) -> None:
        super().__init__()
        self.encode = nn.Linear(inputs, latent)
        self.decode = nn.Linear(latent, outputs)


class AutoencoderNetwork(nn.Module):
    """Encoder, decoder and optional classifier of samples.

    A sample is a row, or `window` rows in order: the input is `(n_samples * window, n_inputs)`,
    there is one latent per sample, and the output is `(n_samples * window, n_outputs)`. Encoder and
    decoder see each sample as one flat vector. `code` follows the encoder: an activation, or TopK.
    A variational encoder returns two numbers per latent, its mean and its log-variance.

    The first `numbers` outputs of a row are scaled numbers, and only these are passed through
    `output` (sigmoid, tanh, `unit_tanh` or `clip_to_unit`; None is linear); the rest are logits of
    booleans, categories and characters. `characters` is the last part of the decoder of each row,
    for columns of texts.
    """

    def __init__(
        self,
        *,
        encoder: nn.Module,
        decoder: nn.Module,
        head: nn.Module | None,
        output: Callable[[Tensor], Tensor] | None,
        numbers: int,
        window: int = 1,
        code: nn.Module | None = None,
        path: LinearPath | None = None,
        characters: nn.Module | None = None,
        variational: bool = False,
    ) -> None:
        super().__init__()
        self.encoder = encoder
        self.decoder = decoder
        self.head = head
        self.output = output
        self.code = code
        self.path = path
        self.characters = characters
        self.numbers = numbers
        self.window = window
        self.variational = variational

    def distribution(self, x: Tensor) -> EncoderOutput:
        """Return the latent distribution of inputs `(n_samples * window, n_inputs)`."""
        flat = x.reshape(len(x) // self.window, -1) if self.window > 1 else x
        raw: Tensor = self.encoder(flat).float()
        log_variance = None
        if self.variational:
            raw, free = raw.chunk(2, dim=1)
            log_variance = free.clamp(-LOG_VARIANCE_BOUND, LOG_VARIANCE_BOUND)
        if self.path is not None:
            raw = raw + self._along_path(self.path.encode, flat).float()
        return EncoderOutput(raw if self.code is None else self.code(raw), log_variance)

    def encode(self, x: Tensor) -> Tensor:
        """Return the latents `(n_samples, n_latent)` of inputs `(n_samples * window, n_inputs)`."""
        return self.distribution(x).latent

    def decode(self, z: Tensor) -> Tensor:
        """Return the outputs `(n_samples * window, n_outputs)` of latents `(n_samples, latent)`."""
        raw: Tensor = self.decoder(z)
        raw = raw.reshape(len(z) * self.window, -1) if self.window > 1 else raw
        if self.characters is not None:
            raw = self.characters(raw)
        if self.path is not None:
            raw = raw + self._along_path(self.path.decode, z).view_as(raw)
        return self.bounded(raw)

    def _along_path(self, layer: nn.Linear, x: Tensor) -> Tensor:
        """Apply a layer of the linear path, in float32 if units may be codes of characters.

        Logits of these codes are in the thousands, and those of two characters differ by a few.
        """
        if self.characters is None:
            result: Tensor = layer(x)
            return result
        with torch.autocast(x.device.type, enabled=False):
            result = layer(x.float())
        return result

    def forward(self, x: Tensor) -> Tensor:
        """Return the outputs `(n_rows, n_outputs)` of inputs `(n_rows, n_inputs)`."""
        return self.decode(self.encode(x))

    def bounded(self, raw: Tensor) -> Tensor:
        """Return the decoder's raw outputs with `output` applied to the numbers."""
        if self.output is None or self.numbers == 0:
            return raw
        if self.numbers == raw.shape[1]:
            return self.output(raw)
        numbers, logits = raw.tensor_split([self.numbers], dim=1)
        return torch.cat([self.output(numbers), logits], dim=1)

    def classify(self, z: Tensor) -> Tensor:
        """Return the class logits `(n_samples, n_classes)` of latents `(n_samples, n_latent)`.

        Raises:
            ValueError: this autoencoder has no classifier.
        """
        if self.head is None:
            raise ValueError("this autoencoder has no classifier")
        logits: Tensor = self.head(z)
        return logits
