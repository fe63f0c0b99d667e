"""Models of the defaults on every kind of table, next to PCA and gradient boosting.

Models have the options in the row's name, and are measured once on test rows: those of `split`, or
a random fifth, or each of five. PCA of the latent's size and the learners on the columns
(scikit-learn's defaults) are fitted on the same rows. `PYTHONPATH=CHECKOUT` measures the aecli of
another checkout.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from harness import Row, Run
from learners import auroc, boosting, frames, logistic
from measures import of_columns, of_label, trained
from tables import FAILURES, IDENTIFIERS, Parts, folds, halves, read, without

import aecli

ECE_BINS = 15
Case = tuple[str, str, list[str], dict[str, Any]]
"""File, label, columns to leave out and options."""

CASES: dict[str, Case] = {
    "adult16": ("adult.csv", "income", [], {"latent": 16}),
    "adult8": ("adult.csv", "income", [], {"latent": 8}),
    "diamonds": ("diamonds.csv", "cut", [], {"latent": 4}),
    "ai4i": ("ai4i2020.csv", "Machine failure", IDENTIFIERS, {}),
    "ai4i-sensors": ("ai4i2020.csv", "Machine failure", IDENTIFIERS + FAILURES, {}),
    "ai4i-folds": ("ai4i2020.csv", "Machine failure", IDENTIFIERS, {}),
    "mnist": ("mnist.parquet", "label", [], {"encoder": [512, 256, 64], "l1": 1e-4}),
    **{f"mnist{k}": ("mnist.parquet", "", ["label"], {"latent": k}) for k in (12, 32, 64)},
}


def measure(run: Run) -> Iterator[Row]:
    """Yield the figures of a model, of PCA, and with a label of learners on the columns."""
    file, _, left_out, _ = CASES[run.case]
    table = without(read(run, file), *left_out)
    if run.case.endswith("-folds"):
        yield from means_of_folds(row for parts in folds(table) for row in of_parts(run, parts))
    else:
        yield from of_parts(run, halves(table))


def of_parts(run: Run, parts: Parts) -> Iterator[Row]:
    """Yield the figures of training rows and test rows."""
    file, label, _, options = CASES[run.case]
    named = " ".join([f"--{name} {_text(value)}" for name, value in options.items()])
    labelled = f"--label '{label}'" if label else ""
    title = f"{run.case}, `{' '.join(filter(None, [labelled, named]))}`"
    yield from own(run, title, parts, options | ({"label": label} if label else {}))
    if label and file.endswith(".csv") and not run.seed:
        for name, learner in (("boosting", boosting(0)), ("logistic regression", logistic())):
            yield {"table": title, "model": name, "AUROC": auroc(learner, *frames(parts, label))}


def means_of_folds(rows: Iterable[Row]) -> Iterator[Row]:
    """Yield the mean figures of each model."""
    models: dict[tuple[str, str], list[Row]] = {}
    for row in rows:
        models.setdefault((str(row["table"]), str(row["model"])), []).append(row)
    for (table, model), found in models.items():
        names = [name for name in found[0] if name not in ("table", "model")]
        means = {name: float(np.mean([float(row[name]) for row in found])) for name in names}
        yield {"table": table, "model": model, **means}


def own(run: Run, title: str, parts: Parts, options: dict[str, Any]) -> Iterator[Row]:
    """Yield the figures of aecli, and of PCA of the same size."""
    train, test = parts
    with trained(run, train, **options) as model:
        found = aecli.evaluate(test, model=model.model)
        label = of_label(found)
        if label:
            label["calibration error"] = calibration_error(test, options["label"], model.model)
    version = f"aecli {aecli.__version__}"
    figures = {**label, **of_columns(found), "CPU s": model.seconds}
    yield {"table": title, "model": version, **figures}
    yield {"table": title, "model": "PCA", **of_columns(found, "pca")}


def calibration_error(test: pa.Table, label: str, model: str) -> float:
    """Return the expected calibration error of the most probable class (Guo et al. 2017)."""
    output = f"{model}/../p.parquet"
    aecli.predict(test, output, model=model, top=1, keep=[label])
    predicted = pq.read_table(output)
    right = pc.equal(predicted["top1_class"].cast(pa.string()), predicted[label].cast(pa.string()))
    shares = predicted["top1_prob"].to_numpy()
    bins = np.minimum((shares * ECE_BINS).astype(int), ECE_BINS - 1)
    gaps = np.bincount(bins, right.to_numpy() - shares, ECE_BINS)
    return float(np.abs(gaps).sum() / len(shares))


def _text(value: object) -> str:
    return ",".join(map(str, value)) if isinstance(value, list) else f"{value}"
