"""What a job found goes into the assets of its scope: what is new there and, where wanted, what changed.

What was found is staged where Spark can read it before anything is compared, so that a scope which is busy, or Spark,
costs no second scan as long as the attempt lasts. `scanning.Tending` is the task that does both.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import chain

import pyarrow as pa
from pyspark.sql import DataFrame, SparkSession

from tag_tasks.assets import known
from tag_tasks.assets.found import Found, Kind
from tag_tasks.assets.results import Writer
from tag_tasks.assets.table import MOST_FILES, ROWS, AssetFile, Assets, AssetTable, Place, staging
from tag_tasks.spark.session import Spark
from tag_tasks.spark.stream import arrow_pieces
from tagapi.jobs.errors import Busy, Contended, StoreUnavailable
from tagapi.jobs.model import Job, Json
from tagapi.jobs.task import TaskContext

PIECE = 1000  # rows in memory at once, and of a row group
HELD_FOR = 300.0  # seconds that a scope is held: many times what it takes to compare and to commit
WAITED_FOR = 3600.0  # seconds that a scope is waited for, with the result of a scan in hand
ASKED_AGAIN = 0.5  # seconds


@dataclass(frozen=True, kw_only=True, slots=True)
class Into:
    """Rows of a kind, and where they go."""

    kind: Kind
    scope_id: str
    rows: str | None
    """A Parquet file as `FoundFiles` has them; None where nothing was found."""
    owner: str | None = None
    """Whose they are, and are new to, where they belong to no scope."""
    changed: bool = False
    """Known rows get the facts that were found now. Not of rows with an owner."""
    gone: bool = False
    """Known rows that were not found are marked as gone: of a job that has looked for all of them, with `changed`."""

    @property
    def place(self) -> Place:
        return Place(self.kind, self.scope_id)


@dataclass(slots=True)
class Stored:
    """What a job's commit does, by kind; kinds without are left out."""

    new: dict[str, int] = field(default_factory=dict)
    changed: dict[str, int] = field(default_factory=dict)
    gone: dict[str, int] = field(default_factory=dict)


class AssetStore:
    """Takes what jobs found into the assets. Safe to use from many threads."""

    def __init__(self, spark: Spark, table: AssetTable) -> None:
        self._spark = spark
        self._table = table

    def find_commit(self, job: Job) -> Json | None:
        return job.result if self._table.find_commit(job.id) else None

    def store(
        self,
        context: TaskContext,
        into: Sequence[Into],
        result: Callable[[Stored], Json],
        report: Writer | None = None,
    ) -> Json:
        """Commit what is new, once, and answer with the job's result. Where nothing is, nothing is committed.

        `report` keeps the new rows, and is published before the point of no return: for a task whose result they are.
        Raises Busy where a scope was held for an hour, Contended where somebody else changed it nevertheless.
        """
        with ExitStack() as undo, held(context, {one.scope_id for one in into}) as renew:
            at = self._table.at([one.place for one in into])
            undo.callback(self._table.discard_folders, [staging(one.place, context.attempt_name) for one in into])
            work = _Work(self._table, context, at, report)
            while not self._spark.ready():  # a scan is not done again because Spark is on its way
                context.pause(ASKED_AGAIN)
                renew()
            with self._spark.session(context) as session:
                for one in into:
                    work.compare(session, one)
                    renew()
            if report is not None:
                report.publish()
            told = result(work.stored)
            if not work.come:
                return told
            context.begin_commit(told)
            cleaning = undo.pop_all()  # from here on the table may refer to what was staged
            try:
                self._table.commit(context.job_id, at, work.come, work.go)
            except Contended:  # it does not, and never will
                cleaning.close()
                raise
        return told


