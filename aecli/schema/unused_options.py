"""Notice options that were given and have no effect beside the others."""

from __future__ import annotations

from collections.abc import Iterator

from aecli.schema.options import TrainOptions, section_of


def idle_note(options: TrainOptions) -> str:
    """Name the options that were given, not as their default, and change nothing; "" if none.

    What switches something off, such as `dropout` 0, is never among them.
    """
    said: dict[str, list[str]] = {}
    for name, why in _rules(options):
        section = getattr(options, section_of(name))
        value = getattr(section, name)
        changed = value != type(section).model_fields[name].default
        if name in section.model_fields_set and changed and value and str(value) != "none":
            said.setdefault(why, []).append(f"--{name.replace('_', '-')}")
    reasons = [f"{', '.join(flags)} {why}" for why, flags in said.items()]
    return f"without effect: {'; '.join(reasons)}" if reasons else ""


_Rule = tuple[str, str]


def _rules(options: TrainOptions) -> Iterator[_Rule]:
    yield from _loss_rules(options)
    yield from _network_rules(options)
    windows, label = options.windows, options.columns.label
    if windows.window is None:
        for name in type(windows).model_fields:
            yield name, "without --window"
    elif label is None:
        yield "window_label", "without --label"
    training = options.training
    if training.valid == "none" and training.schedule != "plateau":
        yield "patience", "without validation rows"


def _loss_rules(options: TrainOptions) -> Iterator[_Rule]:
    network, losses, label = options.network, options.losses, options.columns.label
    if losses.kl == 0:
        yield "rho", "without --kl"
    if not network.variational:
        yield "beta", "without --variational"
    if label is None:
        for name in ("classifier", "class_weight", "balance"):
            yield name, "without --label"
    elif losses.class_weight == 0:
        for name in ("classifier", "balance"):
            yield name, "under --class-weight 0"


_ARCHITECTURES = {
    "channels": ("conv2d", "conv1d"),
    "hidden": ("lstm", "transformer"),
    "layers": ("lstm",),
    "heads": ("transformer",),
    "feedforward": ("transformer",),
    "depth": ("transformer",),
    "activation": ("mlp", "vanilla", "conv2d", "conv1d"),
    "norm": ("mlp", "vanilla"),
}
"""Architectures in which an option counts."""


def _network_rules(options: TrainOptions) -> Iterator[_Rule]:
    network, window = options.network, options.windows.window
    own = network.arch or ("vanilla" if window else "mlp")
    head = bool(network.classifier) and options.classifies
    for name, able in _ARCHITECTURES.items():
        if own in able or (head and name in ("activation", "norm")):
            continue
        yield name, f"in the architecture {own} (it is for {', '.join(able)})"
    if own == "lstm" and network.layers == 1 and not head:
        yield "dropout", "in an lstm of one layer (it acts between layers)"
