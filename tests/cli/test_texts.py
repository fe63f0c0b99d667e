"""Tables with text: each trains and is reconstructed, or is refused in words."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import aecli
from aecli.cli.main import main
from aecli.errors import AecliWarning

pytestmark = pytest.mark.usefixtures("no_cross_fitting")

ROWS = 120
DRAWS = np.random.default_rng(0)
WORDS = [
    "alphorn",
    "bergamot",
    "marigold",
    "walnut",
    "Thai",
    "palace",
    "кафе",
    "東京",
    "مطعم",
    "👩‍👧",
    "naïve",
]
TEXTS = [" ".join(DRAWS.choice(WORDS, 4, replace=False)) for _ in range(ROWS)]
NUMBERS = np.arange(ROWS) / 7

TABLES: dict[str, pa.Table] = {
    "one text column": pa.table({"t": TEXTS}),
    "with missing values": pa.table(
        {"t": [None if i % 5 == 0 else t for i, t in enumerate(TEXTS)]}
    ),
    "with empty texts": pa.table({"t": ["" if i % 5 == 0 else t for i, t in enumerate(TEXTS)]}),
    "with texts of 10 MB": pa.table({"t": ["long words " * 1_000_000, *TEXTS[1:]], "x": NUMBERS}),
    "all missing": pa.table({"t": pa.nulls(ROWS, pa.string()), "x": NUMBERS}),
    "all equal": pa.table({"t": ["same text"] * ROWS, "x": NUMBERS}),
    "large strings": pa.table({"t": pa.array(TEXTS, pa.large_string())}),
    "dictionaries": pa.table({"t": pa.array(TEXTS).dictionary_encode()}),
}


@pytest.mark.parametrize("name", TABLES)
def test_a_table_with_text_is_reconstructed(tmp_path: Path, name: str) -> None:
    table = TABLES[name]
    aecli.train(table, model=tmp_path / "m", epochs=1, latent=8)
    result = aecli.load(tmp_path / "m").reconstruct(table)
    assert result.num_rows == ROWS
    for column in result.column_names:
        known = set(table[column].to_pylist()) | {None}
        assert result.schema.field(column).type == table.schema.field(column).type
        if column == "t" and name != "with texts of 10 MB":
            assert set(result[column].to_pylist()) <= known


def test_seen_texts_are_reconstructed_exactly_and_counted(tmp_path: Path) -> None:
    table = pa.table({"t": TEXTS, "x": NUMBERS})
    aecli.train(table, model=tmp_path / "m", epochs=2, latent=40, valid="none")
    figures = aecli.evaluate(table, model=tmp_path / "m")
    assert figures.retrieved["t"] > 0.9
    assert figures.figures()["text_retrieved"] == figures.retrieved["t"]
    numbers = pa.table({"t": pa.array(range(ROWS)), "x": NUMBERS})
    with pytest.warns(AecliWarning, match="'t' is int64; its values are read as text"):
        aecli.load(tmp_path / "m").encode(numbers)
    missing = pa.table({"t": pa.nulls(ROWS, pa.string()), "x": NUMBERS})
    filled = aecli.load(tmp_path / "m").reconstruct(missing, fill=True)
    assert {*filled["t"].to_pylist()} <= {*TEXTS, None}


SHORT = ["ab", "walnut", "moss", "fern", "bergamot"]


@pytest.mark.parametrize("decoder", ["nearest", "characters"])
def test_drawn_texts_are_missing_as_often_as_in_training_and_not_longer(
    tmp_path: Path, decoder: str
) -> None:
    texts = [None if i % 20 == 0 else SHORT[i % 5] + f" {i}"[: i % 4] for i in range(200)]
    how = {"text": ["t"], "text_decoder": decoder, "variational": True, "epochs": 2, "latent": 2}
    aecli.train(pa.table({"t": texts}), model=tmp_path / "m", **how)
    aecli.sample(str(tmp_path / "s.parquet"), model=tmp_path / "m", count=400)
    drawn = pq.read_table(tmp_path / "s.parquet")["t"].to_pylist()
    assert 0.02 <= drawn.count(None) / 400 <= 0.1
    if decoder == "characters":
        lengths = [len(text) for text in drawn if text is not None]
        assert sum(length <= 6 for length in lengths) > len(lengths) / 3


@pytest.mark.parametrize("decoder", ["nearest", "characters"])
@pytest.mark.parametrize(
    ("texts", "reason"),
    [
        ([" " * (1 + i % 40) for i in range(ROWS)], "none with words"),
        (["a b " * 300 + str(i) for i in range(ROWS)], "equal in the characters and words"),
    ],
    ids=["whitespace", "the same first characters"],
)
def test_texts_that_do_not_differ_in_what_is_read_are_left_out(
    tmp_path: Path, decoder: str, texts: list[str], reason: str
) -> None:
    table = pa.table({"t": texts, "x": NUMBERS})
    how = {"text": ["t"], "text_decoder": decoder, "epochs": 1}
    spec = aecli.train(table, model=tmp_path / "m", **how).spec
    assert [column.name for column in spec.columns] == ["x"]
    assert reason in spec.left_out[0].reason


def test_a_report_has_the_change_of_a_text_in_its_own_deviations(tmp_path: Path) -> None:
    table = pa.table({"t": TEXTS, "x": NUMBERS})
    aecli.train(table, model=tmp_path / "m", epochs=2, latent=2, valid="none")
    aecli.report(table, str(tmp_path / "r.html"), model=tmp_path / "m")
    page = (tmp_path / "r.html").read_text(encoding="utf-8").split("What the latent units do")[1]
    row = re.sub(r"<[^>]+>", " ", page.split("<bdi>t</bdi>")[1].split("</tr>")[0])
    changes = [float(number) for number in re.findall(r"\d+\.\d+", row)]
    assert changes
    assert 0.1 < max(changes) < 10


def test_no_text_values_leaves_no_text_in_any_file(tmp_path: Path) -> None:
    table = pa.table({"t": TEXTS, "x": NUMBERS})
    how = {"epochs": 1, "latent": 8, "store_rows": True}
    for folder, stored in (("with", True), ("without", False)):
        aecli.train(table, model=tmp_path / folder, text_values=stored, **how)
    for folder, stored in (("with", True), ("without", False)):
        content = b"".join(file.read_bytes() for file in (tmp_path / folder).iterdir())
        spelled = [(word.encode(), json.dumps(word).encode()) for word in WORDS]
        assert any(a in content or b in content for a, b in spelled) == stored
    latents = [aecli.load(tmp_path / name).encode(table) for name in ("with", "without")]
    assert latents[0] == latents[1]
    assert aecli.load(tmp_path / "without").reconstruct(table)["t"].null_count == ROWS


REFUSED = [
    ("--text x", 2, ["column 'x' is a", "only columns of text can be text"], "leave 'x' out"),
    ("--text y", 3, ["no column 'y'", "--text y"], "aecli inspect"),
    ("--text t --categorical t", 2, ["named by --categorical and by --text"], "leave 't' out"),
    ("--text t --id t", 2, ["named by --id and by"], "leave 't' out"),
    ("--output sigmoid", 2, ["'t' is text", "--output sigmoid does not reach"], "--output linear"),
]


@pytest.mark.parametrize(("options", "code", "parts", "hint"), REFUSED)
def test_what_is_not_text_is_refused(
    tmp_path: Path, monkeypatch, capsys, options: str, code: int, parts: list[str], hint: str
) -> None:
    monkeypatch.chdir(tmp_path)
    lines = [f"{text},{x}" for text, x in zip(TEXTS, NUMBERS, strict=True)]
    Path("d.csv").write_text("t,x\n" + "\n".join(lines), encoding="utf-8")
    assert main(["train", "d.csv", "--model", "m", *options.split()]) == code
    message = capsys.readouterr().err
    assert all(part in message for part in (*parts, hint)), message
    assert not Path("m").exists()
