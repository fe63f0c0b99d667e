"""Models read later tables in other spellings, and write their own values as they came."""

from __future__ import annotations

import datetime as dt
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.csv as pacsv
import pyarrow.parquet as pq
import pytest

import aecli
from aecli.errors import DataError
from aecli.schema.options import ColumnOptions
from aecli.schema.read_options import ReadOptions
from aecli.table.writers import open_writer

pytestmark = pytest.mark.usefixtures("no_cross_fitting")

ROWS = 120
NUMBERS = np.random.default_rng(0).uniform(-5_000, 5_000, ROWS).round(2)
DAYS = [dt.date(2024, 1, 1) + dt.timedelta(days=int(i % 90)) for i in range(ROWS)]
PAID = ["Yes" if i % 3 else "No" for i in range(ROWS)]
PLAIN = pa.table({"x": NUMBERS, "day": pa.array(DAYS), "z": np.arange(ROWS) % 7, "paid": PAID})


def german(number: float) -> str:
    """Return a number with a decimal comma and points between thousands."""
    return f"{number:,.2f}".translate(str.maketrans(",.", ".,"))


def write_german(path: Path, rows: slice = slice(None)) -> Path:
    """Write the rows of `PLAIN` as a German spreadsheet does."""
    lines = [
        f"{german(x)} €;{day:%d.%m.%Y};{z};{paid}"
        for x, day, z, paid in zip(
            NUMBERS[rows], DAYS[rows], (np.arange(ROWS) % 7)[rows], PAID[rows], strict=True
        )
    ]
    path = path.with_suffix(".csv")
    path.write_text("\n".join(["x;day;z;paid", *lines, ""]))
    return path


def write_plain(path: Path, rows: slice = slice(None)) -> Path:
    """Write the rows of `PLAIN` as a CSV file with points and ISO dates."""
    path = path.with_suffix(".csv")
    pacsv.write_csv(PLAIN.slice(rows.start or 0, len(range(*rows.indices(ROWS)))), path)
    return path


def write_parquet(path: Path, rows: slice = slice(None)) -> Path:
    """Write the rows of `PLAIN` with their types."""
    path = path.with_suffix(".parquet")
    pq.write_table(PLAIN.slice(rows.start or 0, len(range(*rows.indices(ROWS)))), path)
    return path


WRITERS = {"german": write_german, "plain": write_plain, "parquet": write_parquet}


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[Path, Path]]:
    """Return a model and its training table by spelling."""
    folder = tmp_path_factory.mktemp("models")
    found = {}
    for name, write in WRITERS.items():
        found[name] = (folder / name, write(folder / f"{name}_table"))
        aecli.train(str(found[name][1]), model=folder / name, epochs=3)
    return found


def latents(model: Path, table: Path) -> Any:
    """Return the latents of a table."""
    output = table.with_name("latents.parquet")
    aecli.encode(str(table), str(output), model=model)
    return pq.read_table(output).to_pandas().to_numpy()


@pytest.mark.parametrize("trained", WRITERS)
@pytest.mark.parametrize("later", WRITERS)
@pytest.mark.parametrize("rows", [slice(None), slice(20, 21), slice(10, 15)])
def test_a_model_reads_its_columns_in_any_spelling(
    tmp_path: Path,
    models: dict[str, tuple[Path, Path]],
    trained: str,
    later: str,
    rows: slice,
) -> None:
    model, table = models[trained]
    found = latents(model, WRITERS[later](tmp_path / "later", rows))
    np.testing.assert_allclose(found, latents(model, table)[rows], atol=1e-5)


def test_other_columns_of_a_later_table_outrank_the_spelling_of_training(tmp_path: Path) -> None:
    def write(name: str, rows: list[str]) -> str:
        (tmp_path / name).write_text("\n".join(["p;q", *rows, ""]))
        return str(tmp_path / name)

    german = write("de.csv", [f"{1 + i}.{100 + i},72;{i},5" for i in range(60)])
    aecli.train(german, model=tmp_path / "m", epochs=1)
    numbers = [f"{1 + i % 3}.{100 + i}" for i in range(60)]
    english = write("en.csv", [f"{p};{i}.51" for i, p in enumerate(numbers)])
    plain = pa.table({"p": list(map(float, numbers)), "q": [i + 0.51 for i in range(60)]})
    pq.write_table(plain, tmp_path / "en.parquet")
    model = tmp_path / "m"
    wanted = latents(model, tmp_path / "en.parquet")
    np.testing.assert_allclose(latents(model, Path(english)), wanted, atol=1e-5)


