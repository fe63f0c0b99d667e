from __future__ import annotations

import hashlib
import os
import socket
import stat
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from aecli.errors import ModelError
from aecli.regular_files import open_regular, read_regular, require_regular, sha256_of


def make_socket(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(path))


KINDS = {
    "a symbolic link": [
        lambda path: path.symlink_to("file"),
        lambda path: path.symlink_to("/dev/zero"),
        lambda path: path.symlink_to("missing"),
    ],
    "a named pipe": [os.mkfifo],
    "a directory": [os.mkdir],
    "a socket": [make_socket],
}
USES = {
    "open": open_regular,
    "create": lambda path: open_regular(path, os.O_RDWR | os.O_CREAT),
    "require": require_regular,
    "read": lambda path: read_regular(path, 10),
    "hash": sha256_of,
}


def refused(use: Callable[[Path], object], path: Path, kind: str) -> None:
    start = time.monotonic()
    with pytest.raises(ModelError) as caught:
        use(path)
    assert caught.value.what.startswith(f"{path} is {kind}; ")
    assert caught.value.exit_code == 4
    assert time.monotonic() - start < 1


@pytest.mark.parametrize("use", USES.values(), ids=USES)
@pytest.mark.parametrize(("kind", "make"), [(k, make) for k in KINDS for make in KINDS[k]])
def test_what_is_not_a_regular_file_is_refused_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str, make, use
) -> None:
    monkeypatch.chdir(tmp_path)  # a socket's path is at most 108 bytes
    path = Path("part")
    make(path)
    before = len(os.listdir("/proc/self/fd"))
    refused(use, path, kind)
    assert len(os.listdir("/proc/self/fd")) == before


@pytest.mark.parametrize("use", USES.values(), ids=USES)
@pytest.mark.parametrize("path", ["/dev/zero", "/dev/null"])
def test_a_device_is_refused(use, path: str) -> None:
    refused(use, Path(path), "a device")


def test_a_pipe_or_link_that_takes_the_place_of_a_file_just_then(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("aecli.regular_files.require_regular", lambda path: None)
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "file").write_text("secret")
    (tmp_path / "link").symlink_to("file")
    before = len(os.listdir("/proc/self/fd"))
    refused(open_regular, tmp_path / "pipe", "a named pipe")
    with pytest.raises(OSError, match="symbolic links"):
        open_regular(tmp_path / "link")
    assert len(os.listdir("/proc/self/fd")) == before


def test_a_new_file_has_the_mode_that_the_umask_leaves(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        os.close(open_regular(tmp_path / "new", os.O_RDWR | os.O_CREAT))
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "new").stat().st_mode) == 0o666


@pytest.mark.parametrize(("most", "read"), [(4, 5), (9, 10), (10, 10), (11, 10), (10**9, 10)])
def test_one_byte_more_than_the_limit_is_read(tmp_path: Path, most: int, read: int) -> None:
    (tmp_path / "file").write_bytes(b"0123456789")
    assert read_regular(tmp_path / "file", most) == b"0123456789"[:read]


def test_a_missing_file_is_not_refused(tmp_path: Path) -> None:
    require_regular(tmp_path / "missing")
    with pytest.raises(FileNotFoundError):
        open_regular(tmp_path / "missing")


def test_sha256_is_the_content_s(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(bytes(range(256)) * 5_000)
    assert sha256_of(path) == hashlib.sha256(path.read_bytes()).hexdigest()
