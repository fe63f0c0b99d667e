"""Objective of a search, measured on validation rows."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from aecli.errors import DataError, UsageError
from aecli.metrics.classification import ClassificationFigures
from aecli.metrics.probe import MIN_SAMPLES, probe
from aecli.progress import Epoch
from aecli.schema.options import TrainOptions
from aecli.training.batches import Batches
from aecli.training.data import PreparedTable
from aecli.training.fit import FittedNetwork
from aecli.tuning.trial import POST_TRAINING_OBJECTIVES, Direction, ObjectiveName

LABEL_OBJECTIVES = ("accuracy", "probe", "auroc")
CLASSIFIER_OBJECTIVES = ("accuracy", "auroc")


@dataclass(frozen=True)
class SearchObjective:
    """Figure that ranks trained networks, independent of the loss weights in the search space.

    `val_loss` is the sum of the loss terms with `weights`, those of the search's options: the loss
    that `train` reports with these options, for any weights of the trial.
    """

    name: ObjectiveName
    weights: Mapping[str, float]

    @property
    def direction(self) -> Direction:
        """Return `minimize` or `maximize`."""
        return "maximize" if self.name in LABEL_OBJECTIVES else "minimize"

    @property
    def worst(self) -> float:
        """Return an infinite value that is worse than any figure."""
        return math.inf if self.direction == "minimize" else -math.inf

    def of_epoch(self, epoch: Epoch) -> float:
        """Return the value for a trial's curve; the worst value if an epoch has no validation.

        Probes and AUROC are measured at the end of a trial; before, it is the negative loss.
        """
        if epoch.valid is None:
            return self.worst
        if self.name == "accuracy":
            return epoch.metrics["accuracy"]
        if self.name == "reconstruction":
            return epoch.valid["reconstruction"]
        loss = sum(epoch.valid[name] * weight for name, weight in self.weights.items())
        return loss if self.name == "val_loss" else -loss

    def of_network(self, fitted: FittedNetwork) -> float:
        """Return the value of a trained network on its validation rows.

        Raises:
            DataError: the objective is not defined on them.
        """
        if self.name in POST_TRAINING_OBJECTIVES:
            value = (_probe_accuracy if self.name == "probe" else _auroc)(fitted)
            if value is None:
                raise _undefined(self.name, fitted.prepared)
            return value
        epoch, valid = fitted.result.best, dict(fitted.result.best.valid or {})
        if "classification" in valid:
            # At the best temperature, by which the probabilities of a model are calibrated.
            valid["classification"] = fitted.result.criterion.classification
        return self.of_epoch(replace(epoch, valid=valid or None))

    def notes(self, options: Mapping[str, str], folds: int) -> Iterator[str]:
        """Yield notes on differences between the value and the figures of the saved model."""
        if folds > 1:
            yield f"values are means over {folds} folds; the model is trained on the usual split"
        if self.name == "val_loss" and {"reconst_weight", "l1"} & options.keys():
            yield "val_loss uses the default loss weights, the model those of its options"


def require_measurable(name: ObjectiveName, options: TrainOptions, prepared: PreparedTable) -> None:
    """Raise if an objective cannot be measured on the validation rows.

    Raises:
        UsageError: it needs a label, a classifier or the reconstruction loss, which is missing.
        DataError: there are no validation rows, or none of them is labelled.
    """
    label = prepared.plan.label
    if name in LABEL_OBJECTIVES and label is None:
        raise UsageError(f"--objective {name} needs a label", hint="--label COLUMN")
    if name in CLASSIFIER_OBJECTIVES and options.losses.class_weight == 0:
        raise UsageError(
            f"--objective {name} needs a classifier, which --class-weight 0 leaves out",
            hint="--objective probe, or another --class-weight",
        )
    if name == "reconstruction" and options.losses.reconst_weight == 0:
        raise UsageError(
            "--objective reconstruction contradicts --reconst-weight 0",
            hint="--objective accuracy",
        )
    if not len(prepared.valid):
        raise DataError(
            f"{len(prepared.train):,} rows leave no validation rows to measure trials on",
            hint="--valid 0.3, or --folds 5",
        )
    codes = prepared.valid.codes
    if name in LABEL_OBJECTIVES and codes is not None and not bool((codes >= 0).any()):
        raise _undefined(name, prepared)


def _undefined(name: str, prepared: PreparedTable) -> DataError:
    codes = prepared.valid.codes
    labelled = 0 if codes is None else int((codes >= 0).sum())
    required = f"; a probe needs {MIN_SAMPLES}" if name == "probe" else ""
    return DataError(
        f"--objective {name} is not defined on these validation rows",
        facts=[f"{labelled:,} of {len(prepared.valid):,} are labelled{required}, from two classes"],
        hint="--valid 0.3, or --objective val_loss",
    )


@torch.no_grad()
def _auroc(fitted: FittedNetwork) -> float | None:
    """Return the classifier's one-vs-rest AUROC, as `evaluate` does."""
    figures = ClassificationFigures(fitted.setup.network.classes)
    network = fitted.setup.objective.network
    for latents, codes in _validation(fitted, network.encode):
        figures.add(network.classify(latents), codes)
    return figures.auroc() if figures.rows else None


@torch.no_grad()
def _probe_accuracy(fitted: FittedNetwork) -> float | None:
    """Return the accuracy of a linear probe of latents on half of the labelled validation rows."""
    batches = _validation(fitted, fitted.setup.objective.network.encode)
    latents, codes = (torch.cat(parts).cpu() for parts in zip(*batches, strict=True))
    known = codes >= 0
    views = {"latent": latents[known].float().nan_to_num().numpy()}
    result = probe(views, codes[known].numpy(), fitted.options.training.seed)
    if result is None:
        return None
    predictions = result.predictions["latent"]["linear"]
    return result.figure(predictions, result.measured >= 0)


def _validation(
    fitted: FittedNetwork, encode: Callable[[Tensor], Tensor]
) -> list[tuple[Tensor, Tensor]]:
    """Return the latents `(n_samples, latent)` and label codes `(n_samples,)` of each batch."""
    inputs = fitted.setup.objective.inputs
    batches = Batches(fitted.prepared.valid, fitted.device)
    encoded = []
    for cells, codes in batches.in_order(fitted.setup.network.widest):
        assert codes is not None, "a label objective has label codes"
        encoded.append((encode(inputs(cells)), codes))
    return encoded
