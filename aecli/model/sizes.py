"""Determine the sizes of a network that the options leave open, from the columns."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate
from typing import Any, Literal

from aecli.errors import DataError, UsageError
from aecli.features.layout import Layout
from aecli.model.layers import activation_builder
from aecli.schema.model_spec import Column
from aecli.schema.network import Network
from aecli.schema.network_options import NetworkOptions
from aecli.schema.options import ColumnOptions, TrainOptions
from aecli.schema.torch_classes import TorchClassSpec

DEFAULT_CLASSIFIER: tuple[int, ...] = ()
"""Default hidden sizes of the classifier: none, so that the latent itself separates the classes."""

LATENT_BOUNDS = (2, 64)
"""Minimum and maximum size of the default latent."""

EXPLAINED = 0.95
"""Share of the variance that `--latent auto` keeps."""

ROUNDING = 1e-6
"""Tolerance for scaled values above 1, because a scale is a rounded difference."""

MAX_WIDTH = 65_536
"""Maximum number of units in a layer."""

START_BOUNDS = (128, 512)
"""Minimum and maximum width of the default first layer."""

Output = Literal["linear", "clipped", "sigmoid", "tanh", "unit_tanh"]


def resolve_network(
    options: TrainOptions,
    *,
    columns: Sequence[Column],
    layout: Layout,
    classes: int,
    latent: int | None = None,
) -> Network:
    """Return the network with every size filled in; `classes` is 0 without a label.

    `latent` is the size for `--latent auto`. Without a size, the latent is `default_latent`,
    limited by the outputs; without `encoder`, the widths are
    `default_widths(inputs, latent)`. The default decoder mirrors the encoder's hidden layers.

    Raises:
        DataError: no column varies, so that there is nothing to encode.
        UsageError: options contradict each other or do not fit the columns.
    """
    chosen = options.network
    if not layout.cells:
        raise DataError(
            f"none of the {len(columns)} feature columns varies: there is nothing to learn",
            hint="aecli inspect DATA",
        )
    window = options.windows.window or 1
    architecture = chosen.arch or ("mlp" if window == 1 else "vanilla")
    on_latent = _latent_activation(options)
    _require_consistent({"activation": chosen.activation, "latent-activation": on_latent})
    latent = latent or (chosen.latent if isinstance(chosen.latent, int) else None)
    usual = _usual_latent(layout, window)
    widths = _widths(chosen, architecture, latent, usual, _sizing_inputs(layout) * window)
    linear_path = _starts_as_pca(chosen, on_latent, layout, classes=classes, latent=widths[0][-1])
    classifier = DEFAULT_CLASSIFIER if chosen.classifier is None else chosen.classifier
    network = Network(
        architecture=architecture,
        inputs=layout.inputs,
        outputs=layout.outputs,
        classes=classes,
        window=window,
        encoder=widths[0],
        decoder=widths[1],
        classifier=list(classifier) if classes else [],
        activation=chosen.activation,
        latent_activation=on_latent,
        norm=chosen.norm,
        dropout=chosen.dropout,
        output=_fitting_output(layout, options.columns),
        variational=chosen.variational,
        topk=chosen.topk,
        linear_path=linear_path,
        **_architecture_sizes(chosen, architecture, columns, layout),
    )
    if network.topk is not None and network.topk > network.latent:
        raise UsageError(
            f"--topk {network.topk} is more than the {network.latent} units of the latent",
            hint=f"--topk {max(1, network.latent // 4)}, or a larger --latent",
        )
    return network


def _usual_latent(layout: Layout, window: int) -> int:
    """Return the default latent size, for the inputs without positions in bins and periods.

    It is less than the outputs, except if training masks cells: a copy does not reconstruct these.
    """
    copied = (layout.copies[kind].cells for kind in ("indicators", "compressed"))
    inputs = layout.outputs + sum(map(len, copied))
    masked = any(column.masked for column in layout.columns)
    limit = layout.outputs * window - (0 if masked else 1)
    return min(default_latent(inputs * window), max(1, limit))


def _latent_activation(options: TrainOptions) -> TorchClassSpec:
    """Return the latent's activation; by default a sigmoid if the KL term needs bounds."""
    fitting = TorchClassSpec(name="Sigmoid" if options.losses.kl > 0 else "Identity")
    return options.network.latent_activation or fitting


