"""Build a training for a prepared table: sizes, the columns' losses, the network, its objective."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from aecli.device import require_memory
from aecli.features.inputs import Inputs
from aecli.features.layout import lay_out
from aecli.features.staging import Staged
from aecli.metrics.pca import PCA
from aecli.model.build import (
    build,
    build_reconstruction_loss,
    column_weights,
    fixed_number_weight,
    parameter_count,
    resolve_weights,
)
from aecli.model.layers import initialise
from aecli.model.sizes import classifies_images, is_crowded, resolve_network
from aecli.model.widths import auto_latent
from aecli.nn.autoencoder import AutoencoderNetwork
from aecli.nn.losses import ReconstructionLoss
from aecli.progress import Progress
from aecli.schema.model_spec import Column
from aecli.schema.network import Network
from aecli.schema.network_options import NetworkOptions
from aecli.schema.options import TrainOptions
from aecli.training.baselines import (
    fit_baseline,
    fit_number_ranges,
    number_target,
    trivial_losses,
)
from aecli.training.classifier_start import class_shares, start_classifier
from aecli.training.data import PreparedTable, class_weights
from aecli.training.image_shift import ImageShift, image_shift
from aecli.training.linear_start import start_linear_path
from aecli.training.noise import Noise, number_deviations
from aecli.training.objective import Objective
from aecli.training.sparse_start import start_thresholds
from aecli.training.validation import NumberTarget

SMALL_TABLE = 5_000
"""Training samples below which the weight of numbers is raised without a label too."""

LABEL_SMOOTHING = 0.1
"""Label smoothing of a classifier of images, which otherwise learns the training rows by heart."""

PIXEL_NOISE = 0.1
"""Standard deviation of the noise on pixels in 0..1 in the training of a classifier."""

DECODED_SHARE = 0.5
"""Share of a training batch that a classifier of images decodes; the time is for more epochs."""

PREFERENCE_PER_NAT = 4.0
"""Weight of the reconstruction of columns of several kinds, over the entropy of their label."""

PREFERENCES = (0.5, 2.0)
"""Bounds of the same weight."""

MAX_COMPONENTS = 1_024
"""Maximum number of components that `--latent auto` considers."""


@dataclass(frozen=True)
class TrainingSetup:
    """Training before its first step; `columns` include their trivial losses.

    `pca` is that of the latent's size, and `fitted_pca` the same with all fitted components.
    """

    columns: tuple[Column, ...]
    network: Network
    objective: Objective
    pca: PCA
    fitted_pca: PCA
    ranges: Tensor
    target: NumberTarget | None
    images: bool
    notes: list[str]


def build_training(
    prepared: PreparedTable,
    options: TrainOptions,
    progress: Progress,
    *,
    fitted_pca: PCA | None = None,
) -> TrainingSetup:
    """Resolve the network's sizes and loss weights, and build the network and its objective.

    `fitted_pca` is that of an earlier training on the same rows, without bins of numbers.

    Raises:
        UsageError: options contradict each other or do not fit the columns.
        OutputError: the network does not fit into memory.
    """
    progress.stage("fitting PCA")
    network, fitted_pca, notes = _sizes(prepared, options, fitted_pca)
    progress.stage("building the network")
    pca = fitted_pca.first(network.latent)
    ranks, sampled = prepared.ranks, prepared.sampled
    columns, loss, weights = _losses(prepared, options, network)
    module = _seeded_network(network, columns, options, pca, sampled.train)
    images = classifies_images(options, prepared.layout)
    noise, shift = _corruption(prepared, options, notes, images=images)
    label = prepared.plan.label
    balance = options.classifies and options.losses.balance and label is not None
    complete = loss.complete and (noise is None or noise.kind != "mask")
    inputs = Inputs(prepared.layout, complete=complete)
    start_classifier(module, inputs, sampled, options)
    objective = Objective(
        module,
        inputs,
        loss,
        weights,
        class_weights(label) if balance and label is not None else None,
        noise,
        rho=options.losses.rho,
        latent_floor=network.latent_floor,
        trimmed_loss=options.losses.trimmed_loss,
        label_smoothing=LABEL_SMOOTHING if images else 0.0,
        shift=shift,
        decoded_share=DECODED_SHARE if images else 1.0,
    )
    start_thresholds(objective, network, sampled.train)
    ranges = fit_number_ranges(prepared.train, prepared.layout, ranks=ranks)
    target = None
    if _raises_number_weight(prepared, options, network, objective):
        target = number_target(pca, prepared.layout, ranges, prepared.valid, ranks=ranks)
    setup = TrainingSetup(
        columns, network, objective, pca, fitted_pca, ranges, target, images, notes
    )
    return ranks.from_first(lambda: setup)


def _corruption(
    prepared: PreparedTable, options: TrainOptions, notes: list[str], *, images: bool
) -> tuple[Noise | None, ImageShift | None]:
    """Return the noise, of the options or for images, and the moves of images; add notes."""
    layout, numbers = prepared.layout, prepared.layout.numbers
    together = layout.missing_with if layout.missing_with != tuple(range(layout.cells)) else ()
    noise = Noise.parse(
        options.training.noise,
        numbers=numbers,
        corrupted_with=together,
        deviations=number_deviations(layout),
    )
    if noise is not None or not images:
        if noise is not None and noise.kind == "gaussian" and not numbers:
            notes.append(f"without effect: --noise {options.training.noise} (no column of numbers)")
        return noise, None
    shift = image_shift(prepared.sampled.train.cells, prepared.plan.columns)
    if shift is not None:
        height, width = shift.size
        notes.append(
            f"images of {height} × {width} pixels are moved by a pixel in training; "
            f"--noise gaussian:{PIXEL_NOISE:g} trains without moves"
        )
    return Noise("gaussian", PIXEL_NOISE, numbers), shift


def _raises_number_weight(
    prepared: PreparedTable, options: TrainOptions, network: Network, objective: Objective
) -> bool:
    """Return whether the weight of numbers follows PCA: where another task competes with them.

    That is a classifier or, in a small table, which the network learns by heart, columns of other
    kinds. Objectives with other terms differ from that of PCA.
    """
    layout, terms = prepared.layout, objective.weights.keys()
    small = layout.is_mixed and prepared.n_train < SMALL_TABLE
    return (
        options.losses.number_weight == "auto"
        and "reconstruction" in terms
        and terms <= {"reconstruction", "classification"}
        and ("classification" in terms or small)
        and options.training.noise == "none"
        and not options.losses.trimmed_loss
        and network.linear_latent
        and layout.numbers > 0
        and prepared.n_valid > 0
    )


def _sizes(
    prepared: PreparedTable, options: TrainOptions, known: PCA | None
) -> tuple[Network, PCA, list[str]]:
    """Return the network, PCA of at least its latent size, and notes on the size."""
    columns, layout, train = prepared.plan.columns, prepared.layout, prepared.train
    label, cells = prepared.plan.label, layout.cells * train.size
    notes: list[str] = []

    def fitted(components: int) -> PCA:
        if known is not None:
            return known.widened(layout.inputs * train.size)
        return fit_baseline(train, layout, components, ranks=prepared.ranks)

    latent: int | None = None
    pca: PCA | None = None
    if options.network.latent == "auto" and layout.cells:
        pca = fitted(max(2, min(cells // 4, MAX_COMPONENTS)))
        latent, reason = auto_latent(pca.shares.tolist(), cells)
        notes.append(reason)
    classes = len(label.classes) if options.classifies and label else 0
    network = resolve_network(
        options, columns=columns, layout=layout, classes=classes, latent=latent
    )
    require_memory(parameter_count(network, columns=columns))
    outputs = layout.outputs * train.size
    if network.latent >= outputs and not _is_default(options.network):
        notes.append(_overcomplete(network.latent, outputs, options))
    return network, fitted(network.latent) if pca is None else pca, notes


def _is_default(options: NetworkOptions) -> bool:
    """Return whether the latent size is the default."""
    return not isinstance(options.latent, int) and not isinstance(options.encoder, list)


def _overcomplete(latent: int, outputs: int, options: TrainOptions) -> str:
    losses, network = options.losses, options.network
    constrained = losses.l0 or losses.l1 or losses.kl or network.topk or network.variational
    unconstrained = not constrained and options.training.noise == "none"
    advice = "; without --l1, --kl, --topk or --noise it may learn to copy" if unconstrained else ""
    return f"overcomplete: {latent:,} latent units for {outputs:,} outputs of a sample{advice}"


def _losses(
    prepared: PreparedTable, options: TrainOptions, network: Network
) -> tuple[tuple[Column, ...], ReconstructionLoss, dict[str, float]]:
    """Return the columns with trivial losses, the loss weighted by them, and the term weights."""
    layout = prepared.layout
    complete = prepared.train.complete and prepared.valid.complete
    loss = build_reconstruction_loss(layout, options.losses, complete=complete)
    trivial = trivial_losses(loss, layout, prepared.train, ranks=prepared.ranks)
    loss.set_weights(column_weights(layout, trivial, fixed_number_weight(options.losses)))
    unweighted = column_weights(layout, trivial)
    mean = float((torch.tensor(unweighted) * torch.tensor(trivial)).double().mean())
    preference = _preference(prepared, options, network)
    weights = resolve_weights(
        options.losses, network, cells=layout.cells, trivial=mean, preference=preference
    )
    by_name = dict(zip((column.name for column in layout.columns), trivial, strict=True))
    columns = tuple(
        column.model_copy(update={"trivial_loss": by_name.get(column.name, 1.0)})
        for column in prepared.plan.columns
    )
    return columns, loss, weights


def _preference(prepared: PreparedTable, options: TrainOptions, network: Network) -> float:
    """Return the weight of the reconstruction next to the label if both start at similar magnitude.

    For columns of several kinds it is proportional to the entropy of the classes, as the loss of
    the label is at the start, within bounds: categories pay for a balanced label otherwise, and
    rare classes for the columns. In a crowded latent it is at most 1, because the label pays there
    (benchmarks/RESULTS.md).
    """
    layout, label = prepared.layout, prepared.plan.label
    if label is None or not layout.is_mixed:
        return 1.0
    low, high = PREFERENCES
    if is_crowded(layout, network.latent):
        high = 1.0
    entropy = float(torch.special.entr(class_shares(label, options)).sum())
    return min(max(low, PREFERENCE_PER_NAT * entropy), high)


def _seeded_network(
    network: Network,
    columns: tuple[Column, ...],
    options: TrainOptions,
    pca: PCA,
    train: Staged,
) -> AutoencoderNetwork:
    with torch.random.fork_rng():
        torch.manual_seed(options.training.seed)
        module = build(network, columns=columns)
        init = "pca" if network.linear_path else options.network.init
        initialise(module, init, activation=network.activation)
    if network.linear_path:
        start_linear_path(module, network, pca, train, lay_out(columns))
    return module
