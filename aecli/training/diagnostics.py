"""Notice what is wrong with a trained network, and say what to try."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from aecli.metrics.latent import LatentFigures
from aecli.progress import Epoch
from aecli.schema.model_spec import Baseline, Label, Network
from aecli.schema.options import TrainOptions
from aecli.training.trainer import FitResult

OVERWHELMING = 0.9
"""A penalty beyond this share of the loss leaves nothing to the reconstruction."""

OVERFITTED = 2.0
"""Ratio of validation to training loss from which the network has learned rows by heart."""

FAINT_GRADIENT = 1e-4
"""A layer hardly learns below this share of the largest layer's gradient norm."""

MOST_OF_IT = 0.5
"""A penalty beyond this share is at fault where the reconstruction is trivial."""

ALL_OF_IT = 0.99
"""A task beyond this share of the loss may leave nothing to the other one."""

TRIVIAL = 0.01
"""A task is no better than its trivial answer where it is better by no more than this share."""

FEW_EPOCHS = 10
"""A training of so many epochs may have been too short."""

NO_BETTER = "rows come back no better than the column means would bring them"

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
    """Return one sentence per thing that is wrong, each with what to try; none where all is well.

    `weights` are those of the loss terms. Dead hidden units have a line of their own in the
    summary.
    """
    best = fit.best
    collapsed = _collapsed(network, options, fit, latent, baselines)
    unbalanced = _unbalanced(options, best, weights, baselines, label)
    # Where the loss itself asks for the column means, no other learning rate helps.
    explained = unbalanced or (collapsed and network.variational)
    worse = "" if explained else _worse_than_means(options, baselines)
    kept = _no_better_than_start(fit, options)
    found = [collapsed, worse, unbalanced, kept, _overfitted(best), _faint(best)]
    return [sentence for sentence in found if sentence]


def _collapsed(
    network: Network,
    options: TrainOptions,
    fit: FitResult,
    latent: LatentFigures,
    baselines: Sequence[Baseline],
) -> str:
    active, rank = latent.size - len(latent.dead()), latent.effective_rank()
    mse = {baseline.name: baseline.mse for baseline in baselines}
    own, pca = mse.get("this model"), mse.get("PCA")
    # A low rank may be all that the table has: it is a fault where PCA restores more.
    low = rank < latent.size / 8 and own is not None and pca is not None and own > pca
    few = active < latent.size / 2
    if latent.rows < 2 * latent.size or not (few or low):
        return ""
    used = f"{active} of {latent.size} units are active"
    if not few:
        used = f"its {latent.size} units have an effective rank of {rank:.1f}"
    smaller = max(2, active if few else round(rank))
    return f"the latent has collapsed: {used}; try {_wider(network, options, fit, smaller)}"


def _wider(network: Network, options: TrainOptions, fit: FitResult, smaller: int) -> str:
    """Return what to try against a collapsed latent that has room for `smaller` units."""
    losses, last = options.losses, fit.best_epoch == len(fit.history)
    if network.variational and fit.kl_warmed_up and losses.beta > 1:
        return "a lower --beta"
    if last and not fit.finished:
        return "a longer training (--resume)"
    if last and fit.planned <= FEW_EPOCHS:
        return f"more --epochs, such as {4 * fit.planned}"
    for name in ("kl", "l1"):
        weight = getattr(losses, name)
        if weight:
            return f"--{name} {weight / 10:g}"
    if network.variational and fit.kl_warmed_up:
        return "a lower --beta"
    return f"--latent {smaller}" if smaller < network.latent else "more --epochs"


def _worse_than_means(options: TrainOptions, baselines: Sequence[Baseline]) -> str:
    if options.losses.reconst_weight == 0 or not _trivial(baselines, margin=0.0):
        return ""
    return f"held-out {NO_BETTER}; try --lr {options.training.lr / 4:g}, more rows or more --epochs"


def _trivial(baselines: Sequence[Baseline], *, margin: float = TRIVIAL) -> bool:
    """Return whether the reconstruction is not better than the column means by `margin`."""
    figures = {baseline.name: baseline for baseline in baselines}
    own, means = figures["this model"], figures["column means"]
    if own.mse is not None and means.mse is not None:
        return own.mse > means.mse * (1 - margin)
    if own.mse is None and own.accuracy is not None and means.accuracy is not None:
        return own.accuracy < means.accuracy + margin
    return False


def _unbalanced(
    options: TrainOptions,
    best: Epoch,
    weights: Mapping[str, float],
    baselines: Sequence[Baseline],
    label: Label | None,
) -> str:
    shares, trivial = loss_shares(best, weights), _trivial(baselines)
    heavy = _heavy_penalty(options, shares, trivial=trivial)
    if heavy or not {"reconstruction", "classification"} <= shares.keys():
        return heavy
    losses, factor, useless = options.losses, 0.01, f"and {NO_BETTER}"
    if shares["reconstruction"] > shares["classification"]:
        factor, useless = 100, "and classes are told no better than by how frequent they are"
        trivial = label is not None and _guessed(best, label, balanced=losses.balance)
    larger = max(("reconstruction", "classification"), key=lambda name: shares[name])
    if not trivial or shares[larger] < ALL_OF_IT:
        return ""
    weight = f"--class-weight {losses.class_weight * factor:g}"
    try_this = weight if losses.reconst_weight is None else "without --reconst-weight"
    return f"{larger} makes {shares[larger]:.2%} of the loss, {useless}; try {try_this}"


def _heavy_penalty(options: TrainOptions, shares: Mapping[str, float], *, trivial: bool) -> str:
    for name, share in shares.items():
        if name in ("reconstruction", "classification"):
            continue
        useless = trivial and "reconstruction" in shares and share > MOST_OF_IT
        if not useless and share < OVERWHELMING:
            continue
        flag = FLAGS.get(name, name)
        given = getattr(options.losses, flag)
        why = f", and {NO_BETTER}" if useless else ""
        return f"{name} makes {share:.0%} of the loss{why}; try --{flag} {given / 10:g}"
    return ""


def _guessed(best: Epoch, label: Label, *, balanced: bool) -> bool:
    """Return whether the classifier's loss is that of the classes' frequencies, their entropy."""
    rows = sum(label.counts)
    shares = [count / rows for count in label.counts if count]
    entropy = -sum(share * math.log(share) for share in shares)
    trivial = math.log(len(shares)) if balanced else entropy
    return (best.valid or best.train)["classification"] > trivial * (1 - TRIVIAL)


def loss_shares(best: Epoch, weights: Mapping[str, float]) -> dict[str, float]:
    """Return each term's share of the total, of the validation rows where there are any."""
    losses = best.valid or best.train
    total = sum(weights[name] * losses[name] for name in weights)
    return {n: weights[n] * losses[n] / total if total > 0 else 0.0 for n in weights}


def _no_better_than_start(fit: FitResult, options: TrainOptions) -> str:
    if fit.best_epoch:
        return ""
    return (
        "no epoch was better on held-out rows than the start at PCA, whose weights are kept; "
        f"try --lr {options.training.lr / 4:g}, --dropout 0.1 or a smaller network"
    )


def _overfitted(best: Epoch) -> str:
    if not best.train or best.valid is None:
        return ""
    if best.valid["total"] < OVERFITTED * best.train["total"]:
        return ""
    ratio = best.valid["total"] / max(best.train["total"], 1e-12)
    return (
        f"the loss is {ratio:.1f} times as high on held-out rows as on training rows; "
        "try --dropout 0.1, --noise mask:0.1 or a smaller network"
    )


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
