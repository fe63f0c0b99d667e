from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from aecli.schema.model_spec import ModelSpec

ROUNDS = 60


def test_killed_saves_leave_a_readable_model(tmp_path: Path, model_spec: ModelSpec) -> None:
    (tmp_path / "spec.json").write_text(model_spec.model_dump_json(by_alias=True))
    script = Path(__file__).with_name("killed_saves.py")
    arguments = [tmp_path / "spec.json", tmp_path / "model", ROUNDS]
    done = subprocess.run(
        [sys.executable, script, *map(str, arguments)],
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    rounds, generations, *files = done.stdout.split()
    assert int(rounds) == ROUNDS
    assert int(generations) > 1  # the savers did get somewhere before they were killed
    assert [name.partition("-")[0] for name in files] == [
        ".lock",
        "history",
        "spec.json",
        "weights",
    ]
