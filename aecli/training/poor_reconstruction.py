"""Diagnose a collapsed latent and a poor reconstruction, each with a suggestion."""

from __future__ import annotations

from collections.abc import Sequence

from aecli.metrics.latent import LatentFigures
from aecli.schema.model_spec import Baseline
from aecli.schema.network import Network
from aecli.schema.options import TrainOptions
from aecli.training.fit_result import FitResult

TRIVIAL = 0.01
"""Improvement over the trivial prediction, as a share of its error, up to which it is no better."""

POOR = 0.05
"""Share of the trivial prediction's error below which a reconstruction is not poor."""

POOR_WITH_OTHER_LOSSES = 0.3
"""The same with a penalty, noise or a classifier, which raise the reconstruction error."""

WORSE_THAN_PCA = 3.0
"""Ratio to PCA's error above which a reconstruction is poor."""

BELOW_MODES, MIN_ROWS = 0.05, 100
"""Difference in accuracy below the columns' modes that is reported, and the samples it needs."""

FEW_EPOCHS = 10
"""Number of epochs up to which a training may have been too short."""

NO_BETTER = "reconstruction is no better than predicting column means"


def collapsed(
    network: Network,
    options: TrainOptions,
    fit: FitResult,
    latent: LatentFigures,
    baselines: Sequence[Baseline],
) -> str:
    """Return a sentence if most latent units are inactive, unless PCA is no better; else ""."""
    active = latent.size - len(latent.dead())
    figures = {baseline.name: baseline for baseline in baselines}
    model, pca, means = (figures[name].mse for name in ("this model", "PCA", "column means"))
    # A few units may be enough for the table: it is a problem only if PCA reconstructs better.
    enough = active > 0 and better_than_pca(baselines)
    if latent.rows < 2 * latent.size or active >= latent.size / 2 or enough:
        return ""
    if unexplained(baselines) <= POOR:
        return ""
    used = f"{active} of {latent.size} units are active"
    if trivial_reconstruction(baselines):
        used += f", and {NO_BETTER}"
    elif model is not None and pca is not None and pca < model:
        used += f", and the MSE is {model:.3g} (PCA: {pca:.3g})"
    elif model is not None and means is not None:
        used += f", and the MSE is {model:.3g} (column means: {means:.3g})"
    return f"the latent has collapsed: {used}; try {_remedy(network, options, fit)}"


def poor(
    network: Network,
    options: TrainOptions,
    fit: FitResult,
    latent: LatentFigures,
    baselines: Sequence[Baseline],
) -> str:
    """Return a sentence if the reconstruction is worse than the means or far worse than PCA."""
    figures = {baseline.name: baseline for baseline in baselines}
    model, pca, means = figures["this model"], figures["PCA"], figures["column means"]
    worse = model.mse is not None and means.mse is not None and model.mse > means.mse * (1 + POOR)
    if worse or trivial_reconstruction(baselines, margin=0.0):
        return f"{NO_BETTER} on held-out rows; try {_remedy(network, options, fit)}"
    if latent.rows >= MIN_ROWS and (sentence := _below_modes(model.accuracy, means.accuracy)):
        return f"{sentence}; try {_remedy(network, options, fit)}"
    if model.mse is None or pca.mse is None or model.mse < WORSE_THAN_PCA * pca.mse:
        return ""
    # More accurate categories make up for less accurate numbers.
    better = (
        model.accuracy is not None and pca.accuracy is not None and model.accuracy > pca.accuracy
    )
    if better or (means.mse and model.mse <= _tolerance(options) * means.mse):
        return ""
    times = f"{model.mse / pca.mse:.0f} times" if model.mse < 1000 * pca.mse else "over 1,000 times"
    rank = latent.effective_rank()
    flat = f", effective rank {rank:.1f} of {latent.size}" if rank < latent.size / 8 else ""
    return (
        f"the reconstruction error is {times} that of PCA of the same size (MSE "
        f"{model.mse:.3g} against {pca.mse:.3g}{flat}); try {_remedy(network, options, fit)}"
    )


def _below_modes(accuracy: float | None, modes: float | None) -> str:
    if accuracy is None or modes is None or accuracy >= modes - BELOW_MODES:
        return ""
    return (
        "categories are reconstructed worse than by each column's most frequent value "
        f"({accuracy:.1%} against {modes:.1%})"
    )


def _tolerance(options: TrainOptions) -> float:
    """Return the share of the trivial prediction's error up to which there is no problem."""
    losses, network = options.losses, options.network
    penalties = losses.l0 or losses.l1 or losses.l2 or losses.kl
    other = (
        penalties
        or network.variational
        or network.topk
        or options.classifies
        or options.training.noise != "none"
    )
    return POOR_WITH_OTHER_LOSSES if other else POOR


def _remedy(network: Network, options: TrainOptions, fit: FitResult) -> str:
    """Return the most promising option against a poor reconstruction."""
    losses, last = options.losses, fit.best_epoch == len(fit.history)
    if network.variational and fit.kl_warmed_up and losses.beta > 1:
        return f"--beta {losses.beta / 10:g}"
    if last and not fit.finished:
        return "a longer training (--resume)"
    if last and fit.planned <= FEW_EPOCHS:
        return f"--epochs {4 * fit.planned}"
    for name in ("kl", "l0", "l1", "l2"):
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
    """Return whether the model reconstructs numbers, or else categories, at least as well."""
    figures = {baseline.name: baseline for baseline in baselines}
    model, pca = figures["this model"], figures["PCA"]
    if model.mse is not None and pca.mse is not None:
        return model.mse <= pca.mse
    return (
        model.accuracy is not None and pca.accuracy is not None and model.accuracy >= pca.accuracy
    )


def unexplained(baselines: Sequence[Baseline]) -> float:
    """Return 1 − R² of numbers, or the same ratio of error rates of categories if it is larger."""
    figures = {baseline.name: baseline for baseline in baselines}
    model, means = figures["this model"], figures["column means"]
    shares = [0.0]
    if model.mse is not None and means.mse:
        shares.append(model.mse / means.mse)
    if model.accuracy is not None and means.accuracy is not None and means.accuracy < 1:
        shares.append((1 - model.accuracy) / (1 - means.accuracy))
    return max(shares)


def trivial_reconstruction(baselines: Sequence[Baseline], *, margin: float = TRIVIAL) -> bool:
    """Return whether the reconstruction is not better than the trivial prediction by `margin`."""
    figures = {baseline.name: baseline for baseline in baselines}
    model, means = figures["this model"], figures["column means"]
    worse: list[bool] = []
    if model.mse is not None and means.mse is not None:
        worse.append(model.mse > means.mse * (1 - margin))
    if model.accuracy is not None and means.accuracy is not None:
        worse.append(model.accuracy < means.accuracy + margin)
    return bool(worse) and all(worse)
