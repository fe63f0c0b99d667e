"""Measure latents as features: a label's head, a learner on the latents, and few labels.

    .venv/bin/python benchmarks/features.py FOLDER [head] [latents] [few] [alternatives]

`head` trains on Adult's `split=train` with its label and measures the AUROC of `split=test`, with
those of logistic regression and gradient boosting on raw columns. `latents` trains without the
label and fits gradient boosting on the 16 latents, with either of `--axes`, and on PCA of the same
size, before and after FastICA. `few` keeps 1 % of MNIST's labels, drawn per class, and compares the
joint model with the same network trained on the labelled rows alone. Means of seeds 0, 1 and 2;
test rows are seen once, at the end. `alternatives` compares trainings of independent latents on
training rows alone.
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pacsv
import pyarrow.parquet as pq
from sklearn.compose import make_column_transformer
from sklearn.decomposition import PCA, FastICA
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

import aecli
from aecli.training import build

SEEDS = (0, 1, 2)
LATENT = 16
LABELLED = 0.01


def halves(table: pa.Table) -> tuple[pa.Table, pa.Table]:
    """Return the training and the test rows."""
    train, test = (table.filter(pc.equal(table["split"], part)) for part in ("train", "test"))
    return train.drop_columns(["split"]), test.drop_columns(["split"])


def report(what: str, figures: list[float]) -> None:
    """Print one row of the table."""
    each = ", ".join(f"{figure:.4f}" for figure in figures)
    print(f"| {what} | {np.mean(figures):.4f} | {each} |", flush=True)


def raw_features(frame: pd.DataFrame) -> Any:
    """Return a transformer that scales numbers and makes categories one-hot."""
    numbers = list(frame.select_dtypes("number").columns)
    others = [name for name in frame.columns if name not in numbers]
    return make_column_transformer(
        (StandardScaler(), numbers),
        (OneHotEncoder(handle_unknown="ignore", sparse_output=False), others),
    )


def auroc(learner: Any, train: Any, truth: Any, test: Any, wanted: Any) -> float:
    """Return the test AUROC of a scikit-learn classifier."""
    probabilities = learner.fit(train, truth).predict_proba(test)[:, 1]
    return float(roc_auc_score(wanted, probabilities))


def adult(folder: Path) -> tuple[pa.Table, pa.Table]:
    """Return Adult's training and test rows."""
    return halves(pacsv.read_csv(folder / "adult.csv"))


def head(folder: Path) -> None:
    """Print the AUROC of the label's head next to learners on the raw columns."""
    train, test = adult(folder)
    found = []
    for seed in SEEDS:
        with tempfile.TemporaryDirectory() as place:
            aecli.train(train, model=f"{place}/m", label="income", latent=LATENT, seed=seed)
            figures = aecli.evaluate(test, model=f"{place}/m").classification
        assert figures is not None, "the table has a label"
        found.append(figures.auroc)
    report("Adult, label head of a 16-latent model", found)
    frames = [rows.to_pandas() for rows in (train, test)]
    (x, y), (x_test, y_test) = ((f.drop(columns="income"), f["income"]) for f in frames)
    x, x_test = (f.where(f.notna(), None) for f in (x, x_test))
    logistic = make_pipeline(raw_features(x), LogisticRegression(max_iter=2000))
    report("logistic regression on the columns", [auroc(logistic, x, y, x_test, y_test)])
    boosting = make_pipeline(raw_features(x), HistGradientBoostingClassifier(random_state=0))
    report("gradient boosting on the columns", [auroc(boosting, x, y, x_test, y_test)])


def coded(tables: list[pa.Table], seed: int, **options: Any) -> list[np.ndarray]:
    """Train on the first table without its label; return the latents of every table."""
    with tempfile.TemporaryDirectory() as place:
        how = {"exclude": ["income"], "latent": LATENT, "seed": seed}
        aecli.train(tables[0], model=f"{place}/m", **{**how, **options})
        found = []
        for rows in tables:
            aecli.encode(rows, f"{place}/z.parquet", model=f"{place}/m")
            found.append(pq.read_table(f"{place}/z.parquet").to_pandas().to_numpy())
    return found


LATENTS: dict[str, dict[str, Any]] = {
    "16 latents": {},
    "16 latents, `--axes independent`": {"axes": "independent"},
    "the same, `--epochs 60 --dropout 0.1`": {"axes": "independent", "epochs": 60, "dropout": 0.1},
}


