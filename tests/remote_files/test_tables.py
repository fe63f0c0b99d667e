"""What tables on object stores and web servers promise: the same rows as the files on disk."""

from __future__ import annotations

import gzip
import http.client
import io
import socket
import ssl
from pathlib import Path

import pyarrow as pa
import pyarrow.csv as pacsv
import pyarrow.feather as feather
import pyarrow.parquet as pq
import pytest

import aecli
from aecli.errors import AecliError, AecliWarning, DataError, OutputError, UsageError
from aecli.remote_files.path import location
from aecli.remote_files.status import remote_error
from aecli.remote_files.web import connection_error
from aecli.table.source import open_source
from tests.remote_files.conftest import Bucket, WebFolder, rows


def parquet(table: pa.Table, **options: object) -> bytes:
    stream = io.BytesIO()
    pq.write_table(table, stream, **options)
    return stream.getvalue()


def csv(table: pa.Table) -> bytes:
    stream = io.BytesIO()
    pacsv.write_csv(table, stream)
    return stream.getvalue()


def read(address: str | list[str]) -> pa.Table:
    source = open_source(address)
    return pa.Table.from_batches(source.batches(), source.schema)


def refusal(address: str) -> AecliError:
    with pytest.raises(DataError) as caught:
        open_source(address)
    assert len(caught.value.lines()) <= 6
    return caught.value


def test_folder_has_the_rows_and_values_of_folders_named_by_keys(bucket: Bucket) -> None:
    for number, day in enumerate(["2026-01-01", "2026-01-01", "2026-01-02"]):
        bucket.put(f"t/day={day}/p{number}.parquet", parquet(rows(10, seed=number)))
    for hidden in ("t/_SUCCESS", "t/.tmp/x.parquet", "t/_spark/x.parquet", "t/empty.parquet"):
        bucket.put(hidden, b"" if "empty" in hidden else b"x")
    table = read(f"{bucket.address}/t/")
    assert table.drop_columns("day").equals(pa.concat_tables([rows(10, seed=n) for n in range(3)]))
    assert [str(day) for day in table["day"].unique().to_pylist()] == ["2026-01-01", "2026-01-02"]
    assert read(f"{bucket.address}/t/day=2026-01-02").num_rows == 10


@pytest.mark.parametrize(
    ("pattern", "found"),
    [
        ("t/*.parquet", ["a.parquet", "b.parquet"]),
        ("t/?.parquet", ["a.parquet", "b.parquet"]),
        ("t/[b-z].parquet", ["b.parquet"]),
        ("t/**/*.parquet", ["a.parquet", "b.parquet", "u/c.parquet"]),
        ("t/*/*.parquet", ["u/c.parquet"]),
        ("t/u*", ["u/c.parquet"]),
        ("*", ["a.parquet", "b.parquet", "u/c.parquet"]),
    ],
)
def test_globs_match_as_on_disk(
    bucket: Bucket, tmp_path: Path, pattern: str, found: list[str]
) -> None:
    for name in ("a.parquet", "b.parquet", "u/c.parquet", ".hidden.parquet"):
        bucket.put(f"t/{name}", parquet(rows(2)))
    source = open_source(f"{bucket.address}/{pattern}")
    (tmp_path / "t/u").mkdir(parents=True)
    for name in ("a.parquet", "b.parquet", "u/c.parquet", ".hidden.parquet"):
        pq.write_table(rows(2), tmp_path / "t" / name)
    local = open_source(f"{tmp_path}/{pattern}")
    assert [str(p.relative_to(tmp_path / "t")) for p in local.paths] == found
    assert [str(path) for path in source.paths] == [f"{bucket.address}/t/{name}" for name in found]


def test_parquet_is_read_by_ranges(bucket: Bucket) -> None:
    table = pa.table({f"x{i}": pa.array(range(i, 40_000 + i)) for i in range(40)})
    address = bucket.put(
        "wide.parquet", parquet(table, row_group_size=10_000, use_dictionary=False)
    )
    source = open_source(address).select(["x3"])
    bucket.requests.clear()
    assert pa.Table.from_batches(source.batches()).column("x3").equals(table.column("x3"))
    methods = [method for method, _ in bucket.requests]
    assert methods.count("GET") < 20
    assert source.paths[0].stat().st_size > 4_000_000