def test_fills_are_spelled_as_the_model_reads_a_column_that_is_open(tmp_path: Path) -> None:
    rows = [f"{10 + i} kg;{1 + i % 28:02}.{1 + i % 12:02}.2024" for i in range(60)]
    (tmp_path / "t.csv").write_text("\n".join(["w;d", *rows, ""]))
    model = tmp_path / "m"
    aecli.train(str(tmp_path / "t.csv"), model=model, epochs=1)
    (tmp_path / "later.csv").write_text("w;d\n15 kg;01.02.2024\n;\n17 kg;03.02.2024\n")
    output = tmp_path / "f.csv"
    aecli.reconstruct(str(tmp_path / "later.csv"), str(output), model=model, fill=True)
    weight, day = output.read_text().splitlines()[2].replace('"', "").split(",")
    assert weight.endswith(" kg")
    assert dt.datetime.strptime(day, "%d.%m.%Y")


@pytest.mark.parametrize("trained", ["plain", "parquet"])
def test_dates_that_a_model_cannot_tell_ask_for_their_format(
    tmp_path: Path, models: dict[str, tuple[Path, Path]], trained: str
) -> None:
    model, table = models[trained]
    later = write_german(tmp_path / "later", slice(8, 12))
    with pytest.raises(DataError) as caught:
        latents(model, later)
    assert "column 'day': '09.01.2024' is not a date or time" in caught.value.what
    assert caught.value.hint == "--date-format '%d.%m.%Y' or --date-format '%m.%d.%Y'"
    output = tmp_path / "z.parquet"
    aecli.encode(str(later), str(output), model=model, read=ReadOptions(date_format="%d.%m.%Y"))
    found = pq.read_table(output).to_pandas().to_numpy()
    np.testing.assert_allclose(found, latents(model, table)[8:12], atol=1e-5)


@pytest.mark.parametrize("trained", WRITERS)
@pytest.mark.parametrize("output", ["r.csv", "r.tsv", "r.jsonl"])
def test_what_a_model_writes_it_reads_back(
    tmp_path: Path, models: dict[str, tuple[Path, Path]], trained: str, output: str
) -> None:
    model, table = models[trained]
    for name in (output, "r.parquet"):
        aecli.reconstruct(str(table), str(tmp_path / name), model=model)
    typed = pq.read_table(tmp_path / "r.parquet")
    assert set(typed["paid"].to_pylist()) <= {"Yes", "No"}
    assert typed["day"].type == pa.date32()
    again = latents(model, tmp_path / output)
    np.testing.assert_allclose(again, latents(model, tmp_path / "r.parquet"), atol=1e-4)


@pytest.mark.parametrize(
    ("trained", "later", "values"),
    [
        ("5 kg", "6 kg", True),
        ("5 kg", "6 lb", False),
        ("5 kg", "6", True),
        ("5,5 €", "6,5 $", False),
        ("5,5 €", "6.5", True),
        ("0.25", "50%", False),
        ("25%", "50 %", True),
        ("5.5", "$6.5", True),
        ("7", "yes", False),
    ],
)
def test_other_units_than_those_of_training_are_refused(
    tmp_path: Path, trained: str, later: str, values: bool
) -> None:
    def write(name: str, cell: str) -> str:
        digit = next(c for c in cell if c.isdigit()) if any(map(str.isdigit, cell)) else "y"
        cells = [cell.replace(digit, str(10 + i), 1) if digit != "y" else cell for i in range(40)]
        rows = "".join(f"{cell};{i % 7}\n" for i, cell in enumerate(cells))
        (tmp_path / name).write_text("x;z\n" + rows)
        return str(tmp_path / name)

    aecli.train(write("train.csv", trained), model=tmp_path / "m", epochs=1)
    if values:
        latents(tmp_path / "m", Path(write("later.csv", later)))
        return
    with pytest.raises(DataError, match=r"row 1 \(line 2\), column 'x'"):
        latents(tmp_path / "m", Path(write("later.csv", later)))


