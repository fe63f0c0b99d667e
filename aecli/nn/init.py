"""Initialise the weights of layers, initialise a network as PCA, and transform its latent."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from aecli.nn.autoencoder import AutoencoderNetwork, unit_tanh
from aecli.nn.layers import MLP
from aecli.nn.sparsity import limit_columns

DISCRIMINANT_DAMPING = 0.5
"""Factor of the weights of a classifier that starts as a discriminant."""

SIGMOIDS: dict[object, tuple[float, float, float]] = {
    torch.sigmoid: (0.0, 1.0, 1.0),
    torch.tanh: (-1.0, 2.0, 2.0),
    unit_tanh: (0.0, 1.0, 2.0),
}
"""Low, width and steepness of outputs that are low + width · sigmoid(steepness · x)."""


def xavier_uniform(weight: Tensor, gain: float) -> None:
    """Draw uniformly with variance gain² · 2 / (fan_in + fan_out) (Glorot and Bengio, 2010)."""
    nn.init.xavier_uniform_(weight, gain)


def xavier_normal(weight: Tensor, gain: float) -> None:
    """Draw normally with variance gain² · 2 / (fan_in + fan_out) (Glorot and Bengio, 2010)."""
    nn.init.xavier_normal_(weight, gain)


def kaiming_uniform(weight: Tensor, gain: float) -> None:
    """Draw uniformly with variance gain² / fan_in (He et al., 2015)."""
    bound = gain * math.sqrt(3 / weight.shape[1])
    nn.init.uniform_(weight, -bound, bound)


def kaiming_normal(weight: Tensor, gain: float) -> None:
    """Draw normally with variance gain² / fan_in (He et al., 2015)."""
    nn.init.normal_(weight, 0.0, gain / math.sqrt(weight.shape[1]))


def orthogonal(weight: Tensor, gain: float) -> None:
    """Draw an orthogonal matrix times gain (Saxe et al., 2014)."""
    nn.init.orthogonal_(weight, gain)


def normal(weight: Tensor, gain: float) -> None:
    """Draw normally with variance 1 / fan_in, for any gain (LeCun et al., 1998)."""
    nn.init.normal_(weight, 0.0, 1 / math.sqrt(weight.shape[1]))


def uniform(weight: Tensor, gain: float) -> None:
    """Draw uniformly with variance 1 / fan_in, for any gain (LeCun et al., 1998)."""
    bound = math.sqrt(3 / weight.shape[1])
    nn.init.uniform_(weight, -bound, bound)


def draw_weights(module: nn.Module, draw: Callable[[Tensor, float], None], *, gain: float) -> None:
    """Draw the weights of every layer by `draw`, and set the biases to 0.

    The gain is 1 for the `last` layer of each network, which has no activation. Random numbers are
    from torch's global generator.
    """
    last = [part.last for part in module.modules() if hasattr(part, "last")]
    for layer in module.modules():
        if isinstance(layer, (nn.Linear, nn.Conv1d, nn.Conv2d)):
            with torch.no_grad():
                # A convolution is a linear layer at each of its positions.
                flat = layer.weight.view(len(layer.weight), -1)
                draw(flat, 1.0 if any(layer is other for other in last) else gain)
                if layer.bias is not None:
                    nn.init.zeros_(layer.bias)
        elif isinstance(layer, (nn.LSTM, nn.MultiheadAttention)):
            # These layers have weights of their own, besides the linear layers inside attention.
            for parameter in layer.parameters(recurse=False):
                if parameter.dim() > 1:
                    draw(parameter, 1.0)
                else:
                    nn.init.zeros_(parameter)


def start_as_pca(
    network: AutoencoderNetwork, mean: Tensor, components: Tensor, *, inputs: int, outputs: int
) -> None:
    """Initialise the network's linear path as PCA, and the nonlinear one as zero.

    `mean` `(window * inputs,)` and orthonormal `components` `(n_components, window * inputs)` are
    those of the training samples; the first `outputs` inputs of a row are the targets of its
    outputs. Numbers with a linear output initially equal their reconstruction by PCA. PCA
    reconstructs a boolean or one-hot input with mean m as a share p; its initial logit is
    logit(m) + (p - m) / max(m (1 - m), 0.1), the first-order expansion at the mean, damped for rare
    values. The same holds for numbers with an output of `SIGMOIDS`, as shares of its range.

    Raises:
        ValueError: the network has no linear path.
    """
    path = network.path
    if path is None:
        raise ValueError("the network has no linear path")
    latent = min(path.encode.out_features, len(components))
    slots = (torch.arange(network.window)[:, None] * inputs + torch.arange(outputs)).reshape(-1)
    low, width, steepness = _sigmoids(network, outputs)
    curved = width > 0
    mean_out = ((mean[slots] - low) / width).clamp(1e-3, 1 - 1e-3)
    slope = 1 / (steepness * width * (mean_out * (1 - mean_out)).clamp(min=0.1))
    with torch.no_grad():
        for layer in (path.encode, path.decode, network.encoder.last, network.decoder.last):
            assert isinstance(layer, nn.Module), "every encoder and decoder has a last layer"
            for parameter in layer.parameters():
                parameter.zero_()
        path.encode.weight[:latent] = components[:latent]
        path.encode.bias[:latent] = -components[:latent] @ mean
        slope = torch.where(curved, slope, 1.0)
        path.decode.weight[:, :latent] = (components[:latent, slots] * slope).T
        start = torch.logit(mean_out) / steepness
        path.decode.bias.copy_(torch.where(curved, start, mean[slots]))


def start_at_shares(head: MLP, shares: Tensor) -> None:
    """Initialise a classifier so that it predicts `shares` `(n_classes,)` for every row.

    The weights of its last layer are 0 and the biases the logarithms of the shares (Lin et al.
    2017, Focal loss for dense object detection, §3.3): random weights may order the rows the wrong
    way round until some epochs of training have corrected them.
    """
    with torch.no_grad():
        head.last.weight.zero_()
        head.last.bias.copy_(shares.log())


def start_as_discriminant(head: MLP, latents: Tensor, codes: Tensor) -> None:
    """Initialise the weights of a classifier that starts at shares as a discriminant of latents.

    `codes` `(n_rows,)` are the classes of `latents` `(n_rows, n_latent)`. The discriminant is
    linear with the covariance of all rows, regularised by its mean variance (Friedman 1989,
    Regularized discriminant analysis, §3), and damped, so that it does not start overconfident. The
    mean of the logits over the rows does not change.
    """
    with torch.no_grad():
        for layer in list(head)[:-1]:
            latents = layer(latents)
        features = latents.double()
        mean = features.mean(0)
        centred = features - mean
        of_class = functional.one_hot(codes.long(), len(head.last.bias)).double()
        means = of_class.T @ centred / of_class.sum(0).clamp(min=1)[:, None]
        covariance = centred.T @ centred / len(centred)
        variance = covariance.diagonal().mean().clamp(min=1e-12)
        regular = covariance + variance * torch.eye(len(mean), dtype=torch.float64)
        weights = DISCRIMINANT_DAMPING * torch.linalg.solve(regular, means.T).T
        head.last.weight.copy_(weights)
        head.last.bias.sub_((weights @ mean).float())


def _sigmoids(network: AutoencoderNetwork, outputs: int) -> tuple[Tensor, Tensor, Tensor]:
    """Return low, width and steepness of each output's sigmoid; a width of 0 means linear.

    Outputs after the numbers are logits.
    """
    numbers = SIGMOIDS.get(network.output, (0.0, 0.0, 1.0))
    each = [numbers] * network.numbers + [(0.0, 1.0, 1.0)] * (outputs - network.numbers)
    low, width, steepness = torch.tensor(each).repeat(network.window, 1).unbind(1)
    return low, width, steepness


def activation_gain(activation: nn.Module) -> float:
    """Return the factor that preserves the second moment of signals through an activation `f`.

    It is 1 / sqrt(E[f(x)²]) for x from N(0, 1), as He et al. (2015) derive sqrt(2) for ReLU; but at
    most the factor for large signals, s / sqrt(E[f(s·x)²]) with s = 1000, because they would
    otherwise grow without bound if `f` is less than linear near 0 (SiLU, Softshrink). Expectations
    are over 10,000 quantiles. It is 1 if `f` is 0 for all of them.
    """
    grid = torch.special.ndtri((torch.arange(10_000, dtype=torch.float64) + 0.5) / 10_000)
    module = activation.double().eval()
    with torch.no_grad():
        gains = [scale * module(scale * grid).square().mean().rsqrt() for scale in (1, 1000)]
    gain = float(min(gains))
    return gain if math.isfinite(gain) else 1.0


@torch.no_grad()
def transform_latent(network: AutoencoderNetwork, matrix: Tensor) -> None:
    """Replace each latent z by `matrix @ z`, without changing outputs and logits.

    `matrix` is invertible, `(latent, latent)` in float64 on the CPU. The layer that produces the
    latent is the `last` of an encoder; decoders and classifiers have in `reads` the parameters
    whose last axis is the latent, and some decoders have `added_to_latent`.

    Raises:
        ValueError: the latent has an activation or is variational, so it cannot be transformed.
    """
    if network.code is not None or network.variational:
        raise ValueError("only a linear latent can be transformed")
    _transform(network, matrix)


@torch.no_grad()
def start_with_limited_columns(network: AutoencoderNetwork) -> None:
    """Limit the decoder weights that read each latent unit to a norm of at most 1.

    Larger columns of the linear path are made up for by the scale of their unit, so that the start
    at PCA does not change. The latent is linear, or has thresholds that are not set yet.
    """
    if network.path is not None:
        norms = network.path.decode.weight.norm(dim=0).clamp(min=1)
        _transform(network, norms.cpu().double().diag())
    limit_columns(latent_columns(network))


def latent_columns(network: AutoencoderNetwork) -> list[Tensor]:
    """Return the decoder's parameters whose last axis is the latent."""
    path = [] if network.path is None else [network.path.decode.weight]
    return [*_reads(network.decoder), *path]


def _transform(network: AutoencoderNetwork, matrix: Tensor) -> None:
    last = network.encoder.last
    assert isinstance(last, nn.Linear), "every encoder has a last layer"
    writers, readers = [last], latent_columns(network)
    if network.path is not None:
        writers.append(network.path.encode)
    if network.head is not None:
        readers += _reads(network.head)
    inverse = torch.linalg.inv(matrix)
    for layer in writers:
        layer.weight.copy_(matrix @ layer.weight.cpu().double())
        layer.bias.copy_(matrix @ layer.bias.cpu().double())
    for parameter in readers:
        parameter.copy_(parameter.cpu().double() @ inverse)
    for vectors in getattr(network.decoder, "added_to_latent", ()):
        vectors.copy_(vectors.cpu().double() @ matrix.T)


def _reads(part: nn.Module) -> list[Tensor]:
    return list(cast("list[Tensor]", part.reads))
