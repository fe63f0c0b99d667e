"""Measure text columns: latents as features, reconstructed texts, and the cost of encoding.

    .venv/bin/python benchmarks/texts.py latents [AIRPORTS]
    .venv/bin/python benchmarks/texts.py stored [AIRPORTS]
    .venv/bin/python benchmarks/texts.py cost

`latents` trains an autoencoder on one text column and fits gradient boosting on the latents of 70 %
of the rows: R² of a price of generated product titles, AUROC of whether an item sold, and with
AIRPORTS, which is `_data/airports.csv` of the package vega_datasets (BSD-3-Clause; the data are of
the US government), R² of the latitude and AUROC of Alaska from airport names. It is compared with
one-hot slots of the 128 most frequent values, and with scikit-learn's tf-idf of character n-grams
and truncated SVD of the same size. `stored` is the share of training texts that are reconstructed
exactly, by the size of the latent. `cost` encodes a million texts of one to four words. Means of
seeds 0, 1 and 2.
"""

from __future__ import annotations

import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from sklearn.decomposition import TruncatedSVD
from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.metrics import r2_score, roc_auc_score

import aecli
from aecli.features.text.fit import fit_encoder

SEEDS = (0, 1, 2)
SIZE = 64
SLOTS = 128

BRANDS = [
    "Acme",
    "Nordika",
    "Velotec",
    "Sunray",
    "Bergmann",
    "Okami",
    "Lumen",
    "Pinewood",
    "Castello",
    "Tundra",
    "Arrowhead",
    "Delmar",
    "Quantum",
    "Hearth",
    "Falcon",
    "Orchid",
    "Summit",
    "Breeze",
    "Ironclad",
    "Maple",
]
KINDS = {
    "kettle": 30, "toaster": 35, "lamp": 40, "chair": 90, "desk": 220, "sofa": 700, "bicycle": 600,
    "tent": 180, "backpack": 70, "jacket": 120, "headphones": 110, "keyboard": 60, "monitor": 240,
    "blender": 65, "bookshelf": 130, "mattress": 450, "scooter": 300, "mug": 12, "bottle": 15,
    "notebook": 6,
}  # fmt: skip
QUALITIES = {
    "mini": 0.6, "compact": 0.8, "classic": 1.0, "large": 1.25, "premium": 1.7, "professional": 2.0,
    "refurbished": 0.5, "vintage": 1.3, "foldable": 1.1, "wireless": 1.4, "children's": 0.7,
    "waterproof": 1.2,
}  # fmt: skip
COLOURS = [
    "black",
    "white",
    "red",
    "blue",
    "green",
    "grey",
    "beige",
    "navy",
    "olive",
    "walnut",
    "oak",
    "silver",
]


def products(rows: int = 6_000, seed: int = 0) -> pd.DataFrame:
    """Return titles of products with spelling mistakes, their prices and whether they sold."""
    draws = np.random.default_rng(seed)
    titles, prices = [], []
    for _ in range(rows):
        kind, quality = draws.choice(list(KINDS)), draws.choice(list(QUALITIES))
        brand = int(draws.integers(len(BRANDS)))
        words = [BRANDS[brand], quality, str(draws.choice(COLOURS)), kind]
        if draws.random() < 0.5:
            words.append(f"{draws.choice(list('ABCXZ'))}{draws.integers(10, 999)}")
        draws.shuffle(words)
        titles.append(_misspelled(" ".join(words), draws))
        prices.append(np.log(KINDS[kind] * QUALITIES[quality] * (0.7 + brand / 20)))
    price = np.array(prices) + draws.normal(0, 0.2, rows)
    sold = draws.random(rows) < 1 / (1 + np.exp(1.5 * (price - np.median(price))))
    return pd.DataFrame({"text": titles, "number": price, "class": sold.astype(int)})


def _misspelled(text: str, draws: np.random.Generator) -> str:
    """Return the text, in 15 % of the cases without one of its characters."""
    at = int(draws.integers(1, len(text)))
    return text[: at - 1] + text[at:] if draws.random() < 0.15 else text


def airports(path: str) -> pd.DataFrame:
    """Return the names of airports, their latitude and whether they are in Alaska."""
    table = pd.read_csv(path, keep_default_na=False)
    alaska = (table["state"] == "AK").astype(int)
    return pd.DataFrame({"text": table["name"], "number": table["latitude"], "class": alaska})


def slots(train: pd.Series, texts: pd.Series) -> np.ndarray:
    """Return a one-hot vector of the most frequent training values."""
    known = train.value_counts().index[:SLOTS]
    return (texts.to_numpy()[:, None] == known.to_numpy()[None, :]).astype(np.float32)


def tfidf(train: pd.Series, texts: pd.Series) -> np.ndarray:
    """Return scikit-learn's tf-idf of character n-grams, reduced by a truncated SVD."""
    ngrams = TfidfVectorizer(analyzer="char_wb", ngram_range=(2, 5), sublinear_tf=True, min_df=2)
    svd = TruncatedSVD(SIZE, random_state=0).fit(ngrams.fit_transform(train))
    return svd.transform(ngrams.transform(texts))


