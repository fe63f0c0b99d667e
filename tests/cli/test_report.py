"""Reports and pictures as a shell makes them, and curves in the terminal."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from aecli.cli.display.history import EpochTable, loss_chart, sparkline
from aecli.cli.option_sources import OptionValue, Settings
from aecli.cli.report import models_and_data
from aecli.schema.options import TrainOptions
from tests.cli.conftest import QUICK
from tests.cli.results import drawn, epochs

NAME = "[/red]"


def history(epochs, *, valid=True):
    return [
        {
            "epoch": e,
            "train": {NAME: 1 / e, "total": 2 / e},
            "valid": {NAME: 1.5 / e, "total": 3 / e} if valid else None,
            "best": e <= 3,
        }
        for e in range(1, epochs + 1)
    ]


@pytest.mark.parametrize("epochs", [1, 2, 40, 500])
def test_curves_fit_80_columns_and_mark_the_best_epoch(epochs):
    shown = drawn(loss_chart(history(epochs)), 200, terminal=True)
    assert max(map(len, shown.splitlines())) <= 80
    assert "▁" in shown
    assert shown.count("▲") == 2
    assert NAME in shown
    assert f"best: epoch {min(3, epochs)}" in shown


def test_off_a_terminal_curves_are_plain_text():
    shown = drawn(loss_chart(history(9, valid=False)))
    assert not set("▁▂▃▄▅▆▇█▲│\x1b") & set(shown)
    assert "train 2.00 to 0.2222" in shown


def test_a_sparkline_is_high_where_values_are_and_empty_where_none_are():
    assert sparkline([3, 2, None, 1], 10) == "█▅ ▁"
    assert len(sparkline(list(range(100)), 12)) == 12
    assert sparkline([None, float("nan")], 10) == ""


def test_history_is_shown_at_once_and_as_json(aecli, trained):
    done = aecli("inspect", "--history", COLUMNS="80")
    assert (done.code, done.err) == (0, "")
    assert "3 epochs" in done.out
    assert max(map(len, done.out.splitlines())) <= 80
    result = json.loads(aecli("inspect", "--history", "--json").out)["history"]
    assert [line["epoch"] for line in result] == [1, 2, 3]


def test_history_loads_neither_torch_nor_matplotlib(trained, tmp_path):
    code = "import sys; from aecli.cli.main import main; main(['inspect', '--history'])"
    done = subprocess.run(
        [sys.executable, "-X", "importtime", "-c", code], cwd=tmp_path, capture_output=True,
        text=True, check=True,
    )  # fmt: skip
    loaded = {line.rsplit("|", 1)[-1].strip() for line in done.stderr.splitlines()}
    assert not {"torch", "matplotlib", "jinja2", "pyarrow"} & loaded


def test_models_to_compare_come_before_the_tables(trained, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    shutil.copytree("aecli_model", "other")
    one, two = Path("aecli_model"), Path("other")
    data = OptionValue("data", ("aecli_model", "other", trained), "command line")
    settings = Settings(TrainOptions(), {"data": data})
    assert models_and_data(settings) == (one, [two], trained)
    data = OptionValue("data", ("other", "a.csv", "b.csv"), "command line")
    model = OptionValue("model", "aecli_model", "command line")
    assert models_and_data(Settings(TrainOptions(), {"model": model, "data": data})) == (
        one, [two], ["a.csv", "b.csv"],
    )  # fmt: skip


def test_training_ends_with_a_report_even_where_no_home_is(table, tmp_path):
    nowhere = {"HOME": "/proc/none", "XDG_CACHE_HOME": "/proc/none", "XDG_CONFIG_HOME": "/proc/no"}
    command = [sys.executable, "-m", "aecli", "train", table, "--label", "kind", *QUICK]
    done = subprocess.run(
        [*command, "--report", "r.html"], cwd=tmp_path, capture_output=True, text=True,
        env=os.environ | nowhere, check=True,
    )  # fmt: skip
    assert done.stderr.endswith("note: the report is in r.html\n")
    assert "matplotlib" not in done.stderr.lower()
    page = (tmp_path / "r.html").read_text(encoding="utf-8")
    assert "These are rows of the training" in page
    assert "[/red]" in page


def test_a_report_that_could_not_be_written_stops_a_training(aecli, table, tmp_path):
    done = aecli("train", table, *QUICK, "--report", "nowhere/r.html")
    assert done.code == 6
    assert "there is no folder nowhere" in done.err
    assert not (tmp_path / "aecli_model").exists()


def test_a_page_is_counted_in_figures_and_bytes(aecli, trained, tmp_path):
    result = json.loads(aecli("report", "-o", "r.html", "--json").out)
    assert (result["rows"], result["model"], result["compared"]) == (0, "aecli_model", [])
    assert (result["figures"], result["bytes"]) == (3, (tmp_path / "r.html").stat().st_size)


@pytest.mark.parametrize(
    ("args", "code", "message"),
    [
        (("plot", "lost", "-o", "x.png"), 2, "plot loss"),
        (("plot", "loss", "-o", "no/x.png"), 6, "mkdir -p no"),
        (("report", "aecli_model", "-m", "aecli_model"), 2, "both name the model"),
        (("report", "--side-by-side", "aecli_model", "data.csv"), 2, "at least two models"),
    ],
)
def test_what_cannot_be_drawn_is_an_error_in_a_few_lines(args, code, message, aecli, trained):
    done = aecli(*args)
    assert (done.code, done.out) == (code, "")
    assert message in done.err
    assert "Traceback" not in done.err
    assert len(done.err.splitlines()) <= 6


def test_a_training_ends_with_a_sparkline_per_term_on_a_terminal_only():
    table = EpochTable(epochs(30, ("reconstruction", "l1")), limit=10)
    lines = drawn(table, terminal=True).splitlines()
    sparks = [line for line in lines if "▁" in line]
    assert [line.split()[0] for line in sparks] == ["reconstruction", "l1", "total"]
    assert max(map(len, lines)) <= 80
    assert "▁" not in drawn(table)
