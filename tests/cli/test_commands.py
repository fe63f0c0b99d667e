"""The main commands as a shell runs them, on a small table with holes, text and a label."""

from __future__ import annotations

import json
import os
import pty
import signal
import subprocess
import sys
import time

import pytest

from tests.cli.conftest import QUICK, ROWS, write_table
from tests.fork_server import bin_directory


def test_train_shows_progress_on_stderr_and_the_model_on_stdout(aecli, table, tmp_path):
    done = aecli("train", table, "--label", "kind", *QUICK)
    assert done.code == 0
    assert [line.split()[1] for line in done.err.splitlines() if line.startswith("epoch")] == [
        "1/3", "3/3",
    ]  # fmt: skip
    for expected in ("[/red]", "kind: 2 classes", "→ [2] →", "PCA with 2", "all 3 epochs done"):
        assert expected in done.out
    assert "\x1b" not in done.out + done.err
    assert max(map(len, (done.out + done.err).splitlines())) <= 80
    assert (tmp_path / "aecli_model" / "spec.json").exists()


def test_train_as_json_is_one_object(aecli, table):
    done = aecli("train", table, "--label", "kind", *QUICK, "--json", "-q", "--tag", "t")
    result = json.loads(done.out)
    assert (done.code, done.err) == (0, "")
    assert result["schema"] == "aecli.train/1"
    assert result["model"] == "runs/t"
    assert [epoch["number"] for epoch in result["history"]] == [1, 2, 3]
    assert result["spec"]["label"]["classes"] == ["down", "up"]


def test_a_config_file_may_name_everything(aecli, table, tmp_path):
    text = "data: data.csv\nmodel: m\nlabel: kind\nepochs: 2\nencoder: [8, 2]\nlr: 1e-3\n"
    (tmp_path / "run.yaml").write_text(text)
    done = aecli("train", "--config", "run.yaml", "--epochs", "1", "--json", "-q")
    result = json.loads(done.out)
    assert result["model"] == "m"
    assert result["spec"]["options"]["training"]["epochs"] == 1
    assert result["spec"]["network"]["encoder"] == [8, 2]


def test_encode_writes_every_row_in_order(aecli, trained, tmp_path):
    done = aecli("encode", trained, "-o", "z.csv", "--keep", "x")
    assert (done.code, done.out) == (0, "")
    assert "200 rows of 3 columns to z.csv" in done.err
    written = (tmp_path / "z.csv").read_text().splitlines()
    read = (tmp_path / trained).read_text().splitlines()
    assert len(written) == len(read)
    assert float(written[7].split(",")[0]) == float(read[7].split(",")[0])


def test_encode_in_a_pipe_keeps_stdout_for_the_rows(aecli, trained, tmp_path):
    rows = (tmp_path / trained).read_text()
    done = aecli("encode", "-", "-o", "-", stdin=rows)
    assert done.code == 0
    assert len(done.out.splitlines()) == ROWS + 1
    assert done.out.splitlines()[0].replace('"', "") == "z0,z1"
    assert "to stdout" in done.err


def test_encode_and_reconstruct_as_json(aecli, trained):
    for command in ("encode", "reconstruct"):
        done = aecli(command, trained, "-o", f"{command}.parquet", "--json", "-q")
        result = json.loads(done.out)
        assert (done.code, result["schema"], result["rows"]) == (0, f"aecli.{command}/1", ROWS)


def test_evaluate_prints_what_it_measured(aecli, trained):
    done = aecli("evaluate", trained)
    assert done.code == 0
    for expected in ("200 rows, model aecli_model", "[/red]", "balanced accuracy", "active units"):
        assert expected in done.out
    assert max(map(len, done.out.splitlines())) <= 80


def test_evaluate_without_the_label_has_no_classification(aecli, trained, tmp_path):
    write_table(tmp_path / "new.csv", label=False)
    done = aecli("evaluate", "new.csv", "--json", "-q")
    assert json.loads(done.out)["classification"] is None


def test_a_failed_gate_prints_the_evaluation_and_exits_with_8(aecli, trained):
    done = aecli("evaluate", trained, "--fail-if", "accuracy<2", "--fail-if", "total<0", "--json")
    assert done.code == 8
    gates = json.loads(done.out)["gates"]
    assert [gate["failed"] for gate in gates] == [True, False]
    assert "aecli: error: 1 of 2 gates failed\n  accuracy<2: it is " in done.err


def test_a_passed_gate_is_silent_if_asked(aecli, trained):
    done = aecli("evaluate", trained, "--fail-if", "accuracy<0", "-q")
    assert (done.code, done.out, done.err) == (0, "", "")


def test_inspect_shows_the_model_and_the_table(aecli, trained):
    model = aecli("inspect", "--all-columns")
    assert "encoder" in model.out
    assert "[/red]" in model.out
    table = aecli("inspect", trained, "--label", "kind", "--json")
    result = json.loads(table.out)
    assert result["schema"] == "aecli.inspect/1"
    assert {column["name"] for column in result["columns"]} == {"x", "y", "[/red]", "colour"}
    assert result["label"]["name"] == "kind"


def test_a_failed_command_says_so_on_stderr_even_as_json(aecli, table):
    done = aecli("train", table, "--label", "knid", "--json")
    assert (done.code, done.out) == (2, "") or (done.code, done.out) == (3, "")
    assert done.err.startswith("aecli: error: ")
    assert "kind" in done.err


def test_a_missing_model_is_4_and_a_missing_table_is_3(aecli, table):
    assert aecli("evaluate", table).code == 4
    assert aecli("train", "none.csv").code == 3


def test_a_reader_that_leaves_ends_the_stream_with_141(aecli, trained, tmp_path):
    write_table(tmp_path / "long.csv", rows=20_000)
    command = [sys.executable, "-m", "aecli", "encode", "long.csv", "-o", "-"]
    with subprocess.Popen(
        command, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.readline()
        process.stdout.close()
        errors = process.stderr.read()
        assert (process.wait(), errors) == (141, b"")


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_stopped_training_leaves_a_model_and_its_signals_code(
    aecli, table, tmp_path, number, code
):
    command = [
        sys.executable, "-m", "aecli", "train", table, "--epochs", "1000000", "--patience", "0",
        "--encoder", "8,2", "--threads", "1",
    ]  # fmt: skip
    with subprocess.Popen(
        command, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stderr is not None
        assert process.stdout is not None
        while not process.stderr.readline().startswith("epoch 1/"):
            pass
        time.sleep(0.5)
        process.send_signal(number)
        out = process.stdout.read()
        assert process.wait() == code
    assert "--resume continues the training" in out
    assert aecli("evaluate", table).code == 0


def test_a_terminal_gets_a_frame_and_no_color_is_respected(table, tmp_path):
    def on_terminal(**environ: str) -> str:
        parent, child = pty.openpty()
        done = subprocess.run(
            [bin_directory() / "aecli", "train", table, *QUICK], cwd=tmp_path, stdout=child,
            stderr=subprocess.DEVNULL, env=os.environ | {"TERM": "xterm-256color"} | environ,
            check=True,
        )  # fmt: skip
        assert done.returncode == 0
        os.close(child)
        shown = b""
        while True:
            try:
                piece = os.read(parent, 65_536)
            except OSError:
                break
            if not piece:
                break
            shown += piece
        os.close(parent)
        return shown.decode()

    assert "╭" in on_terminal()
    assert "\x1b[3" not in on_terminal(NO_COLOR="1")
