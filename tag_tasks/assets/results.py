"""What a job found, as files: one of Parquet for each kind, in the folder of the job's result.

A page of them is read by the row groups that hold it alone. The files become the job's result before its point of no
return: whoever shows them shows those of jobs that have succeeded.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress

import pyarrow as pa
import pyarrow.parquet as pq

from tag_tasks.assets.found import Found, Kind
from tag_tasks.assets.rows import Rows, file_name, rows_between
from tag_tasks.datasets.results import UNREADABLE, Published, ResultFolder, Staged, TakenOver
from tag_tasks.storage import storage_errors
from tagapi.jobs.errors import JobError, TaskFailed
from tagapi.jobs.task import TaskContext

APART = "apart-"  # begins the names of files that are not published


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
        with self._results.stage(context.attempt_name) as staged:
            self._results.withdraw(context.job_id, _epoch(context.attempt_name))
            writer = Writer(staged)
            try:
                yield writer
            finally:
                with suppress(OSError, pa.ArrowException, JobError):  # whatever happened is told
                    writer.close()

    def page(self, job_id: str, kinds: Sequence[Kind], offset: int, limit: int) -> tuple[int, Sequence[Found]]:
        """How many rows of these kinds there are, and so many of them from the offset on, one kind after the other."""
        total, rows = 0, list[Found]()
        published = self._results.published(job_id)
        for kind in kinds if published is not None else ():
            with _opened(published, kind) as file:
                count = 0 if file is None else file.metadata.num_rows
                if file is not None and len(rows) < limit and offset < total + count:
                    first = max(offset - total, 0)
                    rows += _found(kind, rows_between(file, first, first + limit - len(rows), ["key", "facts"]))
                total += count
        return total, rows

    def groups(self, job_id: str, kind: Kind) -> Iterator[pa.Table]:
        """All rows of a kind, so many at a time, in order."""
        with _opened(self._results.published(job_id), kind) as file:
            if file is not None:
                for group in range(file.num_row_groups):
                    yield file.read_row_group(group)

    def there(self, job_id: str) -> bool:
        """Whether a result of the job is there at all."""
        return self._results.published(job_id) is not None


class Writer(Rows):
    """An attempt's files, which become the job's result."""

    def __init__(self, staged: Staged) -> None:
        super().__init__(staged.folder, f"{staged.path}/")
        self._staged = staged

    @contextmanager
    def apart(self) -> Iterator[Rows]:
        """Rows that are not to be published: gone at the end of the block or, where the process dies, with what else
        the attempt has written."""
        rows = Rows(self._staged.folder, f"{self._staged.path}/{APART}")
        try:
            yield rows
        finally:
            with suppress(OSError, pa.ArrowException, JobError):  # whatever happened is told
                rows.close()
            rows.remove()

    def publish(self) -> None:
        """Make the files the job's result: after the last row, and before the job's point of no return.

        Raises TakenOver where another attempt has begun meanwhile.
        """
        self.close(sync=True)
        self._staged.publish()

    @contextmanager
    def _here(self) -> Iterator[None]:
        """Raises TakenOver where it was that which took the files away."""
        try:
            with super()._here():
                yield
        except TaskFailed:
            if self._staged.shut_out():
                raise TakenOver from None
            raise


@contextmanager
def _opened(published: Published | None, kind: Kind) -> Iterator[pq.ParquetFile | None]:
    source = None if published is None else published.open(file_name(kind))
    if source is None:
        yield None
        return
    with source, storage_errors(UNREADABLE):
        yield pq.ParquetFile(source)


def _found(kind: Kind, rows: pa.Table) -> list[Found]:
    keys, facts = rows["key"].to_pylist(), rows["facts"].to_pylist()
    return [Found(kind=kind, key=key, facts=json.loads(told)) for key, told in zip(keys, facts, strict=True)]


def _epoch(attempt_name: str) -> int:
    return int(attempt_name.rpartition("-")[2])
