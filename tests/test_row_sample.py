"""Which rows of a stream a bounded sample holds: the same ones, however they fall into batches."""

import numpy as np
import pyarrow as pa
import pytest

from aecli.row_sample import RowSample, position_keys, seeded_keys


def sampled(rows, batch, limit=100, seed=0):
    sample, keys = RowSample(limit), seeded_keys(seed)
    for start in range(0, rows, batch):
        values = np.arange(start, min(rows, start + batch))
        sample.add(keys(len(values)), lambda places, values=values: {"value": values[places]})
    return sample.columns()["value"]


@pytest.mark.parametrize("batch", [1, 7, 250, 5_000])
def test_batches_do_not_change_a_seeded_sample(batch):
    assert sampled(5_000, batch).tolist() == sampled(5_000, 100).tolist()


def test_a_short_stream_is_sampled_whole_and_in_order():
    assert sampled(60, 9).tolist() == list(range(60))


def test_every_part_of_the_stream_is_sampled():
    counts = sum(np.histogram(sampled(4_000, 90, seed=s), 4, (0, 4_000))[0] for s in range(20))
    assert counts.sum() == 2_000
    assert (abs(counts - 500) < 100).all()


def test_a_sample_by_position_needs_no_seed_and_no_certain_batches():
    rows = pa.record_batch({"a": pa.array(range(10_000))})
    samples = []
    for step in (1, 977, 10_000):
        sample = RowSample(100)
        for start in range(0, 10_000, step):
            part = rows.slice(start, step)
            keys = position_keys(sample.seen, len(part))
            sample.add(keys, lambda places, part=part: {"rows": part.take(pa.array(places))})
        samples.append(sample.columns()["rows"].column("a").to_pylist())
    assert len(samples[0]) == 100
    assert samples[0] == samples[1] == samples[2] == sorted(samples[0])
    assert 4_000 < np.mean(samples[0]) < 6_000


@pytest.mark.parametrize("size", [1, 3, 100])
def test_the_lowest_keys_stay_whatever_the_batches(size):
    keys = np.random.default_rng(0).random(100)
    keys[7] = np.nan
    sample = RowSample(5)
    for start in range(0, 100, size):
        values = np.arange(start, min(start + size, 100))
        sample.add(keys[values], lambda places, values=values: {"value": values[places]})
    lowest = np.argsort(keys)[:5].tolist()
    assert sample.columns(by_key=True)["value"].tolist() == lowest
    assert sample.columns()["number"].tolist() == sorted(lowest)


def test_of_equal_keys_the_earlier_rows_stay():
    sample = RowSample(3)
    for start in (0, 10):
        values = np.arange(start, start + 10)
        sample.add(np.zeros(10), lambda places, values=values: {"value": values[places]})
    assert sample.columns(by_key=True)["value"].tolist() == [0, 1, 2]


def test_rows_without_a_key_are_left_out():
    sample = RowSample(5)
    sample.add(np.full(3, np.nan), lambda places: {"value": places})
    assert sample.columns() == {}


def test_a_stream_without_rows_has_no_columns():
    assert RowSample(5).columns() == {}
