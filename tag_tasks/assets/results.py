"""What a job found, as files: one of Parquet for each kind, in the folder of the job's result.

A page of them is read by the row groups that hold it alone. The files become the job's result before its point of no
return: whoever shows them shows those of jobs that have succeeded.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from tag_tasks.assets.found import Found, Kind
from tag_tasks.assets.rows import UNWRITABLE, Rows, file_name, rows_between
from tag_tasks.datasets.results import ResultFolder, StagedFile, TakenOver
from tag_tasks.storage import storage_errors
from tagapi.jobs.errors import JobError, TaskFailed
from tagapi.jobs.task import TaskContext

MARK = "attempt"  # the file that says whose the others are
APART = "apart"  # the folder of rows that are not published
UNREADABLE = "the result cannot be read"


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
        path = self._results.path(job_id, file_name(kind))
        return None if path is None else str(path)

    def there(self, job_id: str) -> bool:
        """Whether a result of the job is there at all."""
        return self._results.path(job_id, MARK) is not None

    @contextmanager
    def _opened(self, job_id: str, kind: Kind) -> Iterator[pq.ParquetFile | None]:
        with storage_errors(UNREADABLE):
            source = self._results.open(job_id, file_name(kind))
        if source is None:
            yield None
            return
        with source, storage_errors(UNREADABLE):
            yield pq.ParquetFile(source)


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


def _found(kind: Kind, rows: pa.Table) -> list[Found]:
    keys, facts = rows["key"].to_pylist(), rows["facts"].to_pylist()
    return [Found(kind=kind, key=key, facts=json.loads(told)) for key, told in zip(keys, facts, strict=True)]


def _by(published: Path) -> int:
    """By which attempt a result was published; 0 where that is not said."""
    try:
        return _epoch((published / MARK).read_text())
    except FileNotFoundError:
        return 0


def _epoch(attempt_name: str) -> int:
    return int(attempt_name.rpartition("-")[2])
