"""Say in a paragraph, as a person would, what came of a model."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from aecli.formatting import count, duration, figure, percent, safe
from aecli.report.data import Findings

NUMBERS = ("number", "time", "vector")


def summary(findings: Findings) -> list[str]:
    """Return the sentences of the summary."""
    return [*_what(findings), *_training(findings), *_restored(findings), *_rest(findings)]


def _what(findings: Findings) -> Iterator[str]:
    spec = findings.spec
    columns = count(len(spec.columns), "column")
    per = "each row" if spec.network.window == 1 else f"each window of {spec.network.window} rows"
    kind = "variational autoencoder" if spec.network.variational else "autoencoder"
    yield (
        f"This {kind} turns {columns} of {per} into {count(spec.network.latent, 'number')} and "
        f"back, with {count(spec.weights.parameters, 'parameter')}."
    )


def _training(findings: Findings) -> Iterator[str]:
    done, unit = findings.spec.summary, f"{findings.unit}s"
    held = f" and held {count(done.valid_rows)} out" if done.valid_rows else ""
    best = f"epoch {done.best_epoch} of {done.epochs} was the best, and its weights were kept"
    if not done.best_epoch:
        best = f"none of {done.epochs} epochs was better than the start at PCA, which was kept"
    yield (
        f"It was trained on {count(done.train_rows)} {unit}{held}, in {duration(done.seconds)}; "
        f"{best}."
    )
    yield from _searched(findings)
    if not done.finished:
        yield "The training was stopped before its end, and can go on."


def _searched(findings: Findings) -> Iterator[str]:
    found = findings.search
    if found is None:
        return
    trials, value = count(len(found.trials), "trial"), figure(found.value)
    beside = "" if found.default is None else f", with the defaults {figure(found.default)}"
    yield f"Its options are the best of {trials}: {safe(found.objective)} is {value}{beside}."


def _restored(findings: Findings) -> Iterator[str]:
    if findings.data is None:
        yield from _measured(findings)
        return
    if findings.seen:
        yield "The rows below are those it was trained on, so that new rows will come back worse."
    parts = [*_numbers(findings), *_categories(findings)]
    if parts:
        rows = f"{count(findings.rows, 'row')} of {safe(Path(findings.data).name)}"
        yield f"On {rows} it {' and '.join(parts)}."
    worst = [safe(column.name) for column in findings.columns if column.error is not None][:3]
    if len(findings.columns) > 3:
        yield f"Hardest to give back are {', '.join(worst[:-1])} and {worst[-1]}."


def _measured(findings: Findings) -> Iterator[str]:
    """Yield how the model did when it was trained."""
    held = findings.spec.summary.valid_rows
    on = "held-out rows" if held else "the rows it was trained on"
    explained, right = when_trained(findings)
    parts = []
    if explained is not None:
        parts.append(f"explains {_share(explained)} of the numbers' variance")
    if right is not None:
        parts.append(f"gets {percent(right)} of the categories right")
    if parts:
        yield f"On {on} it {' and '.join(parts)}."


def when_trained(findings: Findings) -> tuple[float | None, float | None]:
    """Return the share of the numbers' variance explained, and of categories that were right.

    They are of held-out rows, or of the training rows where none were held out.
    """
    found = {baseline.name: baseline for baseline in findings.spec.summary.baselines}
    own, means = found.get("this model"), found.get("column means")
    if own is None or means is None:
        return None, None
    known = own.mse is not None and bool(means.mse)
    return 1 - (own.mse or 0.0) / (means.mse or 1.0) if known else None, own.accuracy


def _numbers(findings: Findings) -> Iterator[str]:
    found = findings.explained
    if found is not None:
        pca = "" if found.pca is None else f" (PCA of the same size {percent(found.pca)})"
        yield f"explains {_share(found.own)} of the numbers' variance{pca}"


def _categories(findings: Findings) -> Iterator[str]:
    found = [c for c in findings.columns if c.kind not in NUMBERS and c.error is not None]
    if not found:
        return
    own, pca, trivial = (
        _right([getattr(column, side) for column in found]) for side in ("error", "pca", "baseline")
    )
    beside = f"PCA of the same size {pca}, " if pca else ""
    yield f"gets {own} of the categories right ({beside}the most frequent values alone {trivial})"


def _right(errors: list[float | None]) -> str:
    known = [1 - error for error in errors if error is not None]
    return percent(sum(known) / len(known)) if known else ""


def _share(explained: float) -> str:
    return percent(explained) if explained > 0 else "none"


def _rest(findings: Findings) -> Iterator[str]:
    classes, latent, scores = findings.classes, findings.latent, findings.scores
    if classes is not None:
        yield (
            f"The label comes out right for {percent(classes.accuracy)} of "
            f"{count(classes.rows, 'labelled ' + findings.unit)}, where the most frequent class "
            f"alone gets {percent(classes.baseline_accuracy)}."
        )
    if latent is not None:
        dead = len(latent.dead)
        rank = f"{latent.effective_rank:.1f}"
        if dead:
            yield f"Of {count(latent.size, 'latent unit')} {dead} hardly ever change."
        elif latent.size > 1:
            yield f"All latent units are in use; they carry what {rank} independent ones would."
    if scores is not None:
        share = percent(scores.outliers / scores.samples)
        yield (
            f"{count(scores.outliers, findings.unit)} ({share}) "
            f"{'scores' if scores.outliers == 1 else 'score'} above the threshold."
        )
