from __future__ import annotations

import errno
import fcntl
import os
import resource
import shutil
import stat
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

import pytest

from aecli.atomic_files import (
    atomic_path,
    clean_temporaries,
    fsync_directory,
    is_temporary,
    output_error,
    warn_after_commit,
    write_file,
)
from aecli.directory_lock import Lock
from aecli.errors import AecliWarning, ModelError, OutputError
from tests.other_process import running

Unprivileged = Callable[[], AbstractContextManager[None]]
Failing = Callable[[str, int, str], None]


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
    assert "exceeds the limit on file sizes" in error.what
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


def open_files() -> int:
    return len(os.listdir("/proc/self/fd"))


def mode_of(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def write_through_path(target: Path) -> None:
    with atomic_path(target) as path:
        path.write_bytes(b"new")


WRITERS = {"content": lambda target: write_file(target, b"new"), "path": write_through_path}
each_writer = pytest.mark.parametrize("write", WRITERS.values(), ids=WRITERS)


@each_writer
def test_the_content_is_on_disk_before_its_name_and_the_name_in_the_end(
    tmp_path: Path, system_calls: list[str], write: Callable[[Path], None]
) -> None:
    write(tmp_path / "out")
    synced = [call for call in system_calls if call.startswith(("fsync", "replace"))]
    assert synced == ["fsync TEMPORARY", "replace TEMPORARY out", f"fsync {tmp_path.name}"]
    assert not [call for call in system_calls if call.startswith("unlink")]


def test_all_bytes_are_written_before_they_are_synced(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fsync, sizes = os.fsync, []

    def record(descriptor: int) -> None:
        sizes.append(os.fstat(descriptor).st_size)
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", record)
    write_file(tmp_path / "out", b"ten bytes!")
    assert sizes[0] == 10


@each_writer
@pytest.mark.parametrize("mode", [0o600, 0o640, 0o755])
def test_a_replaced_file_keeps_its_mode_and_owner(
    tmp_path: Path, write: Callable[[Path], None], mode: int
) -> None:
    target = tmp_path / "out"
    target.touch()
    target.chmod(mode)
    owner = (1234, 1234) if os.geteuid() == 0 else (os.getuid(), os.getgid())
    os.chown(target, *owner)
    write(target)
    assert target.read_bytes() == b"new"
    assert mode_of(target) == mode
    assert (target.stat().st_uid, target.stat().st_gid) == owner


def test_the_new_file_is_closed_to_others_while_it_is_written(tmp_path: Path) -> None:
    target = tmp_path / "out"
    before = os.umask(0)
    try:
        with atomic_path(target) as path:
            assert mode_of(path) == 0o666
        target.chmod(0o640)
        with atomic_path(target) as path:
            assert mode_of(path) == 0o600
    finally:
        os.umask(before)
    assert mode_of(target) == 0o640


def test_the_owner_of_a_file_that_may_not_be_given_away_is_the_writer(
    open_path: Path, unprivileged: Unprivileged
) -> None:
    (open_path / "out").write_text("root's")
    with unprivileged():
        write_file(open_path / "out", b"new")
        assert (open_path / "out").stat().st_uid == os.geteuid()


def test_a_mode_is_taken_from_another_file(tmp_path: Path) -> None:
    (tmp_path / "like").touch()
    (tmp_path / "like").chmod(0o604)
    write_file(tmp_path / "out", b"", like=tmp_path / "like")
    assert mode_of(tmp_path / "out") == 0o604


def test_a_link_in_place_of_a_file_is_replaced_and_not_followed(tmp_path: Path) -> None:
    (tmp_path / "victim").write_text("precious")
    (tmp_path / "victim").chmod(0o600)
    for name, goal in (("file", "victim"), ("folder", ".")):
        (tmp_path / name).symlink_to(goal)
        write_file(tmp_path / name, b"new")
        assert not (tmp_path / name).is_symlink()
        assert (tmp_path / name).read_bytes() == b"new"
    assert (tmp_path / "victim").read_text() == "precious"
    assert mode_of(tmp_path / "file") != 0o600


@each_writer
def test_a_directory_in_place_of_the_target_is_refused_before_anything_is_written(
    tmp_path: Path, write: Callable[[Path], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "out").mkdir()
    monkeypatch.setattr(os, "replace", lambda *_: pytest.fail("it was written"))
    with pytest.raises(OutputError, match="it is a directory"):
        write(tmp_path / "out")


@each_writer
@pytest.mark.parametrize("function", ["fsync", "fchmod", "replace"])
def test_what_fails_before_the_commit_leaves_nothing(
    tmp_path: Path, failing: Failing, write: Callable[[Path], None], function: str
) -> None:
    (tmp_path / "out").write_text("old")
    before = open_files()
    failing(function, errno.EIO, ".tmp")
    with pytest.raises(OutputError, match=f"cannot write {tmp_path}/out: Input/output error"):
        write(tmp_path / "out")
    assert os.listdir(tmp_path) == ["out"]
    assert (tmp_path / "out").read_text() == "old"
    assert open_files() == before


def test_the_first_error_is_told_where_the_cleaning_fails_too(
    tmp_path: Path, failing: Failing
) -> None:
    failing("replace", errno.ENOSPC, ".tmp")
    failing("unlink", errno.EIO, ".tmp")
    failing("close", errno.EIO, ".tmp")
    with pytest.raises(OutputError, match="no space left"):
        write_file(tmp_path / "out", b"new")


@each_writer
@pytest.mark.parametrize("function", ["close", "fsync"])
def test_what_fails_after_the_commit_is_one_warning(
    tmp_path: Path, failing: Failing, write: Callable[[Path], None], function: str
) -> None:
    failing(function, errno.EIO, {"close": "/out", "fsync": tmp_path.name}[function])
    with pytest.warns(AecliWarning, match="out is saved, but a later step failed") as seen:
        write(tmp_path / "out")
    assert len(seen) == 1
    assert (tmp_path / "out").read_bytes() == b"new"


@pytest.mark.parametrize("kind", [OSError, ModelError])
def test_errors_after_a_commit_are_warnings_and_bugs_are_not(
    kind: Callable[[str], Exception],
) -> None:
    told = pytest.warns(AecliWarning, match="m is saved, but a later step failed: it broke")
    with told, warn_after_commit(Path("m")):
        raise kind("it broke")
    with pytest.raises(ValueError, match="a bug"), warn_after_commit(Path("m")):
        raise ValueError("a bug")


@pytest.mark.parametrize("number", [errno.EINVAL, errno.ENOSYS, errno.EOPNOTSUPP, errno.EBADF])
def test_a_file_system_that_syncs_no_directories_is_no_failure(
    tmp_path: Path, failing: Failing, number: int
) -> None:
    failing("fsync", number, tmp_path.name)
    before = open_files()
    write_file(tmp_path / "out", b"new")
    assert open_files() == before


def test_a_directory_that_may_not_be_read_is_not_synced(
    open_path: Path, unprivileged: Unprivileged
) -> None:
    open_path.chmod(0o333)
    with unprivileged():
        write_file(open_path / "out", b"new")
        fsync_directory(open_path)
    with pytest.raises(OSError, match="Not a directory"):
        fsync_directory(open_path / "out")


@pytest.mark.parametrize("number", [errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP])
def test_a_file_system_without_locks_is_written_to(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    (tmp_path / f".aecli-{0:016x}.tmp").touch()
    monkeypatch.setattr(fcntl, "flock", failing_lock(number))
    write_file(tmp_path / "out", b"new")
    # Nobody can tell whether somebody still writes the other one.
    assert sorted(os.listdir(tmp_path)) == [f".aecli-{0:016x}.tmp", "out"]


def failing_lock(number: int) -> Callable[[int, int], None]:
    def flock(descriptor: int, operation: int) -> None:
        raise OSError(number, os.strerror(number))

    return flock


def test_another_failure_of_a_lock_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fcntl, "flock", failing_lock(errno.EIO))
    with pytest.raises(OutputError, match="Input/output error"):
        write_file(tmp_path / "out", b"new")


def test_a_temporary_file_of_another_run_is_not_written_to(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = tmp_path / f".aecli-{0:016x}.tmp"
    with open(other, "w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        file.write("others'")
        file.flush()
        monkeypatch.setattr(os, "urandom", lambda count: bytes(count))
        with pytest.raises(OutputError, match="File exists"):
            write_file(tmp_path / "out", b"new")
        assert other.read_text() == "others'"
    assert other.exists()


@pytest.mark.parametrize("held", [False, True])
def test_a_new_file_that_somebody_takes_for_a_leftover_is_made_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, held: bool
) -> None:
    flock, taken = fcntl.flock, []

    def take(descriptor: int, operation: int) -> None:
        if not taken:
            taken.append(os.readlink(f"/proc/self/fd/{descriptor}"))
            os.unlink(taken[0])
            if held:
                raise BlockingIOError
        flock(descriptor, operation)

    monkeypatch.setattr(fcntl, "flock", take)
    before = open_files()
    write_file(tmp_path / "out", b"new")
    assert os.listdir(tmp_path) == ["out"]
    assert open_files() == before


def test_a_strangers_file_does_not_keep_the_other_leftovers(tmp_path: Path) -> None:
    names = [f".aecli-{number:016x}.tmp" for number in range(6)]
    (tmp_path / names[0]).mkdir()
    (tmp_path / names[1]).symlink_to("/dev/null")
    os.mkfifo(tmp_path / names[2])
    for name in names[3:]:
        (tmp_path / name).touch()
    before = open_files()
    with open(tmp_path / names[4]) as written:
        fcntl.flock(written, fcntl.LOCK_EX)
        clean_temporaries(tmp_path)
    assert sorted(os.listdir(tmp_path)) == [*names[:3], names[4]]
    assert open_files() == before


def test_a_missing_directory_has_no_leftovers(tmp_path: Path) -> None:
    clean_temporaries(tmp_path / "missing")
    assert os.listdir(tmp_path) == []


def test_leftovers_that_may_not_be_removed_do_not_stop_a_write(
    tmp_path: Path, failing: Failing
) -> None:
    (tmp_path / f".aecli-{0:016x}.tmp").touch()
    failing("unlink", errno.EACCES, f"{0:016x}.tmp")
    write_file(tmp_path / "out", b"new")
    assert (tmp_path / "out").read_bytes() == b"new"


@pytest.mark.parametrize(
    ("name", "temporary"),
    [
        (".aecli-0123456789abcdef.tmp", True),
        (".aecli-0123456789abcde.tmp", False),
        (".aecli-0123456789abcdef0.tmp", False),
        (".aecli-0123456789abcdeg.tmp", False),
        ("x.aecli-0123456789abcdef.tmp", False),
        (".aecli-0123456789abcdef.tmp.gz", False),
        ("xaecli-0123456789abcdef.tmp", False),
    ],
)
def test_names_of_temporary_files(name: str, temporary: bool) -> None:
    assert is_temporary(name) is temporary


def test_a_pipe_is_written_to_and_stays(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    reader = os.open(tmp_path / "pipe", os.O_RDONLY | os.O_NONBLOCK)
    with atomic_path(tmp_path / "pipe") as path:
        path.write_bytes(b"through")
    assert os.read(reader, 100) == b"through"
    os.close(reader)
    assert stat.S_ISFIFO((tmp_path / "pipe").stat().st_mode)


@pytest.mark.parametrize(
    ("number", "reason", "hint"),
    [
        (errno.ENOSPC, "no space left on its file system (", "df -h"),
        (errno.EDQUOT, "the disk quota is used up", "quota -s"),
        (errno.EFBIG, "it exceeds the limit on file sizes", "ulimit -f"),
        (errno.EACCES, "no permission in {}", "ls -ld"),
        (errno.EPERM, "no permission in {}", "ls -ld"),
        (errno.EROFS, "{} is on a read-only file system", "df -h"),
        (errno.EISDIR, "it is a directory", "ls -ld"),
        (errno.EIO, "Input/output error", None),
    ],
)
def test_each_failure_has_its_reason_and_what_to_look_at(
    tmp_path: Path, number: int, reason: str, hint: str | None
) -> None:
    error = output_error(tmp_path / "out", OSError(number, os.strerror(number)))
    assert error.what.startswith(f"cannot write {tmp_path}/out: {reason.format(tmp_path)}")
    assert (error.hint or "").startswith(hint or "")
    assert (error.hint is None) == (hint is None)


def test_an_error_without_a_number_is_told_by_its_text(tmp_path: Path) -> None:
    assert output_error(tmp_path / "out", OSError("it broke")).what.endswith("out: it broke")


def test_free_space_is_in_megabytes(tmp_path: Path) -> None:
    what = output_error(tmp_path / "out", OSError(errno.ENOSPC, "")).what
    free = float(what.split("(")[1].split(" MB free")[0])
    assert free == pytest.approx(shutil.disk_usage(tmp_path).free / 1e6, rel=0.2, abs=10)


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EROFS, errno.EIO])
def test_a_directory_that_could_not_be_made_has_the_reason_of_the_failure(
    tmp_path: Path, number: int
) -> None:
    error = output_error(tmp_path / "new" / "out", OSError(number, os.strerror(number)))
    assert "does not exist" not in error.what


def test_the_mode_is_on_disk_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fsync, modes = os.fsync, []

    def record(descriptor: int) -> None:
        modes.append(stat.S_IMODE(os.fstat(descriptor).st_mode))
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", record)
    (tmp_path / "out").touch()
    (tmp_path / "out").chmod(0o640)
    write_file(tmp_path / "out", b"new")
    assert modes[0] == 0o640


def test_a_write_sweeps_what_killed_runs_left(tmp_path: Path) -> None:
    (tmp_path / f".aecli-{0:016x}.tmp").touch()
    write_file(tmp_path / "out", b"new")
    assert os.listdir(tmp_path) == ["out"]
