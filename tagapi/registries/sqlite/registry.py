"""Jobs in a SQLite file: one machine, nothing to install, on disk before anything is acknowledged.

Every process of the machine may share the file.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import apsw

from tagapi.jobs import changes
from tagapi.jobs.errors import JobNotFound
from tagapi.jobs.lists import Bounds, ListKey, Page, moves, waiting
from tagapi.jobs.model import DEFAULT_LANE, Job, Request
from tagapi.jobs.registry import Changed, IdempotencyKey, JobRegistry
from tagapi.registries.availability import Availability
from tagapi.registries.codec import Decoded, dump_moving, dump_request, from_micros, micros, places
from tagapi.registries.sqlite import lists
from tagapi.registries.sqlite.outbox import SqliteOutbox
from tagapi.registries.sqlite.schedules import SqliteSchedules
from tagapi.registries.sqlite.tables import make_tables
from tagapi.registries.sqlite.writer import GroupWriter

Answer = TypeVar("Answer")

BUSY_MILLISECONDS = 800  # for another process to commit; then the store counts as away
LOG_KEPT = 64 * 1024 * 1024  # bytes of the write-ahead log that stay on disk for the next use
# One statement, as `tables.py` says why. The number is the one that the table would give.
BEFORE_ADMISSION = f"""SELECT coalesce(
    (SELECT number FROM keys WHERE owner = ? AND route = ? AND value = ?), (SELECT number FROM jobs WHERE id = ?)
  ), coalesce((SELECT seq FROM sqlite_sequence WHERE name = 'jobs'), 0) + 1, {lists.TOTAL}, {lists.TOTAL}
"""
NEXT_DUE = "SELECT id FROM jobs WHERE lane = ? AND due <= ? ORDER BY due, number LIMIT 1"
CHANGED_UPTO = "SELECT coalesce((SELECT seq FROM sqlite_sequence WHERE name = 'changes'), 0)"
SWAP = """UPDATE jobs SET version = ?, moving = ?, due = ?, finished = ?, leased = ?
  WHERE number = ? AND id = ? AND version = ? AND (SELECT generation FROM webhooks_generation) = ?
