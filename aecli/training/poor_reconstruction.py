"""Notice a collapsed latent and a poor reconstruction, and say what to try."""

from __future__ import annotations

from collections.abc import Sequence

from aecli.metrics.latent import LatentFigures
from aecli.schema.model_spec import Baseline
from aecli.schema.network import Network
from aecli.schema.options import TrainOptions
from aecli.training.trainer import FitResult

TRIVIAL = 0.01
"""A task is no better than its trivial answer where it is better by no more than this share."""

POOR = 0.05
"""Share of the trivial answer's error below which a reconstruction is never called poor."""

POOR_BESIDE_OTHERS = 0.3
"""The same beside a penalty, noise or a classifier, which cost some reconstruction."""

WORSE_THAN_PCA = 3.0
"""Ratio to PCA's error from which a reconstruction is worse than it need be."""

BELOW_MODES, MANY_ROWS = 0.05, 100
"""Categories are worse than their modes by so much accuracy, on so many samples at least."""

FEW_EPOCHS = 10
"""A training of so many epochs may have been too short."""

NO_BETTER = "reconstruction is no better than predicting column means"


def collapsed(
    network: Network,
    options: TrainOptions,
    fit: FitResult,
    latent: LatentFigures,
    baselines: Sequence[Baseline],
) -> str:
    """Return that the latent hardly moves, or most of it where PCA reconstructs more."""
    active = latent.size - len(latent.dead())
    figures = {baseline.name: baseline for baseline in baselines}
    own, pca, means = (figures[name].mse for name in ("this model", "PCA", "column means"))
    # A few units may be all that the table needs: it is a fault where PCA reconstructs more.
    enough = active > 0 and better_than_pca(baselines)
    if latent.rows < 2 * latent.size or active >= latent.size / 2 or enough:
        return ""
    if unexplained(baselines) <= POOR:
        return ""
    used = f"{active} of {latent.size} units are active"
    if trivial_reconstruction(baselines):
        used += f", and {NO_BETTER}"
    elif own is not None and pca is not None and pca < own:
        used += f", and the MSE is {own:.3g} beside PCA's {pca:.3g}"
    elif own is not None and means is not None:
        used += f", and the MSE is {own:.3g} beside the column means' {means:.3g}"
    return f"the latent has collapsed: {used}; try {_remedy(network, options, fit)}"


def poor(
    network: Network,
    options: TrainOptions,
    fit: FitResult,
    latent: LatentFigures,
    baselines: Sequence[Baseline],
) -> str:
    """Return that the reconstruction is worse than the column means, or far worse than PCA."""
    figures = {baseline.name: baseline for baseline in baselines}
    own, pca, means = figures["this model"], figures["PCA"], figures["column means"]
    worse = own.mse is not None and means.mse is not None and own.mse > means.mse * (1 + POOR)
    if worse or trivial_reconstruction(baselines, margin=0.0):
        return f"{NO_BETTER} on held-out rows; try {_remedy(network, options, fit)}"
    if latent.rows >= MANY_ROWS and (words := _below_modes(own.accuracy, means.accuracy)):
        return f"{words}; try {_remedy(network, options, fit)}"
    if own.mse is None or pca.mse is None or own.mse < WORSE_THAN_PCA * pca.mse:
        return ""
    # Categories in exchange for numbers are no loss.
    better = own.accuracy is not None and pca.accuracy is not None and own.accuracy > pca.accuracy
    if better or (means.mse and own.mse <= _tolerance(options) * means.mse):
        return ""
    times = f"{own.mse / pca.mse:.0f} times" if own.mse < 1000 * pca.mse else "over 1,000 times"
    rank = latent.effective_rank()
    flat = f", effective rank {rank:.1f} of {latent.size}" if rank < latent.size / 8 else ""
    return (
        f"the reconstruction error is {times} that of PCA of the same size (MSE "
        f"{own.mse:.3g} against {pca.mse:.3g}{flat}); try {_remedy(network, options, fit)}"
    )


def _below_modes(accuracy: float | None, modes: float | None) -> str:
    if accuracy is None or modes is None or accuracy >= modes - BELOW_MODES:
        return ""
    return (
        "categories are reconstructed worse than by their columns' most frequent values "
        f"({accuracy:.1%} against {modes:.1%})"
    )


def _tolerance(options: TrainOptions) -> float:
    """Return which share of the trivial answer's error is still no reason to complain."""
    losses, network = options.losses, options.network
    penalties = losses.l1 or losses.l2 or losses.kl or network.variational or network.topk
    other = penalties or options.classifies or options.training.noise != "none"
    return POOR_BESIDE_OTHERS if other else POOR


def _remedy(network: Network, options: TrainOptions, fit: FitResult) -> str:
    """Return what to try against a poor reconstruction, the likeliest first."""
    losses, last = options.losses, fit.best_epoch == len(fit.history)
    if network.variational and fit.kl_warmed_up and losses.beta > 1:
        return f"--beta {losses.beta / 10:g}"
    if last and not fit.finished:
        return "a longer training (--resume)"
    if last and fit.planned <= FEW_EPOCHS:
        return f"--epochs {4 * fit.planned}"
    for name in ("kl", "l1", "l2"):
        weight = getattr(losses, name)
        if weight:
            return f"--{name} {weight / 10:g}"
    if network.variational and fit.kl_warmed_up:
        return f"--beta {losses.beta / 10:g}"
    if network.topk is not None and network.topk < network.latent:
        return f"--topk {min(2 * network.topk, network.latent)}"
    if options.classifies and losses.class_weight:
        return f"--class-weight {losses.class_weight / 10:g}"
    if network.linear_latent and not network.linear_path:
        return "--init pca"
    return f"--epochs {2 * fit.planned}" if last else f"--lr {options.training.lr / 4:g}"


def better_than_pca(baselines: Sequence[Baseline]) -> bool:
    """Return whether the model is known to reconstruct numbers, or else categories, at least so."""
    figures = {baseline.name: baseline for baseline in baselines}
    own, pca = figures["this model"], figures["PCA"]
    if own.mse is not None and pca.mse is not None:
        return own.mse <= pca.mse
    return own.accuracy is not None and pca.accuracy is not None and own.accuracy >= pca.accuracy


def unexplained(baselines: Sequence[Baseline]) -> float:
    """Return the error as a share of the trivial answer's, of numbers or categories, if larger."""
    figures = {baseline.name: baseline for baseline in baselines}
    own, means = figures["this model"], figures["column means"]
    shares = [0.0]
    if own.mse is not None and means.mse:
        shares.append(own.mse / means.mse)
    if own.accuracy is not None and means.accuracy is not None and means.accuracy < 1:
        shares.append((1 - own.accuracy) / (1 - means.accuracy))
    return max(shares)


def trivial_reconstruction(baselines: Sequence[Baseline], *, margin: float = TRIVIAL) -> bool:
    """Return whether the reconstruction is not better than the trivial answer by `margin`."""
    figures = {baseline.name: baseline for baseline in baselines}
    own, means = figures["this model"], figures["column means"]
    worse: list[bool] = []
    if own.mse is not None and means.mse is not None:
        worse.append(own.mse > means.mse * (1 - margin))
    if own.accuracy is not None and means.accuracy is not None:
        worse.append(own.accuracy < means.accuracy + margin)
    return bool(worse) and all(worse)
