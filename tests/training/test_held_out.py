"""Validation rows that are the last ones, or whole groups."""

from __future__ import annotations

from datetime import date, timedelta

import numpy as np
import pyarrow as pa
import pytest

import aecli
from aecli.errors import DataError, UsageError
from aecli.progress import SILENT
from aecli.schema.options import TrainOptions
from aecli.schema.read_options import ReadOptions
from aecli.table.source import open_source
from aecli.training.data import prepare
from aecli.training.held_out import divide_rows
from aecli.training.split import group_rows, last_rows


def held_out(columns, fold=None, **options):
    source = open_source(pa.table(columns), ReadOptions())
    mask, notes = divide_rows(
        source, TrainOptions.from_flat(options), len(next(iter(columns.values()))), fold=fold
    )
    return np.flatnonzero(~mask).tolist(), notes


DAYS = [date(2026, 1, 1) + timedelta(days=day) for day in range(20)]


@pytest.mark.parametrize(
    ("options", "rows"),
    [
        ({"valid": "last:0.1"}, [18, 19]),
        ({"valid": "last"}, [18, 19]),
        ({"valid": "last:0.01"}, [19]),
        ({"valid": "last:0.99"}, list(range(1, 20))),
        ({"valid": "last:0.1", "time": "day"}, [0, 1]),
        ({"valid": "last:0.1", "time": "week"}, list(range(10))),
    ],
    ids=str,
)
def test_the_last_rows_are_those_of_the_file_or_of_the_time(options, rows):
    columns = {"x": range(20), "day": DAYS[::-1], "week": [2] * 10 + [1] * 10}
    assert held_out(columns, **options) == (rows, [])


@pytest.mark.parametrize("share", [0.05, 0.1, 0.5])
@pytest.mark.parametrize("seed", range(3))
def test_groups_are_on_one_side_and_about_the_share(share, seed):
    groups = np.random.default_rng(seed).integers(0, 60, 900)
    chosen = group_rows(groups, share, seed)
    assert not set(groups[chosen]) & set(groups[~chosen])
    assert chosen.mean() == pytest.approx(share, abs=0.02)
    assert (chosen == group_rows(groups, share, seed)).all()


def test_the_seed_chooses_the_groups():
    groups = np.repeat(np.arange(30), 3)
    assert (group_rows(groups, 0.1, 0) != group_rows(groups, 0.1, 1)).any()


def test_of_groups_that_are_all_larger_than_the_share_the_smallest_is_held_out():
    assert group_rows(np.array([0] * 6 + [1] * 4), 0.1, 0).tolist() == [False] * 6 + [True] * 4


@pytest.mark.parametrize("column", ["text", "number", "day", "a:b"])
def test_a_group_may_be_any_column(column):
    groups = [row % 5 for row in range(50)]
    columns = {
        "x": range(50),
        "text": [f"g{group}" for group in groups],
        "number": groups,
        "day": [DAYS[group] for group in groups],
        "a:b": groups,
    }
    rows, _ = held_out(columns, valid=f"group:{column}:0.2")
    assert len(rows) == 10
    assert len({groups[row] for row in rows}) == 1


MERCHANTS = pa.table(
    {"x": range(60), "merchant": [f"m{row // 5}" for row in range(60)], "n": [1, 2, 3] * 20}
)


@pytest.mark.parametrize("fold", [None, (0, 3)])
@pytest.mark.parametrize("options", [{}, {"window": 3}, {"exclude": ["n"]}], ids=str)
def test_the_column_of_groups_is_carried_and_never_a_feature(fold, options):
    prepared = prepare(
        MERCHANTS, TrainOptions.from_flat({"valid": "group:merchant"} | options), SILENT, fold=fold
    )
    assert [item.name for item in prepared.plan.ids] == ["merchant"]
    assert "merchant" not in [column.name for column in prepared.plan.columns]


@pytest.mark.parametrize("option", ["columns", "categorical"])
def test_the_column_of_groups_cannot_be_asked_for_as_a_feature(tmp_path, option):
    with pytest.raises(UsageError) as caught:
        aecli.train(MERCHANTS, model=tmp_path, valid="group:merchant", **{option: ["merchant"]})
    assert caught.value.what == f"column 'merchant' is named by --valid group: and by --{option}"


@pytest.mark.parametrize(
    ("options", "what"),
    [
        ({"valid": "group:custmer"}, "has no column 'custmer'; did you mean 'customer'?"),
        ({"valid": "group:one"}, "every row of the table has one value of 'one'"),
        ({"valid": "last:0.1", "time": "one"}, "every row has one value of --time one"),
        ({"valid": "last:0.1", "time": "none"}, "has no column 'none'"),
        ({"valid": "group:y", "label": "y"}, "holds out whole classes of the label"),
    ],
    ids=str,
)
def test_a_split_that_the_table_does_not_allow_is_an_error(options, what):
    columns = {"x": range(9), "customer": [1, 2, 3] * 3, "one": [7] * 9, "y": list("aba") * 3}
    with pytest.raises((DataError, UsageError)) as caught:
        held_out(columns, **options)
    assert what in caught.value.what
    assert caught.value.hint