def _starts_as_pca(
    options: NetworkOptions, on_latent: TorchClassSpec, layout: Layout, *, classes: int, latent: int
) -> bool:
    """Return whether the network has a linear path, which starts as PCA.

    The default is yes for a linear latent, except for a variational network, whose latents must
    follow N(0, 1), and with a classifier for columns of several kinds and less than one latent unit
    for two of them: at the start PCA would use them all for numbers (benchmarks/RESULTS.md).
    """
    mixed = layout.numbers < layout.cells
    crowded = classes > 0 and mixed and 2 * latent < len(layout.columns)
    by_default = options.init == "auto" and on_latent.name == "Identity" and not options.variational
    return options.init == "pca" or (by_default and not crowded)


def _require_consistent(activations: dict[str, TorchClassSpec]) -> None:
    for flag, activation in activations.items():
        try:
            activation_builder(activation)()
        except ValueError as error:
            raise UsageError(str(error), hint=f"--{flag} {activation.name}") from error


def _sizing_inputs(layout: Layout) -> int:
    """Return the inputs that sizes depend on: positions in bins add nothing to the numbers."""
    return layout.inputs - len(layout.copies["piecewise"].cells)


def _widths(
    options: NetworkOptions, architecture: str, latent: int | None, usual: int, inputs: int
) -> tuple[list[int], list[int]]:
    """Return the layer sizes of encoder and decoder; other architectures than MLPs: the latent.

    `usual` is the default size of the latent.
    """
    if architecture not in ("mlp", "vanilla"):
        if options.decoder or (options.encoder and len(options.encoder) > 1):
            raise UsageError(
                f"--arch {architecture} does not support layer lists in --encoder and --decoder",
                hint="--latent 16, and " + SIZE_OPTIONS[architecture],
            )
        last = options.encoder[-1] if isinstance(options.encoder, list) else None
        return [latent or last or usual], []
    size = latent or usual
    if options.encoder == "halve":
        encoder = halved_widths(inputs, size)
    else:
        encoder = options.encoder or default_widths(inputs, size)
    decoder = encoder[-2::-1] if options.decoder is None else options.decoder
    return list(encoder), list(decoder)


SIZE_OPTIONS = {
    "conv2d": "--channels 16,32",
    "conv1d": "--channels 16,32",
    "lstm": "--hidden 64 --layers 1",
    "transformer": "--hidden 64 --heads 4 --feedforward 128 --depth 2",
}
"""Options for the sizes of each architecture without layer lists."""


def _architecture_sizes(
    options: NetworkOptions, architecture: str, columns: Sequence[Column], layout: Layout
) -> dict[str, Any]:
    """Return the sizes that only some architectures have."""
    if architecture == "conv2d":
        shape = image_shape(options.shape, columns, layout)
        return {"shape": list(shape), "channels": options.channels}
    if architecture == "conv1d":
        return {"channels": options.channels}
    if architecture == "lstm":
        return {"hidden": options.hidden, "layers": options.layers}
    if architecture == "transformer":
        if options.hidden % options.heads:
            raise UsageError(
                f"--heads {options.heads} does not divide --hidden {options.hidden}",
                hint=f"--hidden {-(-options.hidden // options.heads) * options.heads}",
            )
        names = ("hidden", "heads", "feedforward", "depth")
        return {name: getattr(options, name) for name in names}
    return {}


def image_shape(
    text: str | None, columns: Sequence[Column], layout: Layout
) -> tuple[int, int, int]:
    """Return height, width and channels of images whose pixels are the columns, in table order.

    Raises:
        UsageError: the shape is missing or does not match the columns, or some are not numbers.
    """
    pixels = sum(column.size for column in columns)
    if text is None:
        side = round(pixels**0.5)
        raise UsageError(
            f"--arch conv2d needs the shape of the images in the {pixels:,} columns",
            hint=f"--shape {side}x{side}" if side * side == pixels else "--shape 28x28x3",
        )
    height, width, channels = (int(part) for part in (text + "x1").split("x")[:3])
    if height * width * channels != pixels:
        raise UsageError(
            f"--shape {text} is {height * width * channels:,} pixels, but there are {pixels:,} "
            "feature columns",
            hint="--columns 'pixel*' selects the pixels; --exclude leaves columns out",
        )
    unfit = [c for c in layout.columns if c.kind not in ("number", "vector") or c.has_missing]
    if unfit:
        other = unfit[0]
        what = "has missing values" if other.has_missing else f"is a {other.kind} column"
        raise UsageError(
            f"--arch conv2d supports pixels only: {other.name!r} {what}",
            hint=f"--exclude {other.name}, or --arch mlp",
        )
    return height, width, channels