class _Work:
    """What an attempt stages: the files that come, and those that go."""

    def __init__(self, table: AssetTable, context: TaskContext, at: Assets, report: Writer | None) -> None:
        self._table = table
        self._context = context
        self._at = at
        self._report = report
        self._now = datetime.now(UTC)
        self.come: list[AssetFile] = []
        self.go: list[AssetFile] = []
        self.stored = Stored()

    def compare(self, session: SparkSession, into: Into) -> None:
        there = self._at.files[into.place]
        found = known.found_rows(session, into.rows)
        before = known.known_rows(session, [self._table.uri(file) for file in there], into.owner)
        new = self._numbered(into, arrow_pieces(session, known.new_rows(found, before), PIECE, self._context.check))
        renewed = self._renewed(session, before, found, into)
        if renewed is not None:
            self._stage(into.place, chain(renewed, new), there)
        elif (first := next(new, None)) is not None:
            # A partition of many files becomes one of one.
            old = there if len(there) >= MOST_FILES else []
            self._stage(into.place, chain(self._table.groups(old), [first], new), old)

    def _renewed(
        self, session: SparkSession, before: DataFrame | None, found: DataFrame, into: Into
    ) -> Iterator[pa.Table] | None:
        """All that was known, as it is now; None where nothing of it has changed."""
        if before is None or not into.changed or into.owner is not None:
            return None
        again = known.looked_at_again(before, found, into.gone)
        counted = known.changes(again)
        _add(self.stored.changed, into.kind, counted.get(known.CHANGED, 0))
        _add(self.stored.gone, into.kind, counted.get(known.LOST, 0))
        rows = known.renewed(again, self._now)
        return arrow_pieces(session, rows, PIECE, self._context.check) if counted else None

    def _numbered(self, into: Into, pieces: Iterator[pa.Table]) -> Iterator[pa.Table]:
        """New rows (`key, facts`) as the table has them. Each piece is counted, and reported."""
        following = self._at.next(into.place)
        for piece in pieces:
            count = piece.num_rows
            self._report_all(into.kind, piece)
            _add(self.stored.new, into.kind, count)
            numbers = pa.array(range(following, following + count), pa.int64())
            same = [pa.repeat(pa.scalar(value, ROWS.field(name).type), count) for name, value in self._told(into)]
            yield pa.table([piece["key"], numbers, piece["facts"], *same], ROWS.names)
            following += count

    def _told(self, into: Into) -> list[tuple[str, object]]:
        """What all new rows have alike."""
        return [
            ("job_id", self._context.job_id),
            ("found_at", self._now),
            ("changed_at", self._now),
            ("owner", into.owner),
        ]

    def _report_all(self, kind: Kind, piece: pa.Table) -> None:
        if self._report is not None:
            for key, facts in zip(piece["key"].to_pylist(), piece["facts"].to_pylist(), strict=True):
                self._report.take(Found(kind=kind, key=key, facts=json.loads(facts)))

    def _stage(self, place: Place, pieces: Iterable[pa.Table], old: Sequence[AssetFile]) -> None:
        file = self._table.write(place, self._context.attempt_name, pieces)
        if file is not None:
            self.come.append(file)
            self.go += old


def _add(counts: dict[str, int], kind: Kind, count: int) -> None:
    if count:
        counts[kind.value] = counts.get(kind.value, 0) + count


@contextmanager
def held(context: TaskContext, scope_ids: Iterable[str]) -> Iterator[Callable[[], None]]:
    """Be the one job that works on the assets of these scopes; what is yielded has them held for longer.

    Another job, or the job store, is waited for: to give up would cost a scan. Raises Busy, or StoreUnavailable, where
    that takes an hour.
    """
    names = [f"assets {scope_id}" for scope_id in sorted(scope_ids)]  # in order: nobody waits for one who waits

    def renew() -> None:
        for name in names:
            # It took too long, and somebody is there, or nobody can say: whoever commits first is right.
            with suppress(Busy, StoreUnavailable):
                context.hold(name, HELD_FOR)

    with ExitStack() as releasing:
        until = time.monotonic() + WAITED_FOR
        for name in names:
            while True:
                try:
                    context.hold(name, HELD_FOR)
                    break
                except (Busy, StoreUnavailable):
                    if time.monotonic() >= until:
                        raise
                context.pause(ASKED_AGAIN)
            releasing.callback(context.release, name)
        yield renew
