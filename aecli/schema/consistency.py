"""Refuse options that contradict each other."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from aecli.schema.options import TrainOptions


class Contradiction(ValueError):  # noqa: N818  # it says what it is
    """Say which options disagree; `change` are options to give instead, by flat name.

    Where that is not enough, `advice` says what to do in words.
    """

    def __init__(
        self, what: str, change: Mapping[str, object] | None = None, *, advice: str = ""
    ) -> None:
        super().__init__(what)
        self.change = dict(change or {})
        self.advice = advice


def require_consistent(options: TrainOptions) -> None:
    """Check options that are each good by themselves.

    Raises:
        Contradiction: two of them ask for different things.
    """
    checks = (_sizes_agree, _something_to_learn, _latent_is_fit, _architecture_is_fit, _keys_differ)
    for check in checks:
        check(options)


def _sizes_agree(options: TrainOptions) -> None:
    network = options.network
    if network.encoder == []:
        raise Contradiction(
            "--encoder needs at least one size: its last is the latent", {"encoder": [64, 8]}
        )
    if network.encoder and network.latent and network.encoder[-1] != network.latent:
        *hidden, last = network.encoder
        whole = isinstance(network.latent, int)
        raise Contradiction(
            f"--latent {network.latent} and --encoder {','.join(map(str, network.encoder))} "
            "disagree: the last encoder size is the latent",
            {"encoder": [*hidden, network.latent]} if whole else {"latent": last},
        )


def _something_to_learn(options: TrainOptions) -> None:
    label, losses = options.columns.label, options.losses
    if losses.reconst_weight == 0 and (label is None or losses.class_weight == 0):
        why = "and --class-weight 0 leave" if label else "without a label leaves"
        raise Contradiction(f"--reconst-weight 0 {why} nothing to learn", {"reconst_weight": 1})


def _latent_is_fit(options: TrainOptions) -> None:
    network, losses = options.network, options.losses
    given = network.latent_activation.name if network.latent_activation else ""
    linear = given in ("", "Identity")
    if losses.kl > 0 and given and given not in BOUNDED:
        raise Contradiction(
            f"--kl needs a bounded latent, and --latent-activation {given} is none of "
            + ", ".join(BOUNDED),
            {"latent_activation": "Sigmoid"},
        )
    curved = "--kl" if losses.kl > 0 else "" if linear else f"--latent-activation {given}"
    if network.variational and (curved or network.topk is not None):
        other = curved or "--topk"
        raise Contradiction(
            f"--variational and {other} ask for two kinds of latent",
            advice=f"--variational alone, or {other.partition(' ')[0]} alone",
        )
    bounded = network.output if network.output in ("sigmoid", "tanh") else ""
    if network.init == "pca" and (curved or bounded):
        why = curved or f"--output {bounded}"
        raise Contradiction(f"--init pca and {why} disagree: PCA is linear", {"init": "default"})


def _architecture_is_fit(options: TrainOptions) -> None:
    arch, window = options.network.arch, options.windows.window
    if arch in ("mlp", "conv2d") and window is not None:
        raise Contradiction(
            f"--arch {arch} encodes single rows, and --window {window} asks for more",
            {"arch": "vanilla" if arch == "mlp" else "conv1d"},
        )
    if arch in ("vanilla", "conv1d", "lstm", "transformer") and window is None:
        raise Contradiction(f"--arch {arch} encodes windows of rows", {"window": 12})
    if arch != "conv2d" and options.network.shape is not None:
        where = f"and --window {window} cuts rows" if window else "of rows"
        raise Contradiction(
            f"--shape {options.network.shape} is for images, {where}",
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


def _keys_differ(options: TrainOptions) -> None:
    time = options.windows.time
    if time is not None and time in options.windows.group:
        raise Contradiction(
            f"column {time!r} is named by --group and by --time: every series would be one moment",
            advice=f"leave {time!r} out of one of them",
        )


BOUNDED = ("Sigmoid", "Tanh", "Softsign")
"""Activations whose mean can stand for a probability, moved to 0..1 where it begins at -1.

None of them is flat (as Hardsigmoid is): a unit at its end would get no gradient.
"""