@pytest.mark.parametrize(
    ("valid", "hint"),
    [
        ("last:0", "last:0.1"),
        ("last:1", "last:0.1"),
        ("last:x", "last:0.1"),
        ("group:", "group:customer"),
        ("group:g:2", "group:customer"),
        ("1.5", "0.1"),
        ("0", "0.1"),
        ("nan", "0.1"),
    ],
)
def test_a_share_out_of_bounds_is_an_error_before_data_are_read(valid, hint, tmp_path):
    with pytest.raises(UsageError) as caught:
        aecli.train(tmp_path / "none.csv", valid=valid)
    assert caught.value.hint == f"valid={hint!r}"


def test_a_file_may_be_called_like_a_share(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    lines = "".join(f"{row},{row % 7}\n" for row in range(40))
    (tmp_path / "last:0.5").write_text(f"x,y\n{lines}")
    summary = aecli.train("last:0.5", model="m", epochs=1, valid="./last:0.5").spec.summary
    assert (summary.train_rows, summary.valid_rows) == (40, 40)
    summary = aecli.train("last:0.5", model="m", epochs=1, valid="last:0.5").spec.summary
    assert (summary.train_rows, summary.valid_rows) == (20, 20)


def test_time_is_carried_and_not_unused_where_it_chooses_the_last_rows(tmp_path):
    table = pa.table({"x": range(20), "y": [1.0, 2.0] * 10, "day": DAYS})
    spec = aecli.train(
        table, model=tmp_path / "m", epochs=1, valid="last:0.2", time="day", columns=["y"]
    ).spec
    assert ([item.name for item in spec.ids], spec.summary.valid_rows) == (["day"], 4)
    assert not [note for note in spec.summary.notes if "without effect" in note]


def test_folds_of_groups_and_of_time_hold_each_row_out_once():
    columns = {"x": range(30), "g": [row % 6 for row in range(30)]}
    for valid in ("last:0.1", "group:g"):
        folds = [held_out(columns, (fold, 3), valid=valid)[0] for fold in range(3)]
        assert sorted(row for rows in folds for row in rows) == list(range(30))
        assert all(len(rows) == 10 for rows in folds)
    assert held_out(columns, (0, 3), valid="last:0.1")[0] == list(range(10))
    with pytest.raises(DataError, match="the groups of 'g' are too few for 7 folds"):
        held_out(columns, (6, 7), valid="group:g")


def test_classes_without_a_training_row_are_named(tmp_path):
    table = pa.table({"x": range(40), "y": ["a", "b"] * 15 + ["c"] * 10})
    notes = {
        valid: aecli.train(
            table, model=tmp_path / "m", epochs=1, label="y", columns=["x"], valid=valid
        ).spec.summary.notes
        for valid in ("last:0.25", "0.25")
    }
    assert any("1 of 3 classes (c) have no training row" in note for note in notes["last:0.25"])
    assert not any("no training row" in note for note in notes["0.25"])


def test_windows_hold_out_the_end_of_each_series_or_whole_groups(tmp_path):
    series = np.repeat(np.arange(12), 20)
    table = pa.table({"s": series, "site": series // 3, "v": np.sin(np.arange(240) / 3)})
    rows = {
        valid: aecli.train(
            table, model=tmp_path / "m", epochs=1, window=4, group=["s"], id=["site"], valid=valid
        ).spec.summary
        for valid in ("last:0.25", "group:site:0.25")
    }
    assert (rows["last:0.25"].train_rows, rows["last:0.25"].valid_rows) == (12 * 12, 12 * 2)
    assert (rows["group:site:0.25"].train_rows, rows["group:site:0.25"].valid_rows) == (9 * 17, 51)


DEVICES = [f"d{row % 6}" for row in range(120)]
SITES = [f"s{row % 2}" for row in range(120)]


@pytest.mark.parametrize("fold", [None, (0, 3)])
@pytest.mark.parametrize(
    ("options", "hint"),
    [
        ({"window": 10, "time": "t"}, "--group device"),
        ({"window": 10, "group": ["site"]}, "--group site,device"),
        ({"window": 30}, "--group device --window 20"),
        ({"window": 10, "group": ["device"]}, None),
        ({"window": 10, "group": ["device"], "valid": "group:site"}, None),
        ({"window": 121}, "--window 120"),
    ],
    ids=str,
)
def test_windows_of_series_that_mix_groups_name_the_group(options, hint, fold):
    columns = {"t": range(120), "x": DAYS * 6, "device": DEVICES, "site": SITES}
    chosen = TrainOptions.from_flat({"valid": "group:device"} | options)
    if hint is None:
        folds = fold and (0, 2)
        prepared = prepare(pa.table(columns), chosen, SILENT, fold=folds)
        assert len(prepared.valid)
        assert len(prepared.valid) % 11 == 0
        return
    with pytest.raises(DataError) as caught:
        prepare(pa.table(columns), chosen, SILENT, fold=fold)
    assert caught.value.hint == hint
    assert ("is longer than any series" in caught.value.what) == (options["window"] > 120)


def test_one_row_cannot_be_divided():
    assert not last_rows(1, 0.5).any()
    assert held_out({"x": [1]}, valid="last:0.5")[1] == [
        "too few rows (1) for a validation share of 0.5: no rows are held out"
    ]
