"""Series of a table become windows with labels, or an error that says the longest."""

import numpy as np
import pyarrow as pa
import pytest
import torch

from aecli.errors import DataError
from aecli.features.staging import Staged, as_windows
from aecli.features.windows import cut_windows, read_series, window_codes
from aecli.schema.network_options import WindowOptions
from aecli.schema.read_options import ReadOptions
from aecli.table.source import open_source


def series(table, **options):
    return read_series(open_source(table, ReadOptions()), WindowOptions(**options))


def test_rows_without_windows_need_no_order():
    assert series(pa.table({"x": [1]})) is None


def test_the_rows_of_each_group_are_cut_by_time():
    table = pa.table({"g": list("abab"), "t": [2, 9, 1, 8]})
    cut = series(table, window=2, group=["g"], time="t").cut()
    assert cut.rows().tolist() == [[2, 0], [3, 1]]


def test_two_columns_name_a_series_together():
    table = pa.table({"plant": list("aabb"), "line": [1, 2, 1, 2]})
    found = series(table, window=2, group=["plant"])
    assert found.cut().series == 2
    with pytest.raises(DataError, match="longer than any series"):
        series(table, window=2, group=["plant", "line"]).cut()


def test_a_window_longer_than_any_series_tells_the_longest():
    table = pa.table({"g": list("aaaaabbb")})
    with pytest.raises(DataError) as caught:
        series(table, window=6, group=["g"]).cut()
    assert caught.value.lines() == [
        "--window 6 is longer than any series of the table",
        "  2 series, the longest of 5 rows",
        "  try: --window 5",
    ]


def test_gaps_are_told_apart_from_series():
    table = pa.table({"t": [0, 10, 11, 30]})
    with pytest.raises(DataError) as caught:
        series(table, window=3, time="t", max_gap="5").cut()
    assert caught.value.what == "--window 3 is longer than any segment of the table"
    assert caught.value.hint == "--window 2"


def test_rows_in_no_window_and_sorting_are_told():
    table = pa.table({"t": [0, 2, 1, 90, 91, 3]})
    found = series(table, window=3, time="t", max_gap="5")
    assert found.notes(found.cut()) == [
        "2 windows of 3 rows in 2 segments",
        "rows were not in the order of t: sorted",
        "2 of 6 rows are in no window",
    ]


def test_rows_in_order_within_each_series_are_not_called_unsorted():
    table = pa.table({"g": list("abab"), "t": [5, 1, 6, 2]})
    found = series(table, window=2, group=["g"], time="t")
    assert found.notes(found.cut()) == ["2 windows of 2 rows in 2 segments"]


CODES = np.array([0, 1, 1, -1, -1, -1, 2])


def test_a_window_takes_its_last_rows_label():
    windows = cut_windows(7, size=3)
    assert window_codes(CODES, windows, "last").tolist() == [1, -1, -1, -1, 2]


def test_a_window_takes_the_label_of_most_labelled_rows():
    windows = cut_windows(7, size=3)
    assert window_codes(CODES, windows, "majority").tolist() == [1, 1, 1, -1, 2]


def test_windows_without_any_label_are_unlabelled():
    windows = cut_windows(3, size=2)
    assert window_codes(np.full(3, -1), windows, "majority").tolist() == [-1, -1]


def test_each_side_gets_its_own_windows_and_labels():
    held_out = np.array([False, True, False, True, False, True, False])
    groups = held_out.astype(np.int64)
    windows = cut_windows(7, size=3, groups=groups, held_out=held_out)
    cells, codes = torch.arange(7.0)[:, None], torch.from_numpy(CODES)
    for side, samples, labels in (
        (~held_out, [[0.0, 2.0, 4.0], [2.0, 4.0, 6.0]], [-1, 2]),
        (held_out, [[1.0, 3.0, 5.0]], [-1]),
    ):
        rows = torch.from_numpy(side)
        own = as_windows(Staged(cells[rows], codes[rows], True), windows, side, "last")
        taken = own.cells[own.rows(torch.arange(len(own)))].reshape(len(own), 3)
        assert (taken.tolist(), own.codes.tolist()) == (samples, labels)


def test_the_facts_of_gaps_count_pieces():
    table = pa.table({"t": [0, 10, 11, 30]})
    with pytest.raises(DataError) as caught:
        series(table, window=3, time="t", max_gap="5").cut()
    assert caught.value.facts == ("3 segments, the longest of 2 rows",)


SHORT_AND_ONE_LONG = [f"g{i}" for i in range(10) for _ in range(2)] + ["g0"] * 20


@pytest.mark.parametrize("seed", range(6))
def test_validation_takes_series_that_have_windows_and_leaves_some_for_training(seed):
    found = series(pa.table({"g": SHORT_AND_ONE_LONG}), window=8, group=["g"])
    held_out = found.held_out(0.1, seed)
    windows = found.cut(held_out)
    assert len(windows.within(~held_out)) > 0


def test_gaps_leave_a_window_for_training():
    found = series(pa.table({"t": [0, 1, 2, 10, 11, 12, 13, 14]}), window=4, time="t", max_gap="1")
    held_out = found.held_out(0.1, 0)
    assert len(found.cut(held_out).within(~held_out)) > 0


def test_gaps_at_the_end_leave_a_window_for_validation():
    found = series(pa.table({"t": [*range(27), 100, 200, 300]}), window=4, time="t", max_gap="1")
    held_out = found.held_out(0.1, 0)
    assert len(found.cut(held_out).within(held_out)) > 0
