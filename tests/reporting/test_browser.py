"""Pages in Chromium: at three widths, light and dark, on paper, with axe-core, without a script."""

from __future__ import annotations

import importlib.util
import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

import aecli
from aecli.reporting.report import report
from tests.reporting.browser import Browser, browsing, find_browser

CHROMIUM = find_browser()
AXE = importlib.util.find_spec("axe_core_python")

WIDTHS = (390, 800, 1400)
A4_WIDTH = 718
"""Width of an A4 page between margins of 1 cm, in CSS pixels."""

QUICK = {"epochs": 2, "encoder": [8, 2], "device": "cpu", "threads": 1}

WIDER = """[...document.querySelectorAll("main *")]
    .filter(e => !e.closest(".scroll,.tall,nav") && !e.closest("svg"))
    .filter(e => e.getBoundingClientRect().right > innerWidth + 1)
    .map(e => e.tagName + "." + e.className + " " + e.textContent.slice(0, 40))"""
CUT = """[...document.querySelectorAll(".scroll,.tall")]
    .filter(e => e.checkVisibility() && e.scrollWidth > innerWidth + 1)
    .map(e => e.ariaLabel + " " + e.scrollWidth)"""
SMALL = """[...document.querySelectorAll("svg text")].filter(e => e.checkVisibility())
    .map(e => [parseFloat(getComputedStyle(e).fontSize) * e.getScreenCTM().a, e.textContent])
    .filter(([size]) => size < 10.99)"""
INVISIBLE = """[...document.querySelectorAll("figure svg text")]
    .filter(e => getComputedStyle(e).fill === getComputedStyle(e.closest("figure")).backgroundColor)
    .length"""

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no Chromium is installed")


def hard_rows() -> pa.Table:
    rng = np.random.default_rng(0)
    names = [
        "<script>alert(1)</script>" * 4,
        "[/red]",
        "n" * 300,
        "عمود طويل جدا",
        "👩‍👩‍👧 value",
        "constant",
    ]
    columns = dict(zip(names, rng.normal(size=(6, 90)), strict=True))
    columns["constant"] = np.ones(90)
    columns["[/red]"] = rng.choice(["عربي", "🙂", "c" * 80], 90)
    columns["label"] = rng.choice(["$a$", "b" * 300, "שלום"], 90)
    return pa.table(columns)


def letters() -> pa.Table:
    rng = np.random.default_rng(0)
    kinds = np.array([f"class of the letter {i}" for i in range(26)])
    return pa.table({"x": rng.normal(size=2_600), "kind": np.tile(kinds, 100)})


def wave() -> pa.Table:
    times = np.arange("2024-01-01", "2024-01-09", dtype="datetime64[h]").astype("datetime64[ms]")
    values = np.sin(np.arange(len(times)) / 4)
    values[100:104] += 9
    return pa.table({"at": times, "wave": values})