def test_space_around_a_category_is_not_part_of_it(
    tmp_path: Path, models: dict[str, tuple[Path, Path]]
) -> None:
    table = pa.table({"c": ["a", "b", " d"] * 20, "x": np.arange(60) % 7})
    aecli.train(table, model=tmp_path / "m", epochs=1)
    (tmp_path / "later.csv").write_text("c,x\na ,0\n b,1\n d,2\nnew,3\n")
    result = aecli.encode(
        str(tmp_path / "later.csv"), str(tmp_path / "z.csv"), model=tmp_path / "m"
    )
    assert result.unseen == {"c": 1}


def test_copied_and_filled_cells_are_spelled_as_the_table_spells_them(tmp_path: Path) -> None:
    model = tmp_path / "m"
    aecli.train(str(write_german(tmp_path / "train.csv")), model=model, epochs=1)
    holes = [
        "x;day;z;paid;note",
        "1.234,50 €;31.01.2024;3;Yes;007",
        ";01.02.2024;;;NA",
        "99,90 €;;5;No;",
    ]
    (tmp_path / "holes.csv").write_text("\n".join([*holes, ""]))
    aecli.reconstruct(str(tmp_path / "holes.csv"), str(tmp_path / "f.csv"), model=model, fill=True)
    header, first, second, third = pacsv.read_csv(
        tmp_path / "f.csv",
        read_options=pacsv.ReadOptions(autogenerate_column_names=True),
        convert_options=pacsv.ConvertOptions(column_types={f"f{i}": pa.string() for i in range(5)}),
    ).to_pylist()
    assert list(header.values()) == ["x", "day", "z", "paid", "note"]
    assert list(first.values()) == ["1.234,50 €", "31.01.2024", "3", "Yes", "007"]
    assert second["f0"].endswith(" €")
    assert second["f3"] in ("Yes", "No")
    assert (second["f1"], second["f4"]) == ("01.02.2024", "NA")
    assert dt.datetime.strptime(third["f1"], "%d.%m.%Y").year == 2024
    aecli.encode(
        str(tmp_path / "train.csv"), str(tmp_path / "z.parquet"), model=model, keep=["x", "*a*"]
    )
    kept = pq.read_table(tmp_path / "z.parquet")
    assert kept["x"].to_pylist() == [f"{german(x)} €" for x in NUMBERS]
    assert kept["day"].to_pylist() == [f"{day:%d.%m.%Y}" for day in DAYS]
    assert kept["paid"].to_pylist() == PAID


@pytest.mark.parametrize(
    ("texts", "booleans"),
    [
        (["yes", "no"], True),
        (["Y", "N"], True),
        (["on", "off"], True),
        (["t", "f"], True),
        (["yes", "no", "NA"], True),
        (["yes", "no", "maybe"], False),
        (["yes", "no", "Yes"], False),
        (["low", "high"], False),
        (["1 star", "2 stars"], False),
        (["yes", "n"], False),
    ],
)
@pytest.mark.parametrize("name", ["t.csv", "t.parquet", "t.jsonl"])
def test_texts_of_two_truth_values_are_booleans(
    tmp_path: Path, name: str, texts: list[str], booleans: bool
) -> None:
    table = pa.table({"b": [texts[i % len(texts)] for i in range(60)], "x": np.arange(60) % 5})
    with open_writer(str(tmp_path / name), table.schema) as write:
        write(table.to_batches()[0])
    kinds = {c.name: c.kind for c in aecli.inspect(str(tmp_path / name)).columns}
    assert kinds["b"] == ("boolean" if booleans else "category")
    labelled: Any = aecli.inspect(str(tmp_path / name), columns=ColumnOptions(label="b")).label
    assert sorted(labelled.classes) == sorted(set(texts) - ({"NA"} if booleans else set()))
