"""Notes at `train`: each has a table on which it speaks and one on which it is silent."""

from __future__ import annotations

from datetime import datetime, timedelta
from decimal import Decimal

import numpy as np
import pyarrow as pa
import pytest
from pyarrow import csv

import aecli
from aecli.progress import SILENT
from aecli.schema.options import TrainOptions
from aecli.training.data import prepare

RNG = np.random.default_rng(0)
ROWS = 600
X = RNG.normal(size=ROWS)
TIMES = [datetime(2026, 1, 1) + timedelta(minutes=5 * row) for row in range(ROWS)]
SHUFFLED = [TIMES[row] for row in RNG.permutation(ROWS)]
LATE = [TIMES[1], TIMES[0], *TIMES[2:500], TIMES[502], TIMES[500], TIMES[501], *TIMES[503:]]
RESTARTING = [TIMES[row % 150] for row in range(ROWS)]
CUSTOMERS = [f"c{row}" for row in RNG.integers(0, 150, ROWS)]
UNIQUE = [f"c{row}" for row in range(ROWS)]
SERIES = [f"d{row // 150}" for row in range(ROWS)]


def notes(columns, **options):
    table = pa.table({"x": X, **columns})
    return prepare(table, TrainOptions.from_flat(options), SILENT).notes


def said(columns, words, **options):
    return [note for note in notes(columns, **options) if words in note]


@pytest.mark.parametrize(
    ("columns", "options", "hint"),
    [
        ({"created": TIMES}, {}, "--valid last:0.1 holds out"),
        ({"created": LATE}, {}, "--valid last:0.1 holds out"),
        ({"created": TIMES[::-1]}, {"valid": "0.2"}, "--time created --valid last:0.2"),
        ({"created": [t.date() for t in TIMES]}, {}, ""),
        ({"created": SHUFFLED}, {}, ""),
        ({"created": RESTARTING}, {}, ""),
        ({"created": TIMES}, {"valid": "last:0.1"}, ""),
        ({"created": TIMES}, {"valid": "none"}, ""),
        ({"created": TIMES}, {"window": 6}, ""),
    ],
)
def test_rows_in_the_order_of_a_time_suggest_the_last_ones(columns, options, hint):
    found = said(columns, "rows are in order of", **options)
    assert len(found) == bool(hint)
    assert hint in "".join(found)


@pytest.mark.parametrize(
    ("columns", "options", "name"),
    [
        ({"c": CUSTOMERS}, {"id": ["c"]}, "c"),
        ({"customer_id": CUSTOMERS}, {}, "customer_id"),
        ({"customer_id": RNG.integers(1000, 1150, ROWS)}, {}, "customer_id"),
        ({"c": UNIQUE}, {"id": ["c"]}, ""),
        ({"c": UNIQUE}, {}, ""),
        ({"c": CUSTOMERS}, {}, ""),
        ({"customer_id": CUSTOMERS}, {"valid": "group:customer_id"}, ""),
        ({"country": [f"c{row % 9}" for row in range(ROWS)]}, {}, ""),
    ],
)
def test_a_key_on_both_sides_suggests_whole_groups(columns, options, name):
    found = said(columns, "validation rows share", **options)
    assert len(found) == bool(name)
    assert f"--valid group:{name}" in "".join(found) or not name


