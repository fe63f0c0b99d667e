"""What goes wrong at 7 in the morning: its message, its exit code, nothing half-written."""

from __future__ import annotations

import gzip
import json
import os
import resource
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from aecli.cli.main import main
from aecli.directory_lock import Lock
from tests.cli.conftest import QUICK, CommandOutput


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys) -> Callable[..., CommandOutput]:
    """Run a command in this process, in the test's directory."""
    monkeypatch.chdir(tmp_path)

    def run(*args: str) -> CommandOutput:
        code = main([str(arg) for arg in args])
        out, err = capsys.readouterr()
        assert "Traceback" not in err
        assert len(err.splitlines()) <= 6 or code == 0
        return CommandOutput(code, out, err)

    return run


def refused(ran: CommandOutput, code: int, *expected: str) -> None:
    assert ran.code == code, ran.err
    assert ran.err.startswith("aecli: error: ")
    for text in expected:
        assert text in ran.err


def files(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*")}


TABLES = {
    "empty.csv": (b"", 3, ["empty.csv", "empty"]),
    "header.csv": (b"a,b,c\n", 3, ["header.csv", "no rows"]),
    "ragged.csv": (b"a,b\n1,2\n3,4,5\n", 3, ["ragged.csv", "line 3", "2", "3"]),
    "odd.csv": (b"a,b\n1,2,3\n4,5,6\n7,8,9\n", 3, ["odd.csv line 1 has 2", "--skip-rows 1"]),
    "latin.csv": ("a,b\n1,\u00e9\u00e8\n".encode("latin-1"), 3, ["latin.csv", "--encoding"]),
    "null.csv": (b"a,b\n,\n,\n,\n", 3, ["null.csv", "a:", "b:"]),
    "garbage.parquet": (b"not parquet at all", 3, ["garbage.parquet"]),
    "constant.csv": (b"a,b\n1,x\n1,x\n1,x\n", 3, ["constant.csv", "constant"]),
    "quote.csv": (b'a,b\n1,x\n2,"y\n3,z\n', 3, ["quote.csv line 3 opens a quote", "sed -n 3p"]),
    "random.csv": (bytes(range(256)), 3, ["random.csv is not a text table", "file random.csv"]),
    "zeros.csv": (bytes(256), 3, ["zeros.csv is not a text table"]),
    "infinite.csv": (b"a,b\n1,2\ninf,3\n4,5\n", 3, ["'a'", "infinite", "--nonfinite missing"]),
}


@pytest.mark.parametrize("name", TABLES)
def test_a_table_that_cannot_be_learned_from_leaves_no_model(run, tmp_path: Path, name: str):
    content, code, expected = TABLES[name]
    (tmp_path / name).write_bytes(content)
    refused(run("train", name, *QUICK), code, *expected, "try: ")
    assert files(tmp_path) == {name}


def test_a_truncated_parquet(run, tmp_path: Path):
    pq.write_table(pa.table({"a": range(1000)}), tmp_path / "t.parquet")
    content = (tmp_path / "t.parquet").read_bytes()
    (tmp_path / "t.parquet").write_bytes(content[: len(content) // 2])
    refused(run("train", "t.parquet", *QUICK), 3, "t.parquet", "try: ")


def test_a_truncated_gzip(run, tmp_path: Path):
    packed = gzip.compress(b"a,b\n" + b"1.25,2\n" * 5000)
    (tmp_path / "t.csv.gz").write_bytes(packed[: len(packed) // 2])
    refused(run("train", "t.csv.gz", *QUICK), 3, "t.csv.gz", "try: ls -l t.csv.gz")
    refused(run("inspect", "t.csv.gz"), 3, "t.csv.gz", "try: ls -l t.csv.gz")


@pytest.mark.parametrize("option", [["--header", "none"], ["--skip-rows", "1"], ["--sheet", "1"]])
def test_an_option_that_the_format_does_not_have(run, tmp_path: Path, option: list[str]):
    (tmp_path / "t.jsonl").write_text('{"a": 1}\n')
    refused(run("inspect", "t.jsonl", *option), 2, f"{option[0]} is for ", "t.jsonl is read as")


def test_rows_without_names_are_read_later_in_small_parts(run, tmp_path: Path):
    rows = [f"{i * 7 % 11}.5,{i * 5 % 13}.25,{'xy'[i % 2]}\n" for i in range(60)]
    (tmp_path / "t.csv").write_text("".join(rows))
    (tmp_path / "part.csv").write_text(rows[0])
    trained = run("train", "t.csv", *QUICK)
    assert (trained.code, "column_1 to column_3" in trained.err) == (0, True)
    assert run("encode", "part.csv", "--header", "none", "-o", "z.csv").code == 0
    assert len((tmp_path / "z.csv").read_text().splitlines()) == 2


def test_a_table_that_is_not_there(run, table):
    refused(run("train", "dta.csv"), 3, "dta.csv", "data.csv")


@pytest.mark.parametrize(
    ("label", "expected"),
    [("knd", ["'knd'", "did you mean 'kind'"]), ("one", ["'one'", "only one class"])],
)
def test_a_label_that_does_not_serve(run, tmp_path: Path, label: str, expected: list[str]):
    rows = {"x": [0.5, 1.5, 2.5], "kind": ["a", "b", "a"], "one": ["c", "c", None]}
    pq.write_table(pa.table(rows), tmp_path / "t.parquet")
    refused(run("train", "t.parquet", "--label", label, *QUICK), 3, *expected)
    assert files(tmp_path) == {"t.parquet"}


@pytest.mark.parametrize(
    ("option", "value", "expected"),
    [
        ("--activation", "relo", "did you mean ReLU"),
        ("--optimizer", "SGD:momentun=0.9", "momentum"),
        ("--lr", "-1", "--lr"),
        ("--encoder", "64,x", "--encoder"),
        (
            "--encoder",
            "8,,4",
            "8,,4: a size is missing before a comma\n  try: --encoder 8,4",
        ),
        ("--decoder", ",8", "--decoder ,8: a size is missing before a comma\n  try: --decoder 8"),
        ("--optimizer", "SGD:nesterov=true", "try: --optimizer SGD:momentum=0.9,nesterov=true"),
        ("--valid", "1.5", "--valid"),
        ("--device", "tpu", "--device"),
        ("--exclude", "nothing*", "nothing*"),
        ("--columns", "x --id x", "'x' is named by --id and by --columns"),
        ("--exclude", "kind --label kind", "'kind' is named by --exclude and by --label"),
        ("--ecoder", "3", "--encoder"),
    ],
)
def test_an_option_that_makes_no_sense(run, table, tmp_path: Path, option, value, expected):
    ran = run("train", table, option, *value.split(" "))
    refused(ran, 3 if value == "nothing*" else 2, expected)
    assert files(tmp_path) == {table}


def test_a_directory_that_is_no_model(run, table, tmp_path: Path):
    (tmp_path / "d").mkdir()
    (tmp_path / "d" / "notes.txt").write_text("mine")
    refused(run("encode", table, "-m", "d", "-o", "z.csv"), 4, "d", "try: ")
    refused(run("train", table, "-m", "d", *QUICK), 2, "notes.txt")
    assert files(tmp_path) == {table, "d", "d/notes.txt"}


def test_damaged_weights(run, trained, tmp_path: Path):
    [weights] = (tmp_path / "aecli_model").glob("weights-*")
    content = bytearray(weights.read_bytes())
    content[-5] ^= 1
    weights.write_bytes(content)
    refused(run("encode", trained, "-o", "z.csv"), 4, weights.name)
    assert not (tmp_path / "z.csv").exists()


def test_a_model_of_a_newer_version(run, trained, tmp_path: Path):
    path = tmp_path / "aecli_model" / "spec.json"
    spec = json.loads(path.read_text()) | {"schema": "aecli.model/2", "quantum": True}
    path.write_text(json.dumps(spec))
    refused(run("inspect"), 4, "aecli.model/2", "try: ")


def test_a_table_that_lacks_columns(run, trained, tmp_path: Path):
    (tmp_path / "new.csv").write_text("x,color\n1,red\n")
    refused(run("encode", "new.csv", "-o", "z.csv"), 3, "lacks", "y", "colour", "color")
    assert not (tmp_path / "z.csv").exists()


def test_a_cell_that_is_no_number_is_named_with_its_line(run, trained, tmp_path: Path):
    (tmp_path / "new.csv").write_text("x,y,[/red],colour\n1,2,3,red\n1,two,3,red\n")
    refused(run("encode", "new.csv", "-o", "z.csv"), 3, "new.csv", "line 3", "'y'", "two")
    assert not (tmp_path / "z.csv").exists()


def test_the_output_must_not_be_the_input(run, trained, tmp_path: Path):
    before = (tmp_path / trained).read_bytes()
    (tmp_path / "link.csv").symlink_to(trained)
    for output in (trained, "link.csv"):
        refused(run("encode", trained, "-o", output), 2, "input")
    assert (tmp_path / trained).read_bytes() == before


def test_an_output_without_a_format_or_a_folder(run, trained):
    refused(run("encode", trained, "-o", "latents"), 2, "latents", "try: ")
    refused(run("encode", trained, "-o", "no/such/z.csv"), 6, "no/such")


@pytest.mark.parametrize(
    ("output", "expected"),
    [
        ("", ["-o '' is not a file name"]),
        ("/dev/full", ["/dev/full: a device or a pipe", "--to csv"]),
    ],
)
def test_an_output_that_is_no_file(run, trained, tmp_path: Path, output: str, expected: list[str]):
    refused(run("encode", trained, "-o", output), 2, *expected, "try: -o ")


@pytest.mark.parametrize(
    ("output", "expected"),
    [
        ("runs", ["runs: it is a directory", "-o runs/latents.parquet"]),
        ("new/", ["new/: its name is that of a directory", "-o new/latents.parquet"]),
    ],
)
def test_latents_are_not_decoded_into_a_folder(run, trained, tmp_path: Path, output, expected):
    (tmp_path / "runs").mkdir()
    assert run("encode", trained, "-o", "z.csv").code == 0
    refused(run("decode", "z.csv", "-o", output), 2, *expected, "try: -o ")
    assert not (tmp_path / "new").exists()


def test_a_device_takes_a_format_that_is_named(run, trained):
    refused(run("encode", trained, "-o", "/dev/full", "--to", "csv"), 6, "/dev/full")
    assert run("encode", trained, "-o", "/dev/null", "--to", "csv").code == 0


@pytest.mark.parametrize("args", [(), ("--label", "a")])
def test_no_rows_are_the_same_error_to_inspect_and_to_train(run, tmp_path: Path, args):
    (tmp_path / "t.csv").write_text("a,b\n")
    ran = run("inspect", "t.csv", *args)
    refused(ran, 3, "t.csv has no rows", "try: ")
    assert run("train", "t.csv", *args).err == ran.err


def test_validation_rows_that_are_trained_on_are_said(run, table, tmp_path: Path):
    (tmp_path / "link.csv").symlink_to(table)
    for name in (table, "link.csv"):
        ran = run("train", table, "--valid", name, "--epochs", "1", "--encoder", "8,2")
        assert ran.code == 0
        expected = [line for line in ran.err.splitlines() if "also a training file" in line]
        assert len(expected) == 1
        assert f"--valid names {name}" in expected[0]
    (tmp_path / "other.csv").write_bytes((tmp_path / table).read_bytes())
    ran = run("train", table, "--valid", "other.csv", "--epochs", "1", "--encoder", "8,2")
    assert (ran.code, "also a training file" in ran.err) == (0, False)


def test_what_to_type_for_standard_input_is_a_dash(aecli):
    ran = aecli("train", "-", stdin="a\n1\n1\n")
    refused(ran, 3, "standard input has no column to learn from", "try: aecli inspect -\n")
    refused(aecli("inspect", "-", stdin="a,b\n1,2,3\n"), 3, "try: sed -n 2p -\n")


def test_a_model_given_as_the_table(run, trained):
    expected = "aecli_model is a model directory, not a table"
    refused(run("train", "aecli_model"), 3, expected, "try: aecli inspect -m aecli_model")
    alone = run("encode", "aecli_model", "-o", "z.csv")
    refused(alone, 2, "the table is missing: aecli_model is a model directory",
            "try: aecli encode aecli_model data.parquet")  # fmt: skip


def test_a_spec_with_a_column_twice(run, trained, tmp_path: Path):
    path = tmp_path / "aecli_model" / "spec.json"
    spec = json.loads(path.read_text())
    spec["columns"][1]["name"] = spec["columns"][0]["name"]
    path.write_text(json.dumps(spec))
    ran = run("encode", trained, "-o", "z.csv")
    refused(ran, 4, "spec.json is damaged", repr(spec["columns"][0]["name"]), "try: ")


def test_a_read_only_directory(run, trained, tmp_path: Path, open_path: Path, unprivileged):
    (tmp_path / "aecli_model").chmod(0o755)
    (open_path / "locked").mkdir(mode=0o555)
    for folder in (tmp_path, *tmp_path.parents[:3]):
        folder.chmod(0o755)
    with unprivileged():
        ran = run("encode", trained, "-o", str(open_path / "locked" / "z.csv"))
    refused(ran, 6, "locked")


def limited(trained: str, tmp_path: Path, *args: str) -> subprocess.CompletedProcess[str]:
    def small_files() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))

    return subprocess.run(
        [sys.executable, "-m", "aecli", *args],
        cwd=tmp_path,
        preexec_fn=small_files,
        capture_output=True,
        text=True,
        check=False,
    )


def test_a_disk_that_is_full(trained, tmp_path: Path):
    before = files(tmp_path)
    done = limited(trained, tmp_path, "encode", trained, "-o", "z.jsonl")
    assert (done.returncode, "Traceback" in done.stderr) == (6, False)
    assert "z.jsonl" in done.stderr
    assert files(tmp_path) == before


def test_a_training_on_a_full_disk_keeps_the_old_model(trained, tmp_path: Path):
    spec = (tmp_path / "aecli_model" / "spec.json").read_bytes()
    done = limited(trained, tmp_path, "train", trained, *QUICK)
    assert (done.returncode, "Traceback" in done.stderr) == (6, False)
    assert (tmp_path / "aecli_model" / "spec.json").read_bytes() == spec
    assert not [name for name in files(tmp_path) if "tmp" in name]


def test_a_closed_pipe_is_quiet(trained, tmp_path: Path):
    (tmp_path / "long.csv").write_text(
        (tmp_path / trained).read_text() + "0.1,0.2,0.3,red,up\n" * 100_000
    )
    command = (
        f"{sys.executable} -m aecli encode long.csv -o - -q | head -1; echo ${{PIPESTATUS[0]}}"
    )
    done = subprocess.run(
        ["bash", "-c", command], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.stdout.splitlines()[-1] == "141"
    assert done.stderr == ""


def test_a_model_that_another_run_is_writing(aecli, trained, tmp_path: Path):
    with Lock(tmp_path / "aecli_model"):
        done = aecli("train", trained, *QUICK)
    assert done.code == 7
    assert str(os.getpid()) in done.err


def test_a_gate_that_fails(run, trained):
    ran = run("evaluate", trained, "-q", "--fail-if", "accuracy<1.1")
    refused(ran, 8, "accuracy<1.1")
    assert run("evaluate", trained, "-q", "--fail-if", "accuracy<0.1").code == 0


def test_unseen_categories_are_counted_and_said(run, trained, tmp_path: Path):
    (tmp_path / "new.csv").write_text("x,y,[/red],colour\n1,2,3,mauve\n1,2,3,red\n")
    ran = run("encode", "new.csv", "-o", "z.csv")
    assert ran.code == 0
    assert "colour 1" in ran.err
