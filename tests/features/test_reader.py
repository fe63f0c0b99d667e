import datetime as dt
from decimal import Decimal

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from aecli.errors import DataError
from aecli.features.reader import CellReader
from aecli.features.training_range import Tally
from aecli.schema.model_spec import Column
from tests.columns import boolean, category, number, vector

MIXED = [
    category("colour", "red", "blue"),
    number("x", center=10, scale=2),
    boolean("flag"),
    vector("v", center=[0, 1], scale=[1, 2]),
]


def batch(**columns: object) -> pa.RecordBatch:
    return pa.record_batch(
        {k: v if isinstance(v, pa.Array) else pa.array(v) for k, v in columns.items()}
    )


def mixed_batch() -> pa.RecordBatch:
    return batch(
        colour=["blue", None, "green"],
        x=[12, None, 8],
        flag=[True, False, None],
        v=pa.array([[1, 3], None, [0, None]], pa.list_(pa.float32(), 2)),
    )


def test_blocks_are_numbers_then_booleans_then_category_codes():
    cells = CellReader(MIXED).read(mixed_batch())
    nan = np.nan
    expected = [[1, 1, 1, 1, 1], [nan, nan, nan, 0, nan], [-1, 0, nan, nan, -1]]
    np.testing.assert_array_equal(cells, np.array(expected, dtype=np.float32))


def test_a_rare_category_of_training_goes_to_the_other_slot():
    column = category("colour", "red", "blue", has_other=True)
    cells = CellReader([column]).read(batch(colour=["green", "red"]))
    assert cells[:, 0].tolist() == [2, 0]


def test_constant_columns_have_no_cells():
    reader = CellReader([number("x"), number("c", constant=True)])
    assert reader.read(batch(x=[1.0], c=[5.0])).shape == (1, 1)


def test_nanosecond_timestamps_keep_their_differences():
    start = 1_700_000_000_000_000_000
    column = Column(
        name="t", kind="time", type="timestamp[ns]", center=[float(start)], scale=[1e9], reason=""
    )
    times = pa.array([start, start + 2_000_000_000], pa.timestamp("ns"))
    assert CellReader([column]).read(batch(t=times))[:, 0].tolist() == [0, 2]


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (pa.array([3, None], pa.uint8()), [3, np.nan]),
        (pa.array([Decimal("1.5"), Decimal("-2.0")]), [1.5, -2.0]),
        (pa.array(np.array([0.5, 1.5], dtype=np.float16)), [0.5, 1.5]),
        (pa.array([dt.timedelta(seconds=1), None], pa.duration("s")), [1, np.nan]),
        (pa.array([dt.time(0, 0, 5), None], pa.time32("s")), [5, np.nan]),
        (pa.array([True, None]), [1, np.nan]),
    ],
    ids=["uint8", "decimal", "half", "duration", "time", "bool"],
)
def test_every_numeric_type_reads_as_its_number(values: pa.Array, expected: list[float]):
    cells = CellReader([number("x")]).read(batch(x=values))
    np.testing.assert_array_equal(cells[:, 0], np.array(expected, dtype=np.float32))


def test_dates_read_as_days():
    column = Column(name="d", kind="time", type="date32[day]", center=[0.0], scale=[1.0], reason="")
    days = pa.array([dt.date(1970, 1, 3), None])
    assert CellReader([column]).read(batch(d=days))[0, 0] == 2


def test_infinite_numbers_are_refused_by_name_and_row():
    rows = batch(x=[1.0, float("inf")])
    with pytest.raises(
        DataError, match=r"'x' of t\.csv contains an infinite number in row 12"
    ) as caught:
        CellReader([number("x")]).read(rows, table="t.csv", before=10)
    assert "--nonfinite missing" in (caught.value.hint or "")


def test_infinite_numbers_can_be_missing():
    cells = CellReader([number("x")], nonfinite="missing").read(batch(x=[1.0, -np.inf]))
    assert np.isnan(cells[1, 0])


def test_numbers_far_away_stay_finite():
    cells = CellReader([number("x", scale=1e-300)]).read(batch(x=[1e300, -1e300]))
    assert np.isfinite(cells).all()


def test_the_tally_counts_what_training_did_not_prepare_for():
    reader = CellReader([*MIXED[:2], boolean("flag", has_missing=True), MIXED[3]])
    tally = Tally(reader.layout)
    tally.add(reader.read(mixed_batch()))
    assert tally.unseen() == {"colour": 1}
    assert tally.missing() == {"x": 1, "v": 3, "colour": 1}


@pytest.mark.parametrize("rows", [1, 255, 256, 511, 1000])
def test_a_tally_counts_every_row_of_a_batch(rows: int):
    tally = Tally(CellReader([number("x"), number("y"), category("colour", "red")]).layout)
    cells = np.zeros((rows, 3), dtype=np.float32)
    cells[:, 0], cells[1::2, 1], cells[:, 2] = np.nan, np.nan, -1
    tally.add(cells)
    assert tally.missing() == {"x": rows} | ({"y": rows // 2} if rows > 1 else {})
    assert tally.unseen() == {"colour": rows}


@given(
    rows=st.lists(
        st.tuples(st.floats(-1e6, 1e6), st.none() | st.integers(-1000, 1000)), min_size=1
    ),
    cut=st.integers(0, 20),
)
def test_cells_do_not_depend_on_how_rows_fall_into_batches(
    rows: list[tuple[float, int | None]], cut: int
):
    reader = CellReader([number("a", center=3, scale=7), number("b")])
    table = batch(a=[a for a, _ in rows], b=pa.array([b for _, b in rows], pa.int64()))
    parts = [reader.read(table.slice(0, cut)), reader.read(table.slice(cut))]
    np.testing.assert_array_equal(np.concatenate(parts), reader.read(table))
