"""What a job found, as files: one of Parquet for each kind, in the folder of the job's result.

Rows are written as they come, in the order of discovery, so that a job of any size needs the memory of a batch, and of
a digest for each thing that it has found. A page of them is read by the row groups that hold it alone. The files
become the job's result before its point of no return: whoever shows them shows those of jobs that have succeeded.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from tag_tasks.assets import found
from tag_tasks.assets.found import Found, Kind
from tag_tasks.datasets.results import ResultFolder, StagedFile, TakenOver
from tag_tasks.storage import storage_errors
from tagapi.jobs.errors import JobError, TaskFailed
from tagapi.jobs.task import TaskContext

SCHEMA = pa.schema([("key", pa.string()), ("facts", pa.string()), ("place", pa.int64()), ("asset", pa.bool_())])
"""`facts` is JSON, `place` counts the rows of a kind from 0, `asset` says whether a scope would keep the row."""
GROUP = 1000  # rows of a row group: what is in memory at once, or fewer where they are large
GROUP_BYTES = 4 * 1024 * 1024
MARK = "attempt"  # the file that says whose the others are
APART = "apart"  # the folder of rows that are not published
CONTENT_TYPE = "application/vnd.apache.parquet"
UNREADABLE, UNWRITABLE = "the result cannot be read", "the result cannot be written"


class FoundFiles:
    """The files of all jobs. Safe to use from many threads and processes."""

    def __init__(self, results: ResultFolder) -> None:
        self._results = results

    @contextmanager
    def writing(self, context: TaskContext) -> Iterator[Writer]:
        """Where an attempt writes what it finds; what it does not publish goes away at the end of the block.

        What earlier attempts of the job have left goes away first, published or not, and none of them can publish
        any more. Raises Transient where the disk hesitates, TaskFailed where it refuses for good.
        """
        epoch = _epoch(context.attempt_name)
        with self._results.stage(context.attempt_name) as folder:
            self._results.withdraw(context.job_id, lambda published: _by(published) < epoch)
            writer = Writer(self._results, folder, context.attempt_name, context.job_id)
            try:
                yield writer
            finally:
                with suppress(OSError, pa.ArrowException, JobError):  # whatever happened is told
                    writer.close()

    def page(self, job_id: str, kinds: Sequence[Kind], offset: int, limit: int) -> tuple[int, Sequence[Found]]:
        """How many rows of these kinds there are, and so many of them from the offset on, one kind after the other."""
        total, rows = 0, list[Found]()
        for kind in kinds:
            with self._opened(job_id, kind) as file:
                count = 0 if file is None else file.metadata.num_rows
                if file is not None and len(rows) < limit and offset < total + count:
                    first = max(offset - total, 0)
                    rows += _found(kind, rows_between(file, first, first + limit - len(rows), ["key", "facts"]))
                total += count
        return total, rows

    def groups(self, job_id: str, kind: Kind) -> Iterator[pa.Table]:
        """All rows of a kind, so many at a time, in order."""
        with self._opened(job_id, kind) as file:
            if file is not None:
                for group in range(file.num_row_groups):
                    yield file.read_row_group(group)

    def rows(self, job_id: str, kind: Kind) -> str | None:
        """Where Spark reads the rows of a kind; None where there are none."""
        path = self._results.path(job_id, _name(kind))
        return None if path is None else str(path)

    def there(self, job_id: str) -> bool:
        """Whether a result of the job is there at all."""
        return self._results.path(job_id, MARK) is not None

    @contextmanager
    def _opened(self, job_id: str, kind: Kind) -> Iterator[pq.ParquetFile | None]:
        with storage_errors(UNREADABLE):
            source = self._results.open(job_id, _name(kind))
        if source is None:
            yield None
            return
        with source, storage_errors(UNREADABLE):
            yield pq.ParquetFile(source)


class Rows:
    """Rows in files of a folder, while they are written. To be used by one thread at a time."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._seen: set[bytes] = set()
        """Digests of the kinds and keys."""
        self._files: dict[Kind, _KindFile] = {}

    def take(self, row: Found) -> bool:
        """Keep a row; answers whether it is new. Of two with the same kind and key the first one stays."""
        key = clean(row.key)
        digest = hashlib.blake2b(f"{row.kind} {key}".encode(), digest_size=16).digest()
        if digest in self._seen:
            return False
        self._seen.add(digest)
        if (file := self._files.get(row.kind)) is None:
            with self._here():
                file = self._files[row.kind] = _KindFile(self._folder / _name(row.kind))
        file.add(key, facts_text(row.facts), is_asset(row))
        return True

    def counts(self) -> Mapping[str, int]:
        """How many rows there are of each kind, in the order of the kinds; those without are left out."""
        rows = Counter({kind: file.rows for kind, file in self._files.items()})
        return {kind.value: rows[kind] for kind in Kind if rows[kind]}

    def close(self, sync: bool = False) -> None:
        """No row comes any more; `sync` has what came on disk."""
        with self._here():
            for file in self._files.values():
                file.close(sync)

    def groups(self, kind: Kind) -> Iterator[pa.Table]:
        """All rows of a kind, so many at a time, in order: once the files are closed."""
        path = self._folder / _name(kind)
        if path.exists():
            with pq.ParquetFile(path) as file:
                for group in range(file.num_row_groups):
                    yield file.read_row_group(group)

    @contextmanager
    def _here(self) -> Iterator[None]:
        with storage_errors(UNWRITABLE):
            yield


