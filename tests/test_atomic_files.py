from __future__ import annotations

import errno
import hashlib
import os
import resource
import stat
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import pytest

from aecli.atomic_files import atomic_path, clean_temporaries, output_error
from aecli.directory_lock import Lock
from aecli.errors import LockedError, OutputError
from aecli.regular_files import sha256_of

Unprivileged = Callable[[], AbstractContextManager[None]]

HOLD = """
import sys, time
from pathlib import Path
from aecli.atomic_files import *
from aecli.directory_lock import *
"""


@contextmanager
def running(code: str, directory: Path) -> Iterator[subprocess.Popen[str]]:
    """Run `code` in another process with `d` as its directory, until it has printed a line."""
    command = [sys.executable, "-c", f"{HOLD}d = Path(sys.argv[1])\n{code}", str(directory)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        try:
            yield process
        finally:
            process.kill()


def fail_to_write(target: Path) -> OutputError:
    with pytest.raises(OutputError) as caught, atomic_path(target) as path:
        path.write_bytes(b"x" * 100_000)
    return caught.value


def test_target_appears_complete_and_only_in_the_end(tmp_path: Path) -> None:
    target = tmp_path / "out.csv"
    with atomic_path(target) as path:
        path.write_text("a\n1\n")
        assert path.parent == tmp_path
        assert not target.exists()
    assert target.read_text() == "a\n1\n"
    assert os.listdir(tmp_path) == ["out.csv"]


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
def test_failed_block_leaves_the_old_file_and_nothing_else(
    tmp_path: Path, error: type[BaseException]
) -> None:
    target = tmp_path / "out.csv"
    target.write_text("old")

    def write_half() -> None:
        with atomic_path(target) as path:
            path.write_text("half")
            raise error

    with pytest.raises(error):
        write_half()
    assert target.read_text() == "old"
    assert os.listdir(tmp_path) == ["out.csv"]


@pytest.mark.parametrize(("umask", "mode"), [(0o022, 0o644), (0o027, 0o640), (0o002, 0o664)])
def test_mode_follows_the_umask_even_where_the_writer_chose_another(
    tmp_path: Path, umask: int, mode: int
) -> None:
    target = tmp_path / "out"
    before = os.umask(umask)
    try:
        with atomic_path(target) as path:
            path.unlink()
            os.close(os.open(path, os.O_WRONLY | os.O_CREAT, 0o600))
    finally:
        os.umask(before)
    assert stat.S_IMODE(target.stat().st_mode) == mode


def test_link_is_followed(tmp_path: Path) -> None:
    (tmp_path / "deep").mkdir()
    link = tmp_path / "latest"
    link.symlink_to("deep/real")
    with atomic_path(link) as path:
        path.write_text("new")
    assert link.is_symlink()
    assert (tmp_path / "deep" / "real").read_text() == "new"


def test_device_is_written_to_and_stays_a_device() -> None:
    with atomic_path(Path("/dev/null")) as path:
        path.write_text("gone")
    assert stat.S_ISCHR(os.stat("/dev/null").st_mode)


def test_longest_file_name_can_be_written(tmp_path: Path) -> None:
    target = tmp_path / ("n" * 255)
    with atomic_path(target) as path:
        path.write_text("x")
    assert target.read_text() == "x"


def test_missing_parent_says_how_to_make_it(tmp_path: Path) -> None:
    error = fail_to_write(tmp_path / "not here" / "out.csv")
    assert f"directory {tmp_path}/not here does not exist" in error.what
    assert error.hint == f"mkdir -p '{tmp_path}/not here'"
    assert error.exit_code == 6


def test_file_in_place_of_a_directory_is_named(tmp_path: Path) -> None:
    (tmp_path / "taken").write_text("")
    error = fail_to_write(tmp_path / "taken" / "sub" / "out.csv")
    assert f"{tmp_path}/taken is a file" in error.what


def test_directory_in_place_of_the_target(tmp_path: Path) -> None:
    assert "it is a directory" in fail_to_write(tmp_path).what
    assert tmp_path.is_dir()


def test_full_disk_is_said_with_what_to_look_at() -> None:
    error = fail_to_write(Path("/dev/full"))
    assert "cannot write /dev/full: no space left on its file system" in error.what
    assert error.hint == "df -h /dev"


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        (errno.EROFS, "is on a read-only file system"),
        (errno.EACCES, "no permission in"),
        (errno.EDQUOT, "the disk quota is used up"),
        (errno.EIO, os.strerror(errno.EIO)),
    ],
)
def test_reasons_that_a_test_cannot_bring_about(tmp_path: Path, code: int, reason: str) -> None:
    error = output_error(tmp_path / "out.csv", OSError(code, os.strerror(code)))
    assert error.what.startswith(f"cannot write {tmp_path}/out.csv: ")
    assert reason in error.what


