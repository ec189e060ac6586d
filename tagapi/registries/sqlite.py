"""Jobs in a SQLite file: one machine, nothing to install, on disk before anything is acknowledged.

Every process of the machine may share the file.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from tagapi.jobs import changes
from tagapi.jobs.errors import JobNotFound
from tagapi.jobs.model import Job, JobState, Request
from tagapi.jobs.registry import Bounds, IdempotencyKey, JobRegistry, Listing, Page
from tagapi.registries import sqlite_lists as lists
from tagapi.registries.codec import Requests, dump_moving, dump_request, from_micros, load_job, micros, places
from tagapi.registries.reach import Reach
from tagapi.registries.sqlite_tables import make_tables
from tagapi.registries.sqlite_writer import GroupWriter

Answer = TypeVar("Answer")

BUSY_SECONDS = 0.8  # for another process to commit; then the store counts as away
LOG_KEPT = 64 * 1024 * 1024  # bytes of the write-ahead log that stay on disk for the next use
ROW = "jobs.number, jobs.id, jobs.version, jobs.moving"


class SqliteRegistry(JobRegistry):
    """One file, in WAL mode: readers never wait. A writer thread commits, each commit synced to disk."""

    def __init__(self, path: str) -> None:
        self._path = Path(path)
        self._reach = Reach("sqlite", sqlite3.Error, OSError)
        self._requests = Requests()
        self._idle: list[sqlite3.Connection] = []
        self._writer = GroupWriter(self._connect_to_write)
        self._made = False
        """The file is known to have its tables."""

    def check(self) -> None:
        self._reach.check()

    def close(self) -> None:
        self._writer.close()
        while self._idle:
            self._idle.pop().close()

    def _connect(self) -> sqlite3.Connection:
        return sqlite3.connect(
            self._path, timeout=BUSY_SECONDS, isolation_level=None, check_same_thread=False, cached_statements=256
        )

    def _connect_to_write(self) -> sqlite3.Connection:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        connection = self._connect()
        try:
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute("PRAGMA synchronous = FULL")
            connection.execute(f"PRAGMA journal_size_limit = {LOG_KEPT}")
            make_tables(connection)
        except BaseException:
            connection.close()
            raise
        return connection

    @contextmanager
    def _reading(self) -> Iterator[sqlite3.Connection]:
        """A connection that sees one moment of the file. One that failed is not used again."""
        with self._reach():
            if not self._made:  # by the writer, so that nobody reads a file without tables
                self._writer.write(lambda _: None)
                self._made = True
            connection = self._idle.pop() if self._idle else self._connect()
            try:
                connection.execute("BEGIN")
                yield connection
                connection.execute("COMMIT")
            except BaseException:
                connection.close()
                raise
            self._idle.append(connection)

    def _write(self, step: Callable[[sqlite3.Connection], Answer]) -> Answer:
        with self._reach():
            return self._writer.write(step)

    # -- one job ---------------------------------------------------------------------------

    def now(self) -> datetime:
        return datetime.now(UTC)

    def get(self, job_id: str) -> Job:
        if found := self.get_all([job_id]):
            return found[0]
        raise JobNotFound(job_id=job_id)

    def get_all(self, job_ids: Sequence[str]) -> Sequence[Job]:
        with self._reading() as db:
            return [job for job_id in job_ids if (job := self._job_with(db, "jobs.id = ?", job_id)) is not None]

    def id_of(self, number: int) -> str:
        with self._reading() as db:
            found = db.execute("SELECT id FROM jobs WHERE number = ?", (number,)).fetchone()
        if found is None:
            raise JobNotFound(job_id=number)
        return str(found[0])

    def _job_with(self, db: sqlite3.Connection, condition: str, *values: Any) -> Job | None:
        row = db.execute(f"SELECT {ROW} FROM jobs WHERE {condition}", values).fetchone()  # noqa: S608 (our own words)
        return None if row is None else self._job(db, row)

    def _job(self, db: sqlite3.Connection, row: tuple[int, str, int, bytes]) -> Job:
        number, job_id, version, moving = row
        request = self._requests.get(job_id)
        if request is None:
            (stored,) = db.execute("SELECT request FROM requests WHERE number = ?", (number,)).fetchone()
            request = self._requests.load(job_id, stored)
        return load_job(request, number, version, moving)

    def _admit(self, request: Request, bounds: Bounds, key: IdempotencyKey | None) -> tuple[Job, bool]:
        return self._write(partial(self._admitted, request=request, bounds=bounds, key=key))

    def _admitted(
        self, db: sqlite3.Connection, request: Request, bounds: Bounds, key: IdempotencyKey | None
    ) -> tuple[Job, bool]:
        by_key = "jobs.number = (SELECT number FROM keys WHERE owner = ? AND route = ? AND value = ?)"
        if key is not None and (known := self._job_with(db, by_key, key.owner, key.route, key.value)):
            return known, known.id != request.job_id
        if known := self._job_with(db, "jobs.id = ?", request.job_id):
            return known, False
        self._check_bounds(_queued(db), _queued(db, request.owner), request.owner, bounds)
        job = changes.accept(request, self.now())
        columns = (job.id, job.version, dump_moving(job), *places(job))
        inserted = db.execute(
            "INSERT INTO jobs (id, version, moving, due, finished, leased) VALUES (?, ?, ?, ?, ?, ?)", columns
        )
        job = changes.accept(request, job.submitted_at, inserted.lastrowid or 0)
        db.execute("INSERT INTO requests VALUES (?, ?)", (job.number, dump_request(request)))
        if key is not None:
            db.execute("INSERT INTO keys VALUES (?, ?, ?, ?)", (key.owner, key.route, key.value, job.number))
        lists.place(db, None, job)
        return job, False

    def _swap(self, before: Job, after: Job) -> bool:
        columns = (after.version, dump_moving(after), *places(after), before.number, before.id, before.version)

        def swapped(db: sqlite3.Connection) -> bool:
            written = db.execute(
                "UPDATE jobs SET version = ?, moving = ?, due = ?, finished = ?, leased = ?"
                " WHERE number = ? AND id = ? AND version = ?",
                columns,
            )
            if written.rowcount:
                lists.place(db, before, after)
            return bool(written.rowcount)

        return self._write(swapped)

    def forget(self, job_ids: Iterable[str]) -> None:
        wanted = list(job_ids)

        def forgotten(db: sqlite3.Connection) -> None:
            for job_id in wanted:
                job = self._job_with(db, "jobs.id = ?", job_id)
                if job is not None and job.finished:
                    lists.place(db, job, None)
                    for table in ("jobs", "requests", "keys"):
                        db.execute(f"DELETE FROM {table} WHERE number = ?", (job.number,))  # noqa: S608

        self._write(forgotten)

    # -- many jobs -------------------------------------------------------------------------

    def _next_due(self, now: datetime) -> str | None:
        with self._reading() as db:
            first = db.execute("SELECT id FROM jobs WHERE due <= ? ORDER BY due, number LIMIT 1", (micros(now),))
            found = first.fetchone()
        return None if found is None else str(found[0])

    def next_due_at(self) -> datetime | None:
        with self._reading() as db:
            (first,) = db.execute("SELECT min(due) FROM jobs WHERE due IS NOT NULL").fetchone()
        return None if first is None else from_micros(first)

    def _page(self, wanted: Sequence[Listing], before: int | None, offset: int, limit: int) -> Page:
        with self._reading() as db:
            total, numbers = lists.page(db, wanted, before, offset, limit)
            jobs = [self._job_with(db, "jobs.number = ?", number) for number in numbers]
        return Page(jobs=[job for job in jobs if job is not None], total=total)

    def active(self) -> Sequence[Job]:
        with self._reading() as db:
            return [self._job(db, row) for row in db.execute(f"SELECT {ROW} FROM jobs WHERE leased = 1").fetchall()]  # noqa: S608

    def queued(self) -> int:
        with self._reading() as db:
            return _queued(db)

    def finished_before(self, moment: datetime, limit: int) -> Sequence[str]:
        with self._reading() as db:
            old = db.execute(
                "SELECT id FROM jobs WHERE finished < ? ORDER BY finished, number LIMIT ?", (micros(moment), limit)
            )
            return [job_id for (job_id,) in old]

    # -- the store -------------------------------------------------------------------------

    def hold(self, name: str, holder: str, seconds: float) -> bool:
        now = micros(self.now())
        until = now + int(seconds * 1_000_000)

        def held(db: sqlite3.Connection) -> bool:
            taken = db.execute(
                "INSERT INTO held VALUES (?, ?, ?) ON CONFLICT (name) DO UPDATE SET holder = excluded.holder,"
                " until = excluded.until WHERE holder = excluded.holder OR until <= ?",
                (name, holder, until, now),
            )
            return bool(taken.rowcount)

        return self._write(held)

    def describe(self) -> Mapping[str, Any]:
        with self._reading():  # it is there
            return {"kind": "sqlite", "durable": "yes: every commit is synced to disk"}


def _queued(db: sqlite3.Connection, owner: str | None = None) -> int:
    return lists.total(db, [Listing(None, owner, state, None) for state in (JobState.QUEUED, JobState.WAITING)])
