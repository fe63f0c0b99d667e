"""Put together what a training needs: sizes, weights to start with, losses."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from aecli.device import require_memory
from aecli.features.network_inputs import Inputs
from aecli.metrics.pca import PCA
from aecli.model.build import build, reconstruction_loss, resolve_weights
from aecli.model.layers import initialise
from aecli.model.sizes import auto_latent, resolve_network
from aecli.nn.autoencoder import Autoencoder
from aecli.nn.init import start_as_pca
from aecli.progress import Progress
from aecli.schema.model_spec import Column, Network
from aecli.schema.options import TrainOptions
from aecli.training.baselines import fit_baseline, trivial_losses
from aecli.training.data import Prepared, class_weights
from aecli.training.noise import Noise
from aecli.training.objective import Objective, Sparsity


@dataclass(frozen=True)
class Assembled:
    """Hold a training before its first step; `columns` carry their trivial losses."""

    columns: tuple[Column, ...]
    network: Network
    objective: Objective
    pca: PCA
    notes: list[str]


def assemble(prepared: Prepared, options: TrainOptions, progress: Progress) -> Assembled:
    """Size, build and seed the network for a prepared table, and bind it to its losses.

    Raises:
        UsageError: options contradict each other or do not fit the columns.
        OutputError: the network does not fit into memory.
    """
    label, layout = prepared.plan.label, prepared.layout
    head = options.classifies
    progress.stage("fitting PCA")
    network, pca, notes = _sized(prepared, options, len(label.classes) if head and label else 0)
    columns = _with_trivial_losses(prepared, options)
    trivial = {column.name: column.trivial_loss for column in columns}
    noise = Noise.parse(options.training.noise, numbers=layout.numbers)
    if noise is not None and noise.kind == "gaussian" and not layout.numbers:
        notes.append(f"without effect: --noise {options.training.noise} (no column of numbers)")
    complete = prepared.train.complete and prepared.valid.complete
    loss = reconstruction_loss(columns, options.losses, complete=complete)
    losses = torch.tensor([trivial[column.name] for column in layout.columns])
    weights = resolve_weights(
        options.losses,
        network,
        cells=layout.cells,
        trivial=float((loss.weights.double() * losses).mean()),
    )
    objective = Objective(
        _seeded(network, columns, options, pca),
        Inputs(layout, complete=complete and (noise is None or noise.kind != "mask")),
        loss,
        weights,
        class_weights(label) if head and label and options.losses.balance else None,
        noise,
        Sparsity(options.losses.rho, network.latent_floor),
        trimmed_loss=options.losses.trimmed_loss,
    )
    return Assembled(columns, network, objective, pca, notes)


def _sized(
    prepared: Prepared, options: TrainOptions, classes: int
) -> tuple[Network, PCA, list[str]]:
    """Return the network, PCA of its latent size, and what to say of the size."""
    columns, layout, train = prepared.plan.columns, prepared.layout, prepared.train
    notes: list[str] = []

    def fitted(components: int) -> PCA:
        return fit_baseline(train, layout, components, options.training.seed)

    latent: int | None = None
    pca: PCA | None = None
    if options.network.latent == "auto" and layout.cells:
        width = layout.cells * train.size
        pca = fitted(max(2, min(width // 4, MOST_COMPONENTS)))
        latent, reason = auto_latent(pca.shares.tolist(), width)
        notes.append(reason)
    network = resolve_network(options, columns=columns, classes=classes, latent=latent)
    with torch.device("meta"):  # counts without allocating
        parameters = build(network, columns=columns).parameters()
        require_memory(sum(parameter.numel() for parameter in parameters))
    cells = layout.cells * train.size
    if network.latent >= cells:
        notes.append(_overcomplete(network.latent, cells, options))
    pca = pca.first(network.latent) if pca is not None else fitted(network.latent)
    return network, pca, notes


MOST_COMPONENTS = 1_024
"""Most components that `--latent auto` looks at."""


def _overcomplete(latent: int, cells: int, options: TrainOptions) -> str:
    losses, network = options.losses, options.network
    held_back = losses.l1 or losses.kl or network.topk or network.variational
    free = not held_back and options.training.noise == "none"
    advice = "; without --l1, --kl, --topk or --noise it may learn to copy" if free else ""
    return f"overcomplete: {latent:,} latent units for {cells:,} numbers of a sample{advice}"


def _with_trivial_losses(prepared: Prepared, options: TrainOptions) -> tuple[Column, ...]:
    columns, layout = prepared.plan.columns, prepared.layout
    unweighted = reconstruction_loss(columns, options.losses)
    trivial = trivial_losses(unweighted, layout, prepared.train.cells)
    found = dict(zip((column.name for column in layout.columns), trivial, strict=True))
    return tuple(
        column.model_copy(update={"trivial_loss": found.get(column.name, 1.0)})
        for column in columns
    )


def _seeded(
    network: Network, columns: tuple[Column, ...], options: TrainOptions, pca: PCA
) -> Autoencoder:
    with torch.random.fork_rng():
        torch.manual_seed(options.training.seed)
        module = build(network, columns=columns)
        named = "pca" if network.linear_path else options.network.init
        initialise(module, named, activation=network.activation.name)
    if network.linear_path:
        start_as_pca(
            module, pca.mean, pca.components, inputs=network.inputs, outputs=network.outputs
        )
    return module
