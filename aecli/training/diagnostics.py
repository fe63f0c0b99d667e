"""Notice what is wrong with a trained network, and say what to try."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from aecli.metrics.latent import LatentFigures
from aecli.progress import Epoch
from aecli.schema.model_spec import Baseline, Label
from aecli.schema.network import Network
from aecli.schema.options import TrainOptions
from aecli.training.poor_reconstruction import (
    NO_BETTER,
    POOR,
    TRIVIAL,
    better_than_pca,
    collapsed,
    poor,
    trivial_reconstruction,
    unexplained,
)
from aecli.training.trainer import FitResult

OVERWHELMING = 0.9
"""A penalty beyond this share of the loss leaves nothing to a poor reconstruction."""

OVERFITTED = 2.0
"""Ratio of validation to training loss from which the network overfits."""

RISEN = 1.1
"""Ratio of the last to the best validation loss from which it has risen."""

FAINT_GRADIENT = 1e-4
"""A layer hardly learns below this share of the largest layer's gradient norm."""

MOST_OF_IT = 0.5
"""A penalty beyond this share is at fault where the reconstruction is trivial."""

ALL_OF_IT = 0.99
"""A task beyond this share of the loss may leave nothing to the other one."""

POOR_CLASSIFIER = 0.5
"""Share of the class frequencies' loss below which a classifier is never said to overfit."""

FLAGS = {"kl_normal": "beta"}
"""Option of a penalty, where it is not the term's name."""


def diagnose(
    network: Network,
    options: TrainOptions,
    fit: FitResult,
    *,
    weights: Mapping[str, float],
    latent: LatentFigures,
    baselines: Sequence[Baseline],
    label: Label | None = None,
) -> list[str]:
    """Return one sentence per cause of trouble, each with what to try; none where all is well.

    `weights` are those of the loss terms. Dead hidden units have a line of their own in the
    summary.
    """
    kept = _no_better_than_start(fit, options, baselines)
    if kept:
        return [kept]
    overfitted = _overfitted(network, options, fit, weights, baselines, label)
    # One cause has one sentence: what the loss asks for, or overfitting, or what is left.
    cause = _unbalanced(options, fit.best, weights, baselines, label)
    if not cause and "reconstruction" in weights:
        cause = collapsed(network, options, fit, latent, baselines)
        if not cause and not overfitted.startswith("overfitting: the reconstruction"):
            cause = poor(network, options, fit, latent, baselines)
    return [sentence for sentence in (cause, overfitted, _faint(fit.best)) if sentence]


def _unbalanced(
    options: TrainOptions,
    best: Epoch,
    weights: Mapping[str, float],
    baselines: Sequence[Baseline],
    label: Label | None,
) -> str:
    shares, trivial = loss_shares(best, weights), trivial_reconstruction(baselines)
    guessed = label is not None and "classification" in shares and _guessed(best, label, options)
    if "reconstruction" in shares:
        heavy = _heavy_penalty(options, shares, trivial, unexplained(baselines) > POOR)
    else:
        heavy = _heavy_penalty(options, shares, False, guessed)
    if heavy or not {"reconstruction", "classification"} <= shares.keys():
        return heavy
    losses, factor, useless = options.losses, 0.01, f"and {NO_BETTER}"
    if shares["reconstruction"] > shares["classification"]:
        factor, useless = 100, "and the classifier is no better than class frequencies"
        trivial = guessed
    larger = max(("reconstruction", "classification"), key=lambda name: shares[name])
    if not trivial or shares[larger] < ALL_OF_IT:
        return ""
    weight = f"--class-weight {losses.class_weight * factor:g}"
    try_this = weight if losses.reconst_weight is None else "without --reconst-weight"
    return f"{larger} makes {shares[larger]:.2%} of the loss, {useless}; try {try_this}"


