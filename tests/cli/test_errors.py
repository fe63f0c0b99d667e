import errno
import os
import re
import signal
import subprocess
import sys

import click
import pytest

from aecli.cli.errors import Terminated, raise_on_sigterm, report_error
from aecli.cli.main import main
from aecli.errors import AecliError, GateError, LockedError


@pytest.mark.parametrize(
    ("error", "code", "message"),
    [
        (KeyboardInterrupt(), 130, "aecli: interrupted\n"),
        (click.Abort(), 130, "aecli: interrupted\n"),
        (Terminated(), 143, "aecli: terminated\n"),
        (MemoryError(), 6, "aecli: error: out of memory"),
        (RuntimeError("DefaultCPUAllocator: can't allocate memory: 9 bytes"), 6, "out of memory"),
        (OSError(errno.ENOSPC, "No space left on device", "z.csv"), 6, "cannot write z.csv"),
        (KeyError("x"), 1, "aecli: error: a bug in aecli: KeyError: 'x'\n"),
        (LockedError("held by 7"), 7, "aecli: error: held by 7\n"),
    ],
)
def test_everything_that_ends_a_command_has_a_line_and_a_code(error, code, message, capsys):
    assert report_error(error, debug=False) == code
    captured = capsys.readouterr()
    assert message in captured.err
    assert captured.out == ""
    assert "Traceback" not in captured.err


def test_every_class_of_error_keeps_its_code_and_lines(capsys):
    for kind in AecliError.__subclasses__():
        error = kind("what", facts=["one", "two"], hint="that")
        assert report_error(error, debug=False) == kind.exit_code
        assert capsys.readouterr().err == "aecli: error: what\n  one\n  two\n  try: that\n"


def test_a_bug_says_how_to_get_the_traceback(capsys):
    report_error(ZeroDivisionError("x\ny"), debug=False)
    lines = capsys.readouterr().err.splitlines()
    assert lines[0] == "aecli: error: a bug in aecli: ZeroDivisionError: x"
    assert lines[-1] == "  try: the same command with --debug, and report what it prints"


def test_debug_shows_the_traceback(capsys):
    report_error(GateError("1 of 2 gates failed"), debug=True)
    assert "aecli.errors.GateError: 1 of 2 gates failed" in capsys.readouterr().err


def test_a_message_cannot_move_the_cursor(capsys):
    report_error(AecliError("no column '\x1b[2J'"), debug=False)
    assert capsys.readouterr().err == "aecli: error: no column '\\x1b[2J'\n"


@pytest.mark.parametrize(
    ("args", "lines"),
    [
        (["trian"], ["aecli has no command 'trian'", "aecli train"]),
        (["train", "--ecoder", "8"], ["aecli train has no option --ecoder",
                                      "aecli train --encoder"]),
        (["train", "a.csv", "--xyzzy"], ["aecli train has no option --xyzzy",
                                         "aecli train --help"]),
        (["train"], ["train needs a table, and DATA is missing", "aecli train data.parquet"]),
        (["encode", "-o", "z.csv"], ["aecli encode needs DATA...", "aecli encode --help"]),
        (["encode", "a.csv"], ["aecli encode needs -o/--output", "aecli encode --help"]),
        (["encode", "a.csv", "-o", "z.csv", "--batch-size", "0"],
         ["--batch-size: 0 is not in the range 1 to 1048576", "aecli encode --help"]),
        (["encode", "a.csv", "-o", "-", "--json"],
         ["--json and -o - both write to stdout", "-o FILE with --json"]),
        (["train", "a.csv", "--lr"], ["option '--lr' requires an argument", "aecli train --help"]),
        (["train", "a.csv", "-m", "a", "--tag", "b"],
         ["--model a and --tag b both name the model directory", "give only one of them"]),
        (["inspect", "a.csv", "-m", "b"],
         ["a.csv and --model b both name what to inspect", "give only one of them"]),
    ],
)  # fmt: skip
def test_a_usage_error_has_one_style_and_exit_code_2(args, lines, capsys, monkeypatch):
    monkeypatch.delenv("AECLI_MODEL", raising=False)
    assert main(args) == 2
    captured = capsys.readouterr()
    printed = captured.err.splitlines()
    assert printed[0] == f"aecli: error: {lines[0]}"
    assert printed[-1] == f"  try: {lines[1]}"
    assert captured.out == ""


def test_version_and_help_are_results(capsys):
    assert main(["--version"]) == 0
    assert capsys.readouterr().out.startswith("aecli ")
    assert main(["train", "--help"]) == 0
    assert "--encoder" in capsys.readouterr().out


def test_without_a_command_the_help_is_shown_as_an_error(capsys):
    assert main([]) == 2
    assert "Commands:" in capsys.readouterr().err


def test_sigterm_unwinds_and_the_handler_goes_back():
    before = signal.getsignal(signal.SIGTERM)
    with pytest.raises(Terminated), raise_on_sigterm():
        os.kill(os.getpid(), signal.SIGTERM)
    assert signal.getsignal(signal.SIGTERM) is before


def test_a_closed_pipe_is_141_and_silent(tmp_path):
    command = [sys.executable, "-m", "aecli", "train", "--print-config"]
    read, write = os.pipe()
    os.close(read)
    done = subprocess.run(command, stdout=write, stderr=subprocess.PIPE, check=False)
    os.close(write)
    assert (done.returncode, done.stderr) == (141, b"")


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs a device that is always full")
def test_a_full_stdout_is_6_and_one_line():
    command = [sys.executable, "-m", "aecli", "train", "--print-config"]
    with open("/dev/full", "w") as full:
        done = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, text=True, check=False)
    assert (done.returncode, done.stderr) == (
        6,
        "aecli: error: cannot write the output: no space left\n",
    )


def test_errors_are_coloured_only_on_a_terminal_that_wants_it(aecli):
    assert "\x1b" not in aecli("trian").err


def test_print_config_trains_nothing_and_reads_back(aecli, tmp_path):
    printed = aecli(
        "train", "data.csv", "--label", "y", "--lr", "1e-4", "--print-config", AECLI_EPOCHS="7"
    )
    assert printed.code == 0
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "run.toml").write_text(printed.out)
    again = aecli("train", "--config", "run.toml", "--print-config")
    values = [line.split("#")[0].strip() for line in printed.out.splitlines()]
    assert values == [line.split("#")[0].strip() for line in again.out.splitlines()]
    assert "epochs = 7" in values
    assert re.search(r"^epochs = 7 +# run.toml$", again.out, re.MULTILINE)