"""
ADMIT = "INSERT INTO admitted VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"


class SqliteRegistry(JobRegistry):
    """One file, in WAL mode: readers never wait. A writer thread commits, each commit synced to disk."""

    outbox: SqliteOutbox

    def __init__(self, path: str) -> None:
        self._path = Path(path)
        self._available = Availability("sqlite", apsw.Error, OSError)
        # A disk that is full, or another process that holds the file, stops nobody from reading.
        self._writable = Availability("sqlite, to write", apsw.Error, OSError)
        self._decoded = Decoded()
        self._idle: list[apsw.Connection] = []
        self._writer = GroupWriter(self._connect_to_write)
        self._made = False  # the file is not known to have its tables
        self.schedules = SqliteSchedules(
            lambda: self.now(), self.get_all, self._reading_one_moment, self._write, self._begun
        )
        self.outbox = SqliteOutbox(lambda: self.now(), self._reading_one_moment, self._write)

    @property
    def errors(self) -> int:
        return self._available.errors + self._writable.errors

    def check(self) -> None:
        self._available.check(self.queued)

    def close(self) -> None:
        self._writer.close()
        while self._idle:
            self._idle.pop().close()

    def _connect(self) -> apsw.Connection:
        connection = apsw.Connection(str(self._path))
        connection.set_busy_timeout(BUSY_MILLISECONDS)
        return connection

    def _connect_to_write(self) -> apsw.Connection:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        connection = self._connect()
        try:
            connection.pragma("synchronous", "full")
            connection.pragma("journal_size_limit", LOG_KEPT)
            make_tables(connection)
        except BaseException:
            connection.close(True)
            raise
        return connection

    @contextmanager
    def _reading(self) -> Iterator[apsw.Connection]:
        """A connection to read from. One that failed is not used again."""
        with self._available.asked():
            if not self._made:  # by the writer, so that nobody reads a file without tables
                self._writer.write(lambda _: None)
                self._made = True
            try:
                connection = self._idle.pop()
            except IndexError:
                connection = self._connect()
            try:
                yield connection
            except BaseException:
                connection.close(True)
                raise
            self._idle.append(connection)

    @contextmanager
    def _reading_one_moment(self) -> Iterator[apsw.Connection]:
        """The same, for several statements that must not see what is written between them."""
        with self._reading() as db:
            db.execute("BEGIN")
            yield db
            db.execute("COMMIT")

    def _write(self, step: Callable[[apsw.Connection], Answer]) -> Answer:
        with self._writable.asked():
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
            job_id = db.execute("SELECT id FROM jobs WHERE number = ?", (number,)).get
        if job_id is None:
            raise JobNotFound(job_id=number)
        return str(job_id)

    def _jobs(self, db: apsw.Connection, column: str, values: Sequence[str | int]) -> list[Job]:
        """The jobs that have one of these values in a column; without those forgotten meanwhile."""
        marks = ", ".join("?" * len(values))
        rows: list[Any] = db.execute(
            f"SELECT number, id, version, moving FROM jobs WHERE {column} IN ({marks})", values
        ).fetchall()
        requests = {row[0]: self._decoded.request(row[1]) for row in rows}
        if missing := [number for number, request in requests.items() if request is None]:
            marks = ", ".join("?" * len(missing))
            stored: list[Any] = db.execute(
                f"SELECT number, request FROM requests WHERE number IN ({marks})", missing
            ).fetchall()
            ids = {row[0]: row[1] for row in rows}
            requests |= {number: self._decoded.load_request(ids[number], request) for number, request in stored}
        known = ((requests[number], number, version, moving) for number, _, version, moving in rows)
        return [self._decoded.load_job(request, *moving) for request, *moving in known if request is not None]

    def _admit(self, request: Request, bounds: Bounds, key: IdempotencyKey | None) -> tuple[Job, bool]:
        stored = dump_request(request)
        return self._write(partial(self._admitted, request=request, stored=stored, bounds=bounds, key=key))

    def _admitted(
        self, db: apsw.Connection, request: Request, stored: bytes, bounds: Bounds, key: IdempotencyKey | None
    ) -> tuple[Job, bool]:
        totals = (lists.digests(waiting(None, request.lane)), lists.digests(waiting(request.owner, request.lane)))
        known, number, queued, of_owner = db.execute(BEFORE_ADMISSION, (*_columns(key), request.job_id, *totals)).get
        if known is not None:
            (job,) = self._jobs(db, "number", [known])
            return job, job.id != request.job_id
        self._check_bounds(queued, of_owner, request.owner, bounds)
        job = changes.accept(request, self.now(), number)
        db.execute(ADMIT, admission(job, stored, key))
        return job, False

    def _begun(self, db: apsw.Connection, run: Request, bounds: Bounds) -> Job:
        """A run of a schedule, admitted in the transaction that moves the schedule on."""
        return self._admitted(db, run, dump_request(run), bounds, None)[0]

    def _swap(self, before: Job, after: Job) -> bool:
        columns = (after.version, dump_moving(after), *places(after), before.number, before.id, before.version)

        def swapped(db: apsw.Connection) -> bool:
            while True:
                known = self.outbox.known
                db.execute(SWAP, (*columns, known.generation))
                if db.changes():
                    lists.move(db, before, after)
                    self.outbox.put(db, known.deliveries(before, after))
                    return True
                if not self.outbox.learn(db):
                    return False

        return self._write(swapped)

    def forget(self, job_ids: Iterable[str]) -> None:
        def forgotten(db: apsw.Connection) -> None:
            for job in self._jobs(db, "id", list(job_ids)):
                if job.finished:
                    lists.move(db, job, None)
                    db.execute("DELETE FROM jobs WHERE number = ?", (job.number,))

        self._write(forgotten)

    # -- many jobs -------------------------------------------------------------------------

    def _next_due(self, now: datetime, lane: str) -> str | None:
        with self._reading() as db:
            first: str | None = db.execute(NEXT_DUE, (lane, micros(now))).get
        return first

    def next_due_at(self, lane: str = DEFAULT_LANE) -> datetime | None:
        with self._reading() as db:
            first = db.execute("SELECT min(due) FROM jobs WHERE lane = ? AND due IS NOT NULL", (lane,)).get
        return None if first is None else from_micros(first)

    def changed(self, after: str | None, limit: int = 1000) -> Changed:
        with self._reading_one_moment() as db:
            last = int(db.execute(CHANGED_UPTO).get)
            if after is None or int(after) >= last:
                return Changed(upto=str(last), job_ids=())
            first, found = (
                db.execute("SELECT min(seq) FROM changes").get,
                db.execute(
                    "SELECT seq, jobs.id FROM changes LEFT JOIN jobs USING (number) WHERE seq > ? ORDER BY seq LIMIT ?",
                    (int(after), limit),
                ).fetchall(),
            )
        ids = list(dict.fromkeys(job_id for _, job_id in reversed(found) if job_id is not None))[::-1]
        upto = found[-1][0] if found else last
        return Changed(upto=str(upto), job_ids=ids, gap=first is None or int(after) + 1 < first)

    def _page(self, wanted: Sequence[ListKey], before: int | None, offset: int, limit: int, first: int = 0) -> Page:
        with self._reading_one_moment() as db:
            total, numbers = lists.page(db, wanted, before, offset, limit, first)
            found = {job.number: job for job in self._jobs(db, "number", numbers)}
        return Page(jobs=[found[number] for number in numbers], total=total)

    def _above(self, wanted: Sequence[ListKey], after: int, limit: int) -> Sequence[int]:
        with self._reading() as db:
            return lists.above(db, wanted, after, limit)

    def active(self) -> Sequence[Job]:
        with self._reading_one_moment() as db:
            leased: list[Any] = db.execute("SELECT number FROM jobs WHERE leased = 1").fetchall()
            return self._jobs(db, "number", [number for (number,) in leased])

    def queued(self) -> int:
        with self._reading() as db:
            return int(db.execute(f"SELECT {lists.TOTAL}", (lists.digests(waiting(None)),)).get)

    def finished_before(self, moment: datetime, limit: int, lane: str = DEFAULT_LANE) -> Sequence[str]:
        with self._reading() as db:
            old = db.execute(
                "SELECT id FROM jobs WHERE lane = ? AND finished < ? ORDER BY finished, number LIMIT ?",
                (lane, micros(moment), limit),
            )
            return [job_id for (job_id,) in old]

    # -- the store -------------------------------------------------------------------------

    def lock(self, name: str, holder: str, seconds: float) -> bool:
        now = micros(self.now())

        def locked(db: apsw.Connection) -> bool:
            db.execute("DELETE FROM locks WHERE until <= ?", (now,))
            db.execute(
                "INSERT INTO locks VALUES (?, ?, ?) ON CONFLICT (name) DO UPDATE SET holder = excluded.holder,"
                " until = excluded.until WHERE holder = excluded.holder OR until <= ?",
                (name, holder, now + int(seconds * 1_000_000), now),
            )
            return bool(db.changes())

        return self._write(locked)

    def describe(self) -> Mapping[str, Any]:
        with self._reading():  # it is there
            return {"kind": "sqlite", "durable": "yes: every commit is synced to disk"}


def admission(job: Job, request: bytes, key: IdempotencyKey | None) -> tuple[Any, ...]:
    """A new job as ADMIT takes it."""
    entered = lists.digests(moves(None, job).entered)
    stored = (job.number, job.id, job.version, dump_moving(job), *places(job), job.lane)
    return (*stored, request, entered, *_columns(key))


def _columns(key: IdempotencyKey | None) -> tuple[str | None, ...]:
    return (None, None, None) if key is None else (key.owner, key.route, key.value)
