"""The benchmark of a GPU runs on a CPU too, with tiny tables."""

from __future__ import annotations

import importlib
import re
import sys
from pathlib import Path

import pytest

FOLDER = Path(__file__).parent.parent / "benchmarks"


@pytest.mark.usefixtures("no_cross_fitting")
def test_the_benchmark_of_a_gpu_compares_trainings(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    monkeypatch.syspath_prepend(FOLDER)
    monkeypatch.setattr(sys, "argv", ["run.py", "gpu-graphs", "--quick"])
    importlib.import_module("run").main()
    lines = capsys.readouterr().out.splitlines()
    [row] = [line for line in lines if line.startswith("| mlp ")]
    assert re.fullmatch(r"\| mlp \| 1 \| 0 \| [0-3] \| 1 \|", row)