STACKED = {"time": RESTARTING, "device": SERIES}
INTERLEAVED = {
    "time": [TIMES[row // 4] for row in range(ROWS)],
    "device": list("abcd") * 150,
}
TWO_KEYS = {
    "time": RESTARTING,
    "plant": [f"p{row // 300}" for row in range(ROWS)],
    "line": [f"l{row // 150 % 2}" for row in range(ROWS)],
}


@pytest.mark.parametrize(
    ("columns", "options", "hint"),
    [
        (STACKED, {}, "runs backwards 3 times, but not within one device; try --group device"),
        (STACKED, {"time": "time"}, "but not within one device; try --group device"),
        (INTERLEAVED, {}, "repeats in 450 rows, but not within one device; try --group device"),
        (TWO_KEYS, {}, "try --group plant,line"),
        ({"step": np.arange(ROWS) % 150, "device": SERIES}, {}, "step runs backwards 3 times"),
        ({"time": SHUFFLED}, {}, "--time time sorts the rows"),
        ({"time": RESTARTING}, {"time": "time"}, "try --group with the column"),
        (STACKED, {"group": ["device"]}, ""),
        (STACKED, {"group": ["device"], "time": "time"}, ""),
        ({"time": TIMES, "device": SERIES}, {}, ""),
        ({"time": SHUFFLED}, {"time": "time"}, ""),
        ({"step": np.arange(ROWS) + 5}, {}, ""),
        ({"n": RNG.integers(0, 50, ROWS)}, {}, ""),
    ],
)  # fmt: skip
def test_windows_over_a_time_that_restarts_name_the_group_or_the_time(columns, options, hint):
    found = said(columns, "; try --group", window=6, **options)
    found += said(columns, "sorts the rows", window=6, **options)
    assert len(found) == bool(hint)
    assert hint in "".join(found)


TICKS = pa.array(range(ROWS), pa.int32())


@pytest.mark.parametrize(
    "times",
    [
        pa.array(np.arange(ROWS) / 2),
        pa.array(np.arange(ROWS) / 2, pa.float32()),
        pa.array(np.arange(ROWS) / 2, pa.float16()),
        pa.array([Decimal(row) / 4 for row in range(ROWS)], pa.decimal128(9, 2)),
        TICKS.cast(pa.time32("s")),
        TICKS.cast(pa.int64()).cast(pa.time64("us")),
        TICKS.cast(pa.int64()).cast(pa.duration("ms")),
        TICKS.cast(pa.date32()),
        pa.array(map(str, TIMES)),
        pa.array(TIMES).dictionary_encode(),
    ],
    ids=lambda times: str(times.type),
)
def test_windows_are_ordered_by_a_time_of_any_kind(times):
    assert not said({"t": times}, "backwards", window=6, time="t")
    again = times.take(pa.array(np.arange(ROWS) % 150))
    found = said({"t": again, "device": SERIES}, "try --group device", window=6, time="t")
    assert len(found) == 1


def test_a_fold_repeats_no_note_of_the_table():
    columns = {"x": X, "created": SHUFFLED, "region": RNG.integers(1, 9, ROWS)}
    columns["y"] = [f"S{row % 150}" if row else "alone" for row in range(ROWS)]
    for options in ({}, {"window": 6}, {"label": "y", "group": []}):
        chosen = TrainOptions.from_flat(options)
        whole, fold = (
            prepare(pa.table(columns), chosen, SILENT, fold=fold).notes for fold in (None, (0, 3))
        )
        words = ("integers with few", "sorts the rows", "label")
        assert [note for note in whole if any(word in note for word in words)]
        assert not [note for note in fold if any(word in note for word in words)]


@pytest.mark.parametrize(
    ("labels", "words"),
    [
        (
            [f"S{row}" for row in range(ROWS)],
            "600 of 600 classes have one row: it",
        ),
        ([f"S{max(row, 20)}" for row in range(ROWS)], "looks like an identifier"),
        ([f"S{row if row < 40 else row % 20}" for row in range(ROWS)], "they are too rare"),
        (list(RNG.integers(0, 400, ROWS)), "it looks like a number to predict"),
        ([f"S{row % 150}" for row in range(ROWS)], ""),
        ([row % 10 for row in range(ROWS)], ""),
        (["a", "b", *["c"] * (ROWS - 2)], ""),
    ],
)
def test_a_label_of_classes_with_one_row_is_named(labels, words):
    found = said({"y": labels}, "try another --label", label="y")
    assert len(found) == bool(words)
    assert words in "".join(found)


def test_the_reason_for_no_validation_rows_is_the_real_one():
    each = [f"S{row}" for row in range(ROWS)]
    assert said({"y": each}, "no validation rows: every class of 'y' has one row", label="y")
    pairs = [f"S{row // 2}" for row in range(ROWS)]
    assert not said({"y": pairs}, "no validation rows", label="y")
    assert said({}, "2 rows are too few for a validation share of 0.1") == []


SKEWED = RNG.choice(8, ROWS, p=[0.3, 0.05, 0.2, 0.05, 0.15, 0.05, 0.15, 0.05]) + 1


@pytest.mark.parametrize(
    ("columns", "options", "words"),
    [
        ({"region": RNG.integers(1, 9, ROWS)}, {}, "region (8 values)"),
        ({"region": SKEWED}, {}, "--categorical region"),
        ({"plan": RNG.choice([101, 205, 330], ROWS)}, {}, "plan (3 values)"),
        (
            {f"code{n}": RNG.integers(0, 5, ROWS) for n in range(9)},
            {},
            "code2 (5 values) and 6 more; if they are codes, --categorical code0,code1,code2",
        ),
        ({"region": RNG.integers(1, 9, ROWS)}, {"categorical": ["region"]}, ""),
        ({"quantity": RNG.integers(1, 9, ROWS)}, {}, ""),
        ({"visits_per_year": RNG.integers(1, 9, ROWS)}, {}, ""),
        ({"calls": RNG.poisson(1.2, ROWS)}, {}, ""),
        ({"quality": np.clip(np.round(RNG.normal(6, 1, ROWS)), 3, 9).astype(int)}, {}, ""),
        ({"flag": RNG.integers(0, 2, ROWS)}, {}, ""),
        ({"wide": RNG.integers(0, 1000, ROWS)}, {}, ""),
        ({f"p{n}": RNG.integers(0, 17, ROWS) for n in range(20)}, {}, ""),
    ],
)
def test_integers_that_look_like_codes_hint_at_categories(columns, options, words):
    found = said(columns, "integers with few values", **options)
    assert len(found) == bool(words)
    assert words in "".join(found)


SALES = pa.table({"x": range(30), "n": list(range(3)) * 10, "y": list("ab") * 15})


@pytest.mark.parametrize("columns", ["xny", "xy"])
def test_the_model_that_is_replaced_is_named_with_its_table_and_label(
    tmp_path, monkeypatch, columns
):
    monkeypatch.chdir(tmp_path)
    csv.write_csv(SALES, "sales.csv")
    first = aecli.train("sales.csv", model="m", epochs=1, label="y")
    assert (first.replaced, first.undo) == (None, None)
    csv.write_csv(SALES.select(list(columns)), "orders.csv")
    again = aecli.train("orders.csv", model="m", epochs=1)
    replaced = again.replaced
    assert (replaced.table, replaced.label) == ("sales.csv", "y")
    assert replaced.id == first.spec.digest[:12]
    assert again.undo == f"aecli rollback {replaced.id} -m m"
