"""`aecli score` and `aecli calibrate` as a shell runs them."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

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
    assert "'p200' is not a threshold" in done.err


def test_a_share_above_its_limit_ends_with_8_once_the_scores_are_written(tmp_path: Path):
    write_table(tmp_path / "rows.csv")
    run_aecli(tmp_path, "train", "rows.csv", *QUICK, "-q")
    gates = ("--fail-if", "outlier_share>=0", "--fail-if", "missing_share>0.9")
    for output in ("-", "s.csv"):
        done = run_aecli(tmp_path, "score", "rows.csv", "-o", output, *gates, "-q")
        assert done.code == 8
        assert "1 of 2 gates failed" in done.err
        assert "outlier_share>=0: it is 0" in done.err
        written = done.out if output == "-" else (tmp_path / output).read_text()
        assert len(written.splitlines()) == 201
    passed = run_aecli(tmp_path, "score", "rows.csv", "-o", "-", "--fail-if", "outlier_share>0.9")
    assert passed.code == 0
    refused = run_aecli(tmp_path, "score", "rows.csv", "-o", "x.csv", "--fail-if", "auroc<0.9")
    assert refused.code == 2
    assert (
        "score has: missing_share, out_of_range_share, outlier_share, unseen_share" in refused.err
    )
    assert not (tmp_path / "x.csv").exists()


def test_windows_are_counted_as_windows(tmp_path: Path):
    write_table(tmp_path / "rows.csv")
    quick = ("--epochs", "2", "--window", "4", "--latent", "2", "-q")
    run_aecli(tmp_path, "train", "rows.csv", "--label", "kind", *quick)
    encoded = run_aecli(tmp_path, "encode", "rows.csv", "-o", "z.csv")
    assert "windows of 2 columns to z.csv" in encoded.err
    rows = run_aecli(tmp_path, "reconstruct", "rows.csv", "-o", "r.csv")
    assert rows.err.startswith("200 rows of")
    windows = run_aecli(tmp_path, "score", "rows.csv", "-o", "s.csv", "--json", "-q")
    assert json.loads(windows.out)["unit"] == "window"
    rows = run_aecli(tmp_path, "score", "rows.csv", "-o", "s.csv", "--score-unit", "row")
    assert rows.err.startswith("200 rows of")
    assert "labelled windows" in run_aecli(tmp_path, "evaluate", "rows.csv").out


@pytest.mark.parametrize("spelling", ["%Y-%m-%d", "%d.%m.%Y", "%Y-%m-%dT%H:%M:%S"])
def test_ordinary_rows_of_next_month_are_ordinary(tmp_path: Path, spelling: str):
    for name, first, days in (("jan", "2026-01-01", 28), ("feb", "2026-02-01", 10)):
        random = np.random.default_rng(days)
        temp = random.normal(20, 5, 20 * days).round(2)
        when = pd.date_range(first, periods=days).repeat(20)
        load = (5 * temp + 100 + random.normal(0, 3, len(temp))).round(1)
        table = pd.DataFrame({"day": when.strftime(spelling), "temp": temp, "load": load})
        table["zone"] = np.where(temp > 20, "A", "B")
        table.to_csv(tmp_path / f"{name}.csv", index=False)
    trained = run_aecli(tmp_path, "train", "jan.csv", "--epochs", "15", "--threads", "1")
    assert trained.code == 0
    assert "day is not scored after its last training date 2026-01-28" in trained.out
    scored = run_aecli(
        tmp_path, "score", "feb.csv", "-o", "s.csv", "--fail-if", "outlier_share>0.04"
    )
    assert scored.code == 0, scored.err
    assert "day: 200 of 200 values after the last training date 2026-01-28" in scored.err


def test_without_an_output_the_most_anomalous_rows_are_printed_and_nothing_is_written(tmp_path):
    write_table(tmp_path / "rows.csv")
    lines = (tmp_path / "rows.csv").read_text().splitlines()
    lines = [f"{name},{line}" for name, line in zip(["id", *range(len(lines) - 1)], lines,
                                                    strict=True)]  # fmt: skip
    (tmp_path / "rows.csv").write_text("\n".join(lines) + "\n")
    assert run_aecli(tmp_path, "train", "rows.csv", *QUICK, "--id", "id", "-q").code == 0
    odd = lines[43].split(",")
    odd[1] = "987654.5"
    (tmp_path / "new.csv").write_text("\n".join([*lines[:43], ",".join(odd), *lines[44:]]) + "\n")
    before = sorted(path.name for path in tmp_path.iterdir())
    done = run_aecli(tmp_path, "score", "aecli_model", "new.csv", "--keep", "y", COLUMNS="80")
    assert (done.code, done.err) == (0, "")
    assert sorted(path.name for path in tmp_path.iterdir()) == before
    table = done.out.partition("most anomalous rows, numbered from 0\n")[2].splitlines()
    assert table[0].split() == ["row", "id", "y", "score", "reasons"]
    assert table[1].split()[:3] == ["42", "42", f"{float(odd[2]):g}"]
    assert "x is 987,654, expected" in " ".join(done.out.split())
    first = json.loads(run_aecli(tmp_path, "score", "new.csv", "--json", "-q").out)["anomalous"][0]
    assert (first["row"], first["first_row"], first["identifiers"]) == (42, 42, {"id": "42"})
    assert first["reasons"][0]["column"] == "x"
    gated = run_aecli(tmp_path, "score", "new.csv", "-q", "--fail-if", "outlier_share>0")
    assert (gated.code, gated.out) == (8, "")


@pytest.mark.parametrize("flags", [["--detail"], ["--to", "csv"]])
def test_an_option_of_the_file_needs_the_file(tmp_path: Path, flags: list[str]):
    done = run_aecli(tmp_path, "score", "rows.csv", *flags)
    assert (done.code, done.out) == (2, "")
    assert f"try: {' '.join(flags)} -o FILE" in done.err


def test_windows_are_named_by_their_first_and_last_row(tmp_path: Path):
    write_table(tmp_path / "rows.csv", label=False)
    quick = ("--epochs", "2", "--window", "4", "--latent", "2", "-q")
    run_aecli(tmp_path, "train", "rows.csv", *quick)
    done = run_aecli(tmp_path, "score", "rows.csv", "--explain", "1", COLUMNS="80")
    title = "most anomalous windows that do not overlap, rows numbered from 0\n"
    table = done.out.partition(title)[2].splitlines()
    first, last = table[1].split()[0].split("–")
    assert int(last) - int(first) == 3
    assert table[1].endswith(("x the usual error", ": unusual values"))
