"""Count the system calls of this process on files below a directory, and let one of them fail.

Installed in a forked child only: it replaces the functions of `os`, `open` and `pyarrow.OSFile`
for the rest of the process.
"""

from __future__ import annotations

import builtins
import errno
import io
import os
import signal
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal, TypeAlias

import pyarrow as pa
import safetensors.torch
from safetensors import SafetensorError

from aecli.training import checkpoint

Action: TypeAlias = Literal["record", "fail", "kill before", "kill after"]

PATH_CALLS = ("rename", "replace", "unlink", "mkdir", "rmdir")
DESCRIPTOR_CALLS = ("fsync", "close", "fchmod", "ftruncate", "read", "write")

_real = {name: getattr(os, name) for name in ("open", *PATH_CALLS, *DESCRIPTOR_CALLS)}
_real_open = io.open


@dataclass(frozen=True)
class Call:
    """System call that was counted: its name, its path, the new path of a rename, its failure."""

    name: str
    path: str
    target: str = ""
    failed: bool = False


@dataclass
class SystemCalls:
    """Counter of the calls on paths below `root`, which acts at the call number `at`.

    `error` is what a failing call raises. A write that fails has written half of its bytes, and a
    close that fails has closed.
    """

    root: Path
    action: Action = "record"
    at: int = -1
    error: int = errno.EIO
    calls: list[Call] = field(default_factory=list)
    _paths: dict[int, str] = field(default_factory=dict)

    def install(self) -> None:
        """Replace the functions that make system calls, for the rest of this process."""
        self.root = self.root.resolve()
        os.open = self._open
        for name in PATH_CALLS:
            setattr(os, name, self._path_call(name))
        for name in DESCRIPTOR_CALLS:
            setattr(os, name, self._descriptor_call(name))
        builtins.open = io.open = self._open_file
        pa.OSFile = self._arrow_file()
        checkpoint.save_file = self._save_tensors  # native code, too

    def perform(self, call: Call, perform: Callable[[], Any], half: Callable[[], Any]) -> Any:
        """Perform a call of our paths, or act in its place; `half` is what a failing one does."""
        number = len(self.calls)
        self.calls.append(call)
        if number != self.at or self.action == "record":
            return self._performed(number, perform)
        if self.action == "kill after":
            with suppress(OSError):
                perform()
        if self.action != "fail":
            os.kill(os.getpid(), signal.SIGKILL)
        half()
        raise OSError(self.error, os.strerror(self.error), call.path)

    def _performed(self, number: int, perform: Callable[[], Any]) -> Any:
        try:
            return perform()
        except OSError:
            self.calls[number] = replace(self.calls[number], failed=True)
            raise

    def path_of(self, path: Any, dir_fd: int | None = None) -> str | None:
        """Return the absolute path of a file or a descriptor, None where it is not below root."""
        if isinstance(path, int):
            return self._paths.get(path)
        folder = self._paths.get(dir_fd, "") if dir_fd is not None else ""
        found = os.path.abspath(os.path.join(folder, os.fsdecode(path)))
        found = os.path.join(os.path.realpath(os.path.dirname(found)), os.path.basename(found))
        below = found == str(self.root) or found.startswith(f"{self.root}{os.sep}")
        return found if below else None

    def _open(self, path: Any, *args: Any, dir_fd: int | None = None, **kwargs: Any) -> int:
        def perform() -> int:
            return int(_real["open"](path, *args, dir_fd=dir_fd, **kwargs))

        name = self.path_of(path, dir_fd)
        if name is None:
            return perform()
        descriptor = int(self.perform(Call("open", name), perform, _nothing))
        self._paths[descriptor] = name
        return descriptor

    def _path_call(self, name: str) -> Callable[..., Any]:
        def call(path: Any, *args: Any, **kwargs: Any) -> Any:
            def perform() -> Any:
                return _real[name](path, *args, **kwargs)

            found = self.path_of(path, kwargs.get("dir_fd"))
            if found is None:
                return perform()
            target = str(args[0]) if name in ("rename", "replace") else ""
            result = self.perform(Call(name, found, target), perform, _nothing)
            for descriptor, known in self._paths.items():
                if target and known == found:
                    self._paths[descriptor] = target
            return result

        return call

    def _descriptor_call(self, name: str) -> Callable[..., Any]:
        def call(descriptor: int, *args: Any) -> Any:
            def perform() -> Any:
                return _real[name](descriptor, *args)

            def half() -> None:
                if name == "close":
                    perform()
                elif name == "write":
                    _real["write"](descriptor, args[0][: len(args[0]) // 2])

            found = self._paths.get(descriptor)
            if found is None:
                return perform()
            if name == "close":
                del self._paths[descriptor]
            return self.perform(Call(name, found), perform, half)

        return call

    def _open_file(self, file: Any, mode: str = "r", *args: Any, **kwargs: Any) -> Any:
        """Open a file as the built-in does; one of ours gets a raw file whose calls are counted."""
        if self.path_of(file) is None:
            return _real_open(file, mode, *args, **kwargs)
        raw = CountedFile(self, file, mode, closefd=kwargs.get("closefd", True))
        stream = io.BufferedReader(raw) if mode[0] == "r" else io.BufferedWriter(raw)
        if "b" in mode:
            return stream
        encoding = kwargs.get("encoding") or "utf-8"
        return io.TextIOWrapper(stream, encoding, newline=kwargs.get("newline"))

    def _arrow_file(self) -> type:
        counter, real = self, pa.OSFile

        class ArrowFile(pa.PythonFile):  # type: ignore[misc]  # pyarrow ships no types
            def __new__(cls, path: Any, mode: str = "r") -> Any:
                if counter.path_of(path) is None:
                    return real(path, mode)
                return super().__new__(cls, CountedFile(counter, path, mode), mode)

            def __init__(self, path: Any, mode: str = "r") -> None:
                super().__init__()

        return ArrowFile

    def _save_tensors(self, tensors: Any, path: Path, metadata: Any = None) -> None:
        """Write a checkpoint as `safetensors.torch.save_file` does, in calls that are counted."""
        try:
            with self._open_file(path, "wb") as file:
                file.write(safetensors.torch.save(tensors, metadata))
        except OSError as error:
            raise SafetensorError(f"I/O error: {error}") from error

    def forget(self, descriptor: int) -> None:
        """Stop counting the calls on a descriptor, which is about to be closed."""
        self._paths.pop(descriptor, None)


class CountedFile(io.FileIO):
    """Raw file whose reads, writes and close are counted."""

    def __init__(
        self, calls: SystemCalls, file: Any, mode: str = "r", *, closefd: bool = True
    ) -> None:
        self._calls = calls
        self._closes = closefd
        raw_mode = mode.replace("b", "").replace("t", "")
        super().__init__(file, raw_mode, closefd=closefd, opener=_opener)
        self._name = calls.path_of(self.fileno())

    def _counted(self, name: str, perform: Callable[[], Any], half: Callable[[], Any]) -> Any:
        return self._calls.perform(Call(name, self._name or ""), perform, half)

    def write(self, data: Any, /) -> int:
        content = bytes(data)

        def half() -> None:
            super(CountedFile, self).write(content[: len(content) // 2])

        return int(self._counted("write", lambda: super(CountedFile, self).write(content), half))

    def readinto(self, buffer: Any, /) -> int:
        return int(
            self._counted("read", lambda: super(CountedFile, self).readinto(buffer), _nothing)
        )

    def readall(self) -> bytes:
        return bytes(self._counted("read", super().readall, _nothing))

    def close(self) -> None:
        if self.closed or not self._closes:
            super().close()
            return
        self._calls.forget(self.fileno())
        self._counted("close", super().close, super().close)


def _opener(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_CLOEXEC, 0o666)


def _nothing() -> None:
    return None
