import re
import time
from io import StringIO
from pathlib import Path

import pytest
from rich.console import Console

from aecli.cli.live_progress import LiveProgress
from aecli.cli.phase_times import PhaseTimes
from aecli.cli.plain_progress import PlainProgress, PlainSearchProgress
from aecli.cli.progress import show_progress
from aecli.progress import SILENT, SearchState
from tests.cli.results import epochs


class Clock:
    """A clock that a test moves."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def screen():
    return StringIO()


@pytest.fixture
def plain(clock, screen):
    return PlainProgress(Console(file=screen, width=80), clock)


@pytest.fixture
def live(clock, screen):
    console = Console(file=screen, width=80, height=24, force_terminal=True, _environ={})
    return LiveProgress(console, clock)


def without_codes(screen):
    """Return what was written without colours and cursor movements."""
    return re.sub("\x1b\\[[0-9;?]*[A-Za-z]", "", screen.getvalue())


def test_speed_is_that_of_the_last_minute(plain, clock, screen):
    plain.stage("encoding", 1_000_000)
    for second in range(1, 201):
        clock.now = float(second)
        plain.rows(1 if second <= 100 else 1000)
    last = screen.getvalue().splitlines()[-1]
    assert last == "encoding  8 %  1,000 rows/s  15 min 20 s left"


def test_plain_lines_count_rows_where_the_total_is_unknown(plain, clock, screen):
    plain.stage("reading")
    clock.now = 30.0
    plain.rows(3000)
    assert screen.getvalue() == "reading  3,000 rows  100 rows/s\n"


def test_live_drawing_counts_rows_where_the_total_is_unknown(live, clock, screen):
    live.stage("reading")
    clock.now = 30.0
    live.rows(6000)
    text = without_codes(screen)
    live.finish()
    assert "6,000 rows  200 rows/s" in text
    assert "━" not in text


def test_what_an_earlier_run_did_counts_as_done_and_not_as_speed(live, clock, screen):
    live.training(10, 100)
    live.resumed(epochs(5))
    clock.now = 2.0
    live.rows(100)
    text = without_codes(screen)
    live.finish()
    assert "epoch 6/10 ━" in text
    assert "60 %  50 rows/s  at most 8.0 s left" in text


def test_a_resumed_training_goes_on_with_the_next_epoch(plain, clock, screen):
    plain.training(10, 100)
    plain.resumed(epochs(4))
    clock.now = 40.0
    plain.rows(50)
    clock.now = 80.0
    plain.rows(40)
    assert "epoch 5/10" in screen.getvalue()
    assert "1 row/s" in screen.getvalue()


def test_plain_lines_are_the_first_epoch_one_per_half_minute_and_the_last(plain, clock, screen):
    plain.training(epochs=100, rows_per_epoch=1000)
    for epoch in epochs(100):
        clock.now += 1
        plain.rows(1000)
        plain.epoch(epoch)
    plain.finish()
    plain.finish()
    lines = screen.getvalue().splitlines()
    assert [line.split()[1] for line in lines] == ["1/100", "31/100", "61/100", "91/100", "100/100"]
    assert lines[1] == (
        "epoch 31/100  train 0.00269  valid 0.00288  1,000 rows/s  at most 1 min 9 s left"
    )
    assert max(map(len, lines)) <= 80


def test_a_long_pass_says_how_far_it_is(plain, clock, screen):
    plain.stage("encoding", 100_000)
    for _ in range(35):
        clock.now += 1
        plain.rows(1000)
    plain.finish()
    assert screen.getvalue() == "encoding  30 %  1,000 rows/s  1 min 10 s left\n"


def test_a_note_is_shown_once_and_letter_by_letter(plain, screen):
    plain.note("renamed [/red] to \x1b[2J")
    assert screen.getvalue() == "note: renamed [/red] to \\x1b[2J\n"


def test_live_drawing_happens_at_most_every_tenth_of_a_second(live, clock, screen):
    live.training(epochs=100, rows_per_epoch=1000)
    drawn = len(screen.getvalue())
    for _ in range(50):
        clock.now += 0.001
        live.rows(10)
    assert len(screen.getvalue()) == drawn
    clock.now += 0.1
    live.rows(10)
    assert len(screen.getvalue()) > drawn
    live.finish()


def test_live_drawing_has_the_epochs_the_rate_and_the_time_left(live, clock, screen):
    live.training(epochs=4, rows_per_epoch=1000)
    for epoch in epochs(2):
        clock.now += 0.5
        live.rows(1000)
        clock.now += 0.5
        live.epoch(epoch)
    text = screen.getvalue()
    live.finish()
    for expected in (
        "reconstruction",
        "0.04170",
        "epoch 3/4",
        "50 %",
        "1,000 rows/s",
        "2.0 s left",
    ):
        assert expected in text


def test_live_drawing_gives_the_cursor_back(live, screen):
    live.stage("reading", 10)
    live.finish()
    live.finish()
    assert screen.getvalue().rindex("\x1b[?25h") > screen.getvalue().rindex("\x1b[?25l")


def test_quiet_is_silent():
    with show_progress(quiet=True) as progress:
        assert progress is SILENT


def test_the_last_epoch_is_printed_even_when_the_command_fails(capsys):
    def fail() -> None:
        with show_progress(quiet=False) as progress:
            progress.training(epochs=9, rows_per_epoch=1)
            for epoch in epochs(2):
                progress.epoch(epoch)
            raise KeyError

    with pytest.raises(KeyError):
        fail()
    assert [line.split()[1] for line in capsys.readouterr().err.splitlines()] == ["1/9", "2/9"]


def standing(trial, best, best_trial):
    return SearchState(trial, 50, best, best_trial, seconds_left=240.0)


def test_a_search_prints_a_line_for_each_better_trial_and_one_per_half_minute(clock, screen):
    search = PlainSearchProgress(Console(file=screen, width=80), clock)
    search.trial(standing(1, None, None))
    for trial, best, best_trial in ((2, 0.5, 1), (3, 0.5, 1), (4, 0.25, 3)):
        search.training(10, 100)
        search.epoch(epochs(1)[0])
        search.trial(standing(trial, best, best_trial))
    clock.now = 31.0
    search.rows(10)
    search.finish()
    assert screen.getvalue().splitlines() == [
        "trial 2 of 50  best 0.50000 (trial 1)  4 min left",
        "trial 4 of 50  best 0.25000 (trial 3)  4 min left",
        "trial 4 of 50  best 0.25000 (trial 3)  4 min left",
    ]


def test_a_live_search_shows_trial_epoch_best_and_time_left_in_one_line(live, clock, screen):
    live.trial(standing(7, 0.0123, 4))
    live.training(10, 100)
    clock.now = 60.0
    live.epoch(epochs(1)[0])
    assert "epoch 2/10  best 0.01230 (trial 4)  3 min left" in screen.getvalue()
    assert "trial 7 of 50" in screen.getvalue()
    live.finish()


def test_debug_shows_the_seconds_of_each_phase_and_their_sum(aecli, table):
    shown = aecli("train", table, "-m", "model", "--epochs", "1", "--debug").err.splitlines()
    lines = [line.removeprefix("debug: ") for line in shown if line.startswith("debug: ")]
    header = next(number for number, line in enumerate(lines) if line.endswith("CPU s"))
    times = lines[header + 1 :]
    seconds = {line[:-16].strip(): (float(line[-16:-8]), float(line[-8:])) for line in times}
    phases = ["start-up", "reading", "fitting columns", "staging", "fitting PCA", "epochs"]
    phases += ["comparing with PCA", "diagnosing", "calibrating scores", "saving", "sum"]
    assert [name for name in seconds if name in phases] == phases
    for column in range(2):
        total = seconds["sum"][column]
        parts = [times[column] for name, times in seconds.items() if name != "sum"]
        assert sum(parts) == pytest.approx(total, abs=0.006 * len(parts))


def test_the_phase_of_evaluate_has_its_name(aecli, table):
    aecli("train", table, "-m", "model", "--epochs", "1", "-q")
    shown = aecli("evaluate", "model", table, "--debug").err
    assert "debug: evaluating " in shown
    assert "encoding" not in shown


def test_phases_of_the_same_name_are_added(clock):
    times = PhaseTimes(wall=lambda: time.time() + clock.now, cpu=clock)
    for moment, phase in ((0.0, "reading"), (1.0, "epochs"), (3.0, "reading"), (7.0, "saving")):
        clock.now = moment
        times.start(phase)
    cpu = {line[:-16].strip(): line[-8:].strip() for line in times.lines()}
    assert cpu["reading"] == "5.00"
    assert cpu["epochs"] == "2.00"
    assert cpu["sum"] == "7.00"


def test_the_start_up_is_timed_without_proc(clock, monkeypatch):
    monkeypatch.setattr("aecli.cli.phase_times.STATUS", Path("/nowhere"))
    times = PhaseTimes(cpu=clock)
    times.start("reading")
    assert times.lines()[1].startswith("start-up")
    assert 0 <= float(times.lines()[1].split()[1]) < 3_600


def test_messages_for_debug_are_not_shown_without_it(plain, screen):
    plain.debug("trains without a CUDA graph")
    assert not screen.getvalue()
    plain.phases = PhaseTimes()
    plain.debug("trains without a CUDA graph")
    assert screen.getvalue() == "debug: trains without a CUDA graph\n"
