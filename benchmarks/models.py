"""Measure the models of the defaults on every kind of table, next to PCA, a forest and boosting.

    .venv/bin/python benchmarks/models.py FOLDER --save FILE [PART …] [--seeds 0,1,2]
    PYTHONPATH=CHECKOUT .venv/bin/python benchmarks/models.py FOLDER --save OTHER [PART …]
    .venv/bin/python benchmarks/models.py --table OTHER FILE

The first command measures the aecli that is installed and adds its figures to a JSON file, so that
parts and seeds may be measured one by one; the second does so for the aecli of another checkout.
The third prints both as a Markdown table, means over the seeds. Every model is trained with
defaults and the options in the row's name, and test rows are seen once. CPU seconds are those
of the training, of all threads. Peers are fitted on the same rows: PCA of the latent's size, an
isolation forest, gradient boosting on the columns (histograms, scikit-learn's defaults).
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import filling
import numpy as np
import outliers
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pacsv
import pyarrow.parquet as pq
import start
from features import LATENT, adult, auroc, coded, raw_features
from sklearn.decomposition import PCA, FastICA
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.metrics import roc_auc_score
from sklearn.pipeline import make_pipeline

import aecli
from aecli.schema.options import option_names

Figure = tuple[str, str, float]
"""A row of the table, whose figure it is (`aecli` or a peer), and the figure."""

Part = Callable[[Path, int], Iterator[Figure]]

COST = "CPU seconds of training"
ECE_BINS = 15
PIXELS = 784


def cpu_seconds() -> float:
    """Return the CPU seconds of this process and of those that it started."""
    return sum(os.times()[:4])


def train(data: Any, model: str, **options: Any) -> float:
    """Train a model; return the CPU seconds."""
    began = cpu_seconds()
    aecli.train(data, model=model, **options)
    return cpu_seconds() - began


def reconstruction(row: str, found: Any) -> Iterator[Figure]:
    """Yield R² and the accuracy of categories, of the model and of PCA."""
    if found.number_r2 is not None:
        yield f"{row}: R² of numbers", "aecli", found.number_r2
        yield f"{row}: R² of numbers", "PCA", found.number_r2_pca
    columns = [
        column for column in found.columns if column.metric == "accuracy" and column.observed
    ]
    if columns:
        yield f"{row}: categories", "aecli", float(np.mean([column.value for column in columns]))
        yield f"{row}: categories", "PCA", float(np.mean([column.pca for column in columns]))


def calibration_error(test: pa.Table, label: str, place: str) -> float:
    """Return the expected calibration error of the most probable class (Guo et al. 2017)."""
    aecli.predict(test, f"{place}/p.parquet", model=f"{place}/m", top=1, keep=[label])
    predicted = pq.read_table(f"{place}/p.parquet")
    right = pc.equal(predicted["top1_class"].cast(pa.string()), predicted[label].cast(pa.string()))
    shares = predicted["top1_prob"].to_numpy()
    bins = np.minimum((shares * ECE_BINS).astype(int), ECE_BINS - 1)
    gaps = np.bincount(bins, right.to_numpy() - shares, ECE_BINS)
    return float(np.abs(gaps).sum() / len(shares))


def labelled(
    row: str, rows: pa.Table, test: pa.Table, label: str, seed: int, **options: Any
) -> Iterator[Figure]:
    """Yield all figures of a model with a classifier, next to those of gradient boosting."""
    with tempfile.TemporaryDirectory() as place:
        seconds = train(rows, f"{place}/m", label=label, seed=seed, **options)
        found = aecli.evaluate(test, model=f"{place}/m")
        error = calibration_error(test, label, place)
    assert found.classification is not None, "the table has a label"
    yield f"{row}: AUROC", "aecli", found.classification.auroc
    yield f"{row}: calibration error", "aecli", error
    yield from reconstruction(row, found)
    yield f"{row}: {COST}", "aecli", seconds
    if not seed:
        left_out = [label, *options.get("exclude", [])]
        yield f"{row}: AUROC", "boosting", boosting(rows, test, label, left_out)


def boosting(train: pa.Table, test: pa.Table, label: str, left_out: list[str]) -> float:
    """Return the AUROC of gradient boosting on the columns, one class against the rest."""
    frames = [rows.drop_columns(left_out).to_pandas() for rows in (train, test)]
    x, x_test = (frame.where(frame.notna(), None) for frame in frames)
    y, y_test = (rows[label].to_numpy(zero_copy_only=False) for rows in (train, test))
    learner = make_pipeline(raw_features(x), HistGradientBoostingClassifier(random_state=0))
    shares = learner.fit(x, y).predict_proba(x_test)
    many = shares.shape[1] > 2
    return float(roc_auc_score(y_test, shares if many else shares[:, 1], multi_class="ovr"))


def a_fifth(table: pa.Table) -> tuple[pa.Table, pa.Table]:
    """Return training rows, and a random fifth as test rows, for tables without a split."""
    drawn = pa.array(np.random.default_rng(0).random(table.num_rows) < 0.2)
    return table.filter(pc.invert(drawn)), table.filter(drawn)


def adult16(folder: Path, seed: int) -> Iterator[Figure]:
    """Yield Adult with its label and 16 latents."""
    yield from labelled("Adult, `--latent 16`", *adult(folder), "income", seed, latent=16)


def adult8(folder: Path, seed: int) -> Iterator[Figure]:
    """Yield Adult with its label and 8 latents."""
    yield from labelled("Adult, `--latent 8`", *adult(folder), "income", seed, latent=8)


def diamonds(folder: Path, seed: int) -> Iterator[Figure]:
    """Yield diamonds with the label `cut` and 4 latents."""
    parts = a_fifth(pacsv.read_csv(folder / "diamonds.csv"))
    yield from labelled("diamonds, `--label cut --latent 4`", *parts, "cut", seed, latent=4)


def ai4i(folder: Path, seed: int) -> Iterator[Figure]:
    """Yield ai4i2020 with its rare label, with the kinds of failure as columns and without."""
    parts, ids = a_fifth(pacsv.read_csv(folder / "ai4i2020.csv")), ["UID", "Product ID"]
    kinds = ["TWF", "HDF", "PWF", "OSF", "RNF"]
    for row, left_out in (("ai4i2020", ids), ("ai4i2020 without kinds of failure", ids + kinds)):
        yield from labelled(row, *parts, "Machine failure", seed, exclude=left_out)


def mnist_label(folder: Path, seed: int) -> Iterator[Figure]:
    """Yield MNIST with its label: pixels in 0..1, over those that vary."""
    rows, test = start.halves(pq.read_table(folder / "mnist.parquet"))
    options: dict[str, Any] = {"label": "label", "encoder": [512, 256, 64], "l1": 1e-4}
    with tempfile.TemporaryDirectory() as place:
        seconds = train(rows, f"{place}/m", seed=seed, **options)
        found = aecli.evaluate(test, model=f"{place}/m")
        error = calibration_error(test, "label", place)
    row = "MNIST, `--label label --encoder 512,256,64 --l1 1e-4`"
    yield f"{row}: accuracy", "aecli", found.classification.accuracy
    yield f"{row}: calibration error", "aecli", error
    yield f"{row}: MSE", "aecli", found.number_mse
    yield f"{row}: MSE", "PCA", found.number_mse_pca
    yield f"{row}: {COST}", "aecli", seconds


def mnist(folder: Path, seed: int) -> Iterator[Figure]:
    """Yield MNIST without its label: errors of the pixels in 0..1, over all 784."""
    rows, test = start.halves(pq.read_table(folder / "mnist.parquet"))
    for latent in (12, 32, 64):
        with tempfile.TemporaryDirectory() as place:
            options: dict[str, Any] = {"exclude": ["label"], "latent": latent, "seed": seed}
            seconds = train(rows, f"{place}/m", **options)
            found = aecli.evaluate(test, model=f"{place}/m")
        share = len(found.columns) / PIXELS
        row = f"MNIST, `--exclude label --latent {latent}`"
        yield f"{row}: MSE", "aecli", found.number_mse * share
        yield f"{row}: MSE", "PCA", found.number_mse_pca * share
        yield f"{row}: {COST}", "aecli", seconds


def latents(folder: Path, seed: int) -> Iterator[Figure]:
    """Yield gradient boosting on 16 latents of Adult that never saw the label."""
    parts = list(adult(folder))
    y, y_test = (rows["income"].to_numpy(zero_copy_only=False) for rows in parts)
    boosting = HistGradientBoostingClassifier(random_state=seed)
    axes = ["uncorrelated", "independent"] if "axes" in option_names() else [""]
    for chosen in axes:
        row = "boosting on Adult's 16 latents" + (f", `--axes {chosen}`" if chosen else "")
        began = cpu_seconds()
        fitted, test = coded(parts, seed, **({"axes": chosen} if chosen else {}))
        yield f"{row}: CPU seconds of training and encoding", "aecli", cpu_seconds() - began
        yield f"{row}: AUROC", "aecli", auroc(boosting, fitted, y, test, y_test)
    frames = [rows.drop_columns(["income"]).to_pandas() for rows in parts]
    x, x_test = (frame.where(frame.notna(), None) for frame in frames)
    ica = FastICA(LATENT, random_state=seed, max_iter=1000)
    peer = make_pipeline(raw_features(x), PCA(LATENT, random_state=0), ica, boosting)
    yield f"{row}: AUROC", "PCA + FastICA", auroc(peer, x, y, x_test, y_test)


def taxi(folder: Path, seed: int) -> Iterator[Figure]:
    """Yield the error of filled values of nyc_taxi over their standard deviation."""
    truth = filling.read(folder / "nab" / "nyc_taxi.csv")
    table, masks = filling.punched(truth, seed)
    began = cpu_seconds()
    filled = filling.by_aecli(table, seed, filling.OPTIONS)
    row = f"nyc_taxi, `{' '.join(filling.OPTIONS)}`, filled"
    yield f"{row}: error", "aecli", filling.figures(truth, filled, masks)["value"]
    yield f"{row}: CPU seconds", "aecli", cpu_seconds() - began
    trivial = filling.figures(truth, filling.by_trivial(table), masks)
    yield f"{row}: error", "mean", trivial["value"]


def adbench(folder: Path, seed: int) -> Iterator[Figure]:
    """Yield scores of the ten tables, trained on normal rows and on all rows."""
    names = {"semi": "normal rows", "unsup": "all rows"}
    for path in sorted((folder / "adbench").glob("*.parquet")):
        for protocol, *parts in outliers.protocols(pq.read_table(path), seed):
            marks = parts[1]["anomaly"].to_numpy()
            rows, scored = (part.drop_columns(["anomaly"]) for part in parts)
            yield from own(f"ADBench, {names[protocol]}", rows, scored, marks, seed)
            if protocol == "unsup" and "drop_isolated" in option_names():
                row = "ADBench, all rows, `--drop-isolated 0.1`"
                yield from own(row, rows, scored, marks, seed, drop_isolated=0.1)
            peer = outliers.forest(outliers.matrix(rows), outliers.matrix(scored), seed)
            yield from detection(f"ADBench, {names[protocol]}", "forest", marks, peer)


def own(
    row: str, rows: pa.Table, scored: pa.Table, marks: Any, seed: int, **options: Any
) -> Iterator[Figure]:
    """Yield the figures of aecli's scores, and the CPU seconds."""
    began = cpu_seconds()
    scores = outliers.own(rows, scored, seed, [], **options)["score"].to_numpy()
    yield f"{row}: CPU seconds of training and scoring", "aecli", cpu_seconds() - began
    yield from detection(row, "aecli", marks, scores)


