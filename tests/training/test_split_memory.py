"""Memory that a table's rows take besides their cells."""

from __future__ import annotations

import tracemalloc
from collections import deque
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from aecli.features.shuffling import PART_ROWS, epoch_order
from aecli.progress import SILENT
from aecli.schema.model_spec import Label
from aecli.schema.options import TrainOptions
from aecli.table.labels import read_labels, with_counts
from aecli.table.source import open_source
from aecli.training.data import prepare
from aecli.training.memory import PROCESS_BYTES
from aecli.training.split import last_rows, training_rows

ROWS = 8 * PART_ROWS


@pytest.mark.parametrize(
    "order",
    [
        lambda: training_rows(ROWS, 0.1, seed=0),
        lambda: training_rows(ROWS, 0.5, seed=0),
        lambda: last_rows(ROWS, 0.1),
        lambda: deque(epoch_order(ROWS, 8, seed=0, epoch=0), maxlen=1),
    ],
    ids=["random", "half", "last", "epoch"],
)
def test_a_row_takes_few_bytes(order: Callable[[], object]):
    tracemalloc.start()
    try:
        order()
        assert tracemalloc.get_traced_memory()[1] < 6 * ROWS
    finally:
        tracemalloc.stop()


def test_the_label_of_a_row_takes_few_bytes():
    part = pa.table({"x": np.zeros(PART_ROWS, np.int8), "y": np.arange(PART_ROWS) % 3})
    table = pa.concat_tables([part] * (ROWS // PART_ROWS))
    label = Label(name="y", type="int64", classes=[0, 1, 2], counts=[0, 0, 0])
    codes, rows = np.arange(ROWS) % 3, np.ones(ROWS, dtype=np.bool_)
    for read, most in (
        (lambda: read_labels(open_source(table), "y"), 14),
        (lambda: with_counts(label, codes, rows), 12),
    ):
        tracemalloc.start()
        try:
            read()
            assert tracemalloc.get_traced_memory()[1] < most * ROWS
        finally:
            tracemalloc.stop()
    assert with_counts(label, codes, codes != 2).counts == [ROWS // 3 + 1, ROWS // 3 + 1, 0]


@pytest.mark.parametrize(
    ("valid", "fold", "in_memory"),
    [
        ("0.1", None, (True, True)),
        ("valid.parquet", None, (True, False)),
        ("0.1", (0, 3), (False, False)),
    ],
    ids=["table", "file", "fold"],
)
def test_all_cells_share_the_memory(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    valid: str,
    fold: tuple[int, int] | None,
    in_memory: tuple[bool, bool],
):
    monkeypatch.chdir(tmp_path)
    rows = 1_000
    values = np.random.default_rng(0).normal(size=(2, rows))
    for name in ("train.parquet", "valid.parquet"):
        pq.write_table(pa.table({"a": values[0], "b": values[1]}), name)
    memory = PROCESS_BYTES // 1_000 + 15
    options = TrainOptions.from_flat({"memory": f"{memory}KB", "valid": valid})
    prepared = prepare("train.parquet", options, SILENT, fold=fold)
    assert (prepared.train.file is None, prepared.valid.file is None) == in_memory
