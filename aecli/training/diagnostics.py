"""Diagnose problems of a trained network, each with a suggestion."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from aecli.metrics.latent import LatentFigures
from aecli.progress import Epoch
from aecli.schema.model_spec import Baseline, Label
from aecli.schema.network import Network
from aecli.schema.options import TrainOptions
from aecli.training.fit_result import FitResult
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

DOMINANT_PENALTY = 0.9
"""Share of the loss above which a penalty is the cause of a poor reconstruction."""

OVERFITTING_RATIO = 2.0
"""Ratio of validation to training loss above which the network overfits."""

RISING_RATIO = 1.1
"""Ratio of the last to the best validation loss above which it has risen."""

VANISHING_GRADIENT = 1e-4
"""Share of the largest layer's gradient norm below which a gradient vanishes."""

LARGE_PENALTY = 0.5
"""Share of the loss above which a penalty is the cause of a trivial reconstruction."""

DOMINANT_TASK = 0.99
"""Share of the loss above which one task may suppress the other."""

POOR_CLASSIFIER = 0.5
"""Share of the class frequencies' loss below which overfitting is not reported."""

FLAGS = {"kl_normal": "beta"}
"""Options of penalties whose loss term has another name."""


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
    """Return one sentence per problem, each with a suggestion.

    `weights` are those of the loss terms. Dead hidden units have a separate line in the summary.
    """
    kept = _no_better_than_start(fit, options, baselines)
    if kept:
        return [kept]
    overfitted = _overfitted(network, options, fit, weights, baselines, label)
    # Each cause is reported once: unbalanced losses, else overfitting, else the reconstruction.
    cause = _unbalanced(options, fit.best, weights, baselines, label)
    if not cause and "reconstruction" in weights:
        cause = collapsed(network, options, fit, latent, baselines)
        if not cause and not overfitted.startswith("overfitting: the reconstruction"):
            cause = poor(network, options, fit, latent, baselines)
    return [
        sentence for sentence in (cause, overfitted, _vanishing_gradients(fit.best)) if sentence
    ]


def _unbalanced(
    options: TrainOptions,
    best: Epoch,
    weights: Mapping[str, float],
    baselines: Sequence[Baseline],
    label: Label | None,
) -> str:
    shares, trivial = loss_shares(best, weights), trivial_reconstruction(baselines)
    untrained = (
        label is not None
        and "classification" in shares
        and _is_trivial_classifier(best, label, options)
    )
    if "reconstruction" in shares:
        heavy = _heavy_penalty(options, shares, trivial, unexplained(baselines) > POOR)
    else:
        heavy = _heavy_penalty(options, shares, False, untrained)
    if heavy or not {"reconstruction", "classification"} <= shares.keys():
        return heavy
    losses, factor, useless = options.losses, 0.01, f"and {NO_BETTER}"
    if shares["reconstruction"] > shares["classification"]:
        factor, useless = 100, "and the classifier is no better than class frequencies"
        trivial = untrained
    larger = max(("reconstruction", "classification"), key=lambda name: shares[name])
    if not trivial or shares[larger] < DOMINANT_TASK:
        return ""
    weight = f"--class-weight {losses.class_weight * factor:g}"
    try_this = weight if losses.reconst_weight is None else "without --reconst-weight"
    return f"{larger} is {shares[larger]:.2%} of the loss, {useless}; try {try_this}"


def _heavy_penalty(
    options: TrainOptions, shares: Mapping[str, float], trivial: bool, poor: bool
) -> str:
    for name, share in shares.items():
        if name in ("reconstruction", "classification"):
            continue
        useless = trivial and share > LARGE_PENALTY
        if not useless and not (poor and share >= DOMINANT_PENALTY):
            continue
        flag = FLAGS.get(name, name)
        given = getattr(options.losses, flag)
        why = f", and {NO_BETTER}" if useless else ""
        return f"{name} is {share:.0%} of the loss{why}; try --{flag} {given / 10:g}"
    return ""


def _is_trivial_classifier(best: Epoch, label: Label, options: TrainOptions) -> bool:
    """Return whether the classifier's loss is that of the class frequencies."""
    entropy = _class_frequency_loss(label, balanced=options.losses.balance)
    return (best.valid or best.train)["classification"] > entropy * (1 - TRIVIAL)


def _class_frequency_loss(label: Label, *, balanced: bool) -> float:
    """Return the loss of the class frequencies: their entropy."""
    rows = sum(label.counts)
    shares = [count / rows for count in label.counts if count]
    entropy = -sum(share * math.log(share) for share in shares)
    return math.log(len(shares)) if balanced else entropy


def loss_shares(best: Epoch, weights: Mapping[str, float]) -> dict[str, float]:
    """Return each term's share of the total, on the validation rows if there are any."""
    losses = best.valid or best.train
    total = sum(weights[name] * losses[name] for name in weights)
    return {n: weights[n] * losses[n] / total if total > 0 else 0.0 for n in weights}


def _no_better_than_start(
    fit: FitResult, options: TrainOptions, baselines: Sequence[Baseline]
) -> str:
    if fit.best_epoch or unexplained(baselines) <= POOR:
        return ""
    return (
        "no epoch beat the initial weights on held-out rows; these are kept; "
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
    """Return a sentence if a held-out loss is far above the training loss, and large; else ""."""
    best = fit.best
    if not _rose(fit) and better_than_pca(baselines):
        return ""
    relevant: dict[str, bool] = {"reconstruction": unexplained(baselines) > 2 * POOR}
    if best.valid is not None and label is not None and "classification" in weights:
        entropy = _class_frequency_loss(label, balanced=options.losses.balance)
        relevant["classification"] = best.valid["classification"] > POOR_CLASSIFIER * entropy
    ratios = {
        name: best.valid[name] / max(best.train[name], 1e-12)
        for name, large in relevant.items()
        if large and name in weights and best.train and best.valid is not None
    }
    name = max(ratios, key=lambda term: ratios[term], default="")
    if not name or ratios[name] < OVERFITTING_RATIO:
        return ""
    remedies = (
        [] if options.network.dropout or network.architecture == "lstm" else ["--dropout 0.1"]
    )
    remedies += ["--noise mask:0.1"] if options.training.noise == "none" else []
    times = f"{ratios[name]:.1f}" if ratios[name] < 100 else "over 100"
    return (
        f"overfitting: the {name} loss is {times} times as high on held-out rows as on "
        f"training rows; try {', '.join(remedies)}{' or ' * bool(remedies)}a smaller network"
    )


def _rose(fit: FitResult) -> bool:
    """Return whether the validation loss had risen when the training ended."""
    best, last = fit.best.valid, fit.history[-1].valid
    return best is not None and last is not None and last["total"] > RISING_RATIO * best["total"]


def _vanishing_gradients(best: Epoch) -> str:
    if not best.gradients:
        return ""
    largest = max(best.gradients.values())
    vanishing = [
        name for name, norm in best.gradients.items() if norm < VANISHING_GRADIENT * largest
    ]
    if not vanishing:
        return ""
    return (
        f"vanishing gradients in {len(vanishing)} of {len(best.gradients)} layers, first "
        f"{vanishing[0]}; "
        "try --norm layer, --init orthogonal or fewer layers"
    )
