"""`export.documents`: copy the documents that a query finds into a collector, in order, each once.

They come ordered by when they were published, and are delivered in steps, each of them one commit of the
collectors' table: whoever goes on after a crash finds there how far the job is, and goes on behind that.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import reduce
from typing import Any

import pyarrow as pa
from pyspark.sql import Column, DataFrame, SparkSession
from pyspark.sql import functions as F

from tag_tasks.documents.collected import DOCUMENTS, Key, Piece
from tag_tasks.documents.collectors import CollectorTable, Delivery, epoch_of
from tag_tasks.documents.conditions import EPOCH, FoundBy, moment, of_scope, published_within
from tag_tasks.documents.ranges import Stretch, stretches
from tag_tasks.documents.rendering import rendered, unseen
from tag_tasks.documents.source import DOCUMENTS as TABLE
from tag_tasks.documents.source import SCHEMA
from tag_tasks.spark.session import Spark
from tag_tasks.spark.sources import Sources
from tag_tasks.spark.stream import arrow_pieces
from tagapi.jobs.errors import TaskFailed
from tagapi.jobs.model import Json
from tagapi.jobs.task import Task, TaskContext

STEP = 10_000
"""Documents of one commit, at most."""
WHOLE = 1000
"""What progress counts up to: thousandths of the time that the documents span."""
PLACE = pa.schema([SCHEMA.field("published"), SCHEMA.field("id")])


@dataclass(frozen=True, slots=True)
class Position:
    """Behind which document a job goes on, in the order of its export."""

    published: datetime
    document_id: str

    def behind(self) -> Column:
        at = F.lit(self.published)
        same = (F.col("published") == at) & (F.col("id") > F.lit(self.document_id))
        return (F.col("published") > at) | same


class DocumentsExport(Task):
    """Arguments: `owner`, `target`, `generation`, `start` and `stop` in ms, the scope's `every` and `any`, `limit`.

    Without `stop` the range ends where the job was submitted; what a scope is says `definitions.py`.
    Result: `processed`, and whether the limit was reached before the end.
    """

    name = "export.documents"
    lane = "documents"
    max_attempts = 8
    time_limit = 6 * 3600.0

    def __init__(
        self,
        spark: Spark,
        sources: Sources,
        table: CollectorTable,
        found_by: FoundBy,
        credits_monthly: int,
        step: int = STEP,
    ) -> None:
        self._spark = spark
        self._sources = sources
        self._table = table
        self._found_by = found_by
        self._monthly = credits_monthly
        self._step = step

    def ready(self) -> bool:
        return self._spark.ready()

    def run(self, context: TaskContext) -> Json:
        before, delivery = _Before.of(context), self._delivery(context)
        here = self._table.of_job(delivery.key, [*before.jobs, context.job_id])
        parts = self._parts(context)
        span = _Span(parts, before.processed, context.arguments["limit"])
        position = self._reached(context, before, here, delivery.documents)
        told = (context.kept or {}).get("progress", 0.0)
        kept = span.measured(_Kept(before.jobs, before.processed, delivery.documents, position, told))
        context.phase("copy", WHOLE)
        self._tell(context, kept)
        left = context.arguments["limit"] - before.processed - delivery.documents
        more = False
        with self._spark.session(context) as session:
            for rows, part in self._rows(session, context, parts, kept.position, self._seen(here)):
                context.check()
                if rows is None:
                    kept = span.measured(kept, part.stop)
                    self._tell(context, kept)
                    continue
                if left <= 0:
                    more = True
                    break
                taken = rows.slice(0, left)
                left, more = left - taken.num_rows, taken.num_rows < rows.num_rows
                while taken.num_rows:
                    delivery = self._table.deliver(delivery, rendered(taken))
                    paid = delivery.documents - kept.documents  # there may be credits for some of them alone
                    reached = replace(kept, documents=delivery.documents, position=_last(taken.slice(0, paid)))
                    kept = span.measured(reached)
                    self._tell(context, kept)
                    taken = taken.slice(paid)
                if more:
                    break
        pa.default_memory_pool().release_unused()  # some hundred megabytes that the allocator would keep for the next
        return {"success": True, "processed": kept.documents, "limit_reached": more}

    def stop_growing(self, context: TaskContext) -> Json:
        before, epoch = _Before.of(context), epoch_of(context.attempt_name)
        documents = self._table.stop(context.job_id, epoch)
        asked, told = context.arguments, context.kept or {}
        here = self._table.of_job(Key(asked["owner"], DOCUMENTS, asked["target"]), [*before.jobs, context.job_id])
        position = self._last_kept(here) or _position_of(told.get("last")) or before.position
        return _Kept(before.jobs, before.processed, documents, position, told.get("progress", 0.0)).told(context.job_id)

    @staticmethod
    def _tell(context: TaskContext, kept: _Kept) -> None:
        context.grow(kept.told(context.job_id))
        context.progress(int(kept.progress * WHOLE), WHOLE)

    def _delivery(self, context: TaskContext) -> Delivery:
        asked = context.arguments
        return Delivery(
            key=Key(asked["owner"], DOCUMENTS, asked["target"]),
            generation=asked["generation"],
            job_id=context.job_id,
            epoch=epoch_of(context.attempt_name),
            documents=self._table.delivered(context.job_id),
            payer=asked["owner"],
            monthly=self._monthly,
        )

    def _reached(
        self, context: TaskContext, before: _Before, pieces: Sequence[Piece], delivered: int
    ) -> Position | None:
        """Behind which document it goes on: by what is kept of those that were delivered, else by what it told."""
        if (last := self._last_kept(pieces)) is not None or not delivered:
            return last or before.position
        told = context.kept
        if told is None or told["processed"] != delivered:
            raise TaskFailed(reason="what it had delivered was forgotten before it could go on behind that")
        return _position_of(told["last"])

    def _last_kept(self, pieces: Sequence[Piece]) -> Position | None:
        return _last(self._table.read(pieces[-1], ["published", "id"])) if pieces else None

    def _seen(self, pieces: Sequence[Piece]) -> set[str]:
        """The ids of what was delivered before: a document counts once."""
        return {one for piece in pieces for one in self._table.read(piece, ["id"])["id"].to_pylist()}

    # -- reading ---------------------------------------------------------------------------

    def _parts(self, context: TaskContext) -> Sequence[Stretch]:
        asked = context.arguments
        stop = context.submitted_at if asked["stop"] is None else moment(asked["stop"])
        return stretches(self._sources, moment(asked["start"]), stop)

    def _rows(
        self,
        session: SparkSession,
        context: TaskContext,
        parts: Sequence[Stretch],
        behind: Position | None,
        seen: set[str],
    ) -> Iterator[tuple[pa.Table | None, Stretch]]:
        """What is found, in order and each once, in tables of a step's size at most; None at a stretch's end."""
        self._sources.check(session, TABLE, SCHEMA.names)
        for part in parts:
            if behind is not None and part.stop <= behind.published:
                continue
            rows = self._found(session, context.arguments, part)
            if behind is not None:
                rows = rows.filter(behind.behind())
            for piece in arrow_pieces(session, rows.sort("published", "id"), self._step, context.check):
                if (fresh := unseen(piece, seen)).num_rows:
                    yield fresh, part
            yield None, part

    def _found(self, session: SparkSession, asked: Mapping[str, Any], part: Stretch) -> DataFrame:
        if part.files is None:
            rows = self._sources.read(session, TABLE)
        else:
            rows = self._sources.read_files(session, TABLE, part.files, SCHEMA.names)
        wanted, rules = of_scope(asked, self._found_by)
        rows = rows.filter(reduce(Column.__and__, [published_within(part.start, part.stop), *wanted]))
        return rows.select(*SCHEMA.names, *(column.alias(name) for name, column in rules.items()))


@dataclass(frozen=True, slots=True)
class _Before:
    """What the jobs delivered that this one does again."""

    jobs: Sequence[str] = ()
    processed: int = 0
    position: Position | None = None

    @classmethod
    def of(cls, context: TaskContext) -> _Before:
        kept = context.kept_before
        if kept is None:
            return cls()
        return cls(kept["jobs"], kept["before"] + kept["processed"], _position_of(kept["last"]))


@dataclass(frozen=True, slots=True)
class _Kept:
    """What there is, as the job tells it."""

    jobs: Sequence[str]
    """Those before it."""
    before: int
    """Documents of theirs."""
    documents: int
    position: Position | None
    progress: float = 0.0
    """Of the whole, 0 to 1."""

    def told(self, job_id: str) -> Json:
        last = None
        if self.position is not None:
            last = [(self.position.published - EPOCH) // timedelta(microseconds=1), self.position.document_id]
        told = {"processed": self.documents, "before": self.before, "last": last, "jobs": [*self.jobs, job_id]}
        return {**told, "progress": round(self.progress, 4)}


class _Span:
    """The time that the documents span, and how many there may be: by these it is told how far an export is."""

    def __init__(self, parts: Sequence[Stretch], before: int, limit: int) -> None:
        self._start, self._stop = (parts[0].start, parts[-1].stop) if parts else (EPOCH, EPOCH)
        self._before, self._limit = before, limit

    def measured(self, kept: _Kept, reached: datetime | None = None) -> _Kept:
        """By what was reached, else by the last document's time; or by the limit, where that is nearer."""
        reached = reached or (self._start if kept.position is None else kept.position.published)
        passed = reached - self._start
        whole = max(self._stop - self._start, timedelta(microseconds=1))
        by_limit = (self._before + kept.documents) / self._limit
        return replace(kept, progress=min(1.0, max(0.0, passed / whole, by_limit, kept.progress)))


def _position_of(last: Sequence[Any] | None) -> Position | None:
    """As a job keeps it: microseconds since 1970, and the document's id."""
    return None if last is None else Position(EPOCH + timedelta(microseconds=last[0]), last[1])


def _last(rows: pa.Table) -> Position:
    last = rows.slice(rows.num_rows - 1).select(["published", "id"]).cast(PLACE).to_pylist()[0]
    return Position(last["published"], last["id"])
