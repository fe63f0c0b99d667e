"""`aecli score` and `aecli calibrate` as a shell runs them."""

from __future__ import annotations

import csv
import json
from pathlib import Path

from tests.cli.conftest import QUICK, run_aecli, write_table


def test_scores_on_stdout_then_calibrated_and_scored_again(tmp_path: Path):
    write_table(tmp_path / "rows.csv")
    assert run_aecli(tmp_path, "train", "rows.csv", *QUICK, "--trimmed-loss", "-q").code == 0
    done = run_aecli(tmp_path, "score", "rows.csv", "-o", "-", "--explain", "1")
    rows = list(csv.DictReader(done.out.splitlines()))
    assert done.code == 0
    assert len(rows) == 200
    assert "1 outlier (0.5 %) with a score above" in done.err
    moved = run_aecli(tmp_path, "calibrate", "rows.csv", "--fpr", "0.25", "--json", "-q")
    assert json.loads(moved.out)["schema"] == "aecli.calibrate/1"
    counted = run_aecli(tmp_path, "score", "rows.csv", "-o", "s.parquet", "--json", "-q")
    assert json.loads(counted.out)["outliers"] == 50


def test_a_threshold_that_means_nothing_is_a_usage_error(tmp_path: Path):
    done = run_aecli(tmp_path, "score", "rows.csv", "-o", "-", "--threshold", "p200")
    assert (done.code, done.out) == (2, "")
    assert "'p200' is no threshold" in done.err
