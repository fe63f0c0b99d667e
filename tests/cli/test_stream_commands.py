"""predict, decode and reconstruct --fill as a shell runs them."""

from __future__ import annotations

import json
import os
import select
import shlex
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.cli.conftest import QUICK, ROWS, write_table


def test_predict_writes_a_class_per_row_of_a_table_without_the_label(aecli, trained, tmp_path):
    write_table(tmp_path / "new.csv", 50, label=False)
    done = aecli("predict", "new.csv", "-o", "-", "-q")
    header, *rows = done.out.splitlines()
    assert (done.code, done.err) == (0, "")
    assert header == "prediction,prob_down,prob_up"
    assert len(rows) == 50
    assert all(row.startswith(('"up"', '"down"')) for row in rows)


def test_predict_without_a_classifier_is_2_and_writes_nothing(aecli, table, tmp_path):
    aecli("train", table, "--exclude", "kind", *QUICK, "-q")
    done = aecli("predict", table, "-o", "p.csv")
    assert (done.code, done.out) == (2, "")
    assert done.err.splitlines() == [
        "aecli: error: aecli_model has no classifier: it was trained without a label",
        "  try: aecli train DATA --label COLUMN",
    ]
    assert not (tmp_path / "p.csv").exists()


def test_latents_go_through_a_pipe_and_come_back_as_rows(aecli, trained):
    latents = aecli("encode", trained, "-o", "-", "-q")
    done = aecli("decode", "-", "-o", "rows.csv", "--json", "-q", stdin=latents.out)
    result = json.loads(done.out)
    assert (result["schema"], result["latents"], result["rows"]) == ("aecli.decode/1", ROWS, ROWS)
    assert result["columns"] == ["x", "y", "[/red]", "colour"]
    broken = aecli("decode", "-", "-o", "rows.csv", stdin="z0\n1\n")
    assert broken.code == 3
    assert "it lacks: z1" in broken.err


def test_fill_leaves_every_cell_that_is_there(aecli, trained, tmp_path):
    done = aecli("reconstruct", trained, "--fill", "-o", "filled.csv")
    before, after = (
        [line.replace('"', "").split(",") for line in (tmp_path / name).read_text().splitlines()]
        for name in (trained, "filled.csv")
    )
    holes = sum(row[3] == "" for row in before)
    assert f"filled: colour {holes}" in done.err
    assert "--noise mask:0.2" in done.err
    assert after[0] == before[0]
    for old, new in zip(before[1:], after[1:], strict=True):
        assert [float(v) for v in new[:3]] == [float(v) for v in old[:3]]
        assert new[3] in ("red", "blue")
        assert (new[3], new[4]) == (old[3] or new[3], old[4])
    refused = aecli("reconstruct", trained, "--fill", "--residuals", "-o", "other.csv")
    assert refused.code == 2
    assert not (tmp_path / "other.csv").exists()


@pytest.mark.parametrize(
    ("command", "streams", "code"),
    [
        ("--version", ">&-", 6),
        ("--version", "2>&-", 0),
        ("rollback -m none", ">&- 2>&-", 4),
        ("inspect t.csv", "2>/dev/full <&-", 0),
    ],
)
def test_closed_standard_streams(tmp_path: Path, command: str, streams: str, code: int) -> None:
    (tmp_path / "t.csv").write_text("a,b\n1,2\n3,5\n")
    script = f"{shlex.quote(sys.executable)} -m aecli {command} {streams}"
    done = subprocess.run(["bash", "-c", script], cwd=tmp_path, capture_output=True, text=True)
    assert (done.returncode, "Traceback" in done.stderr) == (code, False)
    assert len(done.stderr.splitlines()) <= 6


# Processes in the background of a shell ignore SIGINT.
@pytest.mark.parametrize("threads", [1, 2])
def test_a_signal_ends_a_command_whose_output_no_process_reads(
    trained: str, tmp_path: Path, threads: int
):
    header, *rows = (tmp_path / trained).read_text().splitlines()
    (tmp_path / "many.csv").write_text("\n".join([header, *rows * 80]) + "\n")
    command = [sys.executable, "-m", "aecli", "encode", "many.csv", "-o", "-", "-q"]
    with subprocess.Popen(
        [*command, "--threads", str(threads), "--batch-size", "100"], cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": os.getcwd()}, text=True,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    ) as process:  # fmt: skip
        try:
            assert process.stdout is not None
            select.select([process.stdout], [], [], 30)  # the first bytes are written
            time.sleep(0.5)
            assert process.poll() is None
            process.send_signal(signal.SIGTERM)
            assert process.wait(timeout=15) == 128 + signal.SIGTERM
        finally:
            process.kill()
