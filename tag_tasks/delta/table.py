"""A Delta table that jobs change, each by one commit.

Spark or Arrow writes Parquet files into a folder of the attempt's own; a commit then says which files
come and which go, on top of exactly the version that was read. Readers never see half a job, and any
Spark server will do. A commit carries the job's id, so that it can be asked whether it happened.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any, TypeVar

import pyarrow as pa
from deltalake import DeltaTable, Transaction
from deltalake.transaction import AddAction, RemoveAction

from tag_tasks.bounded import BoundedThreads
from tag_tasks.delta import commits, files
from tag_tasks.delta.files import DataFile
from tag_tasks.delta.handle import TableHandle
from tag_tasks.folders.arrow import file_system
from tag_tasks.storage import answered
from tagapi.jobs.errors import Contended, TaskFailed, Transient

log = logging.getLogger(__name__)

Answer = TypeVar("Answer")

SECONDS = 60.0  # for which somebody waits for the storage: a commit takes a hundredth of one
VACUUM_SECONDS = 1800.0  # since listing a large table takes long; nobody but upkeep waits for it
ALONE_WITHIN = 120.0  # seconds that a writer waits for another one of its process
THREADS = 64  # for what the storage is asked for; a job's three tags are asked for at once


class JobTable:
    """The table as this process has it. Safe to use from many threads."""

    named = "table"
    """What people are told of, when it cannot be used."""
    schema: pa.Schema
    partition_by: Sequence[str] = ()

    def __init__(self, path: str, seconds: float = SECONDS) -> None:
        """`path` is a folder, absolute, or a URI that both Spark and Arrow can write.

        `seconds` is for how long anything that the storage is asked for may take.
        """
        self.path = path
        self._files, self._root = file_system(path)
        self._threads = BoundedThreads("table", THREADS, seconds)
        self._vacuuming = BoundedThreads("vacuum", 1, VACUUM_SECONDS)
        self._unusable, self._unwritable = (f"the {self.named} cannot be {done}" for done in ("used", "written"))
        self._handle = TableHandle(lambda: self._open(), self._threads, self._unusable)
        self._writing = threading.RLock()
        """Held from the check for conflicts to the commit, so that jobs of one process do not collide."""

    def _open(self) -> DeltaTable:
        return commits.opened(self.path, self.schema, self.partition_by)

    def use(self, work: Callable[[DeltaTable], Answer], fresh: bool = True) -> Answer:
        """The answer of work on the open table, at its newest version unless told otherwise.

        It is made where it does not exist. Raises Transient where the storage hangs or hesitates.
        """
        return self._handle.use(work, fresh)

    def uri(self, file: DataFile) -> str:
        """Where Spark reads the file."""
        return f"{self.path}/{file.path}"

    # -- staging ---------------------------------------------------------------------------

    def write_file(self, folder: str, rows: pa.Table, **how: Any) -> DataFile:
        """Write one file into a staging folder, relative to the table; `how` is for `pyarrow.parquet.write_table`."""
        return answered(self._threads, lambda: self._write(folder, rows, how), self._unwritable)

    def _write(self, folder: str, rows: pa.Table, how: Mapping[str, Any]) -> DataFile:
        return files.write(self._files, self._root, f"{folder}/part-{time.monotonic_ns()}.parquet", rows, **how)

    def staged_files(self, folder: str) -> tuple[DataFile, ...]:
        """The files that Spark wrote into a staging folder, those without rows left out."""
        return answered(self._threads, lambda: self._staged(folder), self._unwritable)

    def _staged(self, folder: str) -> tuple[DataFile, ...]:
        return files.found(self._files, self._root, folder)

    def discard_folders(self, folders: Iterable[str]) -> None:
        """Remove what an attempt staged and did not commit. What cannot be removed is left to the vacuum."""

        def discard() -> None:
            for folder in folders:
                files.remove_folder(self._files, self._root, folder)

        try:
            answered(self._threads, discard, self._unwritable)
        except (Transient, TaskFailed) as error:
            log.warning("staging_not_cleared", extra={"table": self.named, "error": str(error)})

    # -- writing ---------------------------------------------------------------------------

    @contextmanager
    def writing(self, check: Callable[[], None]) -> Iterator[None]:
        """Be the only writer of this process. `check` is called while waiting, and may raise.

        That only spares conflicts, which are found in any case: nobody waits for ever for one who hangs.
        """
        until = time.monotonic() + ALONE_WITHIN
        while not (alone := self._writing.acquire(timeout=0.1)):
            check()
            if time.monotonic() >= until:
                log.warning("writer_not_waited_for")
                break
        try:
            yield
        finally:
            if alone:
                self._writing.release()

    def commit_on(
        self,
        version: int,
        job_id: str,
        actions: Sequence[AddAction | RemoveAction],
        metadata: Mapping[str, Any],
        transactions: Sequence[Transaction] = (),
        step: int = 1,
    ) -> int:
        """Commit for a job, or one of its steps, on top of exactly `version`; answers with the new version.

        Raises Contended where another was faster: then this commit is not there, and never will be.
        """
        own = commits.of_job(job_id, int(time.time() * 1000), step)

        def commit(table: DeltaTable) -> int:
            if table.version() != version:
                raise Contended(reason=commits.FASTER)
            try:
                commits.commit(table, actions, {"job_id": job_id, **metadata}, [own, *transactions])
            except Contended:
                table.update_incremental()
                if commits.steps(table, job_id) != step:
                    raise
            return version + 1

        return self.use(commit, fresh=False)

    def find_commit(self, job_id: str) -> bool:
        """Whether the job's commit is in the table, having made sure that it cannot get there later."""
        while True:
            try:
                return self.use(partial(_fenced, job_id=job_id))
            except Contended:
                continue  # somebody else's commit is as good a fence; look at it

    def vacuum(self, retention_hours: float) -> None:
        """Remove files that no version within the retention needs, staged ones that were left behind among them."""
        answered(self._vacuuming, lambda: self._vacuum(retention_hours), self._unusable)

    def _vacuum(self, retention_hours: float) -> None:
        commits.vacuum(self.path, retention_hours)


def _fenced(table: DeltaTable, job_id: str) -> bool:
    return commits.fenced(table, job_id)