def detection(row: str, who: str, marks: Any, scores: Any) -> Iterator[Figure]:
    """Yield AUROC and average precision of scores."""
    yield f"{row}: AUROC", who, outliers.auroc(marks, scores)
    yield f"{row}: average precision", who, outliers.average_precision(marks, scores)


def nab(folder: Path, seed: int) -> Iterator[Figure]:
    """Yield scores of the rows of NAB's files, each trained on in windows without its label."""
    for path in sorted((folder / "nab").glob("*.csv")):
        table = pacsv.read_csv(path)
        marks, rows = table["anomaly"].to_numpy(), table.drop_columns(["anomaly"])
        options = {"window": outliers.NAB_WINDOW, "time": rows.column_names[0]}
        yield from own("NAB", rows, rows, marks, seed, **options)


def skab(folder: Path, seed: int) -> Iterator[Figure]:
    """Yield scores of the rows of SKAB after the first 400 of each run, in one ranking."""
    began = cpu_seconds()
    marks, scores = outliers.skab_scores(pq.read_table(folder / "skab.parquet"), "vanilla", seed)
    yield "SKAB: CPU seconds of training and scoring", "aecli", cpu_seconds() - began
    yield from detection("SKAB", "aecli", marks, scores)


PARTS: dict[str, Part] = {
    "adbench": adbench,
    "adult16": adult16,
    "adult8": adult8,
    "diamonds": diamonds,
    "ai4i": ai4i,
    "mnist-label": mnist_label,
    "mnist": mnist,
    "latents": latents,
    "taxi": taxi,
    "nab": nab,
    "skab": skab,
}


