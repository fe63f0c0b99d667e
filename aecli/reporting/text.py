"""Sentences of a report's summary."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from aecli.features.layout import NUMERIC
from aecli.formatting import count, duration, figure, percent, safe
from aecli.reporting.data import ReportData
from aecli.schema.model_spec import UNTRAINED_DECODER


def summary(data: ReportData) -> list[str]:
    """Return the sentences of the summary."""
    return [*_model(data), *_training(data), *_reconstruction(data), *_other_figures(data)]


def _model(data: ReportData) -> Iterator[str]:
    spec = data.spec
    columns = count(len(spec.columns), "column")
    sample = (
        "each row" if spec.network.window == 1 else f"each window of {spec.network.window} rows"
    )
    kind = "variational autoencoder" if spec.network.variational else "autoencoder"
    back = " and back" if spec.decoder_trained else ""
    yield (
        f"This {kind} turns {columns} of {sample} into {count(spec.network.latent, 'number')}"
        f"{back}, with {count(spec.parameters, 'parameter')}."
    )


def _training(data: ReportData) -> Iterator[str]:
    training = data.spec.summary
    rows = f"{count(training.train_rows)} {data.unit}s"
    held_out = f" and held {count(training.valid_rows)} out" if training.valid_rows else ""
    time, epochs = duration(training.seconds), training.epochs
    best = f"epoch {training.best_epoch} of {epochs} was the best, and its weights were kept"
    if not training.best_epoch:
        best = f"none of {epochs} epochs was better than the start at PCA, which was kept"
    yield f"It was trained on {rows}{held_out}, in {time}; {best}."
    yield from _search(data)
    if not training.finished:
        yield "The training was stopped before its end, and can go on."


def _search(data: ReportData) -> Iterator[str]:
    search = data.search
    if search is None:
        return
    trials, value = count(len(search.trials), "trial"), figure(search.value)
    default = "" if search.default is None else f", with the defaults {figure(search.default)}"
    yield f"Its options are the best of {trials}: {safe(search.objective)} is {value}{default}."


def _reconstruction(data: ReportData) -> Iterator[str]:
    if not data.spec.decoder_trained:
        yield f"It reconstructs nothing: {UNTRAINED_DECODER}."
        return
    if data.data is None:
        yield from _figures_of_training(data)
        return
    if data.seen:
        yield "The rows below are those it was trained on, so that new rows will come back worse."
    parts = [*_numbers(data), *_categories(data)]
    if parts:
        rows = f"{count(data.rows, 'row')} of {safe(Path(data.data).name)}"
        yield f"On {rows} it {' and '.join(parts)}."
    worst = [safe(column.name) for column in data.columns if column.share][:3]
    if len(data.columns) > 3 and len(worst) == 3:
        yield f"Most of the error is in {', '.join(worst[:-1])} and {worst[-1]}."


def _figures_of_training(data: ReportData) -> Iterator[str]:
    """Yield the figures that were measured when the model was trained."""
    held_out = data.spec.summary.valid_rows
    rows = "held-out rows" if held_out else "the rows it was trained on"
    explained, right = training_figures(data)
    parts = []
    if explained is not None:
        parts.append(f"explains {_share(explained)} of the numbers' variance")
    if right is not None:
        parts.append(f"gets {percent(right)} of the categories right")
    if parts:
        yield f"On {rows} it {' and '.join(parts)}."


def training_figures(data: ReportData) -> tuple[float | None, float | None]:
    """Return the share of the numbers' variance explained, and the accuracy of categories.

    They are of held-out rows, or of the training rows where none were held out.
    """
    baselines = {baseline.name: baseline for baseline in data.spec.summary.baselines}
    model = baselines.get("this model")
    return (None, None) if model is None else (model.r2, model.accuracy)


def _numbers(data: ReportData) -> Iterator[str]:
    """Yield the variance explained of all numbers together, and which outliers were limited."""
    result = data.evaluation
    if result is None or result.number_r2 is None:
        return
    pca = ""
    if result.number_r2_pca is not None:
        pca = f" (PCA of the same size {_share(result.number_r2_pca)})"
    limited = ""
    if result.limited:
        cells = ", ".join(f"{safe(name)} {count(n)}" for name, n in result.limited.items())
        limited = f", with outliers limited ({cells}),"
    yield f"explains {_share(result.number_r2)} of the numbers' variance{pca}{limited}"


def _categories(data: ReportData) -> Iterator[str]:
    columns = [c for c in data.columns if c.kind not in NUMERIC and c.value is not None]
    if not columns:
        return
    model = _mean_accuracy([column.value for column in columns])
    pca = _mean_accuracy([column.pca for column in columns])
    baseline = _mean_accuracy([column.baseline for column in columns])
    of_pca = f"PCA of the same size {pca}, " if pca else ""
    yield (
        f"gets {model} of the categories right ({of_pca}the most frequent values alone {baseline})"
    )


def _mean_accuracy(values: list[float | None]) -> str:
    known = [value for value in values if value is not None]
    return percent(sum(known) / len(known)) if known else ""


def _share(explained: float) -> str:
    return percent(explained) if explained > 0 else "none"


def _other_figures(data: ReportData) -> Iterator[str]:
    classification = data.classification
    if classification is not None:
        yield (
            f"The label comes out right for {percent(classification.accuracy)} of "
            f"{count(classification.rows, 'labelled ' + data.unit)}, where the most frequent class "
            f"alone gets {percent(classification.baseline_accuracy)}."
        )
    if data.evaluation is not None:
        latent = data.evaluation.latent
        dead = len(latent.dead)
        rank = f"{latent.effective_rank:.1f}"
        if dead:
            yield f"Of {count(latent.size, 'latent unit')} {dead} hardly ever change."
        elif latent.size > 1:
            yield f"All latent units are in use; effective rank {rank} of {latent.size}."
    if data.scores is not None:
        share = percent(data.outliers / data.samples)
        yield (
            f"{count(data.outliers, data.unit)} ({share}) "
            f"{'scores' if data.outliers == 1 else 'score'} above the threshold."
        )
