"""Sentences and short texts on how a model was trained and is built."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator

from aecli.formatting import count, duration, figure, safe, weight
from aecli.reporting.data import ReportData

MAX_NAME_LENGTH = 60

FIRST_STRONG_ISOLATE, POP_ISOLATE = "\u2068", "\u2069"
"""Marks around text that is written from right to left: what follows keeps its direction."""


def short(name: object, most: int = MAX_NAME_LENGTH) -> str:
    """Return a name in at most `most` characters, for a sentence."""
    shown = safe(name)
    shown = shown if len(shown) <= most else shown[: most - 1] + "…"
    if any(unicodedata.bidirectional(character) in ("R", "AL") for character in shown):
        return f"{FIRST_STRONG_ISOLATE}{shown}{POP_ISOLATE}"
    return shown


def training_sentences(data: ReportData) -> Iterator[str]:
    """Yield how the model was trained."""
    training = data.spec.summary
    rows = f"{count(training.train_rows)} {data.unit}s"
    held_out = f", {count(training.valid_rows)} held out" if training.valid_rows else ""
    time, epochs = duration(training.seconds), count(training.epochs, "epoch")
    best = f"epoch {training.best_epoch} of {epochs} was the best"
    if not training.best_epoch:
        best = f"none of {epochs} was better than the start at PCA, which was kept"
    yield f"Trained on {rows}{held_out}, in {time}; {best}."
    yield f"Stopped by {safe(training.stopped)}."
    search = data.search
    if search is not None:
        trials, value = count(len(search.trials), "trial"), figure(search.value)
        default = "" if search.default is None else f", with the defaults {figure(search.default)}"
        yield f"The options are the best of {trials}: {safe(search.objective)} is {value}{default}."


def units_sentence(data: ReportData) -> str:
    """Return how many units of the latent are in use."""
    if data.evaluation is None:
        return ""
    if data.samples < 2:
        return "One row does not show how units vary."
    latent = data.evaluation.latent
    units, rank = count(latent.size, "unit"), f"{latent.effective_rank:.1f}"
    dead = f"; {count(len(latent.dead))} hardly vary" if latent.dead else ""
    return f"{count(latent.active)} of {units} active, effective rank {rank}{dead}."


def training_figures(data: ReportData) -> tuple[float | None, float | None]:
    """Return the share of the numbers' variance explained, and the accuracy of categories.

    They are of held-out rows, or of the training rows where none were held out.
    """
    baselines = {baseline.name: baseline for baseline in data.spec.summary.baselines}
    model = baselines.get("this model")
    return (None, None) if model is None else (model.r2, model.accuracy)


def layer_sizes(data: ReportData) -> str:
    """Return the widths of the layers, that of the latent in brackets."""
    network = data.spec.network
    *hidden, latent = network.encoder
    sizes = [network.inputs, *hidden, f"[{latent}]", *network.decoder, network.outputs]
    return " → ".join(map(str, sizes))


def loss_text(data: ReportData) -> str:
    """Return the loss as a sum of weighted terms."""
    terms = " + ".join(f"{weight(w)} · {name}" for name, w in data.spec.loss_weights.items())
    number_weight = data.spec.number_weight
    return terms if number_weight == 1 else f"{terms}, numbers × {weight(number_weight)}"
