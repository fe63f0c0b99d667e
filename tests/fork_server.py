"""Run `aecli` in processes forked from one that has imported torch already.

A process of its own spends more than a second on imports; a forked one starts in milliseconds, and
has the same arguments, environment, directory, streams and exit code. `bin_directory()` holds an
executable `aecli` that has its command run so, and an executable `python` for `python -c CODE`.
"""

from __future__ import annotations

import array
import atexit
import functools
import gc
import importlib
import json
import os
import select
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import warnings
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent
PRELOADED = (
    "aecli.cli.main", "aecli.api.estimator", "aecli.evaluation.evaluate", "aecli.inference.decode",
    "aecli.inference.encode", "aecli.inference.predict", "aecli.inference.reconstruct",
    "aecli.inference.sample", "aecli.inspection.inspect", "aecli.reporting.report",
    "aecli.scoring.calibrate", "aecli.scoring.score", "aecli.training.train", "aecli.tuning.search",
    "matplotlib.pyplot", "pandas", "pyarrow.csv", "pyarrow.dataset", "pyarrow.parquet", "sklearn",
)  # fmt: skip
CLIENT = """\
#!{python} -IS
import json, os, signal, socket, sys
server = socket.socket(socket.AF_UNIX)
server.connect({address!r})
socket.send_fds(server, [b"fds"], [0, 1, 2])
request = [[os.path.basename(sys.argv[0]), *sys.argv[1:]], os.getcwd(), dict(os.environ)]
server.sendall(json.dumps(request).encode())
server.shutdown(socket.SHUT_WR)
answer = server.makefile()
process = int(answer.readline())
for number in (signal.SIGINT, signal.SIGTERM):
    signal.signal(number, lambda number, frame: os.kill(process, number))
code = int(answer.readline())
if code < 0:
    signal.signal(-code, signal.SIG_DFL)
    os.kill(os.getpid(), -code)
os._exit(code)
"""


@functools.cache
def bin_directory() -> Path:
    """Start the server of this process, which ends with it, and return the folder for PATH."""
    folder = Path(tempfile.mkdtemp(prefix="aecli-fork-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    address = str(folder / "socket")
    for name in ("aecli", "python"):
        (folder / name).write_text(CLIENT.format(python=sys.executable, address=address))
        (folder / name).chmod(0o755)
    known = {name: value for name, value in os.environ.items() if not name.startswith("AECLI_")}
    server = subprocess.Popen(
        [sys.executable, "-m", "tests.fork_server", address],
        cwd=ROOT, env=known, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    atexit.register(server.communicate)
    assert server.stdout is not None
    assert server.stdout.readline() == "ready\n"
    return folder


def serve(address: str) -> None:
    """Fork a process per connection until stdin ends."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for name in PRELOADED:
            importlib.import_module(name)
    gc.freeze()  # a collection in a child would copy every page
    processes = []
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(address)
        listener.listen(64)
        print("ready", flush=True)
        while listener in select.select([listener, sys.stdin], [], [])[0]:
            connection, _ = listener.accept()
            processes.append(os.fork())
            if not processes[-1]:
                listener.close()
                _answer(connection)
            connection.close()
    for process in processes:
        os.waitpid(process, 0)  # their CPU time counts as that of the tests


def _answer(connection: socket.socket) -> None:
    """Read a request, run it in a child, and send the child's process id and exit code."""
    streams = array.array("i")
    _, ancillary, _, _ = connection.recvmsg(3, socket.CMSG_SPACE(3 * streams.itemsize))
    streams.frombytes(ancillary[0][2])
    with connection.makefile() as lines:
        arguments, directory, environment = json.loads(lines.read())
    process = os.fork()
    if process == 0:
        connection.close()
        _become(streams, directory, environment)
        _run(arguments)
    for stream in streams:
        os.close(stream)
    connection.sendall(f"{process}\n".encode())
    code = os.waitstatus_to_exitcode(os.waitpid(process, 0)[1])
    connection.sendall(f"{code}\n".encode())
    os._exit(0)


def _become(streams: array.array[int], directory: str, environment: dict[str, str]) -> None:
    """Take over the streams, the directory and the environment of the client."""
    for number, stream in enumerate(streams):
        os.dup2(stream, number)
        os.close(stream)
    sys.stdin, sys.stdout = open(0, closefd=False), open(1, "w", closefd=False)  # noqa: SIM115
    sys.stderr = open(2, "w", 1, errors="backslashreplace", closefd=False)  # noqa: SIM115
    signal.signal(signal.SIGINT, signal.default_int_handler)
    os.chdir(directory)
    os.environ.clear()
    os.environ.update(environment)


def _run(arguments: list[str]) -> None:
    """Run the command and end the process, as the interpreter or `aecli.cli.main.run` would."""
    from aecli.cli.main import run

    sys.argv = arguments
    try:
        if arguments[0] == "aecli":
            run()
        _, option, code = arguments
        assert option == "-c", arguments
        sys.path[0] = ""
        scope: dict[str, Any] = {"__name__": "__main__"}
        exec(compile(code, "<string>", "exec"), scope)
        status = 0
    except SystemExit as end:
        status = end.code if isinstance(end.code, int) else int(end.code is not None)
    except BaseException:
        sys.excepthook(*sys.exc_info())
        status = 1
    sys.stdout.flush()
    os._exit(status)


if __name__ == "__main__":
    serve(sys.argv[1])