def _heavy_penalty(
    options: TrainOptions, shares: Mapping[str, float], trivial: bool, poor: bool
) -> str:
    for name, share in shares.items():
        if name in ("reconstruction", "classification"):
            continue
        useless = trivial and share > MOST_OF_IT
        if not useless and not (poor and share >= OVERWHELMING):
            continue
        flag = FLAGS.get(name, name)
        given = getattr(options.losses, flag)
        why = f", and {NO_BETTER}" if useless else ""
        return f"{name} makes {share:.0%} of the loss{why}; try --{flag} {given / 10:g}"
    return ""


def _guessed(best: Epoch, label: Label, options: TrainOptions) -> bool:
    """Return whether the classifier's loss is that of the classes' frequencies."""
    guess = _guessing_loss(label, balanced=options.losses.balance)
    return (best.valid or best.train)["classification"] > guess * (1 - TRIVIAL)


def _guessing_loss(label: Label, *, balanced: bool) -> float:
    """Return the loss of the class frequencies: their entropy."""
    rows = sum(label.counts)
    shares = [count / rows for count in label.counts if count]
    entropy = -sum(share * math.log(share) for share in shares)
    return math.log(len(shares)) if balanced else entropy


def loss_shares(best: Epoch, weights: Mapping[str, float]) -> dict[str, float]:
    """Return each term's share of the total, of the validation rows where there are any."""
    losses = best.valid or best.train
    total = sum(weights[name] * losses[name] for name in weights)
    return {n: weights[n] * losses[n] / total if total > 0 else 0.0 for n in weights}


def _no_better_than_start(
    fit: FitResult, options: TrainOptions, baselines: Sequence[Baseline]
) -> str:
    if fit.best_epoch or unexplained(baselines) <= POOR:
        return ""
    return (
        "no epoch beat the PCA initialisation on held-out rows, whose weights are kept; "
        f"try --lr {options.training.lr / 4:g}, --dropout 0.1 or a smaller network"
    )


def _overfitted(
    network: Network,
    options: TrainOptions,
    fit: FitResult,
    weights: Mapping[str, float],
    baselines: Sequence[Baseline],
    label: Label | None,
) -> str:
    """Return that a held-out loss is far above the training loss, and large enough to matter."""
    best = fit.best
    if not _rose(fit) and better_than_pca(baselines):
        return ""
    matters: dict[str, bool] = {"reconstruction": unexplained(baselines) > 2 * POOR}
    if best.valid is not None and label is not None and "classification" in weights:
        guess = _guessing_loss(label, balanced=options.losses.balance)
        matters["classification"] = best.valid["classification"] > POOR_CLASSIFIER * guess
    ratios = {
        name: best.valid[name] / max(best.train[name], 1e-12)
        for name, large in matters.items()
        if large and name in weights and best.train and best.valid is not None
    }
    name = max(ratios, key=lambda term: ratios[term], default="")
    if not name or ratios[name] < OVERFITTED:
        return ""
    cures = [] if options.network.dropout or network.architecture == "lstm" else ["--dropout 0.1"]
    cures += ["--noise mask:0.1"] if options.training.noise == "none" else []
    times = f"{ratios[name]:.1f}" if ratios[name] < 100 else "over 100"
    return (
        f"overfitting: the {name} loss is {times} times as high on held-out rows as on "
        f"training rows; try {', '.join(cures)}{' or ' * bool(cures)}a smaller network"
    )


def _rose(fit: FitResult) -> bool:
    """Return whether the validation loss had risen when the training ended."""
    best, last = fit.best.valid, fit.history[-1].valid
    return best is not None and last is not None and last["total"] > RISEN * best["total"]


def _faint(best: Epoch) -> str:
    if not best.gradients:
        return ""
    largest = max(best.gradients.values())
    faint = [name for name, norm in best.gradients.items() if norm < FAINT_GRADIENT * largest]
    if not faint:
        return ""
    return (
        f"{len(faint)} of {len(best.gradients)} layers hardly get a gradient, first {faint[0]}; "
        "try --norm layer, --init orthogonal or fewer layers"
    )
