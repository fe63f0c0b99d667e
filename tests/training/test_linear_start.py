"""Latent units that start as codes of characters, next to PCA."""

import numpy as np
import pandas as pd
import pytest

import aecli

LETTERS = np.array(list("abcdefghijklmnopqrst"))


def random_texts(rows: int, size: int) -> list[str]:
    drawn = np.random.default_rng(0).choice(LETTERS, (rows, size))
    return ["".join(row) for row in drawn]


def trained(tmp_path, table: pd.DataFrame, **options: object):
    aecli.train(
        table, model=tmp_path / "model", text="name", text_decoder="characters", epochs=1, **options
    )
    return aecli.load(tmp_path / "model")


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_random_texts_that_training_did_not_have_come_back(tmp_path, precision) -> None:
    # The prefix is the same in all texts: its six positions need no latent unit.
    table = pd.DataFrame({"name": [f"item: {text}" for text in random_texts(900, 8)]})
    model = trained(tmp_path, table[:800], latent=8, precision=precision)
    returned = model.reconstruct(table[800:])["name"]
    assert (returned.to_numpy() == table["name"][800:].to_numpy()).mean() > 0.95


def test_other_columns_are_reconstructed_where_few_units_are_left(tmp_path) -> None:
    rng = np.random.default_rng(1)
    table = pd.DataFrame({"name": random_texts(900, 12)})
    for column in range(6):
        table[f"x{column}"] = rng.normal(size=len(table))
    model = trained(tmp_path, table[:800], latent=8)
    columns = aecli.evaluate(table[800:], model=tmp_path / "model").columns
    assert len(model.encode(table).columns) == 8
    assert min(column.value for column in columns if column.kind == "number") > 0.9


def test_a_missing_text_has_the_mean_latent(tmp_path) -> None:
    table = pd.DataFrame({"name": random_texts(400, 4)})
    model = trained(tmp_path, table, latent=4)
    latents = model.encode(table)
    missing = model.encode(pd.DataFrame({"name": [None]}))
    assert (np.abs(missing - latents.mean()) < 0.5 * latents.std()).all(axis=None)
