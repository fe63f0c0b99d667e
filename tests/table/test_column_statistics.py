from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from aecli.errors import DataError
from aecli.table.column_statistics import Moments, ValueCounts, quartiles

CELLS = hnp.arrays(
    np.float64,
    st.tuples(st.integers(1, 3), st.integers(1, 40)),
    elements=st.floats(-1e9, 1e9) | st.just(np.nan),
)


def moments(values: np.ndarray, cuts: list[int]) -> Moments:
    found = Moments(len(values))
    for part in np.split(values, sorted(cuts), axis=1):
        found.add(part.copy())
    return found


@given(CELLS, st.lists(st.integers(0, 40), max_size=5), st.sampled_from([0.0, 1e12]))
def test_moments_are_numpys_whatever_the_batches(
    values: np.ndarray, cuts: list[int], offset: float
) -> None:
    values = values + offset
    found = moments(values, cuts)
    for cell, row in enumerate(values):
        seen = row[~np.isnan(row)]
        assert found.count[cell] == len(seen)
        if len(seen):
            size = np.abs(seen).max() + 1e-137  # smaller squares underflow
            exact = seen.astype(np.longdouble)
            assert found.low[cell] == seen.min()
            assert found.high[cell] == seen.max()
            assert abs(found.mean[cell] - exact.mean()) <= 1e-14 * size
            assert abs(found.std[cell] - exact.std()) <= 1e-7 * exact.std() + 1e-13 * size


def test_nanoseconds_since_1970_keep_their_deviation() -> None:
    ticks = 1.7e18 + 1e9 * np.arange(100_000)
    found = moments(ticks[None].copy(), [1, 777, 65_536])
    assert found.std[0] == pytest.approx(1e9 * np.arange(100_000).std(), rel=1e-12)


def test_a_slice_of_the_cells_is_added_to_by_itself() -> None:
    found = Moments(3)
    found.add(np.array([[1.0, 3.0]]), slice(1, 2))
    assert found.count.tolist() == [0, 2, 0]
    assert found.mean.tolist() == [0, 2, 0]


def test_overflow_leaves_the_range_right() -> None:
    found = moments(np.array([[1.7e308, -1.7e308, 1.7e308]]), [1])
    assert (found.low[0], found.high[0]) == (-1.7e308, 1.7e308)
    assert not np.isfinite(found.std[0])


@given(CELLS)
def test_quartiles_are_numpys(values: np.ndarray) -> None:
    values[:, 0] = 0.0
    wanted = np.nanpercentile(values, [25, 50, 75], axis=1)
    np.testing.assert_allclose(quartiles(values), wanted, rtol=1e-12, atol=1e-6)


@given(st.lists(st.lists(st.none() | st.sampled_from("abcdef"))))
def test_values_are_counted_over_batches(batches: list[list[str | None]]) -> None:
    counts = ValueCounts("c")
    for batch in batches:
        counts.add(pa.array(batch, pa.string()))
    flat = [value for batch in batches for value in batch]
    seen = [value for value in flat if value is not None]
    assert counts.counts == {value: seen.count(value) for value in seen}
    assert (counts.observed, counts.missing) == (len(seen), len(flat) - len(seen))


def test_the_most_frequent_come_first_and_ties_by_value() -> None:
    counts = ValueCounts("c")
    counts.add(pa.array(list("cbabcd")).dictionary_encode())
    assert counts.most_common(3) == [("b", 2), ("c", 2), ("a", 1)]


@pytest.mark.parametrize("kind", [pa.large_string(), pa.string_view(), pa.float32(), pa.bool_()])
def test_a_null_is_missing_in_every_type(kind: pa.DataType) -> None:
    values = [True, None, True] if kind == pa.bool_() else [1, None, 1]
    counts = ValueCounts("c")
    counts.add(pa.array(values).cast(kind))
    assert (list(counts.counts.values()), counts.missing) == ([2], 1)


def test_counting_stops_where_nearly_every_value_is_new(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("aecli.table.column_statistics.MAX_MOSTLY_UNIQUE", 100)
    counts = ValueCounts("c")
    for start in range(0, 1_000, 50):
        counts.add(pa.array([None, *map(str, range(start, start + 50))]))
    assert counts.stopped
    assert (counts.distinct, counts.observed, counts.missing) == (150, 1_000, 20)


def test_heavy_values_survive_when_memory_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("aecli.table.column_statistics.MAX_DISTINCT", 10)
    counts = ValueCounts("c", keep=True)
    for start in range(0, 100, 5):
        counts.add(pa.array(["often", *map(str, range(start, start + 5))]))
    assert counts.pruned
    assert counts.distinct <= 10
    assert counts.most_common(1) == [("often", 20)]


def test_text_that_is_no_utf8_is_refused_by_name() -> None:
    broken = pa.array([b"caf\xe9"]).view(pa.string())
    with pytest.raises(DataError, match="'name' contains text that is not valid UTF-8"):
        ValueCounts("name").add(broken)
