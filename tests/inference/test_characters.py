"""Models that decode texts character by character."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import aecli
from aecli.api.model import Model

FIRST = ("Blue", "Golden", "Old", "Little", "Royal", "Happy", "Green", "Silver", "Café", "New")
LAST = ("Fox", "Dragon", "Grill", "Garden", "Bakery", "Corner", "House", "北京", "Table", "Star")
NAMES = [f"{first} {last}" for first in FIRST for last in LAST]
UNSEEN = NAMES[::7]
SEEN = [name for name in NAMES if name not in UNSEEN]


def table(names: list[str | None]) -> pd.DataFrame:
    lengths = [np.nan if name is None else float(len(name)) for name in names]
    return pd.DataFrame({"name": names, "length": lengths})


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("characters") / "model"
    aecli.train(
        table([*SEEN * 4, None, None]), text="name", text_decoder="characters", latent=8,
        epochs=12, model=directory,
    )  # fmt: skip
    return directory


@pytest.fixture(scope="module")
def model(trained: Path) -> Model:
    return aecli.load(trained)


def right_characters(texts: list[str], others: list[str]) -> float:
    pairs = [(a, b) for text, other in zip(texts, others, strict=True)
             for a, b in zip(text, other.ljust(len(text), "\0"), strict=False)]  # fmt: skip
    return sum(a == b for a, b in pairs) / len(pairs)


def test_seen_and_unseen_texts_are_reconstructed(model: Model) -> None:
    for names, least in ((SEEN, 0.98), (UNSEEN, 0.5)):
        reconstructed = model.reconstruct(table(names))["name"].tolist()
        assert right_characters(names, reconstructed) >= least


def test_latents_are_decoded_to_the_same_texts(model: Model) -> None:
    rows = table(UNSEEN)
    decoded = model.decode(model.encode(rows))
    assert decoded["name"].tolist() == model.reconstruct(rows)["name"].tolist()


def test_evaluation_has_the_shares_of_right_characters_and_exact_texts(trained: Path) -> None:
    result = aecli.evaluate(table(SEEN), model=trained)
    figures = result.figures()
    assert 0.9 < figures["text_retrieved"] <= figures["character_accuracy"] <= 1
    name = next(column for column in result.columns if column.name == "name")
    assert name.baseline is not None
    assert name.baseline < 0.5
    assert "column_accuracy" not in figures


def test_no_training_text_is_stored(trained: Path) -> None:
    for file in trained.rglob("*"):
        stored = file.read_bytes() if file.is_file() else b""
        assert not [name for name in SEEN if name.encode() in stored]


def test_an_unusual_text_is_an_anomaly_with_the_expected_text(trained: Path) -> None:
    rows = table([*SEEN, "zzzzzzzzzzzz"])
    worst = aecli.score(rows, model=trained).anomalous[0]
    assert worst.row == len(SEEN)
    reason = next(reason for reason in worst.reasons if reason.column == "name")
    assert reason.value == "zzzzzzzzzzzz"
    assert reason.expected


def test_missing_texts_stay_missing_in_cells_and_are_filled_on_demand(model: Model) -> None:
    rows = pd.DataFrame({"name": ["Blue Fox", None], "length": [8.0, 8.0]})
    filled = model.reconstruct(rows, fill=True)
    assert filled["name"][0] == "Blue Fox"
    assert isinstance(filled["name"][1], str)
    residual = model.reconstruct(rows, residuals=True)["name_residual"]
    assert 0 <= residual[0] <= 1
    assert residual.isna().tolist() == [False, True]
