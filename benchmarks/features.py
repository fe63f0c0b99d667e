"""Latents as features of gradient boosting, and classifiers with few labels.

`latents`: boosting on 16 latents of Adult that never saw the label, on its test rows, next to PCA
of the same size, before and after FastICA. `alternatives`: other trainings of independent latents,
on training rows alone; boosting learns from four fifths of these. `few`: 1 % of MNIST's labels,
drawn per class; the joint model, and the same network trained on the labelled rows alone.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from harness import Row, Run
from learners import auroc, boosting, frames
from measures import of_label, trained
from sklearn.decomposition import PCA, FastICA
from sklearn.ensemble import HistGradientBoostingClassifier
from tables import halves, held_out, mnist, read

import aecli
from aecli.training import build

LATENT = 16
LABELLED = 0.01
FITTED = "gradient boosting on"
LATENTS: dict[str, dict[str, Any]] = {
    "16 latents": {},
    "16 latents, `--axes independent`": {"axes": "independent"},
    "16 latents, `--axes independent --epochs 60 --dropout 0.1`": {
        "axes": "independent",
        "epochs": 60,
        "dropout": 0.1,
    },
}
ALTERNATIVES: dict[str, dict[str, Any]] = {
    "the defaults": {},
    "`--noise gaussian:0.1`": {"noise": "gaussian:0.1"},
    "`--noise mask:0.2`": {"noise": "mask:0.2"},
    "`--dropout 0.1`": {"dropout": 0.1},
    "`--init default`": {"init": "default"},
    "columns weighted by 1, more for those of high entropy": {"power": 0.0},
    "columns weighted by 1 / √(trivial loss)": {"power": 0.5},
    "`--epochs 60`": {"epochs": 60},
    "`--epochs 60 --dropout 0.1`": {"epochs": 60, "dropout": 0.1},
    "`--epochs 60 --noise gaussian:0.1`": {"epochs": 60, "noise": "gaussian:0.1"},
}


def latents(run: Run) -> Iterator[Row]:
    """Yield the test AUROC of boosting on latents, and on components of PCA."""
    parts = halves(read(run, "adult.csv"))
    x, y, x_test, y_test = frames(parts, "income")
    for title, options in LATENTS.items():
        (units, tested), seconds = encoded(run, parts, **options)
        learner = HistGradientBoostingClassifier(random_state=run.seed)
        area = auroc(learner, units, y, tested, y_test)
        yield {"features": f"{FITTED} {title}", "AUROC": area, "CPU s of training": seconds}
    pca = PCA(LATENT, random_state=0)
    ica = FastICA(LATENT, random_state=run.seed, max_iter=1000)
    for title, steps in (("PCA's 16", [pca]), ("PCA's 16 after FastICA", [pca, ica])):
        area = auroc(boosting(run.seed, *steps), x, y, x_test, y_test)
        yield {"features": f"{FITTED} {title}", "AUROC": area}


def encoded(
    run: Run, tables: tuple[pa.Table, ...], **options: Any
) -> tuple[list[npt.NDArray[np.float32]], float]:
    """Train on the first table without its label; return the latents of all, and CPU seconds."""
    shared = {"exclude": ["income"], "latent": LATENT}
    with trained(run, tables[0], **shared | options) as model:
        loaded = aecli.load(model.model)
        return [np.asarray(loaded.encode(rows.to_pandas())) for rows in tables], model.seconds


def alternatives(run: Run) -> Iterator[Row]:
    """Yield the AUROC of boosting on independent latents of other trainings."""
    train, _ = halves(read(run, "adult.csv"))
    parts = held_out(train, run.seed)
    labels = [part["income"].to_numpy(zero_copy_only=False) for part in parts]
    for title, options in ALTERNATIVES.items():
        options = dict(options)
        with column_weights(options.pop("power", 1.0)):
            (units, tested), _ = encoded(run, parts, axes="independent", **options)
        learner = HistGradientBoostingClassifier(random_state=0)
        yield {"training": title, "AUROC": auroc(learner, units, labels[0], tested, labels[1])}


@contextmanager
def column_weights(power: float) -> Iterator[None]:
    """Weight columns by 1 / trivial loss to a power, as the default does with a power of 1."""
    usual = build.column_weights
    build.column_weights = lambda layout, trivial, *rest: usual(
        layout, [loss**power for loss in trivial], *rest
    )
    try:
        yield
    finally:
        build.column_weights = usual


def few(run: Run) -> Iterator[Row]:
    """Yield the test accuracy of the joint model and of the head of labelled rows alone."""
    train, test = mnist(run)
    codes = train["label"].to_numpy()
    mask = labelled(codes, run.seed, 0.2 if run.quick else LABELLED)
    masked = pa.array(codes, mask=~mask)
    sparse = train.set_column(train.schema.get_field_index("label"), "label", masked)
    for title, rows, options in (
        ("joint model of all rows", sparse, {}),
        ("the same classifier on the labelled rows", train.filter(mask), {"reconst_weight": 0}),
    ):
        with trained(run, rows, label="label", **options) as model:
            found = of_label(aecli.evaluate(test, model=model.model))
        yield {"training": title, "accuracy": found["accuracy"]}


def labelled(codes: npt.NDArray[Any], seed: int, share: float) -> npt.NDArray[np.bool_]:
    """Return a mask that keeps a share of the rows of each class."""
    generator = np.random.default_rng(seed)
    mask = np.zeros(len(codes), dtype=bool)
    for code in np.unique(codes):
        rows = np.flatnonzero(codes == code)
        mask[generator.choice(rows, round(share * len(rows)), replace=False)] = True
    return mask
