"""Say what a search optimises, and measure it on validation rows."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from aecli.errors import DataError, UsageError
from aecli.metrics.classification import ClassificationFigures
from aecli.metrics.probe import LEAST, probe
from aecli.progress import Epoch
from aecli.schema.options import TrainOptions
from aecli.training.batches import Batches
from aecli.training.data import PreparedTable
from aecli.training.fit import FittedNetwork
from aecli.tuning.trial import LAST, Objective

LABELLED = ("accuracy", "probe", "auroc")
CLASSIFIED = ("accuracy", "auroc")


@dataclass(frozen=True)
class Aim:
    """Measure trained networks by one figure, which no searched weight changes.

    `val_loss` is the sum of the loss terms at `weights`, those of the given options: what `train`
    reports with them, whatever weights a trial learns by.
    """

    name: Objective
    weights: Mapping[str, float]

    @property
    def direction(self) -> Literal["minimize", "maximize"]:
        """Return whether less is better."""
        return "maximize" if self.name in LABELLED else "minimize"

    @property
    def worst(self) -> float:
        """Return what is worse than any figure."""
        return math.inf if self.direction == "minimize" else -math.inf

    def at(self, epoch: Epoch) -> float:
        """Return the figure that an epoch shows, for its curve; the worst without a validation.

        Probes and AUROC are measured once a trial ends: until then less of the loss is better.
        """
        if epoch.valid is None:
            return self.worst
        if self.name == "accuracy":
            return epoch.metrics["accuracy"]
        if self.name == "reconstruction":
            return epoch.valid["reconstruction"]
        loss = sum(epoch.valid[name] * weight for name, weight in self.weights.items())
        return loss if self.name == "val_loss" else -loss

    def remarks(self, options: Mapping[str, str], folds: int) -> Iterator[str]:
        """Yield in what the figure differs from those of the model with a trial's options."""
        if folds > 1:
            yield f"values are means of {folds} folds; the model is that of train"
        if self.name == "val_loss" and {"reconst_weight", "l1"} & options.keys():
            yield "val_loss weighs the terms as train does by itself, the model as it was told"

    def measure(self, fitted: FittedNetwork) -> float:
        """Return the figure of a trained network on its validation rows.

        Raises:
            DataError: it is not defined on them.
        """
        if self.name in LAST:
            figure = (_probed if self.name == "probe" else _auroc)(fitted)
            if figure is None:
                raise _undefined(self.name, fitted.prepared)
            return figure
        return self.at(fitted.result.best)


def require_measurable(name: Objective, options: TrainOptions, prepared: PreparedTable) -> None:
    """Refuse an objective that validation rows cannot tell.

    Raises:
        UsageError: it needs a label, a classifier or the reconstruction, and there is none.
        DataError: there are no validation rows, or none of them is labelled.
    """
    label = prepared.plan.label
    if name in LABELLED and label is None:
        raise UsageError(f"--objective {name} needs a label", hint="--label COLUMN")
    if name in CLASSIFIED and options.losses.class_weight == 0:
        raise UsageError(
            f"--objective {name} needs the classifier that --class-weight 0 leaves out",
            hint="--objective probe, or another --class-weight",
        )
    if name == "reconstruction" and options.losses.reconst_weight == 0:
        raise UsageError(
            "--objective reconstruction and --reconst-weight 0 disagree",
            hint="--objective accuracy",
        )
    if not len(prepared.valid):
        raise DataError(
            f"{len(prepared.train):,} rows leave no validation rows to measure trials on",
            hint="--valid 0.3, or --folds 5",
        )
    codes = prepared.valid.codes
    if name in LABELLED and codes is not None and not bool((codes >= 0).any()):
        raise _undefined(name, prepared)


def _undefined(name: str, prepared: PreparedTable) -> DataError:
    codes = prepared.valid.codes
    labelled = 0 if codes is None else int((codes >= 0).sum())
    least = f"; a probe takes {LEAST}" if name == "probe" else ""
    return DataError(
        f"--objective {name} is not defined on these validation rows",
        facts=[f"{labelled:,} of {len(prepared.valid):,} are labelled{least}, of two classes"],
        hint="--valid 0.3, or --objective val_loss",
    )


@torch.no_grad()
def _auroc(fitted: FittedNetwork) -> float | None:
    """Return the classifier's one-vs-rest AUROC, as `evaluate` does."""
    figures = ClassificationFigures(fitted.setup.network.classes)
    network = fitted.setup.objective.network
    for code, codes in _validation(fitted, network.encode):
        figures.add(network.classify(code), codes)
    return figures.auroc() if figures.rows else None


@torch.no_grad()
def _probed(fitted: FittedNetwork) -> float | None:
    """Return the accuracy of a linear probe of latents on half of the labelled validation rows."""
    parts = list(_validation(fitted, fitted.setup.objective.network.encode))
    latents, codes = (torch.cat(side).cpu() for side in zip(*parts, strict=True))
    known = codes >= 0
    views = {"latent": latents[known].float().nan_to_num().numpy()}
    found = probe(views, codes[known].numpy(), fitted.options.training.seed)
    if found is None:
        return None
    answers = found.answers["latent"]["linear"]
    return found.figure(answers, found.measured >= 0)


def _validation(
    fitted: FittedNetwork, encode: Callable[[Tensor], Tensor]
) -> list[tuple[Tensor, Tensor]]:
    """Return the latents `(n_samples, latent)` and label codes `(n_samples,)` of each batch."""
    inputs = fitted.setup.objective.inputs
    batches = Batches(fitted.prepared.valid, fitted.device)
    found = []
    for cells, codes in batches.in_order(fitted.setup.network.widest):
        assert codes is not None, "an objective of labels has them"
        found.append((encode(inputs(cells)), codes))
    return found
