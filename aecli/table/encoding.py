"""Read text of any encoding as UTF-8, and locate invalid bytes."""

from __future__ import annotations

import codecs
import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa

from aecli.errors import DataError, UsageError
from aecli.formatting import shell_name
from aecli.table.formats import open_bytes

MAX_ROW_BYTES = 16 << 20
_TEXT_CHUNK = 1 << 20
_MARKS = {
    codecs.BOM_UTF32_LE: "utf-32",
    codecs.BOM_UTF32_BE: "utf-32",
    codecs.BOM_UTF16_LE: "utf-16",
    codecs.BOM_UTF16_BE: "utf-16",
}
_CONTROLS = bytes(set(range(32)) - set(b"\x01\t\n\v\f\r\x1b")) + b"\x7f"
_MAX_CONTROL_SHARE = 0.02
_UNDEFINED_IN_CP1252 = {0x81, 0x8D, 0x8F, 0x90, 0x9D}


def codec_name(encoding: str) -> str:
    """Return Python's canonical name of a text encoding.

    Raises:
        UsageError: the encoding is unknown.
    """
    try:
        codecs.lookup(encoding)
        "".encode(encoding)
    except (LookupError, ValueError) as error:
        raise UsageError(
            f"unknown encoding {encoding!r}", hint="--encoding latin-1, cp1252 or utf-16"
        ) from error
    return codecs.lookup(encoding).name


def bom_encoding(path: Path) -> str | None:
    """Return the encoding of a byte-order mark; None without one, or for UTF-8."""
    with open_bytes(path) as stream:
        head = stream.read(4)
    return next((name for mark, name in _MARKS.items() if head.startswith(mark)), None)


def open_text(path: Path, encoding: str) -> Any:
    """Open a text file as a stream of UTF-8 bytes, without byte-order marks."""
    stream = open_bytes(path)
    if encoding == "utf-8":
        # A wrapper would only slow down Arrow's own reading.
        marks = _count_marks(stream)
        stream.close()
        stream = open_bytes(path)
        stream.read(marks * len(codecs.BOM_UTF8))
        return stream
    return open_chunks(_utf8_chunks(stream, encoding), stream)


def open_chunks(chunks: Iterator[bytes], stream: Any) -> Any:
    """Return chunks as a stream for Arrow; closing it also closes their source `stream`."""
    return pa.PythonFile(ChunkStream(chunks, stream), mode="r")


class ChunkStream(io.RawIOBase):
    """Stream of bytes from chunks that are produced from another stream."""

    def __init__(self, chunks: Iterator[bytes], stream: Any) -> None:
        self._chunks = chunks
        self._stream = stream
        self._rest = b""

    def readable(self) -> bool:
        """Return True."""
        return True

    def read(self, size: int | None = -1) -> bytes:
        """Return up to `size` bytes, none at the end; everything for -1."""
        limit = -1 if size is None else size
        parts, length = [self._rest], len(self._rest)
        while limit < 0 or length < limit:
            chunk = next(self._chunks, None)
            if chunk is None:
                break
            parts.append(chunk)
            length += len(chunk)
        data = b"".join(parts)
        if limit < 0:
            limit = len(data)
        self._rest = data[limit:]
        return data[:limit]

    def close(self) -> None:
        """Close the source stream."""
        if not self.closed:
            self._stream.close()
        super().close()


def _utf8_chunks(stream: Any, encoding: str) -> Iterator[bytes]:
    decoder = codecs.getincrementaldecoder(encoding)("strict")
    started = False
    while chunk := stream.read(_TEXT_CHUNK):
        text = decoder.decode(chunk)
        if text and not started:
            text, started = text.lstrip("\ufeff"), True
        yield text.encode()
    yield decoder.decode(b"", final=True).encode()


def text_lines(stream: Any, name: str) -> Iterator[str]:
    """Yield the lines, with their line ends, of the UTF-8 stream of the table `name`.

    Raises:
        DataError: a line is too long for memory.
    """
    text = io.TextIOWrapper(io.BufferedReader(stream), encoding="utf-8", newline="")
    while line := text.readline(MAX_ROW_BYTES):
        if len(line) == MAX_ROW_BYTES:
            raise long_row_error(name)
        yield line


def long_row_error(name: str, subject: str = "a row") -> DataError:
    """Return the error of a row that is too long for memory."""
    return DataError(
        f"cannot read {name}: {subject} is longer than {MAX_ROW_BYTES >> 20} MB",
        hint="a line end after each row",
    )


def skip_bytes(stream: Any, count: int) -> None:
    """Skip the first bytes of a stream, whose `read` may return fewer bytes than requested."""
    while count > 0:
        count -= len(stream.read(count))


def without_cut_character(head: bytes) -> bytes:
    """Return UTF-8 text without an incomplete character at its end."""
    end = len(head)
    while end > len(head) - 4 and head[end - 1] & 0xC0 == 0x80:
        end -= 1
    return head[: end - 1] if head[end - 1] >= 0xC0 else head


def encoding_error(path: Path, name: str, encoding: str) -> DataError | None:
    """Return the error of the first byte that is invalid in `encoding`; None if all are valid."""
    decoder = codecs.getincrementaldecoder(encoding)("strict")
    offset, line = 0, 1
    with open_bytes(path) as stream:
        while True:
            chunk = stream.read(_TEXT_CHUNK)
            pending = len(decoder.getstate()[0])
            try:
                decoder.decode(chunk, final=not chunk)
            except UnicodeDecodeError as error:
                at = error.start - pending
                error_of_binary = binary_error(name, chunk)
                if error_of_binary is not None and not encoding.startswith(("utf-16", "utf-32")):
                    return error_of_binary
                line += chunk[: max(at, 0)].count(b"\n")
                bad = error.object[error.start : error.start + 1]
                return _not_encoded(name, encoding, bad, offset + at, line, chunk)
            if not chunk:
                return None
            line += chunk.count(b"\n")
            offset += len(chunk)


def binary_error(name: str, data: bytes) -> DataError | None:
    """Return an error if many bytes are control characters, which text does not have."""
    count = len(data) - len(data.translate(None, _CONTROLS))
    if count <= len(data) * _MAX_CONTROL_SHARE:
        return None
    # Every second byte of Latin letters in UTF-16 is a NUL.
    wide = 0.4 < data.count(0) / len(data) < 0.6
    return DataError(
        f"{name} is not a text table: {count / len(data):.0%} of it are control characters",
        facts=["aecli reads Parquet, CSV, Arrow, JSON Lines and workbooks such as .xlsx"],
        hint="--encoding utf-16-le" if wide else f"file {shell_name(name)}",
    )


def _not_encoded(
    name: str, encoding: str, bad: bytes, offset: int, line: int, chunk: bytes
) -> DataError:
    guess = "latin-1" if _UNDEFINED_IN_CP1252 & set(chunk) else "cp1252"
    if encoding != "utf-8":
        guess = "utf-8"
    return DataError(
        f"{name} is not {encoding.upper()} text: byte 0x{bad.hex()} in line {line:,}",
        facts=[f"byte {offset:,} of the file, from 0"],
        hint=f"--encoding {guess}",
    )


def _count_marks(stream: Any) -> int:
    """Return the number of byte-order marks at the start: concatenated files may have several."""
    count = 0
    while stream.read(len(codecs.BOM_UTF8)) == codecs.BOM_UTF8:
        count += 1
    return count
