"""Text columns: latents as features, reconstructed texts, and the cost of encoding.

`products` are generated titles with a price and whether an item sold, `airports` names with their
latitude and whether they are in Alaska: `_data/airports.csv` of the package vega_datasets
(BSD-3-Clause; the data are of the US government). `latents`: gradient boosting on the latents of
an autoencoder of the text column, fitted to 70 % of the rows, next to one-hot slots of the 128 most
frequent values, and to tf-idf of character n-grams and a truncated SVD of scikit-learn.
`stored`: texts that are reconstructed exactly, by the size of the latent. `cost`: a million texts
of one to four words.
"""

from __future__ import annotations

import importlib.util
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from harness import Row, Run
from measures import median_cpu, trained
from sklearn.decomposition import TruncatedSVD
from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.metrics import r2_score, roc_auc_score

import aecli
from aecli.features.text.fit import fit_encoder
from aecli.features.text.reader import TextReader

TURNS = 3
QUICK_ROWS = 600
SIZE = 64
SLOTS = 128

BRANDS = [
    "Acme", "Nordika", "Velotec", "Sunray", "Bergmann", "Okami", "Lumen", "Pinewood", "Castello",
    "Tundra", "Arrowhead", "Delmar", "Quantum", "Hearth", "Falcon", "Orchid", "Summit", "Breeze",
    "Ironclad", "Maple",
]  # fmt: skip
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
    "black", "white", "red", "blue", "green", "grey", "beige", "navy", "olive", "walnut", "oak",
    "silver",
]  # fmt: skip


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


def airports() -> pd.DataFrame:
    """Return the names of airports, their latitude and whether they are in Alaska."""
    found = importlib.util.find_spec("vega_datasets")
    assert found is not None, "pip install vega_datasets"
    path = Path(found.origin or "").parent / "_data" / "airports.csv"
    table = pd.read_csv(path, keep_default_na=False)
    alaska = (table["state"] == "AK").astype(int)
    return pd.DataFrame({"text": table["name"], "number": table["latitude"], "class": alaska})


def table_of(run: Run) -> pd.DataFrame:
    """Return the table of a case."""
    table = products() if run.case == "products" else airports()
    return table[:QUICK_ROWS] if run.quick else table


def slots(train: pd.Series, texts: pd.Series) -> np.ndarray:
    """Return a one-hot vector of the most frequent training values."""
    known = train.value_counts().index[:SLOTS]
    return (texts.to_numpy()[:, None] == known.to_numpy()[None, :]).astype(np.float32)


def tfidf(train: pd.Series, texts: pd.Series) -> np.ndarray:
    """Return scikit-learn's tf-idf of character n-grams, reduced by a truncated SVD."""
    ngrams = TfidfVectorizer(analyzer="char_wb", ngram_range=(2, 5), sublinear_tf=True, min_df=2)
    svd = TruncatedSVD(SIZE, random_state=0).fit(ngrams.fit_transform(train))
    return svd.transform(ngrams.transform(texts))


def encoded(run: Run, train: pd.Series, texts: pd.Series) -> np.ndarray:
    """Return the latents of an autoencoder of the text column."""
    with trained(run, pd.DataFrame({"text": train}), latent=SIZE, text=["text"]) as model:
        return np.asarray(aecli.load(model.model).encode(pd.DataFrame({"text": texts})))


def latents(run: Run) -> Iterator[Row]:
    """Yield the figures of boosting on each representation of the texts."""
    table = table_of(run)
    views: dict[str, Callable[[pd.Series, pd.Series], np.ndarray]] = {
        f"{SLOTS} category slots": slots,
        f"tf-idf + SVD, {SIZE}": tfidf,
        f"aecli, latent {SIZE}": lambda train, texts: encoded(run, train, texts),
    }
    for title, view in views.items():
        r2, area = _boosted(table, view, run.seed)
        names = {"table": f"{run.case}, {len(table):,} rows", "features": title}
        yield names | {"R²": r2, "AUROC": area}