class Writer(Rows):
    """An attempt's files, which become the job's result."""

    def __init__(self, results: ResultFolder, folder: Path, attempt_name: str, job_id: str) -> None:
        super().__init__(folder)
        self._results = results
        self._attempt_name = attempt_name
        self._job_id = job_id

    @contextmanager
    def apart(self) -> Iterator[Rows]:
        """Rows that are not to be published: gone at the end of the block or, where the process dies, with what else
        the attempt has written."""
        folder = self._folder / APART
        with self._here():
            folder.mkdir()
        rows = Rows(folder)
        try:
            yield rows
        finally:
            with suppress(OSError, pa.ArrowException, JobError):  # whatever happened is told
                rows.close()
            shutil.rmtree(folder, ignore_errors=True)

    def publish(self) -> None:
        """Make the files the job's result: after the last row, and before the job's point of no return.

        Raises TakenOver where another attempt has begun meanwhile.
        """
        with self._here():
            with StagedFile(self._folder / MARK, "text/plain") as mark:
                mark.write(self._attempt_name.encode())
            mark.sync()
        self.close(sync=True)
        self._results.publish(self._attempt_name, self._job_id)

    @contextmanager
    def _here(self) -> Iterator[None]:
        """Raises TakenOver where the folder is gone: who has begun meanwhile took it away."""
        try:
            with storage_errors(UNWRITABLE):
                yield
        except TaskFailed:
            if not self._folder.exists():
                raise TakenOver from None
            raise


class _KindFile:
    """The file of a kind."""

    def __init__(self, path: Path) -> None:
        self.rows = 0
        self._size = 0
        self._waiting: list[tuple[str, str, int, bool]] = []
        self._target = StagedFile(path, CONTENT_TYPE)
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
    return row.kind is not Kind.PAGES and row.facts.get("check") not in (found.REFUSED, found.SKIPPED)


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


def _found(kind: Kind, rows: pa.Table) -> list[Found]:
    keys, facts = rows["key"].to_pylist(), rows["facts"].to_pylist()
    return [Found(kind=kind, key=key, facts=json.loads(told)) for key, told in zip(keys, facts, strict=True)]


def _name(kind: Kind) -> str:
    return f"{kind.value}.parquet"


def _by(published: Path) -> int:
    """By which attempt a result was published; 0 where that is not said."""
    try:
        return _epoch((published / MARK).read_text())
    except FileNotFoundError:
        return 0


def _epoch(attempt_name: str) -> int:
    return int(attempt_name.rpartition("-")[2])