def latents(folder: Path) -> None:
    """Print the AUROC of gradient boosting on latents that never saw the label, and on PCA's."""
    tables = list(adult(folder))
    y, y_test = (rows["income"].to_numpy(zero_copy_only=False) for rows in tables)
    for name, options in LATENTS.items():
        figures = []
        for seed in SEEDS:
            train, test = coded(tables, seed, **options)
            boosting = HistGradientBoostingClassifier(random_state=seed)
            figures.append(auroc(boosting, train, y, test, y_test))
        report(f"Adult, gradient boosting on {name}", figures)
    frames = [rows.drop_columns(["income"]).to_pandas() for rows in tables]
    x, x_test = (f.where(f.notna(), None) for f in frames)
    for name, steps in PEERS.items():
        figures = []
        for seed in SEEDS:
            boosting = HistGradientBoostingClassifier(random_state=seed)
            learner = make_pipeline(raw_features(x), *steps(seed), boosting)
            figures.append(auroc(learner, x, y, x_test, y_test))
        report(f"gradient boosting on PCA's 16{name}", figures)


PEERS: dict[str, Callable[[int], list[Any]]] = {
    "": lambda seed: [PCA(LATENT, random_state=0)],
    " after FastICA": lambda seed: [
        PCA(LATENT, random_state=0),
        FastICA(LATENT, random_state=seed, max_iter=1000),
    ],
}


ALTERNATIVES: dict[str, dict[str, Any]] = {
    "the defaults": {},
    "`--noise gaussian:0.1`": {"noise": "gaussian:0.1"},
    "`--noise mask:0.2`": {"noise": "mask:0.2"},
    "`--dropout 0.1`": {"dropout": 0.1},
    "`--init default`": {"init": "default"},
    "columns weighted by 1, more for those of high entropy": {"power": 0.0},
    "columns weighted by 1 / √trivial loss": {"power": 0.5},
    "`--epochs 60`": {"epochs": 60},
    "`--epochs 60 --dropout 0.1`": {"epochs": 60, "dropout": 0.1},
    "`--epochs 60 --noise gaussian:0.1`": {"epochs": 60, "noise": "gaussian:0.1"},
}


def alternatives(folder: Path) -> None:
    """Print the AUROC of boosting on independent latents of other trainings, on training rows.

    Boosting learns from four fifths of the training rows and is measured on the rest, three times.
    """
    train, _ = adult(folder)
    y = train["income"].to_numpy(zero_copy_only=False)
    for name, options in ALTERNATIVES.items():
        chosen = {key: value for key, value in options.items() if key != "power"}
        with column_weights(options.get("power", 1.0)):
            (units,) = coded([train], 0, axes="independent", **chosen)
        figures = []
        for seed in SEEDS:
            order = np.random.default_rng(seed).permutation(len(y))
            fitted, held_out = order[: len(y) * 4 // 5], order[len(y) * 4 // 5 :]
            boosting = HistGradientBoostingClassifier(random_state=0)
            rows = units[fitted], y[fitted], units[held_out], y[held_out]
            figures.append(auroc(boosting, *rows))
        report(name, figures)


@contextmanager
def column_weights(power: float) -> Iterator[None]:
    """Weight columns by 1 / trivial loss to a power, as the default does with a power of 1."""
    usual = build.column_weights
    build.column_weights = lambda _layout, trivial: [loss**-power for loss in trivial]
    try:
        yield
    finally:
        build.column_weights = usual


def kept_labels(codes: np.ndarray, seed: int) -> np.ndarray:
    """Return a mask that keeps `LABELLED` of the rows of each class."""
    generator = np.random.default_rng(seed)
    mask = np.zeros(len(codes), dtype=bool)
    for code in np.unique(codes):
        rows = np.flatnonzero(codes == code)
        mask[generator.choice(rows, round(LABELLED * len(rows)), replace=False)] = True
    return mask


def few(folder: Path) -> None:
    """Print the accuracy of the joint model and of the head trained on labelled rows alone."""
    train, test = halves(pq.read_table(folder / "mnist.parquet"))
    codes = train["label"].to_numpy()
    joint, alone = [], []
    for seed in SEEDS:
        mask = kept_labels(codes, seed)
        blanked = pa.array(codes, mask=~mask)
        sparse = train.set_column(train.schema.get_field_index("label"), "label", blanked)
        with tempfile.TemporaryDirectory() as place:
            how = {"label": "label", "seed": seed}
            aecli.train(sparse, model=f"{place}/joint", **how)
            aecli.train(train.filter(mask), model=f"{place}/alone", reconst_weight=0, **how)
            for found, name in ((joint, "joint"), (alone, "alone")):
                figures = aecli.evaluate(test, model=f"{place}/{name}").classification
                assert figures is not None, "the table has a label"
                found.append(figures.accuracy)
    report("MNIST with 1 % of the labels, joint model", joint)
    report("the same classifier on the labelled rows alone", alone)


def main() -> None:
    """Run what is asked for, everything unless something is."""
    folder = Path(sys.argv[1])
    parts: dict[str, Callable[[Path], None]] = {
        "head": head,
        "latents": latents,
        "few": few,
        "alternatives": alternatives,
    }
    print("| what | mean | seeds |\n|---|---|---|")
    for name in sys.argv[2:] or parts:
        parts[name](folder)


if __name__ == "__main__":
    main()
