"""Change a few bytes of a file, as disks, networks and strangers do."""

from __future__ import annotations

import io
import random
import struct
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

import pyarrow as pa

from tests.reliability.valid_files import gzipped, zstd

_HUGE = (2**15, 2**24, 2**30, 2**31 - 1, 2**31, 2**33, 2**40, 2**61, 2**62, 2**63 - 1, 2**64 - 1)
_RUN = 100_000

Mutation: TypeAlias = Callable[[bytearray, bytes, random.Random], bytes]
"""Function that changes the bytes of a file; the second argument is another valid file."""


@dataclass(frozen=True)
class Mutated:
    """Mutated file: its name, the kind of the mutation and the bytes."""

    name: str
    kind: str
    content: bytes


def mutated_file(files: dict[str, bytes], name: str, rng: random.Random) -> Mutated:
    """Return the file `name` with one mutation, inside of its compression half of the time."""
    kind = rng.choice(list(MUTATIONS))
    other = files[rng.choice(_alike(files, name))]
    unpack = _UNPACK.get(name.rpartition(".")[2])

    def change(content: bytes) -> bytes:
        return MUTATIONS[kind](bytearray(content), other, rng)

    content = files[name]
    if unpack is not None and rng.random() < 0.6:
        return Mutated(name, f"{kind} inside", unpack(content, change, rng))
    return Mutated(name, kind, change(content))


def _alike(files: dict[str, bytes], name: str) -> list[str]:
    """Return the names of files in the same format, else of all files."""
    ending = name.rpartition(".")[2]
    same = [other for other in files if other != name and other.endswith(ending)]
    return same or [other for other in files if other != name]


def _position(content: bytes, rng: random.Random) -> int:
    """Return a position, half of the time near either end, where lengths and offsets are."""
    size = len(content)
    near = min(size, 600)
    start = rng.choice([0, 0, size - near, max(0, size - 4 * near)])
    return min(size - 1, start + rng.randrange(near)) if rng.random() < 0.5 else rng.randrange(size)


def _flip(content: bytearray, other: bytes, rng: random.Random) -> bytes:
    for _ in range(rng.choice([1, 1, 2, 8])):
        content[_position(content, rng)] ^= 1 << rng.randrange(8)
    return bytes(content)


def _overwrite(content: bytearray, other: bytes, rng: random.Random) -> bytes:
    at, size = _position(content, rng), rng.choice([1, 2, 4, 8, 16, 64])
    filler = rng.choice([b"\0" * size, b"\xff" * size, rng.randbytes(size)])
    content[at : at + size] = filler[: len(content) - at]
    return bytes(content)


def _truncate(content: bytearray, other: bytes, rng: random.Random) -> bytes:
    at = max(1, _position(content, rng))
    if rng.random() < 0.5:
        return bytes(content[:at])
    del content[at : at + rng.choice([1, 8, 64, 512])]
    return bytes(content)


def _duplicate(content: bytearray, other: bytes, rng: random.Random) -> bytes:
    source, at = _position(content, rng), _position(content, rng)
    block = content[source : source + rng.choice([8, 64, 512, len(content)])]
    kept = at if rng.random() < 0.5 else at + len(block)
    return bytes(content[:at] + block + content[kept:])


def _huge_length(content: bytearray, other: bytes, rng: random.Random) -> bytes:
    """Overwrite by a large number: 4 or 8 bytes at a multiple of 4, or of variable length."""
    at, value = _position(content, rng), rng.choice(_HUGE)
    shape = rng.choice(["int32", "int64", "varint", "varint"])
    if shape == "varint":
        number = _varint(value)
    else:
        at -= at % 4
        number = struct.pack("<Q", value)[: 4 if shape == "int32" else 8]
    content[at : at + len(number)] = number
    return bytes(content)


def _huge_list(content: bytearray, other: bytes, rng: random.Random) -> bytes:
    """Let a list in a footer of Parquet claim a million items."""
    if content[-4:] != b"PAR1":
        return bytes(content)
    start = len(content) - 8 - int.from_bytes(content[-8:-4], "little")
    lists = [at for at in range(start, len(content) - 8) if content[at - 1] % 16 == 9]
    at = rng.choice(lists)
    kind = bytes([content[at] | 0xF0])
    footer = content[start:at] + kind + _varint(rng.choice([499_999, 2**30])) + content[at + 1 : -8]
    return bytes(content[:start] + footer + struct.pack("<I", len(footer)) + b"PAR1")


def _varint(value: int) -> bytes:
    """Return a number in the variable length of Thrift, zigzag as its signed ones."""
    value = (value << 1) & (2**64 - 1)
    groups = []
    while value > 127:
        groups.append(value & 127 | 128)
        value >>= 7
    return bytes([*groups, value])


def _long_run(content: bytearray, other: bytes, rng: random.Random) -> bytes:
    """Insert one short piece very often."""
    at = _position(content, rng)
    piece = rng.choice([b"[", b"{", b'"', b".", b",", b"\n", b"9", b"a", b"\0", b"&a ", b"\xff"])
    return bytes(content[:at] + piece * _RUN + content[at:])


def _splice(content: bytearray, other: bytes, rng: random.Random) -> bytes:
    head, tail = (bytes(content), other) if rng.random() < 0.5 else (other, bytes(content))
    return head[: _position(head, rng)] + tail[_position(tail, rng) :]


MUTATIONS: dict[str, Mutation] = {
    "flipped bits": _flip,
    "overwritten bytes": _overwrite,
    "cut": _truncate,
    "duplicated block": _duplicate,
    "huge length": _huge_length,
    "huge list": _huge_list,
    "long run": _long_run,
    "spliced": _splice,
}

Change: TypeAlias = Callable[[bytes], bytes]


def _inside_gzip(content: bytes, change: Change, rng: random.Random) -> bytes:
    with pa.CompressedInputStream(pa.BufferReader(content), "gzip") as stream:
        return gzipped(change(stream.read()))


def _inside_zstd(content: bytes, change: Change, rng: random.Random) -> bytes:
    with pa.CompressedInputStream(pa.BufferReader(content), "zstd") as stream:
        return zstd(change(stream.read()))


def _inside_zip(content: bytes, change: Change, rng: random.Random) -> bytes:
    """Change one part of a workbook; the sheet and its texts as often as all others."""
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        parts = {name: archive.read(name) for name in archive.namelist()}
    cells = [name for name in parts if "sheet1" in name or "sharedStrings" in name]
    chosen = rng.choice(cells if rng.random() < 0.5 else list(parts))
    parts[chosen] = change(parts[chosen])
    sink = io.BytesIO()
    with zipfile.ZipFile(sink, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, part in parts.items():
            archive.writestr(name, part)
    return sink.getvalue()


_UNPACK: dict[str, Callable[[bytes, Change, random.Random], bytes]] = {
    "gz": _inside_gzip,
    "zst": _inside_zstd,
    "xlsx": _inside_zip,
}