def latents(train: pd.Series, texts: pd.Series, *, size: int, seed: int) -> np.ndarray:
    """Return the latents of an autoencoder of the text column."""
    with tempfile.TemporaryDirectory() as folder:
        model = Path(folder) / "model"
        table = pd.DataFrame({"text": train})
        aecli.train(table, model=model, latent=size, seed=seed, text=["text"])
        return np.asarray(aecli.load(model).encode(pd.DataFrame({"text": texts})))


def measure_latents(tables: dict[str, pd.DataFrame]) -> None:
    print("| table | features | R² | AUROC |\n|---|---|---|---|")
    views: dict[str, Callable[[pd.Series, pd.Series, int], np.ndarray]] = {
        f"{SLOTS} category slots": lambda train, texts, seed: slots(train, texts),
        f"tf-idf + SVD, {SIZE}": lambda train, texts, seed: tfidf(train, texts),
        f"aecli, latent {SIZE}": lambda train, texts, seed: latents(
            train, texts, size=SIZE, seed=seed
        ),
    }
    for name, table in tables.items():
        for title, view in views.items():
            figures = np.array([_boosted(table, view, seed) for seed in SEEDS])
            r2, auroc = figures.mean(axis=0)
            print(f"| {name}, {len(table):,} rows | {title} | {r2:.3f} | {auroc:.3f} |", flush=True)


def _boosted(table: pd.DataFrame, view: Any, seed: int) -> tuple[float, float]:
    train = np.random.default_rng(seed).random(len(table)) < 0.7
    features = view(table["text"][train], table["text"], seed)
    number = HistGradientBoostingRegressor(random_state=seed)
    number.fit(features[train], table["number"][train])
    kind = HistGradientBoostingClassifier(random_state=seed)
    kind.fit(features[train], table["class"][train])
    held_out = table[~train]
    return (
        float(r2_score(held_out["number"], number.predict(features[~train]))),
        float(roc_auc_score(held_out["class"], kind.predict_proba(features[~train])[:, 1])),
    )


def measure_stored(tables: dict[str, pd.DataFrame]) -> None:
    print("| table | latent | R² | seen texts returned | unseen texts: null, wrong |")
    print("|---|---|---|---|---|")
    for name, table in tables.items():
        for size in (16, 32, 64):
            figures = np.array([_returned(table["text"], size, seed) for seed in SEEDS])
            r2, seen, null = figures.mean(axis=0)
            unseen = f"{null:.3f}, {1 - null:.3f}"
            print(f"| {name} | {size} | {r2:.3f} | {seen:.3f} | {unseen} |", flush=True)


def _returned(texts: pd.Series, size: int, seed: int) -> tuple[float, float, float]:
    """Return R², the share of training texts returned, and of unseen texts that become null."""
    train = np.random.default_rng(seed).random(len(texts)) < 0.7
    seen = pd.DataFrame({"text": texts[train]})
    unseen = pd.DataFrame({"text": texts[~train & ~texts.isin(texts[train])]})
    with tempfile.TemporaryDirectory() as folder:
        model, held_out = Path(folder) / "model", Path(folder) / "unseen.parquet"
        unseen.to_parquet(held_out)
        aecli.train(seen, model=model, latent=size, seed=seed, text=["text"], valid=str(held_out))
        r2 = aecli.evaluate(seen, model=model).number_r2
        loaded = aecli.load(model)
        same = loaded.reconstruct(seen)["text"] == seen["text"]
        null = loaded.reconstruct(unseen)["text"].isna()
    return float(r2 or 0), float(same.mean()), float(null.mean())


def measure_cost(rows: int = 1_000_000) -> None:
    draws = np.random.default_rng(0)
    syllables = ["ka", "ro", "mi", "tel", "san", "dor", "vi", "lun", "ber", "nix", "pal", "gre"]
    words = np.array(["".join(draws.choice(syllables, draws.integers(1, 4))) for _ in range(8_000)])
    chances = 1 / np.arange(1, len(words) + 1) ** 0.8
    counts = draws.integers(1, 5, rows)
    chosen = words[draws.choice(len(words), counts.sum(), p=chances / chances.sum())]
    texts = [" ".join(part) for part in np.split(chosen, np.cumsum(counts)[:-1])]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "texts.parquet"
        pq.write_table(pa.table({"text": texts}), path)
        encoder = fit_encoder(pa.array(texts[:20_000]), store=True)
        reading = _seconds(lambda: _batches(path, lambda array: array))
        both = _seconds(lambda: _batches(path, encoder.encode))
    print(f"read {reading:.2f} s, read and encode {both:.2f} s: {both / reading:.1f} times")


def _batches(path: Path, use: Callable[[pa.Array], Any]) -> None:
    for batch in pq.ParquetFile(path).iter_batches(16_384, use_threads=False):
        use(batch.column(0))


def _seconds(run: Callable[[], None]) -> float:
    """Return the least CPU seconds of three runs."""
    times = []
    for _ in range(3):
        began = time.process_time()
        run()
        times.append(time.process_time() - began)
    return min(times)


if __name__ == "__main__":
    part, *paths = sys.argv[1:]
    tables = {"products": products()}
    if paths:
        tables["airports"] = airports(paths[0])
    if part == "cost":
        measure_cost()
    else:
        {"latents": measure_latents, "stored": measure_stored}[part](tables)