@pytest.mark.parametrize("name", ["t.csv", "t.csv.gz", "t.jsonl", "t.arrow"])
def test_other_formats_are_read_from_a_copy(
    bucket: Bucket, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    table = rows(50)
    local = tmp_path / name
    match name:
        case "t.arrow":
            feather.write_feather(table, local)
        case "t.jsonl":
            local.write_text("".join(f'{{"a": {a}}}\n' for a in table["a"].to_pylist()))
        case _:
            local.write_bytes(gzip.compress(csv(table)) if name.endswith("gz") else csv(table))
    address = bucket.put(name, local.read_bytes())
    source = open_source(address)
    assert source.name == address
    assert source.format == open_source(local).format
    assert read(address).equals(read(str(local)))
    del source
    assert not list(tmp_path.glob("aecli-download-*"))


def test_workbooks_are_read_from_a_copy(bucket: Bucket, tmp_path: Path) -> None:
    openpyxl = pytest.importorskip("openpyxl")
    book = openpyxl.Workbook()
    for row in [("x", "y"), (1, 2), (3, 4)]:
        book.active.append(row)
    book.save(tmp_path / "t.xlsx")
    address = bucket.put("t.xlsx", (tmp_path / "t.xlsx").read_bytes())
    assert read(address).to_pydict() == {"x": [1, 3], "y": [2, 4]}


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("none.parquet", "/none.parquet does not exist"),
        ("t/a.parquet", "did you mean s3://bucket-.*/t/aa.parquet?"),
        ("none/", "/none does not exist"),
        ("*.tsv", "no file matches s3://.*tsv"),
        ("damaged.parquet", "damaged.parquet is incomplete or damaged"),
        ("empty.csv", "empty.csv is empty"),
        ("delta", "is a Delta table"),
        ("mixed", "contains files of different formats"),
        ("model", "is a model directory, not a table"),
    ],
)
def test_tables_that_cannot_be_read(bucket: Bucket, name: str, message: str) -> None:
    whole = parquet(rows(10))
    for stored, content in {
        "t/aa.parquet": whole, "damaged.parquet": whole[:-9], "empty.csv": b"",
        "delta/_delta_log/0.json": b"{}", "delta/a.parquet": whole, "mixed/a.parquet": whole,
        "mixed/b.csv": b"a\n1\n", "model/weights-0123456789ab.safetensors": b"x",
    }.items():  # fmt: skip
        bucket.put(stored, content)
    with pytest.raises(DataError, match=message):
        open_source(f"{bucket.address}/{name}")


def test_bucket_that_does_not_exist(bucket: Bucket) -> None:
    for name in ("t.parquet", "t/", "*.parquet"):
        assert "its bucket does not exist" in str(refusal(f"s3://no-such-bucket/{name}"))
    with pytest.raises(OutputError, match="its bucket does not exist"):
        aecli.train(rows(20), model="s3://no-such-bucket/m")


def test_server_that_does_not_answer(bucket: Bucket, monkeypatch: pytest.MonkeyPatch) -> None:
    address = bucket.put("t.parquet", parquet(rows(10)))
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:1")
    error = refusal(address)
    assert "cannot read" in str(error)
    assert "connect" in str(error).lower()


def test_access_that_is_denied_names_the_variables_and_no_secret(bucket: Bucket) -> None:
    address = bucket.put("t.parquet", parquet(rows(10)))
    bucket.refuse = lambda method, path: 403
    error = refusal(address)
    assert "access denied; credentials: AWS_PROFILE" in str(error)
    assert "test-secret" not in "\n".join(error.lines())


@pytest.mark.parametrize(
    ("address", "message"),
    [
        ("s3://key:secret@bucket/t.csv", "credentials are not part of an address"),
        ("https://user:secret@host/t.csv", "credentials are not part of an address"),
        ("ftp://host/t.csv", "ftp:// addresses are not supported"),
        ("s3:///t.csv", "s3:// names no bucket"),
    ],
)
def test_addresses_that_are_refused(address: str, message: str) -> None:
    with pytest.raises(UsageError, match=message) as caught:
        open_source(address)
    assert "secret" not in "\n".join(caught.value.lines())


def test_object_that_is_replaced_while_it_is_read(bucket: Bucket) -> None:
    address = bucket.put("t.parquet", parquet(rows(10)))
    source = open_source(address)
    bucket.put("t.parquet", parquet(rows(10, seed=1)))
    with pytest.raises(DataError, match="it was replaced while it was being read"):
        list(source.batches())


def test_object_that_is_replaced_between_two_batches(bucket: Bucket) -> None:
    whole = {"row_group_size": 50_000, "use_dictionary": False, "compression": "none"}
    first, second = (pa.table({"x": pa.array(range(n, n + 200_000))}) for n in (0, 1))
    address = bucket.put("t.parquet", parquet(first, **whole))
    batches = open_source(address).batches()
    next(batches)
    bucket.put("t.parquet", parquet(second, **whole))
    with pytest.raises(DataError, match="it was replaced while it was being read"):
        list(batches)


