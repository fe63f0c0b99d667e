"""Check for options that contradict each other, and for options without effect."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from aecli.schema.torch_classes import FULL_BATCH_OPTIMIZERS

if TYPE_CHECKING:
    from aecli.schema.option_types import StrictModel
    from aecli.schema.options import TrainOptions

BOUNDED_ACTIVATIONS = ("Sigmoid", "Tanh", "Softsign")
"""Activations whose mean is a probability, after moving it from -1..1 to 0..1 where needed.

None of them has a flat part, as Hardsigmoid has, where a unit gets no gradient.
"""

_ARCHITECTURES_WITH_OPTION = {
    "channels": ("conv2d", "conv1d"),
    "hidden": ("lstm", "transformer"),
    "layers": ("lstm",),
    "heads": ("transformer",),
    "feedforward": ("transformer",),
    "depth": ("transformer",),
    "activation": ("mlp", "vanilla", "conv2d", "conv1d"),
    "norm": ("mlp", "vanilla"),
}

_UnusedOption = tuple["StrictModel", str, str]
"""A section, the name of one of its options, and why the option has no effect."""


class Contradiction(ValueError):  # noqa: N818
    """Contradiction of options; `change` are options to set instead, by flat name.

    Where no such option exists, `advice` describes what to do.
    """

    def __init__(
        self, message: str, change: Mapping[str, object] | None = None, *, advice: str = ""
    ) -> None:
        super().__init__(message)
        self.change = dict(change or {})
        self.advice = advice


def require_consistent(options: TrainOptions) -> None:
    """Check options that are each valid by themselves.

    Raises:
        Contradiction: two of them contradict each other.
    """
    _require_equal_latent_sizes(options)
    _require_a_loss(options)
    _require_compatible_latent(options)
    _require_linear_latent_for_l0(options)
    _require_compatible_axes(options)
    _require_compatible_output(options)
    _require_compatible_architecture(options)
    _require_distinct_keys(options)


def _require_equal_latent_sizes(options: TrainOptions) -> None:
    network = options.network
    if network.encoder == []:
        raise Contradiction(
            "--encoder needs at least one size, the last of which is the latent size",
            {"encoder": [64, 8]},
        )
    if not network.encoder or network.encoder == "halve":
        return
    if network.latent and network.encoder[-1] != network.latent:
        *hidden, last = network.encoder
        is_number = isinstance(network.latent, int)
        raise Contradiction(
            f"--latent {network.latent} and --encoder {','.join(map(str, network.encoder))} "
            "contradict each other: the last encoder size is the latent size",
            {"encoder": [*hidden, network.latent]} if is_number else {"latent": last},
        )


def _require_a_loss(options: TrainOptions) -> None:
    label, losses = options.columns.label, options.losses
    if losses.reconst_weight == 0 and (label is None or losses.class_weight == 0):
        reason = "and --class-weight 0 leave" if label else "without a label leaves"
        raise Contradiction(f"--reconst-weight 0 {reason} nothing to learn", {"reconst_weight": 1})


def _require_compatible_latent(options: TrainOptions) -> None:
    network, losses = options.network, options.losses
    activation = network.latent_activation.name if network.latent_activation else ""
    is_linear = activation in ("", "Identity")
    if losses.kl > 0 and activation and activation not in BOUNDED_ACTIVATIONS:
        raise Contradiction(
            f"--kl needs a bounded latent, and --latent-activation {activation} is not one of "
            + ", ".join(BOUNDED_ACTIVATIONS),
            {"latent_activation": "Sigmoid"},
        )
    nonlinear = (
        "--kl" if losses.kl > 0 else "" if is_linear else f"--latent-activation {activation}"
    )
    if network.variational and (nonlinear or network.topk is not None):
        other = nonlinear or "--topk"
        raise Contradiction(
            f"--variational and {other} are two kinds of latent",
            advice=f"only --variational, or only {other.partition(' ')[0]}",
        )
    if network.init == "pca" and nonlinear:
        what = f"--init pca and {nonlinear} contradict each other: PCA is linear"
        raise Contradiction(what, {"init": "default"})


def _require_linear_latent_for_l0(options: TrainOptions) -> None:
    network, losses = options.network, options.losses
    activation = network.latent_activation.name if network.latent_activation else "Identity"
    conflicts = {
        "--variational": network.variational,
        "--topk": network.topk is not None,
        "--kl": losses.kl > 0,
        f"--latent-activation {activation}": activation != "Identity",
    }
    other = next((option for option, used in conflicts.items() if used), None)
    if losses.l0 > 0 and other:
        raise Contradiction(
            f"--l0 makes latents 0 by a threshold, which {other} replaces",
            advice=f"only --l0, or only {other.partition(' ')[0]}",
        )


def _require_compatible_axes(options: TrainOptions) -> None:
    if options.network.axes != "independent":
        return
    network, losses = options.network, options.losses
    activation = network.latent_activation.name if network.latent_activation else "Identity"
    conflicts = {
        "--variational": network.variational,
        "--topk": network.topk is not None,
        f"--latent-activation {activation}": activation != "Identity",
        **{f"--{name}": getattr(losses, name) > 0 for name in ("l0", "l1", "l2", "kl")},
    }
    if other := next((option for option, used in conflicts.items() if used), None):
        raise Contradiction(
            f"--axes independent changes the units of the latent, which {other} depends on",
            {"axes": "uncorrelated"},
        )


def _require_compatible_output(options: TrainOptions) -> None:
    columns = options.columns
    of_all, of_columns = columns.scales
    if columns.bounded_output and {of_all, *of_columns.values()} & {"standard", "robust"}:
        reach = "0 to 1" if columns.output == "sigmoid" else "-1 to 1"
        raise Contradiction(
            f"--scale {columns.scale} has values outside {reach}, the range of "
            f"--output {columns.output}",
            {"scale": "minmax"},
        )


def _require_compatible_architecture(options: TrainOptions) -> None:
    arch, window = options.network.arch, options.windows.window
    if arch in ("mlp", "conv2d") and window is not None:
        raise Contradiction(
            f"--arch {arch} encodes single rows, and --window {window} makes windows",
            {"arch": "vanilla" if arch == "mlp" else "conv1d"},
        )
    if arch in ("vanilla", "conv1d", "lstm", "transformer") and window is None:
        raise Contradiction(f"--arch {arch} encodes windows of rows", {"window": 12})
    if arch != "conv2d" and options.network.shape is not None:
        other = f", and --window {window} makes windows of rows" if window else " (--arch conv2d)"
        raise Contradiction(
            f"--shape {options.network.shape} is for images{other}",
            {} if window else {"arch": "conv2d"},
            advice="leave --shape out" if window else "",
        )
    if not options.network.channels:
        raise Contradiction("--channels needs at least one size", {"channels": [16, 32]})
    if options.windows.max_gap is not None and window and options.windows.time is None:
        raise Contradiction(
            f"--max-gap {options.windows.max_gap} measures steps of a time column",
            {"time": "COLUMN"},
        )


def _require_distinct_keys(options: TrainOptions) -> None:
    time = options.windows.time
    if time is not None and time in options.windows.group:
        raise Contradiction(
            f"column {time!r} is both --group and --time: a series would have a single time",
            advice=f"leave {time!r} out of one of them",
        )


def unused_options_note(options: TrainOptions) -> str:
    """Return a note on options that were changed from their default without effect, or "".

    It leaves out options that switch something off, such as `dropout` 0.
    """
    flags_by_reason: dict[str, list[str]] = {}
    for section, name, reason in _unused_options(options):
        value = getattr(section, name)
        changed = value != type(section).model_fields[name].default
        if name in section.model_fields_set and changed and value and str(value) != "none":
            flags_by_reason.setdefault(reason, []).append(f"--{name.replace('_', '-')}")
    reasons = [f"{', '.join(flags)} {reason}" for reason, flags in flags_by_reason.items()]
    return f"without effect: {'; '.join(reasons)}" if reasons else ""


def _unused_options(options: TrainOptions) -> Iterator[_UnusedOption]:
    yield from _unused_loss_options(options)
    yield from _unused_network_options(options)
    windows, label = options.windows, options.columns.label
    if windows.window is None:
        orders_rows = options.training.valid.startswith("last")
        for name in type(windows).model_fields:
            if name != "time" or not orders_rows:
                yield windows, name, "without --window"
    elif label is None:
        yield windows, "window_label", "without --label"
    training = options.training
    if options.losses.reconst_weight == 0:
        yield training, "store_rows", "under --reconst-weight 0, without scores"
    elif windows.window is not None:
        yield training, "store_rows", "with --window"
    optimizer = training.optimizer.name
    if optimizer in FULL_BATCH_OPTIMIZERS:
        for name in ("schedule", "lr_warmup", "clip"):
            yield training, name, f"with {optimizer}, which determines the step sizes"
    if training.valid == "none" and training.schedule != "plateau":
        yield training, "patience", "without validation rows"


def _unused_loss_options(options: TrainOptions) -> Iterator[_UnusedOption]:
    network, losses, label = options.network, options.losses, options.columns.label
    if losses.kl == 0:
        yield losses, "rho", "without --kl"
    if not network.variational:
        yield losses, "beta", "without --variational"
    if label is None:
        yield network, "classifier", "without --label"
        yield losses, "class_weight", "without --label"
        yield losses, "balance", "without --label"
    elif losses.class_weight == 0:
        yield network, "classifier", "under --class-weight 0"
        yield losses, "balance", "under --class-weight 0"


def _unused_network_options(options: TrainOptions) -> Iterator[_UnusedOption]:
    network, window = options.network, options.windows.window
    arch = network.arch or ("vanilla" if window else "mlp")
    has_head = bool(network.classifier) and options.classifies
    for name, architectures in _ARCHITECTURES_WITH_OPTION.items():
        if arch in architectures or (has_head and name in ("activation", "norm")):
            continue
        yield network, name, f"in the architecture {arch} (it is for {', '.join(architectures)})"
    if arch == "lstm" and network.layers == 1 and not has_head:
        yield network, "dropout", "in an lstm of one layer (it acts between layers)"
