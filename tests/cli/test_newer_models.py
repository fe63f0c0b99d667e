"""Every command applies a model of a newer minor version, and refuses one of a newer major one."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from aecli.cli.main import main
from aecli.model_directory.spec_file import digest_of

GOLDEN = Path(__file__).parent.parent / "golden" / "0.2.0" / "mlp"
TABLE = str(GOLDEN / "table.parquet")
APPLYING = [
    ["encode", TABLE, "-o", "out.parquet"],
    ["reconstruct", TABLE, "-o", "out.parquet"],
    ["score", TABLE, "-o", "out.parquet"],
    ["evaluate", TABLE],
    ["report", TABLE, "-o", "out.html"],
]
CHANGING = [["calibrate", TABLE], ["train", TABLE], ["train", TABLE, "--resume"]]


@pytest.fixture
def run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> Callable[[list[str]], tuple[int, list[str]]]:
    monkeypatch.chdir(tmp_path)
    shutil.copytree(GOLDEN / "model", "m")

    def run(arguments: list[str]) -> tuple[int, list[str]]:
        model = ["m"] if arguments == ["inspect"] else ["-m", "m", "-q"]
        code = main([*arguments, *model])
        text = capfd.readouterr().err
        assert "Extra inputs" not in text
        assert "copy" not in text
        return code, text.splitlines()

    return run


def rewrite(schema: str, **extra: Any) -> bytes:
    value = json.loads(Path("m/spec.json").read_bytes()) | extra
    value |= {"schema": schema, "digest": "0" * 64}
    if extra:
        value["columns"][0]["unit"] = value["options"]["training"]["restarts"] = 3
        value["summary"]["watts"] = 1.5
    content = json.dumps(value, indent=2).encode()
    content = content.replace(b"0" * 64, digest_of(content).encode(), 1)
    Path("m/spec.json").write_bytes(content)
    return content


@pytest.mark.parametrize("arguments", APPLYING[:4], ids=lambda words: words[0])
def test_unknown_keys_of_a_minor_version_are_one_line_on_stderr(run, arguments) -> None:
    rewrite("aecli.model/1.7", fairness={"groups": 2})
    code, lines = run(arguments)
    assert code == 0
    assert len(lines) == 1
    assert lines[0].startswith("aecli: warning: m is of a newer aecli (aecli.model/1.7); ignored: ")
    for key in ("fairness", "columns.unit", "options.training.restarts", "summary.watts"):
        assert key in lines[0]
    if arguments[0] == "encode":
        assert pq.read_table("out.parquet").num_rows == pq.read_table(TABLE).num_rows


@pytest.mark.parametrize("extra", [{}, {"fairness": 1}])
def test_a_model_of_a_minor_version_is_not_changed(run, extra: dict[str, int]) -> None:
    content = rewrite("aecli.model/1.7", **extra)
    code, lines = run(["calibrate", TABLE])
    assert code == 4
    assert "pip install --upgrade aecli" in lines[-1]
    assert Path("m/spec.json").read_bytes() == content


@pytest.mark.parametrize("arguments", [*APPLYING, *CHANGING, ["inspect"]], ids=" ".join)
def test_a_major_version_is_refused_with_how_to_upgrade(run, arguments: list[str]) -> None:
    content = rewrite("aecli.model/2.0", fairness=1)
    code, lines = run(arguments)
    assert code == 4
    assert lines[0] == "aecli: error: m was saved by a newer aecli"
    assert lines[-1] == "  try: pip install --upgrade aecli"
    assert Path("m/spec.json").read_bytes() == content
    assert not Path("out.parquet").exists()


def test_a_model_of_before_0_2_0_is_told_so(run) -> None:
    rewrite("aecli.model/1")
    code, lines = run(APPLYING[0])
    assert code == 4
    assert lines[0].startswith("aecli: error: m was saved by an aecli before 0.2.0")
