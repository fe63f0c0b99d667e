"""Records of finished files in an output folder, its manifest, and its mark of completeness."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from aecli.atomic_files import output_error, write_file
from aecli.errors import UsageError
from aecli.inference.folder.shards import Shard
from aecli.json_lines import to_json_lines
from aecli.regular_files import sha256_of

RECORDS = "_shards"
MANIFEST = "_manifest.json"
SUCCESS = "_SUCCESS"
MANIFEST_SCHEMA = "aecli.manifest/1"


@dataclass(frozen=True)
class ShardRecord:
    """Finished file of an output folder: what it was made of, and the result of its command.

    `model` is the digest of the model, `settings` are the options that change the output.
    """

    input: str
    size: int
    modified: int
    output: str
    bytes: int
    sha256: str
    rows: int
    model: str
    settings: Mapping[str, Any]
    result: Mapping[str, Any]
    etag: str = ""


class FolderRecords:
    """Records of the files in an output folder that one model wrote with the same settings.

    Each record is a file of its own, written after its output, so that processes on several
    machines need no lock; whichever ends last finds all of them.
    """

    def __init__(self, folder: Path, model: str, settings: Mapping[str, Any]) -> None:
        self._folder = folder
        self._model = model
        self._settings = json.loads(json.dumps(settings))

    def create(self) -> None:
        """Create the folder.

        Raises:
            OutputError: it cannot be created.
        """
        with self._writing():
            (self._folder / RECORDS).mkdir(parents=True, exist_ok=True)

    def find(self, shard: Shard) -> ShardRecord | None:
        """Return the record of a file if its output is complete, and its input the same."""
        record = self._read(shard)
        if record is None or (record.model, record.settings) != (self._model, self._settings):
            return None
        same = (record.size, record.modified, record.etag) == (
            shard.size, shard.modified, shard.etag,
        )  # fmt: skip
        return record if same and _size(shard.output) == record.bytes else None

    def finished(self, every: Sequence[Shard], part: Sequence[Shard]) -> dict[str, ShardRecord]:
        """Return the records of the finished files of a part, by name.

        Raises:
            UsageError: a file of the folder was written by another model, or with other settings.
        """
        for record in filter(None, map(self._read, every)):
            other = self._difference(record)
            if other is not None:
                raise UsageError(
                    f"--resume: {self._folder / record.output} was written by another command",
                    facts=[other],
                    hint="-o with another folder; without --resume every file is written again",
                )
        records = {shard.name: self.find(shard) for shard in part}
        return {name: record for name, record in records.items() if record is not None}

    def _difference(self, record: ShardRecord) -> str | None:
        """Return how another command differs from this one, None if it does not."""
        if record.model != self._model:
            return f"its model was {record.model[:12]}, this one is {self._model[:12]}"
        for name in {**self._settings, **record.settings}:
            before, now = record.settings.get(name), self._settings.get(name)
            if before != now:
                return f"{name} was {before}, now it is {now}"
        return None

    def forget(self, shards: Sequence[Shard]) -> None:
        """Remove the records of files that are about to be written, and the manifest.

        Raises:
            OutputError: they cannot be removed.
        """
        marks = [self._folder / name for name in (SUCCESS, MANIFEST)] if shards else []
        with self._writing():
            for path in [*marks, *map(self._path, shards)]:
                path.unlink(missing_ok=True)

    def add(self, shard: Shard, rows: int, result: Mapping[str, Any]) -> None:
        """Record a file that was written completely.

        Raises:
            OutputError: the record cannot be written.
        """
        with self._writing():
            digest = sha256_of(shard.output)
        record = ShardRecord(
            input=shard.name, size=shard.size, modified=shard.modified,
            etag=shard.etag,
            output=str(shard.output.relative_to(self._folder)), bytes=_size(shard.output),
            sha256=digest, rows=rows, model=self._model, settings=self._settings,
            result=result,
        )  # fmt: skip
        write_file(self._path(shard), to_json_lines([asdict(record)]), commits=False)

    def complete(self, shards: Sequence[Shard]) -> bool:
        """Write the manifest and `_SUCCESS` if every file is finished; return whether it is.

        Files of an earlier run whose input no longer exists are removed.

        Raises:
            OutputError: the manifest cannot be written.
        """
        records = [self.find(shard) for shard in shards]
        if None in records:
            return False
        with self._writing():
            self._remove_others(shards)
        columns = ("input", "output", "rows", "bytes", "sha256", "model")
        finished = [{name: getattr(record, name) for name in columns} for record in records]
        manifest = {
            "schema": MANIFEST_SCHEMA, "model": self._model, "settings": self._settings,
            "rows": sum(record.rows for record in records if record), "files": finished,
        }  # fmt: skip
        content = json.dumps(manifest, ensure_ascii=False, indent=1) + "\n"
        write_file(self._folder / MANIFEST, content.encode(), commits=False)
        write_file(self._folder / SUCCESS, b"")
        return True

    def _remove_others(self, shards: Sequence[Shard]) -> None:
        expected = {self._path(shard).name for shard in shards}
        for path in (self._folder / RECORDS).iterdir():
            other = path.suffix == ".json" and path.name not in expected
            record = _parse(path) if other else None
            if record is not None:
                (self._folder / record.output).unlink(missing_ok=True)
                path.unlink(missing_ok=True)

    @contextmanager
    def _writing(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise output_error(self._folder, error) from error

    def _path(self, shard: Shard) -> Path:
        name = str(shard.output.relative_to(self._folder))
        return self._folder / RECORDS / f"{hashlib.sha256(os.fsencode(name)).hexdigest()[:32]}.json"

    def _read(self, shard: Shard) -> ShardRecord | None:
        return _parse(self._path(shard))


def _parse(path: Path) -> ShardRecord | None:
    """Return the record in a file; None if it is missing or damaged."""
    try:
        return ShardRecord(**json.loads(path.read_bytes()))
    except (OSError, ValueError, TypeError):
        return None


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return -1
