"""Pages in Chromium at two widths, light and dark."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

import aecli
from aecli.reporting.report import report
from tests.reporting.browser import browsing, find_browser

BROWSER = find_browser()

WIDER = """[...document.querySelectorAll("main *")]
    .filter(e => !e.closest(".scroll") && !e.closest("svg"))
    .filter(e => e.getBoundingClientRect().right > innerWidth + 1).length"""
HIDDEN = """[...document.querySelectorAll("figure svg text")]
    .filter(e => getComputedStyle(e).fill === getComputedStyle(e.closest("figure")).backgroundColor)
    .length"""


@pytest.mark.skipif(BROWSER is None, reason="no Chromium is installed")
def test_nothing_overflows_is_fetched_or_complains(tmp_path):
    rng = np.random.default_rng(0)
    long = "<script>alert(1)</script>" * 4
    rows = pa.table(
        {
            long: rng.normal(size=90),
            "[/red]": rng.random(90),
            "label": rng.choice(["$a$", "b" * 60], 90),
        }
    )
    options = {"epochs": 2, "encoder": [8, 2], "device": "cpu", "threads": 1}
    aecli.train(rows, model=tmp_path / "m", label="label", **options)
    page = tmp_path / "report.html"
    report(rows, str(page), model=tmp_path / "m", device="cpu")
    with browsing(str(BROWSER), tmp_path / "profile") as browser:
        for width in (400, 1400):
            for dark in (False, True):
                browser.open(page, width=width, dark=dark)
                assert browser.evaluate("document.documentElement.scrollWidth") == width
                assert browser.evaluate(WIDER) == 0
                assert browser.evaluate(HIDDEN) == 0
                browser.screenshot(tmp_path / f"report-{width}{'-dark' * dark}.png")
        assert browser.evaluate("document.querySelectorAll('figure').length") > 8
    assert browser.messages == []
    assert [url for url in browser.requests if not url.startswith(("file:", "data:"))] == []