def auto_latent(shares: Sequence[float], width: int) -> tuple[int, str]:
    """Return the latent size for PCA's descending `shares` of the variance, and the reason.

    It is the number of components that explain 95 %, but at least 2, at most a quarter of the
    sample's `width` numbers (a network needs fewer units than PCA), and less than `width`.
    """
    limit = min(max(2, width // 4), max(1, width - 1))
    explained = list(accumulate(shares))
    needed = next((n for n, share in enumerate(explained, 1) if share >= EXPLAINED), None)
    latent = min(max(needed or limit, 2), limit)
    a_quarter = "a quarter of" if limit == max(2, width // 4) else "one less than the"
    if needed is not None and needed <= limit:
        why = f"{needed} components of PCA explain {explained[needed - 1]:.1%} of the variance"
    else:
        why = f"{a_quarter} {width:,} numbers; PCA needs more for {EXPLAINED:.0%} of the variance"
    return latent, f"latent {latent}: {why}"


def default_latent(inputs: int) -> int:
    """Return a quarter of `inputs`, rounded down to a power of two within `LATENT_BOUNDS`."""
    low, high = LATENT_BOUNDS
    return min(high, max(low, 1 << max(1, inputs // 4).bit_length() - 1))


def default_widths(inputs: int, latent: int) -> list[int]:
    """Return encoder widths that halve down to `latent`: 784 and 64 give 512, 256, 64.

    The first is the power of two above twice the inputs, because narrow tables need wide layers for
    nonlinear relations, within `START_BOUNDS`, or 2 · latent if that is more. Another layer of half
    that width follows if it is at least twice the latent; deeper halving trained worse.
    """
    low, high = START_BOUNDS
    width = max(
        min(max(_power_of_two_above(2 * inputs), low), high), _power_of_two_above(2 * latent)
    )
    hidden = [width, width // 2] if width // 2 >= 2 * latent else [width]
    return [*hidden, latent]


def halved_widths(inputs: int, latent: int) -> list[int]:
    """Return encoder widths that halve from the inputs down to `latent`, rounded down.

    784 and 12 give 392, 196, 98, 49, 24, 12. A layer is wider than the latent and at most
    `MAX_WIDTH` wide; there is none if half of the inputs is not wider than the latent.
    """
    hidden: list[int] = []
    width = inputs // 2
    while width > latent:
        if width <= MAX_WIDTH:
            hidden.append(width)
        width //= 2
    return [*hidden, latent]


def _power_of_two_above(size: int) -> int:
    return 1 << (size - 1).bit_length()


def _fitting_output(layout: Layout, options: ColumnOptions) -> Output:
    """Return the output of numbers: that of the options, with tanh rescaled to 0..1 if needed.

    `auto` clips to 0..1 if the scaled training numbers are within 0..1 and some are 0
    (measured in benchmarks/RESULTS.md, Where training starts).

    Raises:
        UsageError: the output does not reach a training number.
    """
    lows = [value for column in layout.numeric for value in _scaled(column, column.low)]
    highs = [value for column in layout.numeric for value in _scaled(column, column.high)]
    known = len(lows) == len(highs) == layout.numbers > 0
    unit = known and min(lows) >= 0 and max(highs) <= 1 + ROUNDING
    if options.output == "auto":
        return "clipped" if unit and min(lows) == 0 else "linear"
    if options.output == "linear":
        return "linear"
    _require_reachable(layout, options)
    if options.output == "sigmoid":
        return "sigmoid"
    return "unit_tanh" if unit else "tanh"


def _require_reachable(layout: Layout, options: ColumnOptions) -> None:
    least = 0 if options.output == "sigmoid" else -1
    for column in layout.numeric:
        scaled = [*_scaled(column, column.low), *_scaled(column, column.high)]
        if not scaled or (min(scaled) >= least - ROUNDING and max(scaled) <= 1 + ROUNDING):
            continue
        raise UsageError(
            f"column {column.name!r} ranges from {min(column.low):g} to {max(column.high):g}, and "
            f"--output {options.output} only reaches {least} to 1",
            hint="--scale minmax" if options.scale == "none" else f"--exclude {column.name}",
        )


def _scaled(column: Column, values: Sequence[float]) -> list[float]:
    triples = zip(values, column.center, column.scale, strict=False)
    return [(value - center) / scale for value, center, scale in triples]
