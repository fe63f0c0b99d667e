"""`aecli encode` on two threads next to its stages alone on one, for Parquet and CSV.

The stages of encoding random rows of 32 numbers are reading, computing cells, the network and
writing, of one batch after the other in a process with one thread. With two processors the command
cannot be faster than its slowest stage, nor than half of the sum of the stages: that is the bound.
The seconds of the command are beyond its start-up, which is that for 200 rows. A seed is a round.
"""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.csv as pacsv
import pyarrow.parquet as pq
from harness import Row, Run
from measures import in_process, run_aecli, seconds_of
from memory import WIDTH, write_numbers

ROWS = {"parquet": 5_000_000, "csv": 1_000_000}
SMALL, TRAINED, QUICK_ROWS = 200, 50_000, 20_000
STAGES = ("reading", "cells", "network", "writing")


def measure(run: Run) -> Iterator[Row]:
    """Yield the seconds of the stages, of the command and of its bound."""
    rows = QUICK_ROWS if run.quick else ROWS[run.case]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        paths = {
            count: folder / f"{count}.{run.case}" for count in dict.fromkeys((SMALL, TRAINED, rows))
        }
        for count, path in paths.items():
            in_process(write_csv if run.case == "csv" else write_numbers, path, count)
        model = folder / "m"
        in_process(run_aecli, "train", paths[TRAINED], "-m", model, "--epochs", "1", "-q")
        alone, of_pyarrow = in_process(stages, str(paths[rows]), str(model))
        start, whole = (in_process(encode, paths[count], model) for count in (SMALL, rows))
    seconds, bound = whole[1] - start[1], max(*alone.values(), sum(alone.values()) / 2)
    yield {
        "rows": f"{rows:,} × {WIDTH}, {run.case}",
        **{f"{stage}, CPU s": value for stage, value in alone.items()},
        "encode, s": seconds,
        "× bound": seconds / bound,
        "reading × pyarrow alone": alone["reading"] / of_pyarrow,
        "peak memory, MB": whole[2],
    }


def encode(path: Path, model: Path) -> tuple[float, float, float]:
    """Encode a file on two threads; return CPU seconds, seconds and peak memory."""
    os.environ["OMP_NUM_THREADS"] = "2"
    output = path.with_name("z.parquet")
    return run_aecli("encode", path, "-m", model, "-o", output, "-q")


def stages(path: str, model: str) -> tuple[dict[str, float], float]:
    """Return the CPU seconds of each stage, one batch after the other, and of pyarrow alone."""
    from aecli.features.training_range import Tally
    from aecli.inference.batches import SampleBatch, encode_samples
    from aecli.inference.encode import encode_pass
    from aecli.inference.loaded_model import load_model
    from aecli.start_up import shorten_imports
    from aecli.table.writers import open_writer

    shorten_imports()
    pa.set_cpu_count(1)
    loaded = load_model(Path(model), threads=1)
    opened, tally = encode_pass(loaded, path), Tally(loaded.reader.layout)
    assert opened.source is not None, "a file is read"
    seconds = dict.fromkeys(STAGES, 0.0)
    batches = opened.source.batches(loaded.batch_rows)
    with open_writer(f"{path}.out.parquet", opened.schema) as write:
        while True:
            stamps = [time.process_time()]
            if (batch := next(batches, None)) is None:
                return seconds, seconds_of(lambda: read_alone(path))[0]
            stamps.append(time.process_time())
            cells = loaded.reader.read(batch)
            tally.add(cells)
            stamps.append(time.process_time())
            samples = SampleBatch(batch, cells, np.empty((len(cells), 0), dtype=np.bool_))
            columns = encode_samples(loaded, samples).latent.numpy().T.copy()
            stamps.append(time.process_time())
            write(pa.record_batch([pa.array(z) for z in columns], schema=opened.schema))
            stamps.append(time.process_time())
            for stage, (began, ended) in zip(STAGES, pairwise(stamps), strict=True):
                seconds[stage] += ended - began


def read_alone(path: str) -> None:
    """Read all rows by pyarrow, of CSV with known types."""
    if path.endswith("csv"):
        types = {f"x{index}": pa.float32() for index in range(WIDTH)}
        options = pacsv.ConvertOptions(column_types=types)
        batches = iter(pacsv.open_csv(path, convert_options=options))
    else:
        batches = pq.ParquetFile(path).iter_batches()
    for _ in batches:
        pass


def write_csv(path: Path, rows: int) -> None:
    """Write random rows as CSV."""
    stored = path.with_suffix(".parquet")
    write_numbers(stored, rows)
    with pacsv.CSVWriter(path, pq.read_schema(stored)) as writer:
        for batch in pq.ParquetFile(stored).iter_batches():
            writer.write_batch(batch)
    stored.unlink()
