"""Models side by side: a verdict by paired intervals, figures, and the settings that differ."""

from __future__ import annotations

import re
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

import aecli
from aecli.reporting.report import report
from tests.reporting.browser import browsing, find_browser
from tests.reporting.reading import Page
from tests.reporting.test_browser import WIDER

BROWSER = find_browser()
QUICK: dict[str, Any] = {"epochs": 1, "init": "pca", "valid": "none", "device": "cpu", "threads": 1}


def numbers(rows: int = 200) -> pa.Table:
    """Return three independent columns, of which one latent unit can keep one."""
    values = np.random.default_rng(0).normal(size=(rows, 3)) * [1.0, 2.0, 3.0]
    label = np.where(values[:, 0] > 0, "up", "down")
    return pa.table({**{f"x{i}": values[:, i] for i in range(3)}, "label": label})


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder of models: with one and three latent units, and a copy of the latter."""
    folder = tmp_path_factory.mktemp("models")
    for name, latent in (("one", 1), ("three", 3)):
        aecli.train(numbers(), model=folder / name, latent=latent, exclude=["label"], **QUICK)
    shutil.copytree(folder / "three", folder / "copy")
    return folder


def compared(folder: Path, names: str, data: Any, target: Path) -> str:
    first, *others = (folder / name for name in names.split())
    report(data, str(target / "c.html"), model=first, side_by_side=others, device="cpu")
    return Page((target / "c.html").read_text(encoding="utf-8")).text


@pytest.mark.parametrize("names", ["one three", "three one"])
def test_the_verdict_names_the_model_that_is_clearly_better(names, models, tmp_path):
    text = compared(models, names, numbers(), tmp_path)
    assert "three reconstructs numbers better than one." in text
    found = re.search(r"R² (\S+) against (\S+) \(difference (\S+) ± (\S+)\)", text)
    assert found is not None
    first, second, difference, half = (float(one.replace("−", "-")) for one in found.groups())
    assert difference == pytest.approx(first - second, abs=0.02)
    assert 0 < half < abs(difference)
    assert ("▲ +" if names == "one three" else "▼ −") in text


def test_equal_models_have_no_clear_difference_and_no_settings(models, tmp_path):
    text = compared(models, "three copy", numbers(), tmp_path)
    assert "No clear difference between three and copy: numbers ≈." in text
    assert "≈ +0.0 ± 0.0" in text
    assert "All options and columns are the same." in text


def test_only_settings_that_differ_are_listed(models, tmp_path):
    text = compared(models, "one three", numbers(), tmp_path)
    settings = text.split("Settings that differ")[1].split("All other options")[0]
    assert re.search(r"--latent\s*1\s*3\s", settings)
    assert "--epochs" not in settings
    assert "training rows" not in settings


def test_of_three_models_the_verdict_names_the_best(models, tmp_path):
    text = compared(models, "one three copy", numbers(), tmp_path)
    assert "Numbers: three is best (≈ copy)." in text


def test_few_rows_have_no_intervals_and_a_note(models, tmp_path):
    text = compared(models, "one three", numbers(19), tmp_path)
    assert "No clear difference between one and three: numbers ≈." in text
    assert "Intervals need 20 rows." in text
    assert "▲" not in text.split("Small:")[0]


def test_without_a_table_nothing_is_compared(models, tmp_path):
    text = compared(models, "one three", None, tmp_path)
    assert "Not compared on the same rows: there is no table." in text
    assert "Figures of the same rows" not in text
    assert "--latent" in text


def test_the_label_has_a_paired_interval(models, tmp_path):
    data = numbers(60)
    for name, rate in (("slow", 1e-6), ("fast", 0.05)):
        options = QUICK | {"epochs": 30, "init": "default", "lr": rate}
        aecli.train(data, model=tmp_path / name, label="label", latent=3, **options)
    text = compared(tmp_path, "fast slow", data, tmp_path)
    assert "fast reconstructs numbers and predicts label better than slow." in text
    assert re.search(r"Label label: accuracy \S+ % against \S+ % \(difference \+\S+ ± \S+ p", text)


def test_windows_of_other_lengths_are_not_compared_by_pairs(tmp_path):
    for name, window in (("short", 4), ("long", 8)):
        options = QUICK | {"init": "auto"}
        data = numbers(96).drop_columns("label")
        aecli.train(data, model=tmp_path / name, window=window, latent=2, **options)
    text = compared(tmp_path, "short long", data, tmp_path)
    assert "No clear difference between short and long" in text
    assert "±" not in text.split("Small:")[0]


@pytest.mark.skipif(BROWSER is None, reason="no Chromium is installed")
def test_the_page_does_not_overflow_at_any_width(models, tmp_path):
    long = tmp_path / ("<i>" + "w" * 90)
    shutil.copytree(models / "one", long)
    others = [models / "three", long]
    page = tmp_path / "c.html"
    report(numbers(), str(page), model=models / "one", side_by_side=others, device="cpu")
    with browsing(str(BROWSER), tmp_path / "profile") as browser:
        for width in (390, 800, 1400):
            for dark in (False, True):
                browser.open(page, width=width, dark=dark)
                assert browser.evaluate("document.documentElement.scrollWidth") == width
                assert browser.evaluate(WIDER) == []
    assert browser.messages == []
