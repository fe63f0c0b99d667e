from __future__ import annotations

import errno
import fcntl
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from aecli.directory_lock import Lock, is_lock_file
from aecli.errors import AecliWarning, LockedError, ModelError, OutputError
from tests.other_process import running


def test_second_process_is_told_who_holds_the_lock(tmp_path: Path) -> None:
    code = "l = Lock(d); l.__enter__(); print('ready', flush=True); time.sleep(60)"
    with running(code, tmp_path / "model") as process:
        with pytest.raises(LockedError) as caught, Lock(tmp_path / "model"):
            pass
        assert caught.value.what == f"{tmp_path}/model is being written by process {process.pid}"
        assert caught.value.hint == f"ps -fp {process.pid}"
        assert caught.value.exit_code == 7


def test_lock_of_a_killed_process_is_free(tmp_path: Path) -> None:
    code = "l = Lock(d); l.__enter__(); print('ready', flush=True); time.sleep(60)"
    with running(code, tmp_path / "model") as process:
        process.kill()
        process.wait()
        with Lock(tmp_path / "model"):
            assert (tmp_path / "model" / ".lock").read_text().split()[0] == str(os.getpid())


def test_lock_waits_as_long_as_it_is_told_to(tmp_path: Path) -> None:
    code = "l = Lock(d); l.__enter__(); print('ready', flush=True); time.sleep(0.3); sys.exit()"
    with running(code, tmp_path / "model"), Lock(tmp_path / "model", patience=30):
        assert (tmp_path / "model" / ".lock").read_text().split()[0] == str(os.getpid())


def test_lock_leaves_nothing_where_nothing_was_saved(tmp_path: Path) -> None:
    with Lock(tmp_path / "runs" / "a") as lock:
        assert lock.directory == tmp_path / "runs" / "a"
        assert lock.directory.is_dir()
    assert os.listdir(tmp_path) == []


def test_lock_leaves_what_was_saved(tmp_path: Path) -> None:
    with Lock(tmp_path / "runs" / "a"):
        (tmp_path / "runs" / "a" / "spec.json").write_text("{}")
    assert os.listdir(tmp_path / "runs" / "a") == ["spec.json"]


def test_lock_below_a_file_is_an_output_error(tmp_path: Path) -> None:
    (tmp_path / "taken").write_text("")
    with pytest.raises(OutputError, match="taken is a file"), Lock(tmp_path / "taken" / "model"):
        pass


def open_files() -> int:
    return len(os.listdir("/proc/self/fd"))


@contextmanager
def locked_by_somebody(model: Path, content: bytes) -> Iterator[None]:
    model.mkdir()
    with open(model / ".lock", "wb", buffering=0) as file:
        file.write(content)
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def test_the_lock_names_its_process_and_host_alone(tmp_path: Path) -> None:
    (tmp_path / ".lock").write_text("9" * 100)
    before = open_files()
    with Lock(tmp_path):
        assert (tmp_path / ".lock").read_text() == f"{os.getpid()} {os.uname().nodename}\n"
        assert open_files() == before + 1
    assert os.listdir(tmp_path) == []
    assert open_files() == before


@pytest.mark.parametrize(
    ("content", "owner", "hint"),
    [
        (f"123 {os.uname().nodename}\n".encode(), "process 123", "ps -fp 123"),
        (b"123", "process 123", "ps -fp 123"),
        (b"123 another\n", "process 123 on another", None),
        (b"", "process unknown", None),
        (b"\xff\xfe another", "process \ufffd\ufffd on another", None),
    ],
)
def test_the_owner_is_the_one_that_the_lock_names(
    tmp_path: Path, content: bytes, owner: str, hint: str | None
) -> None:
    with locked_by_somebody(tmp_path / "m", content):
        before = open_files()
        with pytest.raises(LockedError) as caught, Lock(tmp_path / "m"):
            pass
        assert open_files() == before
        assert (tmp_path / "m" / ".lock").read_bytes() == content
    assert caught.value.what == f"{tmp_path}/m is being written by {owner}"
    assert caught.value.hint == hint


