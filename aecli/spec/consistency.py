"""Refuse options that contradict each other."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from aecli.spec.options import TrainOptions


def require_consistent(options: TrainOptions) -> None:
    """Check options that are each good by themselves.

    Raises:
        ValueError: two of them ask for different things.
    """
    for check in (_sizes_agree, _something_to_learn, _latent_is_fit, _architecture_is_fit):
        check(options)


def _sizes_agree(options: TrainOptions) -> None:
    network = options.network
    if network.encoder == []:
        raise ValueError("--encoder needs at least one size: its last is the latent")
    if network.encoder and network.latent and network.encoder[-1] != network.latent:
        raise ValueError(
            f"--latent {network.latent} and --encoder {','.join(map(str, network.encoder))} "
            "disagree: the last encoder size is the latent"
        )


def _something_to_learn(options: TrainOptions) -> None:
    label, losses = options.columns.label, options.losses
    if losses.reconst_weight == 0 and (label is None or losses.class_weight == 0):
        why = "and --class-weight 0 leave" if label else "without a label leaves"
        raise ValueError(f"--reconst-weight 0 {why} nothing to learn")


def _latent_is_fit(options: TrainOptions) -> None:
    network, losses = options.network, options.losses
    given = network.latent_activation.name if network.latent_activation else ""
    linear = given in ("", "Identity")
    if losses.kl > 0 and given and given not in BOUNDED:
        raise ValueError(
            f"--kl needs a bounded latent, and --latent-activation {given} is none; "
            f"leave it out for Sigmoid, or take one of {', '.join(BOUNDED)}"
        )
    curved = "--kl" if losses.kl > 0 else "" if linear else f"--latent-activation {given}"
    if network.variational and (curved or network.topk is not None):
        raise ValueError(f"--variational and {curved or '--topk'} ask for two kinds of latent")
    bounded = network.output if network.output in ("sigmoid", "tanh") else ""
    if network.init == "pca" and (curved or bounded):
        why = curved or f"--output {bounded}"
        raise ValueError(f"--init pca and {why} disagree: PCA is linear")


def _architecture_is_fit(options: TrainOptions) -> None:
    arch, window = options.network.arch, options.windows.window
    if arch in ("mlp", "conv2d") and window is not None:
        raise ValueError(f"--arch {arch} encodes single rows, and --window {window} asks for more")
    if arch in ("vanilla", "conv1d", "lstm", "transformer") and window is None:
        raise ValueError(f"--arch {arch} encodes windows of rows: add --window 12")
    if arch != "conv2d" and options.network.shape is not None:
        raise ValueError(f"--shape {options.network.shape} is for images: add --arch conv2d")
    if not options.network.channels:
        raise ValueError("--channels needs at least one size, as in 16,32")
    if window is None:
        for name, field in type(options.windows).model_fields.items():
            if getattr(options.windows, name) != field.default:
                raise ValueError(f"--{name.replace('_', '-')} orders windows: add --window 12")
    if options.windows.max_gap is not None and options.windows.time is None:
        raise ValueError(f"--max-gap {options.windows.max_gap} needs --time COLUMN to measure")


BOUNDED = ("Sigmoid", "Tanh", "Softsign")
"""Activations whose mean can stand for a probability, moved to 0..1 where it begins at -1.

None of them is flat (as Hardsigmoid is): a unit at its end would get no gradient.
"""
