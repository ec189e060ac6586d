"""The cleaned tables: Delta tables that one job at a time replaces as a whole.

Spark writes Parquet into a folder of the attempt's own below the table; delta-rs puts the
files into the table by one commit, which carries the job's id. Whoever finds that commit
there leaves the table alone, so that a commit may be asked for as often as one likes. A table
takes the columns of what replaces it; whether it can be replaced at all is asked beforehand.
"""

from __future__ import annotations

import random
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import datetime
from functools import partial
from typing import Any

import pyarrow as pa
from deltalake import DeltaTable, Schema, Transaction
from deltalake.exceptions import CommitFailedError
from pyarrow.fs import FileSelector, FileType
from pyspark.sql import DataFrame, SparkSession

from tag_tasks.bounded import BoundedThreads
from tag_tasks.delta import commits, files
from tag_tasks.delta.files import DataFile
from tag_tasks.delta.table import SECONDS, VACUUM_SECONDS
from tag_tasks.folders.arrow import file_system
from tag_tasks.spark.stream import arrow_schema
from tag_tasks.storage import answered, storage_errors
from tagapi.jobs.errors import Contended, TaskFailed, Transient

MARK = "cleaned"
"""The transaction that says when the job was submitted whose rows the table has."""

COMMITS_TRIED = 50  # while other jobs replace the same table: each try is a hundredth of a second
PAUSE = 0.05  # seconds at most between two tries
THREADS = 16  # for what the storage is asked for: some cleanups at once

PLAIN_WRITER = 2
"""The version of Delta's protocol for writers, above which a table may have features that are not written here."""

FEATURES = frozenset({"appendOnly", "invariants", "timestampNtz"})
"""Of those that a newer table names, the ones that a whole overwrite leaves true."""

PLAIN_PARQUET = {"encoding": "plain", "dictionary_enabled": "true"}
"""The embedded server's own choice is made for text alone; a Spark that has no such options ignores them."""


@dataclass(frozen=True, slots=True)
class Staged:
    """What a commit is to put into one table: enough to do it later, in another process."""

    table: str
    schema: str
    """As Delta writes it."""

    parts: Sequence[DataFile]

    @property
    def rows(self) -> int:
        return sum(part.rows for part in self.parts)

    def to_json(self) -> Mapping[str, Any]:
        return asdict(self)

    @classmethod
    def from_json(cls, told: Mapping[str, Any]) -> Staged:
        return cls(told["table"], told["schema"], tuple(DataFile(**part) for part in told["parts"]))


