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
from tagapi.jobs.lists import Listing, Page, waiting
from tagapi.jobs.model import Job, Request
from tagapi.jobs.registry import Bounds, IdempotencyKey, JobRegistry
from tagapi.registries import sqlite_lists as lists
from tagapi.registries.codec import Requests, dump_moving, dump_request, from_micros, load_job, micros, places
from tagapi.registries.reach import Reach
from tagapi.registries.sqlite_tables import make_tables
from tagapi.registries.sqlite_writer import GroupWriter

Answer = TypeVar("Answer")

BUSY_SECONDS = 0.8  # for another process to commit; then the store counts as away
LOG_KEPT = 64 * 1024 * 1024  # bytes of the write-ahead log that stay on disk for the next use
BY_KEY = "SELECT number FROM keys WHERE owner = ? AND route = ? AND value = ?"


class SqliteRegistry(JobRegistry):
    """One file, in WAL mode: readers never wait. A writer thread commits, each commit synced to disk."""

    def __init__(self, path: str) -> None:
        self._path = Path(path)
        self._reach = Reach("sqlite", sqlite3.Error, OSError)
        # A disk that is full, or another process that holds the file, stops nobody from reading.
        self._reach_to_write = Reach("sqlite, to write", sqlite3.Error, OSError)
        self._requests = Requests()
        self._idle: list[sqlite3.Connection] = []
        self._writer = GroupWriter(self._connect_to_write)
        self._made = False
        """The file is known to have its tables."""

    def check(self) -> None:
        self._reach.check(self.queued)

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
        """A connection to read from. One that failed is not used again."""
        with self._reach():
            if not self._made:  # by the writer, so that nobody reads a file without tables
                self._writer.write(lambda _: None)
                self._made = True
            connection = self._idle.pop() if self._idle else self._connect()
            try:
                yield connection
            except BaseException:
                connection.close()
                raise
            self._idle.append(connection)

    @contextmanager
    def _reading_one_moment(self) -> Iterator[sqlite3.Connection]:
        """The same, for several statements that must not see what is written between them."""
        with self._reading() as db:
            db.execute("BEGIN")
            yield db
            db.execute("COMMIT")

    def _write(self, step: Callable[[sqlite3.Connection], Answer]) -> Answer:
        with self._reach_to_write():
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
            found = {job.id: job for job in self._jobs(db, "id", job_ids)}
        return [found[job_id] for job_id in job_ids if job_id in found]

    def id_of(self, number: int) -> str:
        with self._reading() as db:
            found = db.execute("SELECT id FROM jobs WHERE number = ?", (number,)).fetchone()
        if found is None:
            raise JobNotFound(job_id=number)
        return str(found[0])

    def _jobs(self, db: sqlite3.Connection, column: str, values: Sequence[str | int]) -> list[Job]:
        """The jobs that have one of these values in a column; without those forgotten meanwhile."""
        marks = ", ".join("?" * len(values))
        rows = db.execute(
            f"SELECT number, id, version, moving FROM jobs WHERE {column} IN ({marks})", values
        ).fetchall()
        requests = {row[0]: self._requests.get(row[1]) for row in rows}
        if missing := [number for number, request in requests.items() if request is None]:
            marks = ", ".join("?" * len(missing))
            stored = db.execute(f"SELECT number, request FROM requests WHERE number IN ({marks})", missing).fetchall()
            ids = {row[0]: row[1] for row in rows}
            requests |= {number: self._requests.load(ids[number], request) for number, request in stored}
        known = ((requests[number], number, version, moving) for number, _, version, moving in rows)
        return [load_job(request, *moving) for request, *moving in known if request is not None]

    def _admit(self, request: Request, bounds: Bounds, key: IdempotencyKey | None) -> tuple[Job, bool]:
        return self._write(partial(self._admitted, request=request, bounds=bounds, key=key))

    def _admitted(
        self, db: sqlite3.Connection, request: Request, bounds: Bounds, key: IdempotencyKey | None
    ) -> tuple[Job, bool]:
        if key is not None and (used := db.execute(BY_KEY, (key.owner, key.route, key.value)).fetchone()):
            (known,) = self._jobs(db, "number", used)
            return known, known.id != request.job_id
        if same := self._jobs(db, "id", [request.job_id]):
            return same[0], False
        queued, of_owner = lists.totals(db, waiting(None), waiting(request.owner))
        self._check_bounds(queued, of_owner, request.owner, bounds)
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
            for job in self._jobs(db, "id", wanted):
                if job.finished:
                    lists.place(db, job, None)
                    for table in ("jobs", "requests", "keys"):
                        db.execute(f"DELETE FROM {table} WHERE number = ?", (job.number,))

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
        with self._reading_one_moment() as db:
            total, numbers = lists.page(db, wanted, before, offset, limit)
            found = {job.number: job for job in self._jobs(db, "number", numbers)}
        return Page(jobs=[found[number] for number in numbers], total=total)

    def active(self) -> Sequence[Job]:
        with self._reading_one_moment() as db:
            leased = db.execute("SELECT number FROM jobs WHERE leased = 1").fetchall()
            return self._jobs(db, "number", [number for (number,) in leased])

    def queued(self) -> int:
        with self._reading() as db:
            return lists.totals(db, waiting(None))[0]

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