def test_read_only_directory(open_path: Path, unprivileged: Unprivileged) -> None:
    open_path.chmod(0o555)
    with unprivileged():
        error = fail_to_write(open_path / "out.csv")
    assert f"no permission in {open_path}" in error.what
    assert os.listdir(open_path) == []


def test_directory_that_may_not_be_looked_into(open_path: Path, unprivileged: Unprivileged) -> None:
    (open_path / "sub").mkdir()
    open_path.chmod(0)
    with unprivileged(), pytest.raises(OutputError, match="cannot write"), Lock(open_path / "sub"):
        pass
    with unprivileged():
        error = fail_to_write(open_path / "sub" / "out.csv")
    assert "cannot write" in error.what


def test_write_cut_short_leaves_the_old_file(tmp_path: Path) -> None:
    target = tmp_path / "out.csv"
    target.write_text("old")
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, before[1]))
    try:
        error = fail_to_write(target)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert "larger than a file may be here" in error.what
    assert target.read_text() == "old"
    assert os.listdir(tmp_path) == ["out.csv"]


def test_error_of_the_block_that_is_no_system_error_goes_through(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="corrupt page"), atomic_path(tmp_path / "out"):
        raise OSError("corrupt page")


def test_closed_pipe_goes_through(tmp_path: Path) -> None:
    with pytest.raises(BrokenPipeError), atomic_path(tmp_path / "out"):
        raise BrokenPipeError(errno.EPIPE, "Broken pipe")


def test_leftovers_of_killed_runs_go_and_files_being_written_stay(tmp_path: Path) -> None:
    code = "w = atomic_path(d / 'out'); w.__enter__(); print('ready', flush=True); time.sleep(60)"
    with running(code, tmp_path) as process:
        (written,) = os.listdir(tmp_path)
        clean_temporaries(tmp_path)
        assert os.listdir(tmp_path) == [written]
        process.kill()
        process.wait()
        (tmp_path / ".aecli-notes.tmp").write_text("not ours")
        clean_temporaries(tmp_path)
    assert os.listdir(tmp_path) == [".aecli-notes.tmp"]


def test_sha256_is_the_content_s(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(bytes(range(256)) * 5_000)
    assert sha256_of(path) == hashlib.sha256(path.read_bytes()).hexdigest()


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
    with Lock(tmp_path / "runs" / "a"):
        assert (tmp_path / "runs" / "a").is_dir()
    assert os.listdir(tmp_path) == []


def test_lock_leaves_what_was_saved(tmp_path: Path) -> None:
    with Lock(tmp_path / "runs" / "a"):
        (tmp_path / "runs" / "a" / "spec.json").write_text("{}")
    assert os.listdir(tmp_path / "runs" / "a") == ["spec.json"]


def test_lock_below_a_file_is_an_output_error(tmp_path: Path) -> None:
    (tmp_path / "taken").write_text("")
    with pytest.raises(OutputError, match="taken is a file"), Lock(tmp_path / "taken" / "model"):
        pass
