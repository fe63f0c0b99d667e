"""More than one process: shards, Ray, ranks of torchrun, 64 ranks by calculation, and deaths.

`shards` and `ray` run commands on 20 files of 200,000 rows of 32 numbers, `shards` also on 20 of a
million: one process on one core, and two processes, each on a core of its own. The start-up is that
of the same commands for two files of 200 rows, one per process; all are medians of three runs.
`ray` has a cluster of this command, and one that was started before. `torchrun` trains with one
process and with two under torchrun, each on a core of its own, at the same global batch. `network`
adds the time of a ring all-reduce to measured steps. `deaths` kills processes at random.
"""

from __future__ import annotations

import hashlib
import importlib.util
import json
import multiprocessing
import os
import random
import secrets
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
from harness import Row, Run
from measures import AECLI, in_process, run_aecli
from memory import write_numbers
from tables import curved, table_of

import aecli
from aecli.progress import Progress

FILES, SMALL, QUICK_ROWS = 20, 200, 1_000
FILE_ROWS, MANY_ROWS = 200_000, 1_000_000
TURNS = 3
CORES = (0, 1)
PORT, CLUSTER_SECONDS = 6_391, 20.0
SHAPES = {"narrow": (1_000_000, 32), "wide": (60_000, 784)}
BATCHES = (8_192, 1_024)
EPOCHS = {"narrow": 4, "wide": 8}

RANKS, GIGABITS, LATENCY = 64, 25, 30e-6
"""Ranks, bandwidth of each in Gbit/s, and seconds of a message between two machines."""

DYING, MANY, PARTS = 0.05, 1_000, 4
"""Share of the files during which a process dies, number of files, processes at once."""


def shards(run: Run) -> Iterator[Row]:
    """Yield the seconds of one process and of two with `--shard`."""
    commands = {
        "one process": [pinned(0, run.case)],
        "two processes, `--shard`": [
            pinned(core, run.case, "--shard", f"{core + 1}/2") for core in CORES
        ],
    }
    for rows in (FILE_ROWS, MANY_ROWS):
        with tempfile.TemporaryDirectory() as name:
            write_tables(Path(name), QUICK_ROWS if run.quick else rows)
            for row in speed_ups(Path(name), run.case, commands):
                yield {"rows": f"{FILES} × {rows:,}", **row}