def pixels() -> pa.Table:
    return pa.table({f"p{i}": np.random.default_rng(i).random(40) for i in range(16)})


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Reports on hard names, 100 columns, one row, windows, images, 26 classes, and no table."""
    folder = tmp_path_factory.mktemp("pages")
    wide = pa.table({f"column_{i}": np.random.default_rng(i).normal(size=30) for i in range(100)})
    tables = {
        "hard": (hard_rows(), {"label": "label", "log_gradients": True}, {}),
        "wide": (wide, {}, {}),
        "wave": (wave(), {"encoder": None, "latent": 2, "window": 12, "time": "at"}, {}),
        "pixels": (pixels(), {}, {"shape": "4x4"}),
        "letters": (letters(), {"label": "kind"}, {}),
    }
    found = {}
    for name, (rows, options, shown) in tables.items():
        model = folder / f"model_{name}"
        aecli.train(rows, model=model, **(QUICK | options))
        found[name] = folder / f"{name}.html"
        report(rows, str(found[name]), model=model, device="cpu", **shown)
    found["one_row"], found["alone"] = folder / "one_row.html", folder / "alone.html"
    report(
        hard_rows().slice(0, 1), str(found["one_row"]), model=folder / "model_hard", device="cpu"
    )
    report(None, str(found["alone"]), model=folder / "model_hard")
    return found


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    with browsing(str(CHROMIUM), tmp_path_factory.mktemp("profile")) as started:
        yield started


def test_nothing_overflows_is_too_small_is_fetched_or_complains(pages, browser):
    for name, page in pages.items():
        for width in WIDTHS:
            browser.open(page, width=width, dark=width == WIDTHS[1])
            here = (name, width)
            assert (here, browser.evaluate("document.documentElement.scrollWidth")) == (here, width)
            assert (here, browser.evaluate(WIDER)) == (here, [])
            assert (here, browser.evaluate(SMALL)) == (here, [])
            assert (here, browser.evaluate(INVISIBLE)) == (here, 0)
    assert browser.messages == []
    assert [url for url in browser.requests if not url.startswith(("file:", "data:"))] == []


def test_on_paper_every_column_is_there_and_none_is_cut(pages, browser):
    for name in ("wide", "hard", "wave", "letters"):
        browser.open(pages[name], width=A4_WIDTH)
        browser.call("Emulation.setEmulatedMedia", media="print")
        assert (name, browser.evaluate(CUT)) == (name, [])
        hidden = "[...document.querySelectorAll('#columns tbody tr')].filter(e => !e.offsetHeight)"
        assert browser.evaluate(f"{hidden}.length") == 0
        printed = browser.call("Page.printToPDF", paperWidth=8.27, paperHeight=11.69)["data"]
        assert len(printed) > 10_000
        browser.call("Emulation.setEmulatedMedia", media="")


def test_columns_are_sorted_and_filtered_and_a_link_opens_a_row(pages, browser):
    browser.open(pages["wide"], width=1400)
    first = "document.querySelector('#columns tbody th').textContent"
    errors = "[...document.querySelectorAll('#columns tbody tr')].map(r => +r.cells[4].dataset.v)"
    largest_first = browser.evaluate(errors)
    assert largest_first == sorted(largest_first, reverse=True)
    button = "document.querySelectorAll('#columns th button')"
    browser.evaluate(f"{button}[0].click(), {button}[0].click()")
    assert browser.evaluate(first) == "column_0"
    browser.evaluate(f"{button}[2].click(), {button}[2].click()")
    assert browser.evaluate(errors) == sorted(largest_first)
    browser.evaluate("const f = document.querySelector('.search'); f.value = '_77'; f.oninput()")
    shown = "[...document.querySelectorAll('#columns tbody tr')].filter(r => !r.hidden).length"
    assert browser.evaluate(shown) == 1
    row = browser.evaluate("document.querySelector('details.anomaly').id")
    opened = f"location.hash = '{row}', new Promise(r => setTimeout(r, 50))"
    browser.call("Runtime.evaluate", expression=opened, awaitPromise=True)
    assert browser.evaluate(f"document.getElementById('{row}').open")


@pytest.mark.skipif(AXE is None, reason="axe-core-python is not installed")
def test_axe_finds_no_violation(pages, browser):
    script = Path(str(AXE.origin)).with_name("axe.min.js").read_text(encoding="utf-8")
    for name in ("hard", "wave", "pixels"):
        browser.open(pages[name], width=1400, dark=name == "hard")
        browser.evaluate(script + "; 0")
        browser.evaluate("document.querySelectorAll('details').forEach(d => d.open = true)")
        run = "axe.run().then(r => JSON.stringify(r.violations.map(v => [v.id, v.nodes[0].html])))"
        result = browser.call(
            "Runtime.evaluate", expression=run, awaitPromise=True, returnByValue=True
        )
        assert (name, json.loads(result["result"]["value"])) == (name, [])
