"""An S3 server and a web server on the loopback interface."""

from __future__ import annotations

import itertools
import logging
import threading
import zlib
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from pyarrow import fs

ENVIRONMENT = {
    "AWS_ACCESS_KEY_ID": "test",
    "AWS_SECRET_ACCESS_KEY": "test-secret",
    "AWS_EC2_METADATA_DISABLED": "true",
}


class Bucket:
    """Bucket of an S3 server, whose requests can be seen and refused.

    Attributes:
        address: `s3://NAME`.
        environment: variables for a process that uses it.
        requests: methods and paths of the requests so far.
        etags: whether answers to reading have ETags.
        refuse: returns for a method and a path with its query the status of a failure, or 0.
    """

    def __init__(self, endpoint: str, name: str) -> None:
        self.address = f"s3://{name}"
        self.environment = {**ENVIRONMENT, "AWS_ENDPOINT_URL": endpoint}
        self.requests: list[tuple[str, str]] = []
        self.etags = True
        self.refuse: Callable[[str, str], int] = lambda method, path: 0
        self._name = name
        self._files = fs.S3FileSystem(
            access_key="test", secret_key="test-secret", region="us-east-1",
            endpoint_override=endpoint, allow_bucket_creation=True,
        )  # fmt: skip
        self._files.create_dir(name)

    def put(self, name: str, content: bytes) -> str:
        """Store an object and return its address."""
        with self._files.open_output_stream(f"{self._name}/{name}", compression=None) as stream:
            stream.write(content)
        return f"{self.address}/{name}"

    def put_key(self, key: str, content: bytes) -> None:
        """Store an object under a key that Arrow refuses, as other programs can."""
        import boto3

        client = boto3.client(
            "s3", endpoint_url=self.environment["AWS_ENDPOINT_URL"], region_name="us-east-1"
        )
        client.put_object(Bucket=self._name, Key=key, Body=content)

    def put_folder(self, folder: Path, name: str) -> str:
        """Store the files of a folder and return its address."""
        for path in folder.rglob("*"):
            if path.is_file():
                self.put(f"{name}/{path.relative_to(folder)}", path.read_bytes())
        return f"{self.address}/{name}"

    def get(self, name: str) -> bytes:
        """Return the content of an object."""
        with self._files.open_input_file(f"{self._name}/{name}") as file:
            return bytes(file.read())

    def names(self, folder: str = "") -> list[str]:
        """Return the names of the objects below a folder."""
        base = f"{self._name}/{folder}".rstrip("/")
        selector = fs.FileSelector(base, recursive=True, allow_not_found=True)
        infos = self._files.get_file_info(selector)
        found = [info.path for info in infos if info.type == fs.FileType.File]
        return sorted(path.removeprefix(f"{self._name}/") for path in found)