def ray(run: Run) -> Iterator[Row]:
    """Yield the seconds of one process and of two processes of a Ray cluster."""
    if importlib.util.find_spec("ray") is None:
        raise ModuleNotFoundError("ray is not installed: pip install 'aecli[ray]'")
    cores = ["taskset", "-c", ",".join(map(str, CORES))]
    on_ray = [[*cores, *AECLI, run.case, "--engine", "ray"]]
    with tempfile.TemporaryDirectory() as name:
        write_tables(Path(name), QUICK_ROWS if run.quick else FILE_ROWS)
        one = {"one process": [pinned(0, run.case)]}
        own = {"`--engine ray`, a cluster of its own": on_ray}
        rows = list(speed_ups(Path(name), run.case, one | own))
        yield from rows
        base = {title: value for title, value in rows[0].items() if isinstance(value, float)}
        token = {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": secrets.token_hex(32)}
        with ray_cluster(cores, token) as address:
            running = {"`--engine ray`, a cluster that runs": on_ray}
            variables = {"RAY_ADDRESS": address, **token}
            yield from speed_ups(Path(name), run.case, running, base, variables)


@contextmanager
def ray_cluster(cores: list[str], token: dict[str, str]) -> Iterator[str]:
    """Start a Ray cluster of two processors with a token of its own; yield its address."""
    program = str(Path(sys.executable).with_name("ray"))
    # A folder of its own, so that no other cluster of this machine is stopped.
    with tempfile.TemporaryDirectory(prefix="r", ignore_cleanup_errors=True) as name:
        options = ["--head", "--block", "--num-cpus", "2", "--include-dashboard", "false"]
        options += ["--port", str(PORT), "--temp-dir", name]
        process = subprocess.Popen(
            [*cores, program, "start", *options, "--disable-usage-stats"],
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
            env={**os.environ, **token, "RAY_worker_niceness": "0"},
        )  # fmt: skip
        try:
            time.sleep(CLUSTER_SECONDS)  # until the processes of its tasks are started
            yield f"127.0.0.1:{PORT}"
        finally:
            process.terminate()
            process.wait()


def torchrun(run: Run) -> Iterator[Row]:
    """Yield the seconds of an epoch of one process and of two ranks, at the same global batch."""
    rows, width = SHAPES[run.case]
    torchrun = Path(sys.executable).with_name("torchrun")
    two = [str(torchrun), "--standalone", "--nproc-per-node", "2", "--no-python", "sh", "-c"]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        table = table_of(curved(QUICK_ROWS if run.quick else rows, width))
        pq.write_table(table, folder / "t.parquet", row_group_size=max(1, len(table) // 20))
        for batch in BATCHES:
            options = ["t.parquet", "--batch-size", batch, "--threads", 1, "--time-limit", "2m"]
            options += ["--epochs", 1 if run.quick else EPOCHS[run.case], "--seed", run.seed, "-q"]
            words = " ".join(map(str, [*AECLI, "train", *options, "-m"]))
            commands = {
                "one process": ["sh", "-c", f"taskset -c 0 {words} one"],
                "two ranks": [*two, f"taskset -c $LOCAL_RANK {words} two"],
            }
            base: float | None = None
            for title, command in commands.items():
                subprocess.run(command, cwd=folder, check=True, stdout=subprocess.DEVNULL)
                seconds, loss = epochs_of(folder / ("one" if base is None else "two"))
                base = base or seconds
                yield {
                    "table": f"{len(table):,} × {width}",
                    "global batch": f"{batch:,}",
                    "training": title,
                    "epoch, s": seconds,
                    "speed-up": base / seconds,
                    "validation loss": loss,
                }
            shutil.rmtree(folder / "one")
            shutil.rmtree(folder / "two")


def network(run: Run) -> Iterator[Row]:
    """Yield what 64 ranks would give, from measured steps and the time of a ring all-reduce."""
    rows, width = SHAPES[run.case]
    with tempfile.TemporaryDirectory() as name:
        path = Path(name) / "t.parquet"
        pq.write_table(table_of(curved(QUICK_ROWS if run.quick else rows // 4, width)), path)
        for batch in (1_024, 128):
            step, parameters = in_process(step_seconds, str(path), batch, f"{name}/m{batch}")
            reduce = all_reduce_seconds(4 * parameters, RANKS)
            speed = RANKS * step / (step + reduce)
            yield {
                "table": f"{rows:,} × {width}",
                "batch per rank": f"{batch:,}",
                "parameters": parameters,
                "step, ms": 1000 * step,
                "all-reduce, ms": 1000 * reduce,
                "speed-up of 64 ranks": speed,
                "with 1,000 equal files": speed * MANY / RANKS / -(-MANY // RANKS),
            }


def all_reduce_seconds(size: int, ranks: int) -> float:
    """Return the seconds of a ring all-reduce of `size` bytes.

    2 (p - 1) messages of n / p bytes each (Patarasuk and Yuan 2009, J. Parallel Distrib. Comput.
    69, 117-124), each with a latency.
    """
    messages = 2 * (ranks - 1)
    return messages * (LATENCY + size / ranks * 8 / (GIGABITS * 1e9))


def step_seconds(path: str, batch: int, model: str) -> tuple[float, int]:
    """Return the seconds of a step of `aecli train` on one thread, and the number of weights."""
    aecli.train(path, model=model, batch_size=batch, epochs=3, threads=1)
    loaded = aecli.load(model).loaded
    parameters = sum(weights.numel() for weights in loaded.network.parameters())
    training_rows = loaded.spec.summary.train_rows
    return epochs_of(Path(model))[0] / -(-training_rows // batch), parameters


def epochs_of(model: Path) -> tuple[float, float]:
    """Return the median seconds of the epochs of a model, and its validation loss."""
    (path,) = model.glob("history*.jsonl")
    history = [json.loads(line) for line in path.read_text().splitlines()]
    later = history[1:] or history
    losses = [epoch["valid"]["total"] for epoch in history if epoch["valid"]]
    return statistics.median(epoch["seconds"] for epoch in later), min(losses)


def deaths(run: Run) -> Iterator[Row]:
    """Yield the rows and files of a folder whose processes died at random and were repeated."""
    files = 40 if run.quick else MANY
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "table").mkdir()
        whole = table_of(curved(SMALL * files, 4))
        for number in range(files):
            part = whole.slice(number * SMALL, SMALL)
            pq.write_table(part, folder / "table" / f"p{number:04}.parquet")
        in_process(run_aecli, "train", folder / "table", "-m", folder / "m", "--epochs", "1", "-q")
        began = time.perf_counter()
        died = repeated_until_done(folder, run.seed)
        seconds = time.perf_counter() - began
        in_process(encode_all, str(folder))
        rows = pa.concat_tables(pq.read_table(path) for path in outputs(folder / "out"))
        manifest = json.loads((folder / "out" / "_manifest.json").read_text())
        other = [path.name for path in outputs(folder / "out") if digest(path) != digest(
            folder / "plain" / path.name)]  # fmt: skip
        yield {
            "files": f"{files:,} of {SMALL} rows, {PARTS} processes",
            "deaths": died,
            "rows lost": len(whole) - len(rows),
            "files twice": len(manifest["files"]) - len({f["input"] for f in manifest["files"]}),
            "files that differ": len(other),
            "s": seconds,
        }


def repeated_until_done(folder: Path, seed: int) -> int:
    """Run every part again until it ends without dying; return how many processes died."""
    # A process that is forked does not import everything again.
    context = multiprocessing.get_context("fork")
    generator, died = random.Random(seed), 0
    waiting = list(range(1, PARTS + 1))
    while waiting:
        part_seeds = {part: generator.random() for part in waiting}
        running = {
            part: context.Process(target=encode_part, args=(str(folder), part, part_seed))
            for part, part_seed in part_seeds.items()
        }
        for process in running.values():
            process.start()
        for process in running.values():
            process.join()
        codes = {part: process.exitcode for part, process in running.items()}
        assert set(codes.values()) <= {0, -signal.SIGKILL}, codes
        waiting = [part for part, code in codes.items() if code]
        died += len(waiting)
        if waiting:
            assert not (folder / "out" / "_SUCCESS").exists()
    return died


class Dying(Progress):
    """Progress that kills its process in the middle of a share of the files."""

    def __init__(self, seed: float) -> None:
        self._generator = random.Random(seed)

    def rows(self, count: int) -> None:
        """Kill the process, or not."""
        if self._generator.random() < DYING:
            os.kill(os.getpid(), signal.SIGKILL)


def encode_part(folder: str, part: int, seed: float) -> None:
    """Encode a part of the files, of which each may be the last."""
    aecli.encode(
        f"{folder}/table", f"{folder}/out/", model=f"{folder}/m", threads=1, resume=True,
        shard=f"{part}/{PARTS}", progress=Dying(seed),
    )  # fmt: skip
    os._exit(0)


def encode_all(folder: str) -> None:
    """Encode all files without deaths."""
    aecli.encode(f"{folder}/table", f"{folder}/plain/", model=f"{folder}/m", threads=1)


def outputs(folder: Path) -> list[Path]:
    """Return the files that were written, in order."""
    return sorted(folder.glob("p*.parquet"))


def digest(path: Path) -> str:
    """Return the digest of a file."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def write_tables(folder: Path, file_rows: int) -> None:
    """Write the files, a small one per process, and a model."""
    for name, rows, files in (("table", file_rows, FILES), ("small", SMALL, len(CORES))):
        (folder / name).mkdir()
        first = folder / name / "p00.parquet"
        in_process(write_numbers, first, rows)
        for number in range(1, files):
            shutil.copy(first, first.with_name(f"p{number:02}.parquet"))
    train = ["train", folder / "table" / "p00.parquet", "-m", folder / "m", "--epochs", "1", "-q"]
    in_process(run_aecli, *train)


def pinned(core: int, command: str, *options: str) -> list[str]:
    """Return the command line of a command on one core."""
    return ["taskset", "-c", str(core), *AECLI, command, "--threads", "1", *options]


def speed_ups(
    folder: Path,
    command: str,
    commands: dict[str, list[list[str]]],
    base: dict[str, float] | None = None,
    variables: dict[str, str] | None = None,
) -> Iterator[Row]:
    """Yield the seconds of commands that run at once, next to those of the first."""
    for title, lines in commands.items():
        start, whole = (
            statistics.median(
                seconds_together(folder, lines, name, variables or {}) for _ in range(TURNS)
            )
            for name in ("small", "table")
        )
        seconds = {"s": whole, "of these start-up": start}
        base = base or seconds
        beyond = (base["s"] - base["of these start-up"]) / (whole - start)
        ratios = {"speed-up": base["s"] / whole, "beyond start-up": beyond}
        yield {"command": command, "with": title, **seconds, **ratios}


def seconds_together(
    folder: Path, lines: Sequence[list[str]], table: str, variables: dict[str, str]
) -> float:
    """Return the seconds until all command lines have ended that encode a table."""
    shutil.rmtree(folder / "out", ignore_errors=True)
    environ = os.environ | {"OMP_NUM_THREADS": "1"} | variables
    began = time.perf_counter()
    running = [
        subprocess.Popen([*line, f"{table}/", "-m", "m", "-o", "out/", "-q"], cwd=folder,
                         env=environ)
        for line in lines
    ]  # fmt: skip
    assert not any(process.wait() for process in running), lines
    seconds = time.perf_counter() - began
    assert (folder / "out" / "_SUCCESS").exists(), "all files are written"
    return seconds
