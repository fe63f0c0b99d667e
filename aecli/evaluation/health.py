"""Notice what is wrong with a trained network, and say what to try."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from aecli.evaluation.latent import LatentFigures
from aecli.progress import Epoch
from aecli.spec.model import Baseline, Network
from aecli.spec.options import TrainOptions

OVERWHELMING = 0.9
"""A penalty beyond this share of the loss leaves nothing to the reconstruction."""

OVERFITTED = 2.0
"""Ratio of validation to training loss from which the network has learned rows by heart."""

FAINT = 1e-4
"""A layer hardly learns below this share of the largest layer's gradient norm."""

FLAGS = {"kl_normal": "beta"}
"""Option of a penalty, where it is not the term's name."""


def signs(
    network: Network,
    options: TrainOptions,
    best: Epoch,
    *,
    weights: Mapping[str, float],
    latent: LatentFigures,
    baselines: Sequence[Baseline],
) -> list[str]:
    """Return one sentence per thing that is wrong, each with what to try; none where all is well.

    `best` is the epoch whose weights were kept, `weights` those of its loss terms. Dead hidden
    units have a line of their own in the summary.
    """
    found = [
        _collapsed(network, latent, baselines),
        _worse_than_means(options, baselines),
        _unbalanced(options, best, weights),
        _overfitted(best),
        _faint(best),
    ]
    return [sentence for sentence in found if sentence]


def _collapsed(network: Network, latent: LatentFigures, baselines: Sequence[Baseline]) -> str:
    active, rank = latent.size - len(latent.dead()), latent.effective_rank()
    mse = {baseline.name: baseline.mse for baseline in baselines}
    own, pca = mse.get("this model"), mse.get("PCA")
    # A low rank may be all that the table has: it is a fault where PCA restores more.
    low = rank < latent.size / 8 and own is not None and pca is not None and own > pca
    if latent.rows < 2 * latent.size or (active >= latent.size / 2 and not low):
        return ""
    try_this = "a lower --beta" if network.variational else f"--latent {max(2, round(rank))}"
    return (
        f"the latent has collapsed: {active} of {latent.size} units are active, with an effective "
        f"rank of {rank:.1f}; try {try_this}"
    )


def _worse_than_means(options: TrainOptions, baselines: Sequence[Baseline]) -> str:
    figures = {baseline.name: baseline for baseline in baselines}
    own, means = figures["this model"], figures["column means"]
    if options.losses.reconst_weight == 0:
        return ""
    worse = own.mse is not None and means.mse is not None and own.mse > means.mse
    if own.mse is None and own.accuracy is not None and means.accuracy is not None:
        worse = own.accuracy < means.accuracy
    if not worse:
        return ""
    return (
        "held-out rows come back no better than the column means would bring them; "
        f"try --lr {options.training.lr / 4:g}, more rows or more --epochs"
    )


def _unbalanced(options: TrainOptions, best: Epoch, weights: Mapping[str, float]) -> str:
    for name, share in loss_shares(best, weights).items():
        if name in ("reconstruction", "classification") or share < OVERWHELMING:
            continue
        flag = FLAGS.get(name, name)
        given = getattr(options.losses, flag)
        return f"{name} makes {share:.0%} of the loss; try --{flag} {given / 10:g}"
    return ""


def loss_shares(best: Epoch, weights: Mapping[str, float]) -> dict[str, float]:
    """Return each term's share of the total, of the validation rows where there are any."""
    losses = best.valid or best.train
    total = sum(weights[name] * losses[name] for name in weights)
    return {n: weights[n] * losses[n] / total if total > 0 else 0.0 for n in weights}


def _overfitted(best: Epoch) -> str:
    if best.valid is None or best.valid["total"] < OVERFITTED * best.train["total"]:
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
    faint = [name for name, norm in best.gradients.items() if norm < FAINT * largest]
    if not faint:
        return ""
    return (
        f"{len(faint)} of {len(best.gradients)} layers hardly get a gradient, first {faint[0]}; "
        "try --norm layer, --init orthogonal or fewer layers"
    )
