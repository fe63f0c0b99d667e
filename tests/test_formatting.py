import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len

from aecli.cli.display.widgets import clipped, names
from aecli.formatting import count, duration, figure, percent, safe, size, weight


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("age", "age"),
        ("größe 体重 👩‍🔬", "größe 体重 👩‍🔬"),
        ("\x1b[31mred", "\\x1b[31mred"),
        ("a\nb\tc\r\x00", "a\\x0ab\\x09c\\x0d\\x00"),
        ("\x9b2J", "\\x9b2J"),
        ("\u202egnp.exe", "\\u202egnp.exe"),
        ("\ud800", "\\ud800"),
        ("\u2028", "\\u2028"),
    ],
)
def test_what_could_move_a_cursor_or_hide_is_written_as_an_escape(text, shown):
    assert safe(text) == shown


@given(st.text())
def test_safe_text_has_no_control_left(text):
    assert not {unicodedata.category(c) for c in safe(text)} & {"Cc", "Cs", "Zl", "Zp"}


@pytest.mark.parametrize(
    ("value", "text"),
    [(0.0123456, "0.01235"), (0.5, "0.50000"), (12.3456, "12.35"), (12345.6, "12346"), (0, "0"),
     (1.23456e-5, "1.23e-5"), (1e12, "1.00e12"), (-2.5, "-2.500"), (None, "–"),
     (float("nan"), "–"), (float("inf"), "–")],
)  # fmt: skip
def test_a_figure_has_sensible_digits(value, text):
    assert figure(value) == text


@given(st.floats(1e-9, 1e9), st.sampled_from([3, 4]))
def test_a_figure_is_near_and_fits_its_cells(value, digits):
    text = figure(value, digits)
    assert len(text) <= digits + 3
    assert float(text) == pytest.approx(value, rel=0.06)


@pytest.mark.parametrize(
    ("share", "text"),
    [(0.861, "86.1 %"), (1, "100.0 %"), (0, "0.0 %"), (0.99999, "> 99.9 %"), (1e-6, "< 0.1 %"),
     (None, "–")],
)  # fmt: skip
def test_a_share_is_never_rounded_to_all_or_nothing(share, text):
    assert percent(share) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [(1.0, "1"), (13.01, "13.01"), (0.1234567, "0.1235"), (1e-5, "1e-5"), (1e9, "1e9")],
)
def test_a_weight_has_no_digit_too_many(value, text):
    assert weight(value) == text


def test_counts_times_and_sizes_read_as_people_say_them():
    assert [count(1, "row"), count(60_000, "row")] == ["1 row", "60,000 rows"]
    assert count(8, "category", "categories") == "8 categories"
    times = [duration(s) for s in (0.44, 12.4, 59.7, 200, 3600, 7500, 90_000)]
    assert times == ["0.4 s", "12 s", "1 min", "3 min 20 s", "1 h", "2 h 5 min", "1 d 1 h"]
    assert [size(812), size(3_140_000)] == ["812 B", "3.1 MB"]


@given(st.text(min_size=1), st.integers(3, 30))
def test_clipped_text_fits_its_cells(text, width):
    assert cell_len(clipped(text, width)) <= width


def test_many_names_are_shown_by_the_first_ones_and_the_last():
    columns = [f"px{i}" for i in range(784)]
    assert names(columns, 30) == "px0, px1, px2, px3 … px783"
    assert names(columns[:3], 30) == "px0, px1, px2"
    assert names(["x" * 90, "y"], 30) == f"{'x' * 23}…, y"
