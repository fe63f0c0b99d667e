"""Threads that read, compute and write: order, errors, and the same output as without them."""

from __future__ import annotations

import resource
import threading
from collections.abc import Callable, Generator, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch

import aecli
from aecli.errors import DataError, OutputError
from aecli.inference.pipeline import in_threads, read_ahead, write_behind

pytestmark = pytest.mark.usefixtures("no_cross_fitting")


@pytest.fixture
def two_threads() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(before)


def numbers(count: int, closed: list[bool]) -> Generator[int]:
    try:
        for number in range(count):
            if number == 20:
                raise ValueError("20 cannot be read")
            yield number
    finally:
        closed.append(True)


@pytest.mark.parametrize("count", [0, 1, 2, 3, 15])
def test_items_are_read_computed_and_written_in_order(count: int):
    written: list[int] = []
    squares = in_threads(lambda number: number**2, read_ahead(numbers(count, [])), 2)
    with write_behind(written.append) as write:
        for square in squares:
            write(square)
    assert written == [number**2 for number in range(count)]


@pytest.mark.parametrize(
    "read", [read_ahead, lambda items: in_threads(int, items, 3)], ids=["ahead", "in threads"]
)
def test_an_error_of_reading_is_raised_after_the_items_before_it(
    read: Callable[[Generator[int]], Iterator[int]],
):
    found: list[int] = []
    closed: list[bool] = []
    with pytest.raises(ValueError, match="20 cannot be read"):
        found.extend(read(numbers(30, closed)))
    assert found == list(range(20))
    assert closed == [True]


def test_reading_ends_when_the_caller_stops():
    closed: list[bool] = []
    items = read_ahead(numbers(19, closed))
    assert next(items) == 0
    items.close()
    del items
    assert closed == [True]


@pytest.mark.parametrize("at", [0, 5, 9])
def test_an_error_of_computing_or_writing_ends_the_pass(at: int):
    def fail(number: int) -> int:
        if number == at:
            raise OSError(28, "no space left")
        return number

    closed: list[bool] = []
    with pytest.raises(OSError, match="no space left"):
        list(in_threads(fail, numbers(10, closed), 2))
    assert closed == [True]
    written: list[int] = []

    def write_all() -> None:
        with write_behind(lambda number: written.append(fail(number))) as write:
            for number in range(10):
                write(number)

    with pytest.raises(OSError, match="no space left"):
        write_all()
    assert written == list(range(at))


def test_the_output_does_not_depend_on_the_number_of_threads(tmp_path: Path, two_threads: None):
    values = np.random.default_rng(0).normal(size=(700, 3))
    rows = pa.table({"a": values[:, 0], "b": values[:, 1], "id": [f"r{i}" for i in range(700)]})
    model = tmp_path / "model"
    aecli.train(rows, model=model, id="id", epochs=1, latent=2, threads=1)
    for threads in (1, 2):
        output = str(tmp_path / f"{threads}.parquet")
        aecli.encode(rows, output, model=model, batch_size=64, threads=threads)
        assert torch.get_num_threads() == 2
        with ThreadPoolExecutor(1) as later:
            assert later.submit(torch.get_num_threads).result() == 2
    assert pq.read_table(tmp_path / "1.parquet") == pq.read_table(tmp_path / "2.parquet")


def test_an_infinite_number_in_a_late_batch_leaves_no_output(tmp_path: Path, two_threads: None):
    rows = pa.table({"a": np.arange(500.0), "b": np.arange(500.0) ** 2})
    aecli.train(rows, model=tmp_path / "model", epochs=1, latent=1)
    bad = rows.set_column(0, "a", pa.array([*np.arange(499.0), np.inf]))
    output = str(tmp_path / "z.parquet")
    with pytest.raises(DataError, match="infinite number in row 500"):
        aecli.encode(bad, output, model=tmp_path / "model", batch_size=50, threads=2)
    assert [path.name for path in tmp_path.iterdir()] == ["model"]


@pytest.mark.parametrize("command", [aecli.encode, aecli.reconstruct, aecli.score])
def test_threads_end_and_are_as_many_as_before_where_the_output_cannot_be_written(
    tmp_path: Path, two_threads: None, command: Callable[..., object]
):
    rows = pa.table({"a": np.arange(9e3), "b": np.arange(9e3) ** 2})
    model, output = tmp_path / "model", str(tmp_path / "z.csv")
    aecli.train(rows, model=model, epochs=1, latent=1)
    before, limits = pa.cpu_count(), resource.getrlimit(resource.RLIMIT_FSIZE)
    pa.set_cpu_count(2)
    resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, limits[1]))
    try:
        with pytest.raises(OutputError, match="limit on file sizes") as raised:
            command(rows, output, model=model, batch_size=50, threads=2)
        assert pa.cpu_count() == 2
        names = " ".join(thread.name for thread in threading.enumerate())
        assert "compute" not in names
        assert "read_" not in names
        assert raised.value.__traceback__ is not None  # which keeps the batches
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        pa.set_cpu_count(before)


def test_arrow_has_its_threads_again_after_passes_that_overlap():
    before = pa.cpu_count()
    first, second = (in_threads(int, numbers(15, []), 2) for _ in range(2))
    assert next(first) == next(second) == 0
    first.close()
    second.close()
    assert pa.cpu_count() == before
