"""Rows of what was found, in files of Parquet: one for each kind, written as the rows come, in the order of discovery.

A job of any size needs the memory of a batch, and of a digest for each thing that it has found.
"""

from __future__ import annotations

import errno
import hashlib
import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from tag_tasks.assets import found
from tag_tasks.assets.found import Found, Kind
from tag_tasks.datasets.results import UNWRITABLE
from tag_tasks.datasets.staged import StagedFile
from tag_tasks.folders import Folder
from tag_tasks.storage import storage_errors

SCHEMA = pa.schema([("key", pa.string()), ("facts", pa.string()), ("place", pa.int64()), ("asset", pa.bool_())])
"""`facts` is JSON, `place` counts the rows of a kind from 0, `asset` says whether a scope would keep the row."""
GROUP = 1000  # rows of a row group: what is in memory at once, or fewer where they are large
GROUP_BYTES = 4 * 1024 * 1024
CONTENT_TYPE = "application/vnd.apache.parquet"


class Rows:
    """Rows in files of a folder, one for each kind, while they are written. To be used by one thread at a time."""

    def __init__(self, folder: Folder, path: str) -> None:
        """`path` begins the names of its files in the folder."""
        self._folder = folder
        self._path = path
        self._seen: set[bytes] = set()
        """Digests of the kinds and keys."""
        self._files: dict[Kind, _KindFile] = {}
        self._counts: Counter[str] = Counter()

    def take(self, row: Found) -> bool:
        """Keep a row; answers whether it is new. Of two with the same kind and key the first one stays."""
        key = clean(row.key)
        digest = hashlib.blake2b(f"{row.kind} {key}".encode(), digest_size=16).digest()
        if digest in self._seen:
            return False
        self._seen.add(digest)
        if (file := self._files.get(row.kind)) is None:
            with self._here():
                file = self._files[row.kind] = _KindFile(StagedFile(self._folder, self._name(row.kind), CONTENT_TYPE))
        file.add(key, facts_text(row.facts), is_asset(row))
        self._counts[row.facts["check"] if not_done(row) else row.kind.value] += 1
        return True

    def counts(self) -> Mapping[str, int]:
        """How many rows there are of each kind, in the order of the kinds; of what the job did not do, of each check.
        Those without are left out."""
        return {what: self._counts[what] for what in (*Kind, found.REFUSED, found.SKIPPED) if self._counts[what]}

    def close(self, sync: bool = False) -> None:
        """No row comes any more; `sync` has what came on disk."""
        with self._here():
            for file in self._files.values():
                file.close(sync)

    def groups(self, kind: Kind) -> Iterator[pa.Table]:
        """All rows of a kind, so many at a time, in order: once the files are closed."""
        if kind not in self._files:
            return
        with self._here():
            source = self._folder.open(self._name(kind))
            if source is None:
                raise FileNotFoundError(errno.ENOENT, "rows that were kept apart are gone")
        with source, pq.ParquetFile(source) as file:
            for group in range(file.num_row_groups):
                yield file.read_row_group(group)

    def remove(self) -> None:
        """What was written goes away, as far as the storage lets it."""
        with suppress(OSError):
            for kind in self._files:
                self._folder.remove(self._name(kind))

    def _name(self, kind: Kind) -> str:
        return f"{self._path}{file_name(kind)}"

    @contextmanager
    def _here(self) -> Iterator[None]:
        with storage_errors(UNWRITABLE):
            yield


class _KindFile:
    """The file of a kind."""

    def __init__(self, target: StagedFile) -> None:
        self.rows = 0
        self._size = 0
        self._waiting: list[tuple[str, str, int, bool]] = []
        self._target = target
        self._writer = pq.ParquetWriter(self._target, SCHEMA, compression="zstd", use_dictionary=False)

    def add(self, key: str, facts: str, asset: bool) -> None:
        self._waiting.append((key, facts, self.rows, asset))
        self.rows += 1
        self._size += len(key) + len(facts)
        if len(self._waiting) >= GROUP or self._size >= GROUP_BYTES:
            self._flush()

    def _flush(self) -> None:
        with storage_errors(UNWRITABLE):
            self._writer.write_table(_table(self._waiting), row_group_size=len(self._waiting))
        self._waiting, self._size = [], 0

    def close(self, sync: bool = False) -> None:
        if self._target.closed:
            return
        try:
            if sync and self._waiting:
                self._flush()
            self._writer.close()
        finally:
            self._target.close()
        if sync:
            self._target.sync()


def rows_table(rows: Sequence[Found]) -> pa.Table:
    """Rows that are in no file yet, as the files have them. There is at least one, and none twice."""
    texts = ((clean(row.key), facts_text(row.facts), is_asset(row)) for row in rows)
    return _table([(key, facts, place, asset) for place, (key, facts, asset) in enumerate(texts)])


def _table(rows: Sequence[tuple[str, str, int, bool]]) -> pa.Table:
    given = zip(zip(*rows, strict=True), SCHEMA, strict=True)
    return pa.table([pa.array(column, one.type) for column, one in given], SCHEMA)


def is_asset(row: Found) -> bool:
    """Whether a scope would keep it: what a job did not do is no asset, nor is a page."""
    return row.kind is not Kind.PAGES and not not_done(row)


def not_done(row: Found) -> bool:
    """Whether it is no weakness, but says what a job did not do."""
    return row.facts.get("check") in (found.REFUSED, found.SKIPPED)


def facts_text(facts: Mapping[str, Any]) -> str:
    """As JSON, the same for the same facts."""
    return clean(json.dumps(facts, ensure_ascii=False, sort_keys=True, separators=(",", ":")))


def clean(text: str) -> str:
    """The text, as any other program can read it: halves of characters, which a hostile page may hold, are none."""
    return text.encode("utf-8", "replace").decode()


def rows_between(file: pq.ParquetFile, first: int, last: int, columns: Sequence[str]) -> pa.Table:
    """The rows from `first` to before `last`, by the row groups that hold them alone."""
    wanted, before, skipped = [], 0, 0
    for group in range(file.num_row_groups):
        rows = file.metadata.row_group(group).num_rows
        if before + rows <= first:
            skipped += rows
        elif before < last:
            wanted.append(group)
        before += rows
    return file.read_row_groups(wanted, columns=list(columns)).slice(first - skipped, last - first)


def file_name(kind: Kind) -> str:
    return f"{kind.value}.parquet"
