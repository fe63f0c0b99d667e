"""Windows cross neither series nor gaps, and no row is on both sides of the split."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from aecli.features.windows import cut_windows, fold_rows, held_out_rows


def array(*values):
    return np.array(values)


@st.composite
def tables(draw):
    rows = draw(st.integers(1, 40))
    column = st.lists(st.integers(0, 5), min_size=rows, max_size=rows).map(np.array)
    mask = st.lists(st.booleans(), min_size=rows, max_size=rows).map(np.array)
    return {
        "rows": rows,
        "size": draw(st.integers(1, 5)),
        "stride": draw(st.integers(1, 6)),
        "groups": draw(st.none() | column.map(lambda codes: codes % 3)),
        "times": draw(st.none() | column),
        "max_gap": draw(st.none() | st.integers(0, 3)),
        "held_out": draw(st.none() | mask),
    }


def naive(rows, *, size, stride, groups, times, max_gap, held_out):
    """Return the row numbers of each window, by loops."""
    codes = [0] * rows if groups is None else groups.tolist()
    pieces = []
    for code in dict.fromkeys(codes):
        series = [row for row in range(rows) if codes[row] == code]
        if times is not None:
            series = sorted(series, key=lambda row: times[row])
        piece = series[:1]
        for before, row in pairwise(series):
            far = times is not None and max_gap is not None and times[row] - times[before] > max_gap
            if far or (held_out is not None and held_out[before] != held_out[row]):
                pieces.append(piece)
                piece = []
            piece.append(row)
        pieces.append(piece)
    return [
        piece[start : start + size]
        for piece in pieces
        for start in range(0, len(piece) - size + 1, stride)
    ]


@given(tables())
def test_windows_are_those_of_loops(table):
    windows = cut_windows(**table)
    expected = naive(**table)
    assert windows.rows().tolist() == expected
    assert len(windows) == len(expected)
    assert windows.last_rows.tolist() == [rows[-1] for rows in expected]
    inside = [row for rows in expected for row in rows]
    assert windows.coverage().tolist() == [inside.count(row) for row in range(table["rows"])]
    assert windows.lengths().sum() == table["rows"]


@given(tables(), st.data())
def test_the_windows_of_one_side_are_numbered_among_its_rows(table, data):
    pick = st.lists(st.booleans(), min_size=table["rows"], max_size=table["rows"])
    held_out = np.array(data.draw(pick))
    table["held_out"] = held_out
    whole = naive(**table)
    for side in (held_out, ~held_out):
        own = cut_windows(**table).within(side)
        numbers = np.flatnonzero(side)
        expected = [rows for rows in whole if side[rows[0]]]
        assert [numbers[rows].tolist() for rows in own.rows()] == expected
        assert len(own.coverage()) == len(own.order) == side.sum() == own.lengths().sum()


def test_interleaved_series_are_not_mixed():
    windows = cut_windows(7, size=3, groups=array(0, 1, 0, 1, 0, 1, 0))
    assert windows.rows().tolist() == [[0, 2, 4], [2, 4, 6], [1, 3, 5]]


def test_rows_are_ordered_by_time_and_ties_keep_their_order():
    windows = cut_windows(5, size=2, times=array(3, 1, 3, 0, 1))
    assert windows.rows().tolist() == [[3, 1], [1, 4], [4, 0], [0, 2]]


def test_a_gap_longer_than_the_limit_ends_a_piece():
    windows = cut_windows(6, size=2, times=array(0.0, 1.0, 3.0, 4.0, 6.5, 7.5), max_gap=2.0)
    assert windows.rows().tolist() == [[0, 1], [1, 2], [2, 3], [4, 5]]
    assert windows.lengths().tolist() == [4, 2]


def test_strides_begin_anew_in_each_series():
    windows = cut_windows(11, size=3, stride=2, groups=array(*[0] * 6, *[1] * 5))
    assert windows.rows()[:, 0].tolist() == [0, 2, 6, 8]
    assert windows.coverage().tolist() == [1, 1, 2, 1, 1, 0, 1, 1, 2, 1, 1]


def test_a_table_without_rows_has_no_windows():
    assert len(cut_windows(0, size=3)) == 0


def test_whole_series_are_held_out_where_there_are_ten():
    groups = np.tile(np.arange(20), 8)
    windows = cut_windows(160, size=4, groups=groups)
    mask = held_out_rows(windows, groups, 0.1, seed=3)
    assert set(groups[mask]).isdisjoint(groups[~mask])
    assert len(set(groups[mask])) == 2
    assert (mask == held_out_rows(windows, groups, 0.1, seed=3)).all()
    assert any((mask != held_out_rows(windows, groups, 0.1, seed=s)).any() for s in range(4, 9))


def test_below_ten_series_the_latest_rows_of_each_are_held_out():
    groups, times = np.tile(np.arange(4), 50), np.arange(200)[::-1].copy()
    windows = cut_windows(200, size=4, groups=groups, times=times)
    mask = held_out_rows(windows, groups, 0.2, seed=0)
    for name in range(4):
        own = groups == name
        assert mask[own].sum() == 10
        assert times[own & mask].min() > times[own & ~mask].max()


@pytest.mark.parametrize(
    ("rows", "held_out"), [(7, 0), (8, 4), (30, 4), (100, 10)], ids=lambda value: str(value)
)
def test_both_sides_have_a_window_or_nothing_is_held_out(rows: int, held_out: int):
    mask = held_out_rows(cut_windows(rows, size=4), None, 0.1, seed=0)
    assert mask.tolist() == [False] * (rows - held_out) + [True] * held_out


@given(tables(), st.floats(0.01, 0.9), st.integers(0, 99))
def test_no_training_window_shares_a_row_with_a_validation_window(table, share, seed):
    table |= {"held_out": None}
    mask = held_out_rows(cut_windows(**table), table["groups"], share, seed)
    rows = cut_windows(**table | {"held_out": mask}).rows()
    assert all(len(set(mask[window])) == 1 for window in rows)
    train, valid = (set(rows[mask[rows[:, 0]] == side].flat) for side in (False, True))
    assert train.isdisjoint(valid)


@pytest.mark.parametrize("series", [1, 3, 12])
def test_folds_hold_each_row_out_once_in_stretches_or_whole_series(series: int):
    groups = np.repeat(np.arange(series), 20)
    windows = cut_windows(len(groups), size=4, groups=groups)
    masks = np.stack([fold_rows(windows, groups, fold, 4, seed=0) for fold in range(4)])
    assert (masks.sum(axis=0) == 1).all()
    borders = (np.diff(masks.astype(int)) != 0).sum(axis=1)
    within = (np.diff(masks.reshape(4, series, 20).astype(int)) != 0).sum(axis=(1, 2))
    assert (within == 0).all() if series == 12 else (borders <= 2 * series).all()
