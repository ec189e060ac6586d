"""`export.arrivals`: add what has arrived in the source to the live collectors that ask for it.

Upkeep starts it when there are files that some live collector has not seen. Its effect grows by a commit for each
collector, each of which says what it has seen; so it does no harm to do it twice, or at the same time.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from functools import reduce
from itertools import chain

import pyarrow as pa
from pyspark.sql import Column, SparkSession
from pyspark.sql import functions as F

from tag_tasks.documents.collected import Live
from tag_tasks.documents.collectors import CollectorTable
from tag_tasks.documents.conditions import EPOCH, FoundBy, of_scope
from tag_tasks.documents.live import STEP, Attempt, LiveCollectors
from tag_tasks.documents.rendering import rendered, unseen
from tag_tasks.documents.source import DOCUMENTS, SCHEMA
from tag_tasks.spark.seen import Seen
from tag_tasks.spark.session import Spark
from tag_tasks.spark.sources import NAMED, SourceFile, Sources
from tag_tasks.spark.stream import arrow_pieces
from tagapi.jobs.errors import TaskFailed, Unusable
from tagapi.jobs.model import Json
from tagapi.jobs.task import Task, TaskContext

log = logging.getLogger(__name__)

NO_FILES = "the documents are in no Parquet files here, of which new ones could be told apart"


class Arrivals:
    """Which files there are, and which of them live collectors have seen. Safe to use from many threads."""

    def __init__(self, sources: Sources, table: CollectorTable) -> None:
        self._sources = sources
        self._table = table

    def begin(self) -> int:
        """Keep the list of the files that there are now; answers with its reference. Raises Unusable without files."""
        try:
            now = self.now()
        except TaskFailed as error:
            raise Unusable(field="collector_query", reason=str(error)) from error
        self._table.seen.save(now)
        return now.reference

    def now(self) -> Seen:
        """The files that there are. Raises TaskFailed where there are none to tell apart."""
        files = self._sources.files(DOCUMENTS)
        if files is None:
            raise TaskFailed(reason=NO_FILES)
        return self.of(files)

    def of(self, files: frozenset[SourceFile]) -> Seen:
        """As a list, which is the same for the same files, whoever makes it."""
        return Seen(self._sources.path(DOCUMENTS), EPOCH, files)

    def pending(self) -> bool:
        """Whether some live collector has not seen all of the files. Raises TaskFailed where there are none to see."""
        _, lives = self._table.every_live()
        if not lives:
            return False
        reference = self.now().reference
        return any(live.seen != reference for live in lives)


class DocumentsArrivals(Task):
    """Takes no arguments. Result: `collectors` that were looked at, `documents` that were added to them."""

    name = "export.arrivals"
    lane = "documents"
    phases = ("add",)

    def __init__(
        self, spark: Spark, sources: Sources, table: CollectorTable, found_by: FoundBy, step: int = STEP
    ) -> None:
        self._spark = spark
        self._sources = sources
        self._table = table
        self._found_by = found_by
        self._step = step
        self._arrivals = Arrivals(sources, table)
        self._live = LiveCollectors(table, step)

    def ready(self) -> bool:
        return self._spark.ready()

    def run(self, context: TaskContext) -> Json:
        epoch = int(context.attempt_name.rpartition("-")[2])
        attempt = Attempt(job_id=context.job_id, epoch=epoch, documents=self._table.delivered(context.job_id))
        context.grow({"documents": attempt.documents})
        now, (_, lives), failed = self._arrivals.now(), self._table.every_live(), list[str]()
        behind = [live for live in lives if live.seen != now.reference]
        context.phase("add", len(behind))
        nothing: list[Live] = []
        with self._spark.session(context) as session:
            for done, one in enumerate(behind, 1):
                context.check()
                try:
                    attempt, live = self._add(session, context, one, now, attempt)
                    nothing += [live] if live.seen != now.reference else []
                except TaskFailed as error:  # the others are not to wait for it
                    log.error("live_collector_failed", extra={"collector": one.key.name, "reason": str(error)})
                    failed.append(f"{one.key.name}: {error}")
                context.grow({"documents": attempt.documents})
                context.progress(done, len(behind))
        if nothing:
            self._table.seen.save(now)
            attempt = self._live.move(nothing, now.reference, attempt)
        if failed:
            raise TaskFailed(reason=f"{len(failed)} of {len(behind)} live collectors got nothing: {failed[0]}")
        return {"success": True, "collectors": len(behind), "documents": attempt.documents}

    def stop_growing(self, context: TaskContext) -> Json:
        epoch = int(context.attempt_name.rpartition("-")[2])
        return {"documents": self._table.stop(context.job_id, epoch)}

    def _add(
        self, session: SparkSession, context: TaskContext, live: Live, now: Seen, attempt: Attempt
    ) -> tuple[Attempt, Live]:
        """Add what is found in the files that are new to it; answers with what it has seen by then."""
        for seen, part in self._steps(live, now):
            found = self._found(session, context, live, part)
            if (first := next(found, None)) is not None:
                self._table.seen.save(seen)
                attempt = self._live.add(live, seen.reference, chain([first], found), attempt)
                live = replace(live, seen=seen.reference)
        return attempt, live

    def _steps(self, live: Live, now: Seen) -> Iterator[tuple[Seen, Sequence[SourceFile]]]:
        """The files that are new to it, so many at a time, and what it will have seen with them."""
        before = self._table.seen.load(live.seen)
        if before is None or before.source != now.source:
            raise TaskFailed(reason="it is not known any more what it has seen: pause and resume it")
        new = sorted(now.files - before.files, key=lambda file: file.path)
        kept = before.files & now.files
        for at in range(0, len(new), NAMED):
            kept |= frozenset(new[at : at + NAMED])
            yield self._arrivals.of(kept), new[at : at + NAMED]

    def _found(
        self, session: SparkSession, context: TaskContext, live: Live, part: Sequence[SourceFile]
    ) -> Iterator[pa.Table]:
        """`id, published, line` of what it asks for in these files, in order, each id once."""
        names = self._sources.names(DOCUMENTS, part)
        if names is None:
            raise TaskFailed(reason=NO_FILES)
        rows = self._sources.read_files(session, DOCUMENTS, names, SCHEMA.names)
        wanted, rules = of_scope(live.told["live"], self._found_by)
        whole = [F.col("id").isNotNull(), F.col("published").isNotNull(), *wanted]
        rows = rows.filter(reduce(Column.__and__, whole))
        rows = rows.select(*SCHEMA.names, *_columns(rules)).sort("published", "id")
        seen: set[str] = set()
        for piece in arrow_pieces(session, rows, self._step, context.check):
            if (fresh := unseen(piece, seen)).num_rows:
                yield rendered(fresh)


def _columns(rules: Mapping[str, Column]) -> list[Column]:
    return [column.alias(name) for name, column in rules.items()]