def test_names_that_paths_cannot_have_are_left_out(bucket: Bucket) -> None:
    bucket.put("t/a.parquet", parquet(rows(10)))
    for key in ("t//b.parquet", "t/./c.parquet", "t/../d.parquet"):
        bucket.put_key(key, parquet(rows(10)))
    with pytest.warns(AecliWarning, match=r"/t/.*/.*\.parquet is left out.*; 2 more"):
        assert read(f"{bucket.address}/t/").num_rows == 10


def test_object_that_vanishes_while_it_is_read(bucket: Bucket) -> None:
    address = bucket.put("t.parquet", parquet(rows(10)))
    source = open_source(address)
    location(address).unlink()
    with pytest.raises(DataError, match=r"cannot read s3://.*t\.parquet: No such file"):
        list(source.batches())


@pytest.mark.parametrize("ranges", [True, False])
def test_web_files_are_read_with_and_without_ranges(web: WebFolder, ranges: bool) -> None:
    web.ranges = ranges
    table = rows(50_000)
    pq.write_table(table, web.folder / "t.parquet", row_group_size=10_000)
    (web.folder / "t.csv").write_bytes(csv(rows(20)))
    assert read(f"{web.address}/t.csv").equals(rows(20))
    web.requests.clear()
    assert read(f"{web.address}/t.parquet?token=secret").equals(table)
    assert (None in web.requests) is not ranges


def test_query_of_a_web_address_is_not_shown(web: WebFolder) -> None:
    pq.write_table(rows(20), web.folder / "t.parquet")
    address = f"{web.address}/t.parquet?token=secret"
    assert open_source(address).name == f"{web.address}/t.parquet"
    assert "secret" not in open_source([address, f"{web.address}/t.parquet?b"]).name
    with pytest.raises(UsageError, match="would be stored in the model"):
        aecli.train(rows(100), valid=address, epochs=1, model=web.folder / "m")


def test_web_files_that_cannot_be_read(web: WebFolder) -> None:
    assert "none.csv does not exist" in str(refusal(f"{web.address}/none.csv"))
    (web.folder / "page.csv").write_text("<!doctype html>sign in")
    assert "is an HTML page" in str(refusal(f"{web.address}/page.csv"))
    assert "Connection refused" in str(refusal("http://127.0.0.1:1/t.csv"))
    with pytest.raises(OutputError, match="addresses of web servers are only read"):
        aecli.train(rows(20), model=f"{web.address}/m")


def test_web_file_that_is_replaced_between_two_ranges(web: WebFolder) -> None:
    (web.folder / "t.bin").write_bytes(bytes(200_000))
    with location(f"{web.address}/t.bin").open_random() as file:
        assert file.read(10) == bytes(10)
        for other in (b"x" * 200_000, b"x" * 100_000, b"x"):
            (web.folder / "t.bin").write_bytes(other)
            file.seek(150_000)
            with pytest.raises(OSError, match="it was replaced while it was being read"):
                file.read(10)


def test_empty_web_file(web: WebFolder) -> None:
    (web.folder / "t.csv").write_bytes(b"")
    assert str(refusal(f"{web.address}/t.csv")) == f"{web.address}/t.csv is empty"


@pytest.mark.parametrize("failure", ["a lost connection", 429, 502, 503, 504])
def test_web_request_is_repeated(web: WebFolder, failure: int | str) -> None:
    (web.folder / "t.csv").write_bytes(csv(rows(20)))
    if isinstance(failure, int):
        web.refuse = lambda path: failure if len(web.paths) < 3 else 0
    else:
        web.dropped = 2
    assert read(f"{web.address}/t.csv").equals(rows(20))
    web.paths.clear()
    web.refuse, web.dropped = (lambda path: 503), 0
    assert "the server answers 503 Service Unavailable" in str(refusal(f"{web.address}/t.csv"))
    assert len(web.paths) == 3


@pytest.mark.parametrize("ranges", [True, False])
def test_web_answer_that_ends_too_early(web: WebFolder, ranges: bool) -> None:
    (web.folder / "t.csv").write_bytes(csv(rows(20)))
    web.cut, web.ranges = 9, ranges
    assert str(refusal(f"{web.address}/t.csv")).endswith("/t.csv: the connection was lost")


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (ssl.SSLError(1, "decryption failed"), "decryption failed"),
        (ssl.SSLCertVerificationError(1, "certificate has expired"), "certificate has expired"),
        (TimeoutError(), "no answer in time"),
        (http.client.IncompleteRead(b""), "the connection was lost"),
        (socket.gaierror(-2, "Name or service not known"), "Name or service not known"),
        (http.client.InvalidURL("x"), "its address is not valid"),
        (UnicodeError("label too long"), "its address is not valid"),
    ],
)
def test_failures_of_connections_become_reasons(error: Exception, reason: str) -> None:
    assert connection_error(error, "https://h/t.csv").strerror == reason


