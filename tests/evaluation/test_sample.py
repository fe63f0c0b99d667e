import numpy as np
import pytest

from aecli.evaluation.sample import Sample


def drawn(rows, batch, most=100, seed=0):
    sample = Sample(most, seed)
    for start in range(0, rows, batch):
        values = np.arange(start, min(rows, start + batch))
        sample.offer(len(values), lambda places, values=values: {"value": values[places]})
    return sample.columns()["value"]


@pytest.mark.parametrize("batch", [1, 7, 250, 5_000])
def test_batches_do_not_change_what_is_drawn(batch):
    assert drawn(5_000, batch).tolist() == drawn(5_000, 100).tolist()


def test_a_short_stream_is_drawn_whole_and_in_order():
    assert drawn(60, 9).tolist() == list(range(60))


def test_every_part_of_the_stream_is_drawn_from():
    counts = sum(np.histogram(drawn(4_000, 90, seed=s), 4, (0, 4_000))[0] for s in range(20))
    assert counts.sum() == 2_000
    assert (abs(counts - 500) < 100).all()


def test_a_stream_without_rows_has_no_columns():
    assert Sample(5).columns() == {}
