"""`export.arrivals`: add what has arrived in the source to the live collectors that ask for it.

Upkeep starts it when there are files that some live collector has not seen. Its effect grows by a commit for each
collector, each of which says what it has seen; so it does no harm to do it twice, or at the same time.
"""

from __future__ import annotations

import logging
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import reduce
from itertools import chain

import pyarrow as pa
from pyspark.sql import Column, SparkSession
from pyspark.sql import functions as F

from tag_tasks.documents.collected import Live
from tag_tasks.documents.collectors import CollectorTable, epoch_of
from tag_tasks.documents.conditions import EPOCH, FoundBy, of_scope
from tag_tasks.documents.live import STEP, Attempt, LiveCollectors
from tag_tasks.documents.rendering import rendered, unseen
from tag_tasks.documents.source import DOCUMENTS, SCHEMA
from tag_tasks.spark.seen import Seen
from tag_tasks.spark.session import Spark, translated_errors
from tag_tasks.spark.sources import NAMED, SourceFile, Sources
from tag_tasks.spark.stream import arrow_pieces
from tagapi.jobs.errors import TaskFailed, Unusable
from tagapi.jobs.model import Json
from tagapi.jobs.task import Task, TaskContext

log = logging.getLogger(__name__)

NO_FILES = "the documents are in no Parquet files here, of which new ones could be told apart"
NO_NAME = "the documents' file {path} cannot be read by itself: Spark takes its path for a pattern, or for columns"


class Arrivals:
    """Which files there are, and which of them live collectors have seen. Safe to use from many threads."""

    def __init__(self, sources: Sources, table: CollectorTable) -> None:
        self._sources = sources
        self._table = table

    def begin(self) -> int:
        """Keep the list of the files that there are now; answers with its reference.

        Raises Unusable where new files could not be told apart, or not be read by themselves.
        """
        try:
            now = self.now()
            self.check_names(now.files)
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

    def check_names(self, files: Collection[SourceFile]) -> None:
        """Raises TaskFailed where one of the files cannot be read without the others."""
        if (other := self._sources.unnameable(DOCUMENTS, files)) is not None:
            raise TaskFailed(reason=NO_NAME.format(path=other.path))

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


@dataclass(slots=True)
class _Pass:
    """How far a run is."""

    now: Seen
    attempt: Attempt
    nothing: list[Live] = field(default_factory=list)
    """Those for which there is nothing in files that they have not seen."""
    failed: list[str] = field(default_factory=list)
    before: Seen | None = None
    since: int | None = None
    """The list that was read last, and its reference: most collectors have seen the same."""
    saved: set[int] = field(default_factory=set)


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
        attempt = self._begin(context)
        context.grow({"documents": attempt.documents})
        _, lives = self._table.every_live()
        now = self._arrivals.now()  # in this order: else a collector might have seen more than there is now
        here = _Pass(now, attempt)
        behind = sorted((live for live in lives if live.seen != now.reference), key=lambda live: live.seen)
        context.phase("add", len(behind))
        with self._spark.session(context) as session:
            for done, live in enumerate(behind, 1):
                context.check()
                self._serve(session, context, live, here)
                context.grow({"documents": here.attempt.documents})
                context.progress(done, len(behind))
        if here.nothing:
            self._save(now, here)
            here.attempt = self._live.move(here.nothing, now.reference, here.attempt)
        if here.failed:
            raise TaskFailed(
                reason=f"{len(here.failed)} of {len(behind)} live collectors got nothing: {here.failed[0]}"
            )
        return {"success": True, "collectors": len(behind), "documents": here.attempt.documents}

    def stop_growing(self, context: TaskContext) -> Json:
        return {"documents": self._table.stop(context.job_id, epoch_of(context.attempt_name))}

    def _begin(self, context: TaskContext) -> Attempt:
        """Of a later attempt, once no earlier one adds anything any more: else it counted too few."""
        attempt = Attempt(job_id=context.job_id, epoch=epoch_of(context.attempt_name))
        if attempt.epoch == 1:
            return attempt
        return replace(attempt, documents=self._table.stop(attempt.job_id, attempt.epoch), steps=1)

    def _serve(self, session: SparkSession, context: TaskContext, live: Live, here: _Pass) -> None:
        try:
            self._add(session, context, live, here)
        except Exception as error:
            if (reason := _of_its_own(error)) is None:
                raise
            context.check()  # a query that a cancel has interrupted says the same
            log.error("live_collector_failed", extra={"collector": live.key.name, "reason": reason})
            here.failed.append(f"{live.key.name}: {reason}")

    def _add(self, session: SparkSession, context: TaskContext, live: Live, here: _Pass) -> None:
        """Add what is found in the files that are new to it."""
        for seen, part in self._steps(live, here):
            found = self._found(session, context, live, part)
            if (first := next(found, None)) is not None:
                self._save(seen, here)
                here.attempt = self._live.add(live, seen.reference, chain([first], found), here.attempt)
                live = replace(live, seen=seen.reference)
        if live.seen != here.now.reference:
            here.nothing.append(live)

    def _save(self, seen: Seen, here: _Pass) -> None:
        if seen.reference not in here.saved:
            self._table.seen.save(seen)
            here.saved.add(seen.reference)

    def _steps(self, live: Live, here: _Pass) -> Iterator[tuple[Seen, Sequence[SourceFile]]]:
        """The files that are new to it, so many at a time, and what it will have seen with them."""
        if here.since != live.seen:
            here.before, here.since = self._table.seen.known(live.seen), live.seen
        if here.before is None or here.before.source != here.now.source:
            raise TaskFailed(reason="it is not known any more what it has seen: pause and resume it")
        new = sorted(here.now.files - here.before.files, key=lambda file: file.path)
        self._arrivals.check_names(new)
        kept = here.before.files & here.now.files
        for at in range(0, len(new), NAMED):
            kept |= frozenset(new[at : at + NAMED])
            yield here.now if kept == here.now.files else self._arrivals.of(kept), new[at : at + NAMED]

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


def _of_its_own(error: Exception) -> str | None:
    """What is wrong with this collector alone; None where it is Spark or the storage that does not answer."""
    try:
        with translated_errors():
            raise error
    except TaskFailed as told:
        return str(told)
    except Exception:
        return None


def _columns(rules: Mapping[str, Column]) -> list[Column]:
    return [column.alias(name) for name, column in rules.items()]
