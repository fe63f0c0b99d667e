"""Earlier models at the command line: what a retrain replaced, rollback, the list and the check."""

import json
import os
import shutil
import warnings
from collections.abc import Callable
from pathlib import Path

import pytest
from rich.console import Console

from aecli.cli.display.generations import created_text
from aecli.cli.errors import show_warnings
from aecli.cli.live_progress import LiveProgress
from aecli.cli.main import main
from aecli.cli.progress import show_progress
from aecli.errors import AecliWarning
from aecli.model_directory.generations import generations
from aecli.model_directory.read import read_spec
from aecli.schema.model_spec import SCHEMA
from tests.cli.conftest import CommandOutput

QUICK = ["--epochs", "1", "--encoder", "4,2", "--device", "cpu", "-m", "m"]
Run = Callable[..., CommandOutput]


@pytest.fixture
def run(
    trained: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> Run:
    """Run a command in this process, in a folder with a table and a model of it in `m`."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "80")
    shutil.move("aecli_model", "m")

    def command(*args: str) -> CommandOutput:
        code = main(args)
        return CommandOutput(code, *capsys.readouterr())

    return command


def ids() -> tuple[str, list[str]]:
    """Return the id of the model in `m`, and those of the earlier ones."""
    present = read_spec(Path("m")).digest[:12]
    return present, [spec.digest[:12] for spec in generations(Path("m"))]


def spoil(name: str) -> str:
    content = bytearray(Path("m", name).read_bytes())
    content[len(content) // 2] ^= 1
    Path("m", name).write_bytes(content)
    return name


def lines(text: str) -> list[str]:
    return [" ".join(line.split()) for line in text.splitlines()]


def test_a_retrain_says_what_it_replaced_and_rollback_undoes_it(run: Run, trained: str) -> None:
    before = read_spec(Path("m"))
    identity, created = before.digest[:12], created_text(before.created)
    done = run("train", trained, *QUICK, "--label", "colour")
    assert f"undo aecli rollback {identity} -m m" in lines(done.out)
    replaced = f"replaced {identity} {created}, data.csv, label kind, latent 2"
    assert replaced in " ".join(lines(done.out))
    present, earlier = ids()
    assert earlier == [identity]
    back = run("rollback", "-m", "m")
    assert (back.code, back.err) == (0, "")
    assert f"undo aecli rollback {present} -m m" in lines(back.out)
    assert ids() == (identity, [present])
    assert run("rollback", present[:6], "-m", "m", "-q") == CommandOutput(0, "", "")
    assert ids() == (present, earlier)


def test_with_no_generations_the_replaced_model_is_gone(run: Run, trained: str) -> None:
    done = run("train", trained, *QUICK, "--keep-generations", "0")
    assert "it is deleted (--keep-generations 0)" in lines(done.out)
    assert "rollback" not in done.out
    refused = run("rollback", "-m", "m")
    assert (refused.code, refused.out) == (2, "")
    assert refused.err.splitlines()[0] == "aecli: error: m has no earlier model"


def test_json_of_a_retrain_and_of_a_rollback(run: Run, trained: str) -> None:
    before, _ = ids()
    made = json.loads(run("train", trained, *QUICK, "--json", "-q").out)
    assert (made["replaced"]["id"], made["undo"]) == (before, f"aecli rollback {before} -m m")
    back = json.loads(run("rollback", "-m", "m", "--json").out)
    assert (back["schema"], back["model"]) == ("aecli.rollback/1", "m")
    assert back["restored"] == made["replaced"]
    assert back["replaced"]["latent"] == 2
    gone = json.loads(run("train", trained, *QUICK, "--json", "-q", "--keep-generations", "0").out)
    assert (gone["replaced"]["id"], gone["undo"]) == (before, None)
    new = json.loads(run("train", trained, *QUICK[:-1], "new", "--json", "-q").out)
    assert (new["replaced"], new["undo"]) == (None, None)


def test_a_damaged_model_that_is_replaced_is_said_and_not_kept(run: Run, trained: str) -> None:
    name = spoil(read_spec(Path("m")).weights.file)
    done = run("train", trained, *QUICK, "-q")
    warning = "aecli: warning: the previous model is not kept"
    assert done.err.startswith(f"{warning}: m/{name} is damaged")
    assert "replaced" not in done.out
    assert ids()[1] == []


@pytest.mark.parametrize("content", ["{", ""])
def test_a_spec_that_is_no_longer_json_is_in_nobody_s_way(
    run: Run, trained: str, content: str
) -> None:
    Path("m/spec.json").write_text(content)
    refused = run("inspect", "m")
    assert refused.code == 4
    assert refused.err.splitlines()[-1] == "  try: aecli train DATA -m m"
    assert run("train", trained, *QUICK, "-q").code == 0


def test_inspect_lists_earlier_models_in_80_columns(run: Run, trained: str) -> None:
    (Path.cwd() / "a long name of a table, with blanks.csv").write_text(Path(trained).read_text())
    for _ in range(2):
        name = "a long name of a table, with blanks.csv"
        run("train", name, *QUICK, "--label", "colour", "--keep-generations", "3", "-q")
    _, earlier = ids()
    shown = run("inspect", "m").out
    block = shown.partition("earlier models\n")[2].splitlines()
    assert [line.split()[0] for line in block[1:3]] == earlier
    assert block[3].strip() == f"aecli rollback {earlier[0]} -m m restores the first"
    assert max(map(len, shown.splitlines())) <= 80
    found = json.loads(run("inspect", "m", "--json").out)["generations"]
    assert [one["id"] for one in found] == earlier
    assert found[0].keys() == {
        "id", "created", "table", "label", "columns", "latent", "epochs", "loss"
    }  # fmt: skip


def test_verify_of_a_whole_model(run: Run, trained: str) -> None:
    run("train", trained, *QUICK, "-q")
    done = run("inspect", "m", "--verify")
    assert (done.code, done.err) == (0, "")
    assert sum(line.endswith(" ok") for line in lines(done.out)) == len(os.listdir("m")) == 6
    assert lines(done.out)[-1] == "6 files, all intact"


@pytest.mark.parametrize("flags", [[], ["--json"]])
@pytest.mark.parametrize("part", ["weights", "history"])
def test_verify_shows_every_file_and_then_fails(run: Run, flags: list[str], part: str) -> None:
    spec = read_spec(Path("m"))
    name = spoil(getattr(spec, part).file)
    done = run("inspect", "m", "--verify", *flags)
    assert done.code == 4
    assert done.err.splitlines()[0] == "aecli: error: 1 of 3 files of m are damaged or missing"
    assert done.err.splitlines()[1].startswith(f"  {name} is damaged; its SHA-256 ")
    assert done.err.splitlines()[-1] == "  try: aecli train DATA -m m"
    if flags:
        files = json.loads(done.out)["verified"]
        assert [file["file"] for file in files if file["problem"]] == [name]
    else:
        assert [line.split()[-1] for line in lines(done.out)[2:] if " kB " in line] != []
        assert "is damaged; its SHA-256" in " ".join(lines(done.out))


def test_a_table_has_no_files_to_verify(run: Run, trained: str) -> None:
    refused = run("inspect", trained, "--verify")
    assert refused.code == 2
    assert "only a model has files to verify" in refused.err


def test_a_pending_checkpoint_is_named_and_misleads_nobody(run: Run, trained: str) -> None:
    old = ids()[0]
    stopped = ["train", trained, "--encoder", "4,2", "--epochs", "400", "-m", "m", "-q"]
    run(*stopped, "--time-limit", "0.3s")
    assert not read_spec(Path("m")).summary.finished
    assert "there is also an unfinished training" in run("rollback", "-m", "m").out
    assert ids()[0] == old
    refused = run("train", trained, *QUICK, "--resume")
    assert refused.code == 2
    assert "the checkpoint has different options" in refused.err
    run(*stopped, "--time-limit", "0.3s", "--resume")
    assert old in ids()[1]


@pytest.mark.parametrize("keep", ["-1", "101", "many"])
def test_numbers_of_generations_that_make_no_sense(run: Run, trained: str, keep: str) -> None:
    refused = run("train", trained, *QUICK, "--keep-generations", keep)
    assert refused.code == 2
    assert refused.err.startswith("aecli: error: --keep-generations: ")


# Warnings


@pytest.fixture
def newer(run: Run) -> Run:
    """Run commands beside a model of a newer aecli, which has a key that this one ignores."""
    from aecli.model_directory.spec_file import digest_of

    path = Path("m/spec.json")
    text = path.read_text().replace(f'"{SCHEMA}",', '"aecli.model/1.9",\n  "mood": "good",')
    digest = json.loads(text)["digest"]
    blank = text.replace(digest, "0" * 64).encode()
    path.write_text(text.replace(digest, digest_of(blank)))
    return run


@pytest.mark.parametrize("flags", [["-q"], ["--json"], []])
def test_a_warning_is_one_line_on_stderr(newer: Run, trained: str, flags: list[str]) -> None:
    done = newer("evaluate", trained, "-m", "m", *flags)
    assert done.code == 0
    warned = [line for line in done.err.splitlines() if line.startswith("aecli: warning: ")]
    assert warned == ["aecli: warning: m is of a newer aecli (aecli.model/1.9); ignored: mood"]
    assert "warning" not in done.out
    again = newer("evaluate", trained, "-m", "m", *flags)
    assert again.err.count("aecli: warning: ") == 1


def test_a_warning_takes_the_place_of_a_live_drawing(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    drawn: list[LiveProgress] = []
    monkeypatch.setattr("sys.stderr.isatty", lambda: True)
    monkeypatch.setattr(
        "aecli.cli.progress.stderr", lambda: Console(stderr=True, force_terminal=True)
    )
    with warnings.catch_warnings():
        show_warnings()
        with show_progress(quiet=False) as progress:
            assert isinstance(progress, LiveProgress)
            drawn.append(progress)
            progress.stage("encoding", 10)
            capsys.readouterr()
            warnings.warn("m is saved", AecliWarning, stacklevel=1)
            cleared, _, rest = capsys.readouterr().err.partition("aecli: ")
            assert "\x1b[2K" in cleared
            assert "m is saved\n" in rest
            progress.stage("writing", 10)
            assert "writing" in capsys.readouterr().err