@pytest.mark.parametrize("target", ["/t.csv?token=secret", "file:///etc/passwd?token=secret\n"])
def test_web_redirect_that_is_not_followed(web: WebFolder, target: str) -> None:
    web.refuse, web.target = (lambda path: 302), target.strip()
    error = refusal(f"{web.address}/t.csv?token=secret")
    reason = "the server answers 302 Found, a redirect that is not followed"
    assert str(error) == f"cannot read {web.address}/t.csv: {reason}"
    assert "secret" not in "\n".join(error.lines())


def test_hints_show_what_can_be_looked_at(bucket: Bucket, web: WebFolder) -> None:
    assert refusal(f"{web.address}/none.csv").hint == f"curl -I {web.address}/none.csv"
    assert refusal(web.address).hint == f"curl -I {web.address}"
    bucket.put("t/notes.txt", b"x")
    assert refusal(f"{bucket.address}/t/").hint == f"aws s3 ls {bucket.address}/t"
    assert "its address is not valid" in str(refusal("http://ex ample/x"))


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("google::cloud::Status(PERMISSION_DENIED: x)", "access denied; credentials: HELP"),
        ("DefaultAzureCredential: Failed to get token", "access denied; credentials: HELP"),
        ("Azure: curlCode: 6, Could not resolve hostname", "Could not resolve hostname"),
        ("AWS Error UNKNOWN (HTTP status 301) PermanentRedirect", "in a region other than"),
        ("AWS Error NO_SUCH_BUCKET during ListObjectsV2", "its bucket does not exist"),
        ("AWS Error X: broken (Request ID: 1234)", "AWS Error X: broken"),
    ],
)
def test_errors_of_stores_become_reasons(text: str, reason: str) -> None:
    assert reason in str(remote_error(OSError(text), "s3://b/x", "HELP").strerror)


def test_azure_needs_an_account(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AZURE_STORAGE_ACCOUNT", raising=False)
    assert "AZURE_STORAGE_ACCOUNT is not set" in str(refusal("abfs://container/t.csv"))
    monkeypatch.setenv("AZURE_STORAGE_CONNECTION_STRING", "UseDevelopmentStorage=true")
    error = str(refusal("abfs://container/t.csv"))
    assert "no account in AZURE_STORAGE_CONNECTION_STRING" in error


KEY = "a2V5"  # base64

SERVERS = {
    "gs://bucket/t.csv": {"STORAGE_EMULATOR_HOST": "{address}"},
    "gs://bucket/u.csv": {"STORAGE_EMULATOR_HOST": "{host}"},
    "gs://bucket/v.csv": {"CLOUD_STORAGE_EMULATOR_ENDPOINT": "{address}"},
    "abfs://box@store.dfs.core.windows.net/t.csv": {
        "AZURE_STORAGE_CONNECTION_STRING": "DefaultEndpointsProtocol=http;AccountName=store;"
        f"AccountKey={KEY};BlobEndpoint={{address}}/store;"
    },
    "abfs://box/s.csv": {
        "AZURE_STORAGE_CONNECTION_STRING": "AccountName=store;"
        "SharedAccessSignature=sv=1&sig=SECRET;BlobEndpoint={address}/store"
    },
    "abfs://box/k.csv": {
        "AZURE_STORAGE_CONNECTION_STRING": "AccountName=store;BlobEndpoint={address}/store",
        "AZURE_STORAGE_KEY": KEY,
    },
    "abfs://box/t.csv": {
        "AZURE_STORAGE_CONNECTION_STRING": "AccountName=store;"
        f"AccountKey={KEY};BlobEndpoint={{address}}/store;DfsEndpoint={{address}}/store"
    },
}


@pytest.mark.parametrize("address", SERVERS)
def test_servers_that_the_variables_of_a_store_name_are_asked(
    web: WebFolder, monkeypatch: pytest.MonkeyPatch, address: str
) -> None:
    for name, text in SERVERS[address].items():
        host = web.address.removeprefix("http://")
        monkeypatch.setenv(name, text.format(address=web.address, host=host))
    error = str(refusal(address))
    assert "cannot read" in error or "does not exist" in error
    assert "SECRET" not in error
    assert web.paths[0].startswith("/storage/v1/b/bucket" if "gs:" in address else "/store/box")
    assert ("sig=SECRET" in web.paths[0]) == (address == "abfs://box/s.csv")
