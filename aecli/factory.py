"""Build networks and losses from a spec: the one factory that all commands share."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, Literal

from torch import nn

from aecli.errors import DataError, ModelError, UsageError
from aecli.feed.layout import Layout, layout
from aecli.nn.activations import activation
from aecli.nn.autoencoder import Autoencoder
from aecli.nn.losses import ReconstructionLoss
from aecli.nn.mlp import MLP
from aecli.nn.norms import norm
from aecli.spec.catalogue import Activation, Norm
from aecli.spec.model import Column, Network
from aecli.spec.options import LossOptions, NetworkOptions

DEFAULT_CLASSIFIER: tuple[int, ...] = ()
"""Hidden sizes of the head unless given: none, so that the latent itself separates the classes."""

LATENT_BOUNDS = (2, 64)
"""Smallest and largest latent that is chosen where no size is given."""

START_BOUNDS = (128, 512)
"""Narrowest and widest first layer that is chosen where only the latent is given."""

Output = Literal["linear", "sigmoid", "tanh"]
_OUTPUTS: dict[str, Callable[[], nn.Module] | None] = {
    "linear": None,
    "sigmoid": nn.Sigmoid,
    "tanh": nn.Tanh,
}

_CHANGED = "aecli train DATA, since this spec.json has been changed"


def build(network: Network, *, columns: Sequence[Column]) -> Autoencoder:
    """Build the autoencoder that `network` describes, with torch's initial weights.

    Draws come from torch's global generator; under `torch.device("meta")` nothing is allocated, and
    `weights.load_into` fills it.

    Raises:
        ModelError: the sizes in `network` are not those of `columns`, or an argument is unfit.
    """
    where = layout(columns)
    if (network.inputs, network.outputs) != (where.inputs, where.outputs):
        raise ModelError(
            f"the network takes {network.inputs} inputs and gives {network.outputs} outputs, "
            f"but its columns make {where.inputs} and {where.outputs}",
            hint=_CHANGED,
        )
    try:
        return _assemble(network, where)
    except ValueError as error:
        raise ModelError(str(error), hint=_CHANGED) from error


def _assemble(network: Network, where: Layout) -> Autoencoder:
    hidden = partial(
        MLP,
        activation=_activation(network.activation),
        norm=_norm(network.norm),
        dropout=network.dropout,
    )
    on_latent = network.latent_activation
    last = None if on_latent.name == "Identity" else _activation(on_latent)()
    output = _OUTPUTS[network.output]
    head = [network.latent, *network.classifier, network.classes]
    return Autoencoder(
        encoder=hidden(sizes=[network.inputs, *network.encoder], last=last),
        decoder=hidden(sizes=[network.latent, *network.decoder, network.outputs]),
        head=hidden(sizes=head) if network.classes else None,
        output=None if output is None else output(),
        numbers=where.numbers,
    )


def _norm(named: Norm) -> Callable[[int], nn.Module] | None:
    args: dict[str, Any] = dict(named.args)
    return None if named.name == "none" else partial(norm, named.name, **args)


def _activation(named: Activation) -> Callable[[], nn.Module]:
    return partial(activation, named.name, **named.args)


def resolve_network(options: NetworkOptions, *, columns: Sequence[Column], classes: int) -> Network:
    """Return the network with every size filled in; `classes` is 0 without a label.

    Without `encoder` the widths are `default_widths(inputs, latent)`, and without `latent` that is
    `default_latent(inputs)`. The decoder mirrors the encoder's hidden layers unless given.

    Raises:
        DataError: no column varies, so that there is nothing to encode.
        UsageError: the arguments of an activation contradict each other.
    """
    where = layout(columns)
    if not where.cells:
        raise DataError(
            f"none of the {len(columns)} feature columns varies: there is nothing to learn",
            hint="aecli inspect DATA shows what each column holds",
        )
    named_by = {"activation": options.activation, "latent-activation": options.latent_activation}
    for flag, named in named_by.items():
        try:
            _activation(named)()
        except ValueError as error:
            raise UsageError(str(error), hint=f"--{flag} {named.name} has defaults") from error
    latent = options.latent or default_latent(where.inputs)
    encoder = options.encoder or default_widths(where.inputs, latent)
    decoder = encoder[-2::-1] if options.decoder is None else options.decoder
    classifier = DEFAULT_CLASSIFIER if options.classifier is None else options.classifier
    return Network(
        inputs=where.inputs,
        outputs=where.outputs,
        classes=classes,
        encoder=list(encoder),
        decoder=list(decoder),
        classifier=list(classifier) if classes else [],
        activation=options.activation,
        latent_activation=options.latent_activation,
        norm=options.norm,
        dropout=options.dropout,
        output=_fitting_output(where) if options.output == "auto" else options.output,
    )


def default_latent(inputs: int) -> int:
    """Return a quarter of `inputs`, rounded down to a power of two within `LATENT_BOUNDS`."""
    low, high = LATENT_BOUNDS
    return min(high, max(low, 1 << max(1, inputs // 4).bit_length() - 1))


def default_widths(inputs: int, latent: int) -> list[int]:
    """Return encoder widths that halve down to `latent`: 784 and 64 give 512, 256, 64.

    The first is the power of two above twice the inputs, since a narrow table needs room for its
    curvature, within `START_BOUNDS`, or 2 · latent where that is more. One more layer of half that
    width follows unless it would be narrower than twice the latent; deeper halving trained worse.
    """
    low, high = START_BOUNDS
    width = max(
        min(max(_power_of_two_above(2 * inputs), low), high), _power_of_two_above(2 * latent)
    )
    hidden = [width, width // 2] if width // 2 >= 2 * latent else [width]
    return [*hidden, latent]


def _power_of_two_above(size: int) -> int:
    return 1 << (size - 1).bit_length()


def _fitting_output(where: Layout) -> Output:
    """Return sigmoid where the scaled training numbers lie in 0..1 and touch 0, else linear."""
    lows = [_scaled(column, column.low) for column in where.numeric]
    highs = [_scaled(column, column.high) for column in where.numeric]
    low = [value for values in lows for value in values]
    high = [value for values in highs for value in values]
    known = len(low) == len(high) == where.numbers > 0
    # A scale is a rounded difference, so its largest value may come out just above 1.
    return "sigmoid" if known and min(low) == 0 and max(high) <= 1 + 1e-6 else "linear"


def _scaled(column: Column, values: Sequence[float]) -> list[float]:
    triples = zip(values, column.center, column.scale, strict=False)
    return [(value - center) / scale for value, center, scale in triples]


def is_mixed(columns: Sequence[Column]) -> bool:
    """Return whether the varying columns are of more than one of numbers, booleans, categories."""
    where = layout(columns)
    return sum(map(bool, (where.numeric, where.boolean, where.category))) > 1


def reconstruction_loss(
    columns: Sequence[Column], options: LossOptions, *, complete: bool = False
) -> ReconstructionLoss:
    """Build the loss of these columns; `complete` promises that no cell is missing or unseen.

    Where kinds are mixed a column weighs 1 / its `trivial_loss`, so that answering the mean costs 1
    whatever the kind; 1 otherwise.
    """
    where = layout(columns)
    mixed = is_mixed(columns)
    return ReconstructionLoss(
        numbers=where.numbers,
        booleans=where.booleans,
        cardinalities=where.cardinalities,
        column_of=where.column_of,
        weights=[1 / column.trivial_loss if mixed else 1.0 for column in where.columns],
        number_loss=options.number_loss,
        complete=complete,
    )


def resolve_weights(options: LossOptions, *, head: bool, trivial: float) -> dict[str, float]:
    """Return the weight of each term that is trained on, by name; terms that weigh 0 are left out.

    `trivial` is the reconstruction loss of the column means. Unless it is given, the reconstruction
    weighs 1, and 1 / trivial beside a classification: pixels in 0..1 have losses of a few
    hundredths, and would be given up for the label.
    """
    reconstruction = options.reconst_weight
    if reconstruction is None:
        reconstruction = float(f"{1 / max(trivial, 1e-6):.4g}") if head else 1.0
    weights = {
        "reconstruction": reconstruction,
        "classification": options.class_weight if head else 0.0,
        "l1": options.l1,
        "l2": options.l2,
    }
    return {name: weight for name, weight in weights.items() if weight > 0}