class CleanedTables:
    """All of them, `<folder>/<table>`. Safe to use from many threads."""

    def __init__(self, folder: str, seconds: float = SECONDS) -> None:
        """`folder` is absolute, or a URI that Spark, Arrow and delta-rs can write.

        `seconds` is for how long a look at a table, or a commit, may take. One that comes later than that may
        still happen, unless another was made meanwhile; it carries its job's id, so that it happens once.
        """
        self._folder = folder
        self._files, self._root = file_system(folder)
        self._threads = BoundedThreads("cleaned", THREADS, seconds)
        self._vacuuming = BoundedThreads("vacuum", 1, VACUUM_SECONDS)

    @contextmanager
    def fixed(self, session: SparkSession, table: str, rows: DataFrame, attempt_name: str) -> Iterator[DataFrame]:
        """The rows as they are now, however often they are read: written once, and gone at the end.

        So what is kept and what is removed are of one moment, and what leads there is computed once.
        """
        name = f"{attempt_name}-all"
        try:
            self._write(table, rows, name)
            yield session.read.schema(rows.schema).parquet(f"{self._folder}/{table}/{name}")
        finally:
            self.discard(table, name)

    def stage(self, table: str, rows: DataFrame, attempt_name: str) -> Staged:
        """Have Spark write the rows for the table, without anybody seeing them there."""
        self._write(table, rows, attempt_name)
        with storage_errors(f"the cleaned table {table} cannot be written"):
            parts = files.found(self._files, f"{self._root}/{table}", attempt_name)
            return Staged(table, _delta_schema(rows), parts)

    def discard(self, table: str, attempt_name: str) -> None:
        """Remove what an attempt staged and did not commit; what cannot be removed is left to the vacuum."""
        try:
            files.remove_folder(self._files, f"{self._root}/{table}", attempt_name)
        except OSError:
            return

    def check(self, staged: Staged) -> None:
        """Raise TaskFailed where the table is one that `commit` cannot replace; one that is not there yet, it makes."""
        path = f"{self._folder}/{staged.table}"

        def look() -> str | None:
            return _problem(DeltaTable(path)) if DeltaTable.is_deltatable(path) else None

        if problem := answered(self._threads, look, _unusable(staged)):
            raise TaskFailed(reason=f"the cleaned table {staged.table} {problem}: it cannot be replaced")

    def commit(self, staged: Staged, job_id: str, submitted_at: datetime) -> None:
        """Make the staged rows all that the table has, unless this job, or one submitted later, has done so."""
        commit = partial(self._committed, staged, job_id, submitted_at)
        for _ in range(COMMITS_TRIED):
            if answered(self._threads, commit, _unusable(staged)):
                return
            time.sleep(random.uniform(0, PAUSE))
        # Not Contended, which says that nothing was committed: other tables of the same plan may be.
        raise Transient(reason=f"the cleaned table {staged.table} was replaced by others again and again")

    def vacuum(self, retention_hours: float) -> None:
        """Remove files that no version within the retention needs, staged ones that were left behind among them."""
        for info in self._files.get_file_info(FileSelector(self._root, allow_not_found=True)):
            if info.type == FileType.Directory:
                vacuum = partial(commits.vacuum, f"{self._folder}/{info.base_name}", retention_hours)
                answered(self._vacuuming, vacuum, f"the cleaned table {info.base_name} cannot be vacuumed")

    def _write(self, table: str, rows: DataFrame, name: str) -> None:
        rows.write.mode("overwrite").options(**PLAIN_PARQUET).parquet(f"{self._folder}/{table}/{name}")

    def _committed(self, staged: Staged, job_id: str, submitted_at: datetime) -> bool:
        """Look at the newest version, and commit on exactly that one; False where somebody else was faster."""
        now, mark = int(time.time() * 1000), round(submitted_at.timestamp() * 1_000_000)
        parts = [files.adding(part, None, {}, now) for part in staged.parts]
        transactions = [commits.of_job(job_id, now), Transaction(MARK, mark)]
        schema, path = Schema.from_json(staged.schema), f"{self._folder}/{staged.table}"
        try:
            table = commits.opened(path, schema)
            newest = table.transaction_version(MARK)
            if not commits.has(table, job_id) and (newest is None or newest <= mark):
                self._check_parts(staged)
                commits.commit(table, parts, {"job_id": job_id}, transactions, mode="overwrite", schema=schema)
        except (CommitFailedError, Contended):
            return False
        return True

    def _check_parts(self, staged: Staged) -> None:
        """Raise TaskFailed where a file is gone: a table that names it could be read by nobody."""
        found = self._files.get_file_info([f"{self._root}/{staged.table}/{part.path}" for part in staged.parts])
        if any(info.type != FileType.File for info in found):
            raise TaskFailed(reason=f"what was staged for the cleaned table {staged.table} is gone")


def _unusable(staged: Staged) -> str:
    return f"the cleaned table {staged.table} cannot be used"


def _problem(table: DeltaTable) -> str | None:
    """Why a whole overwrite would be refused, or would break what the table promises: somebody else has made it so."""
    facts, protocol = table.metadata(), table.protocol()
    named = {*(protocol.writer_features or ()), *(protocol.reader_features or ())}
    if facts.partition_columns:
        return "is partitioned"
    if facts.configuration.get("delta.appendOnly") == "true":
        return "is append-only"
    if named - FEATURES or (protocol.min_writer_version > PLAIN_WRITER and not named):
        return "has features that the cleanup does not write"
    return None


def _delta_schema(rows: DataFrame) -> str:
    """Every column may be null: whether Spark can prove that it is not, differs from plan to plan."""
    fields = [field.with_nullable(True) for field in arrow_schema(rows)]
    return str(Schema.from_arrow(pa.schema(fields)).to_json())