def measure(folder: Path, saved: Path, parts: list[str], seeds: list[int]) -> None:
    """Add the figures of parts and seeds to a file, by row, whose they are, and seed."""
    figures: dict[str, dict[str, dict[str, float]]] = {}
    if saved.exists():
        figures = json.loads(saved.read_text())
    for part in parts:
        for seed in seeds:
            found: dict[tuple[str, str], list[float]] = {}
            for row, who, value in PARTS[part](folder, seed):
                found.setdefault((row, who), []).append(value)
            for (row, who), values in found.items():
                of_row = figures.setdefault(row, {}).setdefault(who, {})
                of_row[str(seed)] = float(np.mean(values))
                print(f"{row}, seed {seed}, {who}: {np.mean(values):.4g}", flush=True)
            saved.write_text(json.dumps(figures, indent=1))


def show(files: list[Path]) -> None:
    """Print the means of the seeds in files: aecli of each, and the peers of the last."""
    read = [json.loads(path.read_text()) for path in files]
    print(f"| row | {' | '.join(path.stem for path in files)} | in the same run |")
    print("|---|" + "---|" * (len(files) + 1))
    for row in dict.fromkeys(row for figures in reversed(read) for row in figures):
        shown = [mean(figures.get(row, {}).get("aecli")) for figures in read]
        peers = {who: of for who, of in read[-1].get(row, {}).items() if who != "aecli"}
        listed = ", ".join(f"{who} {mean(of)}" for who, of in peers.items())
        print(f"| {row} | {' | '.join(shown)} | {listed} |")


def mean(seeds: dict[str, float] | None) -> str:
    """Return the mean over seeds, with their number unless it is that of most figures, 3."""
    if not seeds:
        return ""
    text = f"{np.mean(list(seeds.values())):.4g}"
    return text if len(seeds) == 3 else f"{text} ({len(seeds)} seed{'s' * (len(seeds) > 1)})"


def main() -> None:
    """Measure, or print what was measured."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("folder", type=Path, nargs="?")
    parser.add_argument("parts", nargs="*", metavar="PART", help=", ".join(PARTS))
    parser.add_argument("--save", type=Path, metavar="FILE")
    parser.add_argument("--seeds", default="0,1,2")
    parser.add_argument("--table", type=Path, nargs="+", metavar="FILE")
    given = parser.parse_intermixed_args()
    if given.table:
        show(given.table)
        return
    if given.folder is None or given.save is None:
        parser.error("FOLDER and --save FILE, or --table FILE …")
    seeds = [int(seed) for seed in given.seeds.split(",")]
    measure(given.folder, given.save, given.parts or list(PARTS), seeds)


if __name__ == "__main__":
    main()
