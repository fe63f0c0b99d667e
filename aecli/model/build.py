"""Build networks and losses from a spec, for all commands."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from aecli.errors import ModelError
from aecli.features.layout import Layout, code_count, lay_out
from aecli.model.layers import activation_builder, norm_builder, require_equal_widths
from aecli.nn.autoencoder import AutoencoderNetwork, LinearPath, clip_to_unit, unit_tanh
from aecli.nn.characters import CharacterDecoder
from aecli.nn.convolution import ConvDecoder, ConvEncoder
from aecli.nn.layers import MLP
from aecli.nn.losses import ReconstructionLoss
from aecli.nn.sequence import LSTMDecoder, LSTMEncoder, TransformerDecoder, TransformerEncoder
from aecli.nn.sparsity import HardThreshold, SoftThreshold, TopK
from aecli.schema.model_spec import Column
from aecli.schema.network import Network
from aecli.schema.training_options import LossOptions

_OUTPUTS: dict[str, Callable[[Tensor], Tensor] | None] = {
    "linear": None,
    "clipped": clip_to_unit,
    "sigmoid": torch.sigmoid,
    "tanh": torch.tanh,
    "unit_tanh": unit_tanh,
}

DECODER_VARIANCE = 0.1
"""Variance of a variational decoder's numbers, as a share of the error of the column means."""

_CHANGED = "aecli train DATA, because this spec.json was changed"


def build(network: Network, *, columns: Sequence[Column]) -> AutoencoderNetwork:
    """Build the autoencoder described by `network`, with torch's initial weights.

    Random numbers are from torch's global generator. On the meta device nothing is allocated until
    `weights.load_into`.

    Raises:
        ModelError: the sizes in `network` do not match `columns`, or an argument is invalid.
    """
    where = lay_out(columns)
    if (network.inputs, network.outputs) != (where.inputs, where.outputs):
        raise ModelError(
            f"the network has {network.inputs} inputs and {network.outputs} outputs, but its "
            f"columns need {where.inputs} and {where.outputs}",
            hint=_CHANGED,
        )
    try:
        return _assemble(network, where, columns)
    except (TypeError, ValueError) as error:
        raise ModelError(str(error), hint=_CHANGED) from error


def parameter_count(network: Network, *, columns: Sequence[Column]) -> int:
    """Return the number of parameters of the autoencoder, without allocating them."""
    with torch.device("meta"):
        parameters = build(network, columns=columns).parameters()
        return sum(parameter.numel() for parameter in parameters)


def _assemble(network: Network, where: Layout, columns: Sequence[Column]) -> AutoencoderNetwork:
    require_equal_widths(network)
    characters = _character_decoder(where)
    outputs = network.outputs if characters is None else characters.inputs
    encoder, decoder = _pair(network, columns, outputs)
    path = LinearPath(
        inputs=network.window * network.inputs,
        latent=network.latent,
        outputs=network.window * network.outputs,
    )
    return AutoencoderNetwork(
        encoder=encoder,
        decoder=decoder,
        head=_mlp(network, [network.latent, *network.classifier, network.classes])
        if network.classes
        else None,
        output=_OUTPUTS[network.output],
        numbers=where.numbers,
        window=network.window,
        code=_code(network),
        path=path if network.linear_path else None,
        characters=characters,
        variational=network.variational,
    )


def _character_decoder(where: Layout) -> CharacterDecoder | None:
    """Return the last part of the decoder for columns of characters, None without these."""
    if not where.characters:
        return None
    texts = [(column.length, code_count(column)) for column in where.characters]
    plain = where.outputs - sum(length * codes for length, codes in texts)
    return CharacterDecoder(plain=plain, texts=texts)


def _pair(network: Network, columns: Sequence[Column], outputs: int) -> tuple[nn.Module, nn.Module]:
    """Return the encoder and the decoder, of `outputs` per row, of the architecture."""
    code = network.latent * (2 if network.variational else 1)
    if network.architecture in ("mlp", "vanilla"):
        window = network.window
        return (
            _mlp(network, [window * network.inputs, *network.encoder[:-1], code]),
            _mlp(network, [network.latent, *network.decoder, window * outputs]),
        )
    if network.architecture in ("conv1d", "conv2d"):
        return _convolutions(network, columns, code, outputs)
    shared: dict[str, Any] = {"length": network.window, "dropout": network.dropout}
    encoder, decoder = _SEQUENCE_PAIRS[network.architecture]
    shared |= {name: getattr(network, name) for name in _SEQUENCE_SIZES[network.architecture]}
    return (
        encoder(inputs=network.inputs, latent=code, **shared),
        decoder(outputs=outputs, latent=network.latent, **shared),
    )


_SEQUENCE_PAIRS: dict[str, tuple[Callable[..., nn.Module], Callable[..., nn.Module]]] = {
    "lstm": (LSTMEncoder, LSTMDecoder),
    "transformer": (TransformerEncoder, TransformerDecoder),
}
_SEQUENCE_SIZES = {
    "lstm": ("hidden", "layers"),
    "transformer": ("hidden", "heads", "feedforward", "depth"),
}


