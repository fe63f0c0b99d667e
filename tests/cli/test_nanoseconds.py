"""Times and durations of nanoseconds, which Python's types do not have, in every command."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

ROWS = 240
STEP = 1_000_000_123


@pytest.fixture(scope="module")
def rows() -> pa.Table:
    rng = np.random.default_rng(0)
    return pa.table(
        {
            "at": pa.array(np.arange(ROWS) * STEP).cast(pa.timestamp("ns")),
            "took": pa.array(rng.permutation(ROWS) * STEP).cast(pa.duration("ns")),
            "machine": pa.array(np.arange(ROWS) // 60 * STEP).cast(pa.duration("ns")),
            "x": rng.normal(size=ROWS),
        }
    )


def test_every_command_reads_nanoseconds(aecli, rows: pa.Table, tmp_path: Path):
    pq.write_table(rows, tmp_path / "t.parquet")
    quick = ("--epochs", "1", "--latent", "2", "--threads", "1", "-q")
    for command in (
        ("train", "t.parquet", "--id", "at", *quick),
        ("inspect",),
        ("encode", "t.parquet", "--keep", "at,took", "-o", "z.csv"),
        ("reconstruct", "t.parquet", "-o", "r.jsonl"),
        ("score", "t.parquet", "-o", "s.parquet"),
        ("evaluate", "t.parquet", "--by", "machine"),
        ("report", "t.parquet", "-o", "r.html"),
        ("plot", "anomalous", "t.parquet", "-o", "a.svg"),
        ("plot", "rows", "t.parquet", "-o", "b.svg"),
    ):
        done = aecli(*command)
        assert done.code == 0, (command, done.err)
    assert '1970-01-01T00:00:01.000000123",' in (tmp_path / "z.csv").read_text()


def test_series_of_durations_are_whole_in_the_files_of_a_folder(
    aecli, rows: pa.Table, tmp_path: Path
):
    (tmp_path / "t").mkdir()
    for number, start in enumerate((0, 120)):
        pq.write_table(rows.slice(start, 120), tmp_path / "t" / f"p{number}.parquet")
    series = ("--group", "machine", "--window", "5", "--columns", "x", "--epochs", "1")
    assert aecli("train", "t", *series, "--latent", "2", "--threads", "1", "-q").code == 0
    done = aecli("encode", "t", "-o", "out/")
    assert done.code == 0, done.err
    pq.write_table(rows.slice(100, 140), tmp_path / "t" / "p1.parquet")
    done = aecli("encode", "t", "-o", "out/")
    assert done.code == 3, done.err
    assert f"the series of machine {STEP} is in p0.parquet and in p1.parquet" in done.err
