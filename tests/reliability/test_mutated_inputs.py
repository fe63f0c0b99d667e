from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent.parent
COUNT, SEED = 60, 14


def test_mutated_inputs_end_in_no_bug_signal_or_large_memory() -> None:
    """The cut of `benchmarks/run.py mutated-inputs`, which tries thousands."""
    command = [sys.executable, "-m", "tests.reliability.mutated_runs", str(COUNT), str(SEED)]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)
    assert done.stderr == ""
    assert done.stdout.split("\n") == [str(COUNT), ""]
