"""Determine the sizes of a network that the options leave open, from the columns."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

from aecli.errors import DataError, UsageError
from aecli.features.layout import Layout
from aecli.model.layers import activation_builder, require_equal_widths
from aecli.model.widths import default_latent, default_widths, halved_widths
from aecli.schema.model_spec import Column
from aecli.schema.network import Network
from aecli.schema.network_options import NetworkOptions
from aecli.schema.options import ColumnOptions, TrainOptions
from aecli.schema.torch_classes import TorchClassSpec

DEFAULT_CLASSIFIER: tuple[int, ...] = ()
"""Default hidden sizes of the classifier: none, so that the latent itself separates the classes."""

ROUNDING = 1e-6
"""Tolerance for scaled values above 1, because a scale is a rounded difference."""

MIN_PIXELS = 32
"""Numbers of a row from which they are treated as pixels: a few do not repeat each other."""

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
        norm=chosen.norm or _default_norm(options, architecture, layout),
        dropout=chosen.dropout,
        output=_fitting_output(layout, options.columns),
        variational=chosen.variational,
        topk=chosen.topk,
        threshold=_threshold(options, on_latent),
        linear_path=linear_path,
        **_architecture_sizes(chosen, architecture, columns, layout),
    )
    _require_fitting_sizes(network)
    return network


def _threshold(options: TrainOptions, on_latent: TorchClassSpec) -> Literal["none", "soft", "hard"]:
    """Return the threshold of the latent: soft with L1, unless its zeros have another source."""
    if options.losses.l0:
        return "hard"
    if options.network.variational and options.losses.l1:
        raise UsageError(
            f"--variational and --l1 {options.losses.l1:g} are two kinds of latent: a variational "
            "decoder gets samples, which are never 0",
            hint="only --variational (a larger --beta turns units off), or only --l1",
        )
    is_linear = on_latent.name == "Identity" and options.network.topk is None
    return "soft" if options.losses.l1 and is_linear else "none"


def classifies_images(options: TrainOptions, layout: Layout) -> bool:
    """Return whether a row with a label is many numbers in 0..1 that reach 0, like pixels."""
    return (
        options.classifies
        and options.windows.window is None
        and layout.numbers == layout.cells >= MIN_PIXELS
        and _fitting_output(layout, options.columns) == "clipped"
    )


def _default_norm(options: TrainOptions, architecture: str, layout: Layout) -> TorchClassSpec:
    """Return batch norm for a classifier of images, which learns more in as many epochs."""
    images = architecture == "mlp" and classifies_images(options, layout)
    return TorchClassSpec(name="batch" if images else "none")


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
    follow N(0, 1), and with a classifier in a crowded latent: at the start PCA would use all units
    for numbers (benchmarks/RESULTS.md).
    """
    crowded = classes > 0 and is_crowded(layout, latent)
    by_default = options.init == "auto" and on_latent.name == "Identity" and not options.variational
    return options.init == "pca" or (by_default and not crowded)


def is_crowded(layout: Layout, latent: int) -> bool:
    """Return whether columns of several kinds have less than one latent unit for two of them."""
    return layout.is_mixed and 2 * latent < len(layout.columns)


def _require_consistent(activations: dict[str, TorchClassSpec]) -> None:
    for flag, activation in activations.items():
        try:
            activation_builder(activation)()
        except ValueError as error:
            raise UsageError(str(error), hint=f"--{flag} {activation.name}") from error


def _require_fitting_sizes(network: Network) -> None:
    if network.topk is not None and network.topk > network.latent:
        raise UsageError(
            f"--topk {network.topk} is more than the {network.latent} units of the latent",
            hint=f"--topk {max(1, network.latent // 4)}, or a larger --latent",
        )
    try:
        require_equal_widths(network)
    except ValueError as error:
        raise UsageError(str(error), hint="--activation PReLU, with one slope") from error


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
    of_all, of_columns = options.scales
    for column in layout.numeric:
        if column.kind == "text":
            raise UsageError(
                f"column {column.name!r} is text, whose vectors --output {options.output} does not "
                "reach",
                hint=f"--output linear, or --exclude {column.name}",
            )
        scaled = [*_scaled(column, column.low), *_scaled(column, column.high)]
        if not scaled or (min(scaled) >= least - ROUNDING and max(scaled) <= 1 + ROUNDING):
            continue
        raise UsageError(
            f"column {column.name!r} ranges from {min(column.low):g} to {max(column.high):g}, and "
            f"--output {options.output} only reaches {least} to 1",
            hint="--scale minmax"
            if "none" in (of_all, *of_columns.values())
            else f"--exclude {column.name}",
        )


def _scaled(column: Column, values: Sequence[float]) -> list[float]:
    triples = zip(values, column.center, column.scale, strict=False)
    return [(value - center) / scale for value, center, scale in triples]
