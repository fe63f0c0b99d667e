"""Say in a paragraph, as a person would, what came of a model."""

from __future__ import annotations

from collections.abc import Iterator

from aecli.reporting.findings import ColumnError, Findings
from aecli.text import count, duration, percent

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
    yield (
        f"It was trained on {count(done.train_rows)} {unit}{held}, in {duration(done.seconds)}; "
        f"epoch {done.best_epoch} of {done.epochs} was the best, and its weights were kept."
    )
    if not done.finished:
        yield "The training was stopped before its end, and can go on."


def _restored(findings: Findings) -> Iterator[str]:
    if findings.data is None:
        for baseline in findings.spec.summary.baselines[:1]:
            if baseline.r2 is not None:
                explained = percent(baseline.r2)
                yield f"On held-out rows it explains {explained} of the numbers' variance."
            if baseline.accuracy is not None:
                yield f"It gets {percent(baseline.accuracy)} of their categories right."
        return
    if findings.seen:
        yield "The rows below are those it was trained on, so that new rows will come back worse."
    parts = []
    for numeric, inside, what in (
        (True, "explains {} of the numbers' variance", "the column means"),
        (False, "gets {} of the categories right", "the most frequent values"),
    ):
        found = [c for c in findings.columns if (c.kind in NUMBERS) == numeric]
        own, pca, trivial = _averages(found)
        if own is None:
            continue
        beside = [f"PCA of the same size {percent(pca)}"] if pca is not None else []
        if trivial is not None and not numeric:
            beside.append(f"{what} alone {percent(trivial)}")
        parts.append(inside.format(percent(own)) + (f" ({', '.join(beside)})" if beside else ""))
    if parts:
        yield f"On {count(findings.rows, 'row')} of {findings.data} it {' and '.join(parts)}."


def _averages(columns: list[ColumnError]) -> tuple[float | None, ...]:
    found: list[float | None] = []
    for side in ("error", "pca", "baseline"):
        values = [1 - value for c in columns if (value := getattr(c, side)) is not None]
        found.append(sum(values) / len(values) if values else None)
    return tuple(found)


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
        used = "All latent units are in use"
        if dead:
            used = f"Of {latent.size} latent units {dead} hardly ever change"
        yield f"{used}; they carry what {latent.effective_rank:.1f} independent ones would."
    if scores is not None:
        share = percent(scores.outliers / scores.samples)
        yield (
            f"{count(scores.outliers, findings.unit)} ({share}) "
            f"{'scores' if scores.outliers == 1 else 'score'} above the threshold."
        )