class ObjectServer:
    """S3 server of moto, with one bucket for each test."""

    def __init__(self) -> None:
        from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app
        from werkzeug.serving import make_server

        self._s3 = DomainDispatcherApplication(create_backend_app)
        self._server = make_server("127.0.0.1", 0, self._answer, threaded=True)
        self._numbers = itertools.count()
        self.bucket: Bucket | None = None
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def new_bucket(self) -> Bucket:
        host, port = self._server.server_address[:2]
        self.bucket = None
        self.bucket = Bucket(f"http://{host}:{port}", f"bucket-{next(self._numbers)}")
        return self.bucket

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()

    def _answer(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        bucket = self.bucket
        if bucket is None:
            answer: Iterable[bytes] = self._s3(environ, start_response)
            return answer
        method, path = environ["REQUEST_METHOD"], environ["PATH_INFO"]
        bucket.requests.append((method, path))
        failure = bucket.refuse(method, f"{path}?{environ['QUERY_STRING']}")
        if failure:
            environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
            start_response(f"{failure} Failure", [("Content-Length", "0")])
            return []

        def start(status: str, headers: list[tuple[str, str]], *more: Any) -> Any:
            # Clients need the ETags of the parts that they write.
            shown = bucket.etags or method not in ("GET", "HEAD")
            kept = [pair for pair in headers if shown or pair[0].lower() != "etag"]
            return start_response(status, kept, *more)

        answer = self._s3(environ, start)
        return answer


@pytest.fixture(scope="session")
def object_server() -> Iterator[ObjectServer]:
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    server = ObjectServer()
    yield server
    server.close()


@pytest.fixture
def bucket(object_server: ObjectServer, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Bucket:
    """An empty bucket, in whose environment this process is."""
    bucket = object_server.new_bucket()
    for name, value in bucket.environment.items():
        monkeypatch.setenv(name, value)
    for name in ("AWS_PROFILE", "AWS_REGION", "AWS_DEFAULT_REGION", "AWS_NO_SIGN_REQUEST"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr("aecli.remote_files.object_store._S3_ATTEMPTS", 1)  # retries take seconds
    return bucket


class RangeHandler(SimpleHTTPRequestHandler):
    """Handler of a folder's files that answers requests for ranges."""

    def do_GET(self) -> None:
        server: Any = self.server
        server.requests.append(self.headers.get("Range"))
        server.paths.append(self.path)
        if server.dropped:
            server.dropped -= 1
            return
        failure = server.refuse(self.path)
        if failure:
            self.send_response(failure)
            self.send_header("Location", server.target)
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        path = Path(self.translate_path(self.path))
        if not path.is_file():
            self.send_error(404)
            return
        content = path.read_bytes()
        start, end, status = 0, len(content), 200
        asked = self.headers.get("Range")
        if asked is not None and server.ranges:
            first, last = asked.removeprefix("bytes=").split("-")
            start, end, status = int(first), min(len(content), int(last) + 1), 206
        if start >= end and status == 206:
            self.send_response(416)
            self.send_header("Content-Range", f"bytes */{len(content)}")
            self.end_headers()
            return
        self.send_response(status)
        self.send_header("ETag", f'"{zlib.crc32(content)}"')
        if status == 206:
            self.send_header("Content-Range", f"bytes {start}-{end - 1}/{len(content)}")
        self.send_header("Content-Length", str(end - start))
        self.end_headers()
        self.wfile.write(content[start : end - server.cut])

    def do_HEAD(self) -> None:
        server: Any = self.server
        server.paths.append(self.path)
        super().do_HEAD()

    def log_message(self, format: str, *args: Any) -> None:
        """Print nothing."""


class WebFolder(ThreadingHTTPServer):
    """Web server of the files in a folder.

    Attributes:
        folder: the folder.
        ranges: whether it answers requests for ranges.
        requests: the ranges of the requests so far.
        paths: the paths of the requests so far, with their queries.
        dropped: the number of requests whose connections are closed without an answer.
        cut: the number of bytes that are missing at the end of each answer.
        refuse: returns for a path the status of a failure or a redirect to `target`, or 0.
    """

    daemon_threads = True

    def __init__(self, folder: Path) -> None:
        super().__init__(("127.0.0.1", 0), partial(RangeHandler, directory=str(folder)))
        self.folder = folder
        self.ranges = True
        self.requests: list[str | None] = []
        self.paths: list[str] = []
        self.dropped = self.cut = 0
        self.refuse: Callable[[str], int] = lambda path: 0
        self.target = ""

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


@pytest.fixture
def web(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[WebFolder]:
    """A web server of an empty folder."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    monkeypatch.setattr("aecli.remote_files.web._PAUSE_SECONDS", 0)
    (tmp_path / "web").mkdir()
    with WebFolder(tmp_path / "web") as server:
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}).start()
        yield server
        server.shutdown()


def rows(count: int, seed: int = 0) -> pa.Table:
    """Return a table of two related numbers and a category."""
    generator = np.random.default_rng(seed)
    a = generator.normal(size=count)
    return pa.table(
        {
            "a": a,
            "b": 2 * a + generator.normal(size=count),
            "colour": generator.choice(["red", "green", "blue"], count).tolist(),
        }
    )


@pytest.fixture(scope="session")
def local_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model on disk of the columns of `rows`."""
    import aecli

    folder = tmp_path_factory.mktemp("model") / "m"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("aecli.training.data.MAX_CROSS_FITTED", 0)
        aecli.train(rows(200), model=folder, latent=2, epochs=2)
    return folder
