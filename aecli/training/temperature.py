"""Calibrate the class probabilities of a trained network on held-out rows."""

from __future__ import annotations

import torch

from aecli.features.inputs import Inputs
from aecli.nn.layers import MLP
from aecli.nn.losses import best_temperature, classification_loss
from aecli.training.fit import FittedNetwork
from aecli.training.paired_losses import held_out_logits


@torch.no_grad()
def calibrate_probabilities(
    fitted: FittedNetwork, inputs: Inputs
) -> tuple[float, dict[str, float]]:
    """Divide the head's logits by their best temperature; return it and the validation losses.

    The temperature (Guo et al. 2017) becomes part of the head's last layer, so that the order of
    the probabilities, and the predictions, stay the same. Without labelled validation rows nothing
    is changed.
    """
    valid, objective = fitted.prepared.valid, fitted.setup.objective
    losses = dict(fitted.result.best.valid or {})
    head, codes = objective.network.head, valid.codes
    if "classification" not in losses or codes is None or not bool((codes >= 0).any()):
        return 1.0, losses
    assert isinstance(head, MLP), "every head has a last layer"
    logits = held_out_logits(fitted.setup, inputs, valid)
    codes = codes.to(logits.device)
    temperature = best_temperature(logits, codes, objective.class_weights)
    head.last.weight.div_(temperature)
    head.last.bias.div_(temperature)
    loss = float(classification_loss(logits / temperature, codes, objective.class_weights))
    weight = objective.weights["classification"]
    losses["total"] += weight * (loss - losses["classification"])
    return temperature, losses | {"classification": loss}
