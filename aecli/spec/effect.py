"""Notice options that were given and have no effect beside the others."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from typing import NamedTuple

from aecli.spec.options import TrainOptions, section_of


class Idle(NamedTuple):
    """Say why an option has no effect, and with what other options it would have one."""

    name: str
    why: str
    needs: Mapping[str, object]


def idle_options(options: TrainOptions, given: Collection[str]) -> Iterator[Idle]:
    """Yield those of the given options, by flat name, that change nothing.

    What switches something off, such as `dropout` 0, is never among them.
    """
    for name, why, needs in _rules(options):
        value = getattr(getattr(options, section_of(name)), name)
        if name in given and value and str(value) != "none":
            yield Idle(name, why, needs)


_Rule = tuple[str, str, Mapping[str, object]]


def _rules(options: TrainOptions) -> Iterator[_Rule]:
    yield from _loss_rules(options)
    yield from _network_rules(options)
    windows, label = options.windows, options.columns.label
    if windows.window is None:
        for name in type(windows).model_fields:
            yield name, "where rows are encoded one by one", {"window": 12}
    elif label is None:
        yield "window_label", "without a label", {"label": "COLUMN"}
    training = options.training
    if training.valid == "none" and training.schedule != "plateau":
        yield "patience", "without validation rows", {"valid": 0.1}


def _loss_rules(options: TrainOptions) -> Iterator[_Rule]:
    network, losses, label = options.network, options.losses, options.columns.label
    if losses.kl == 0:
        yield "rho", "without the penalty that pulls to it", {"kl": 0.1}
    if not network.variational:
        yield "beta", "where the latent is not variational", {"variational": True}
    if label is None:
        for name in ("classifier", "class_weight", "balance"):
            yield name, "without a label", {"label": "COLUMN"}
    elif losses.class_weight == 0:
        for name in ("classifier", "balance"):
            yield name, "where the classification weighs 0", {"class_weight": 1.0}


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
"""Architectures in which an option counts, the likeliest first."""


def _network_rules(options: TrainOptions) -> Iterator[_Rule]:
    network, window = options.network, options.windows.window
    own = network.arch or ("vanilla" if window else "mlp")
    head = bool(network.classifier and options.columns.label and options.losses.class_weight)
    for name, able in _ARCHITECTURES.items():
        if own in able or (head and name in ("activation", "norm")):
            continue
        fitting = [arch for arch in able if (arch in ("mlp", "conv2d")) != bool(window)]
        needs = {"arch": (fitting or able)[0]} | ({} if fitting else {"window": 12})
        yield name, f"with the architecture {own}", needs
    if own == "lstm" and network.layers == 1 and not head:
        yield "dropout", "in an lstm of one layer: it acts between layers", {"layers": 2}