def test_a_lock_without_patience_does_not_wait(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(time, "sleep", lambda seconds: pytest.fail(f"it waits for {seconds} s"))
    with (
        locked_by_somebody(tmp_path / "m", b"1 x"),
        pytest.raises(LockedError),
        Lock(tmp_path / "m"),
    ):
        pass


def test_a_lock_waits_for_its_patience_and_no_longer(tmp_path: Path) -> None:
    with locked_by_somebody(tmp_path / "m", b"1 x"):
        start = time.monotonic()
        with pytest.raises(LockedError), Lock(tmp_path / "m", patience=0.3):
            pass
        assert time.monotonic() - start >= 0.3


def test_the_lock_is_removed_before_it_is_free(tmp_path: Path, system_calls: list[str]) -> None:
    with Lock(tmp_path / "m"):
        (tmp_path / "m" / "spec.json").touch()
        system_calls.clear()
    assert system_calls == ["unlink .lock", "close .lock (deleted)"]


def test_new_directories_are_on_disk_before_they_are_used(
    tmp_path: Path, system_calls: list[str]
) -> None:
    with Lock(tmp_path / "runs" / "a"):
        synced = [call for call in system_calls if call.startswith("fsync")]
    assert synced == ["fsync runs", f"fsync {tmp_path.name}"]


def test_a_lock_that_went_while_it_was_opened_is_made_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    flock, removed = fcntl.flock, []

    def removing(descriptor: int, operation: int) -> None:
        if not removed:
            (tmp_path / ".lock").unlink()
            removed.append(descriptor)
        flock(descriptor, operation)

    monkeypatch.setattr(fcntl, "flock", removing)
    before = open_files()
    with Lock(tmp_path):
        assert (tmp_path / ".lock").read_text().startswith(f"{os.getpid()} ")
        with pytest.raises(LockedError), Lock(tmp_path):
            pass
    assert open_files() == before


def test_a_file_with_a_second_name_is_not_written_to(tmp_path: Path) -> None:
    (tmp_path / "victim").write_text("precious")
    (tmp_path / "m").mkdir()
    os.link(tmp_path / "victim", tmp_path / "m" / ".lock")
    before = open_files()
    with pytest.raises(ModelError, match="has a second hard link"), Lock(tmp_path / "m"):
        pass
    assert (tmp_path / "victim").read_text() == "precious"
    assert open_files() == before


@pytest.mark.parametrize("make", [lambda p: p.symlink_to("../victim"), os.mkfifo, os.mkdir])
def test_a_lock_that_is_not_a_regular_file_is_refused(
    tmp_path: Path, make: Callable[[Path], None]
) -> None:
    (tmp_path / "victim").write_text("precious")
    (tmp_path / "m").mkdir()
    make(tmp_path / "m" / ".lock")
    with pytest.raises(ModelError, match="may contain regular files only"), Lock(tmp_path / "m"):
        pass
    assert (tmp_path / "victim").read_text() == "precious"


@pytest.mark.parametrize("function", ["write", "ftruncate"])
def test_a_lock_that_cannot_be_written_leaves_nothing(
    tmp_path: Path, failing: Callable[[str, int, str], None], function: str
) -> None:
    before = open_files()
    failing(function, errno.ENOSPC, ".lock")
    with pytest.raises(OutputError, match="no space left"), Lock(tmp_path / "runs" / "m"):
        pass
    assert os.listdir(tmp_path) == []
    assert open_files() == before


def test_a_lock_that_can_be_neither_written_nor_removed_says_why(
    tmp_path: Path, failing: Callable[[str, int, str], None]
) -> None:
    failing("write", errno.ENOSPC, ".lock")
    failing("unlink", errno.EIO, ".lock")
    with pytest.raises(OutputError, match="no space left"), Lock(tmp_path / "m"):
        pass


def test_a_refused_lock_leaves_no_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> int:
        raise ModelError("refused")

    monkeypatch.setattr("aecli.directory_lock.open_regular", refuse)
    with pytest.raises(ModelError), Lock(tmp_path / "runs" / "m"):
        pass
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize(
    ("function", "number", "ending"),
    [
        ("open", errno.EACCES, ".lock"),
        ("fsync", errno.EIO, "runs"),
        ("mkdir", errno.ENOSPC, "m"),
    ],
)
def test_a_lock_that_cannot_be_made_leaves_no_directory(
    tmp_path: Path,
    failing: Callable[[str, int, str], None],
    function: str,
    number: int,
    ending: str,
) -> None:
    failing(function, number, ending)
    with pytest.raises(OutputError), Lock(tmp_path / "runs" / "m"):
        pass
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize(
    ("content", "ours"),
    [
        (None, True),
        (b"", True),
        (b"1 host\n", True),
        (f"4321 {os.uname().nodename}\n".encode(), True),
        (b"1234567890 " + b"h" * 255 + b"\n", True),
        (b"12345678901 host\n", False),
        (b"1 " + b"h" * 256 + b"\n", False),
        (b"1 host", False),
        (b"1 host\n1 host\n", False),
        (b"package-lock\n", False),
    ],
)
def test_a_lock_of_another_program_is_not_ours(
    tmp_path: Path, content: bytes | None, ours: bool
) -> None:
    if content is not None:
        (tmp_path / ".lock").write_bytes(content)
    assert is_lock_file(tmp_path / ".lock") is ours


@pytest.mark.parametrize("function", ["unlink", "close"])
def test_what_fails_at_the_end_is_a_warning(
    tmp_path: Path, failing: Callable[[str, int, str], None], function: str
) -> None:
    def save() -> None:
        with Lock(tmp_path):
            failing(function, errno.EIO, ".lock" if function == "unlink" else "(deleted)")

    with pytest.warns(AecliWarning, match=f"{tmp_path} is saved, but a later step failed") as seen:
        save()
    assert len(seen) == 1


@pytest.mark.parametrize("function", ["unlink", "close"])
def test_the_error_inside_hides_what_fails_at_the_end(
    tmp_path: Path, failing: Callable[[str, int, str], None], function: str
) -> None:
    def fail() -> None:
        with Lock(tmp_path):
            failing(function, errno.EIO, ".lock" if function == "unlink" else "(deleted)")
            raise KeyError("inside")

    with pytest.raises(KeyError, match="inside"):
        fail()


def test_a_lock_that_is_gone_already_ends_well(tmp_path: Path) -> None:
    with Lock(tmp_path):
        (tmp_path / ".lock").unlink()
    assert os.listdir(tmp_path) == []


def test_a_file_system_without_locks_has_no_protection(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def none(*_: object) -> None:
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    monkeypatch.setattr(fcntl, "flock", none)
    with Lock(tmp_path), Lock(tmp_path):
        assert os.listdir(tmp_path) == [".lock"]