def _convolutions(
    network: Network, columns: Sequence[Column], code: int, outputs: int
) -> tuple[nn.Module, nn.Module]:
    shape_in: tuple[int, ...] = (network.window, network.inputs)
    shape_out: tuple[int, ...] = (network.window, outputs)
    shared: dict[str, Any] = {
        "channels": network.channels,
        "activation": activation_builder(network.activation),
        "dropout": network.dropout,
    }
    if network.architecture == "conv2d":
        height, width, channels = network.shape
        shape_in = shape_out = (height, width, channels)
        shared["positions"] = pixel_positions(columns)
    return (
        ConvEncoder(shape=shape_in, latent=code, **shared),
        ConvDecoder(shape=shape_out, latent=network.latent, **shared),
    )


def pixel_positions(columns: Sequence[Column]) -> list[int]:
    """Return the position of each cell among all pixels, including constant ones without a cell."""
    positions: list[int] = []
    first = 0
    for column in columns:
        if not column.constant:
            positions += range(first, first + column.size)
        first += column.size
    return positions


def _code(network: Network) -> nn.Module | None:
    """Return the modules after the encoder, None for a linear latent that is not sparse."""
    parts: list[nn.Module] = []
    if network.latent_activation.name != "Identity":
        parts.append(activation_builder(network.latent_activation)())
    if network.topk is not None:
        parts.append(TopK(network.latent, network.topk))
    if network.threshold != "none":
        parts.append(_THRESHOLDS[network.threshold](network.latent))
    return nn.Sequential(*parts) if parts else None


_THRESHOLDS = {"soft": SoftThreshold, "hard": HardThreshold}


def _mlp(network: Network, sizes: Sequence[int]) -> MLP:
    return MLP(
        sizes=sizes,
        activation=activation_builder(network.activation),
        norm=norm_builder(network.norm),
        dropout=network.dropout,
    )


def build_reconstruction_loss(
    layout: Layout, options: LossOptions, *, complete: bool = False
) -> ReconstructionLoss:
    """Build the loss of a layout's columns, weighted by their `trivial_loss`.

    With `complete` no cell is missing or unseen.
    """
    return ReconstructionLoss(
        numbers=layout.numbers,
        booleans=layout.booleans,
        cardinalities=layout.cardinalities,
        column_of=layout.column_of,
        weights=column_weights(
            layout,
            [column.trivial_loss for column in layout.columns],
            fixed_number_weight(options),
        ),
        number_loss=options.number_loss,
        complete=complete,
    )


def fixed_number_weight(options: LossOptions) -> float:
    """Return the weight of numbers by the options; 1 where training chooses it."""
    return 1.0 if options.number_weight == "auto" else options.number_weight


def column_weights(
    layout: Layout, trivial: Sequence[float], number_weight: float = 1.0
) -> list[float]:
    """Return the weight of each varying column in the reconstruction loss, by its trivial loss.

    For a mix of numbers, booleans, categories and texts it is 1 / the trivial loss, so that the
    trivial prediction has loss 1 for every kind; 1 otherwise. Weights of numbers are multiplied by
    `number_weight`.
    """
    weights = [1 / loss if layout.is_mixed else 1.0 for loss in trivial]
    return [
        weight * number_weight if index < len(layout.numeric) else weight
        for index, weight in enumerate(weights)
    ]


def resolve_weights(
    options: LossOptions, network: Network, *, cells: int, trivial: float, preference: float = 1.0
) -> dict[str, float]:
    """Return the weight of each loss term by name; terms of weight 0 are left out.

    `cells` is the number of cells in a row; `trivial` is the reconstruction loss of the column
    means. The default weight of the reconstruction is 1, and preference / trivial with a
    classifier: pixels in 0..1 have losses of a few hundredths, which the classification would
    dominate. `beta` is relative to that default: 1 gives the evidence lower bound (Kingma and
    Welling, 2014) of a decoder whose variance is a tenth of the error of the column means.

    With `reduction` "sum" the weights of means become those of sums over cells and latent units.
    """
    head, cells = network.classes > 0, cells * network.window
    summed = options.reduction == "sum"
    units, numbers = (network.latent, cells) if summed else (1, 1)
    trivial = max(trivial, 1e-6)
    balanced = float(f"{preference / trivial:.4g}") if head and not summed else 1.0
    bound = 2 * DECODER_VARIANCE * trivial * network.latent / cells
    reconst_weight = options.reconst_weight
    weights = {
        "reconstruction": (balanced if reconst_weight is None else reconst_weight) * numbers,
        "classification": options.class_weight if head else 0.0,
        "l0": options.l0 * units,
        "l1": options.l1 * units,
        "l2": options.l2 * units,
        "kl": options.kl * units,
        "kl_normal": options.beta * balanced * numbers * bound if network.variational else 0.0,
    }
    return {name: weight for name, weight in weights.items() if weight > 0}