def _boosted(table: pd.DataFrame, view: Any, seed: int) -> tuple[float, float]:
    train = np.random.default_rng(seed).random(len(table)) < 0.7
    features = view(table["text"][train], table["text"])
    number = HistGradientBoostingRegressor(random_state=seed)
    number.fit(features[train], table["number"][train])
    kind = HistGradientBoostingClassifier(random_state=seed)
    kind.fit(features[train], table["class"][train])
    held_out = table[~train]
    return (
        float(r2_score(held_out["number"], number.predict(features[~train]))),
        float(roc_auc_score(held_out["class"], kind.predict_proba(features[~train])[:, 1])),
    )


def stored(run: Run) -> Iterator[Row]:
    """Yield the shares of texts that are reconstructed exactly, and of those that become null."""
    texts = table_of(run)["text"]
    train = np.random.default_rng(run.seed).random(len(texts)) < 0.7
    seen = pd.DataFrame({"text": texts[train]})
    unseen = pd.DataFrame({"text": texts[~train & ~texts.isin(texts[train])]})
    for size in (16, 32, 64):
        with tempfile.NamedTemporaryFile(suffix=".parquet") as held_out:
            unseen.to_parquet(held_out.name)
            options = {"latent": size, "text": ["text"], "valid": held_out.name}
            with trained(run, seen, **options) as model:
                r2 = aecli.evaluate(seen, model=model.model).number_r2
                loaded = aecli.load(model.model)
        same = (loaded.reconstruct(seen)["text"] == seen["text"]).mean()
        null = loaded.reconstruct(unseen)["text"].isna().mean()
        names = {"table": run.case, "latent": f"{size}"}
        figures = {"R²": r2, "seen texts returned": float(same)}
        yield names | figures | {"unseen: null": float(null), "wrong": 1 - float(null)}


def cost(run: Run) -> Iterator[Row]:
    """Yield the CPU seconds of reading texts, and of encoding them next to these."""
    for name, texts in cost_texts(2_000 if run.quick else 1_000_000).items():
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "texts.parquet"
            pq.write_table(pa.table({"text": texts}), path)
            reader = TextReader(fit_encoder(texts[:20_000], store=False))
            reading = median_cpu(lambda path=path: _batches(path, lambda array: array), TURNS)
            both = median_cpu(lambda path=path, read=reader.read: _batches(path, read), TURNS)
        names = {"texts": name, "distinct": f"{len(texts.unique()):,}"}
        figures = {"read, CPU s": reading, "encode, CPU s": both - reading}
        ratios = {"encode ÷ read": both / reading - 1, "read and encode ÷ read": both / reading}
        yield names | figures | ratios


def cost_texts(rows: int) -> dict[str, pa.Array]:
    """Return columns of texts, of which words, whole texts, or neither are repeated."""
    draws = np.random.default_rng(0)
    syllables = ["ka", "ro", "mi", "tel", "san", "dor", "vi", "lun", "ber", "nix", "pal", "gre"]
    words = np.array(["".join(draws.choice(syllables, draws.integers(1, 4))) for _ in range(8_000)])
    chances = 1 / np.arange(1, len(words) + 1) ** 0.8
    counts = draws.integers(1, 5, rows)
    chosen = words[draws.choice(len(words), counts.sum(), p=chances / chances.sum())]
    short = pa.array([" ".join(part) for part in np.split(chosen, np.cumsum(counts)[:-1])])
    names = short.unique()[:5_000]
    return {
        "one to four words": short,
        "the same with é": pc.binary_join_element_wise(short, pa.scalar("é"), ""),
        "5,000 names": names.take(pa.array(draws.integers(len(names), size=rows))),
        "codes of one word": pa.array([f"{n:012x}" for n in draws.integers(1 << 48, size=rows)]),
    }


def _batches(path: Path, use: Callable[[pa.Array], Any]) -> None:
    for batch in pq.ParquetFile(path).iter_batches(16_384, use_threads=False):
        use(batch.column(0))
