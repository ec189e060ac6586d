"""What namespaces read of documents and collectors, and what they have defined."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import TypeVar

from pyspark.sql import SparkSession
from pyspark.sql import functions as F

from tag_tasks.documents.collected import COLLECTOR, PROJECT, STREAM, Key, State, owner_key
from tag_tasks.documents.conditions import found_by, moment, published_within
from tag_tasks.documents.definitions import Definitions
from tag_tasks.documents.query.parse import QueryError, parse
from tag_tasks.documents.reading import CollectorReader, Reading
from tag_tasks.documents.source import DOCUMENTS
from tag_tasks.means import Means
from tag_tasks.reads import Reads
from tagapi.jobs.errors import NotUnderstood
from tagapi.jobs.model import Json

Answer = TypeVar("Answer")
COUNT_SECONDS = 60.0  # that a count may take: it reads all documents of its days
COUNT_PATIENCE = 8.0  # seconds that one waits for others
COUNTS = 2  # at once: each keeps a core busy


class DocumentsReader:
    """Reads for the API. Raises NotReady while Spark, or the storage, does not answer."""

    collector, stream, project = COLLECTOR, STREAM, PROJECT
    """Kinds of definitions."""

    def __init__(self, means: Means, definitions: Definitions, at_once: int) -> None:
        """At most `at_once` reads are under way."""
        self._means = means
        self._definitions = definitions
        self._collectors = CollectorReader(means.collectors)
        self._reads = Reads(at_once)
        self._counts = Reads(COUNTS, COUNT_SECONDS, COUNT_PATIENCE, "The count, behind others that are under way,")

    def define(self, what: Callable[[Definitions], Answer]) -> Answer:
        """What `what` makes of the definitions, and its errors."""
        return self._reads.run(lambda: what(self._definitions))

    def check_query(self, field: str, query: str) -> None:
        """Raises NotUnderstood, which names the field and the position, where the text is no query."""
        try:
            parse(query)
        except QueryError as error:
            raise NotUnderstood(
                field=field, position=error.position, expected=error.expected, found=error.found
            ) from None

    @staticmethod
    def owner_key(owner: str) -> str:
        """What an owner's collectors are kept under."""
        return owner_key(owner)

    def credits(self, owner: str) -> Json:
        """`used`, of this month, `total`, 0 being without limit, and `next`, when another month begins."""
        collectors, now = self._means.collectors, self._means.collectors.now()
        used = self._reads.run(lambda: collectors.used(owner_key(owner)))
        following = datetime(now.year + now.month // 12, now.month % 12 + 1, 1, tzinfo=UTC)
        return {"used": used, "total": self._means.credits_monthly, "next": following}

    def open(self, collector_id: str, owner: str, resume_offset: str | None) -> Reading:
        """A place in a collector, that moves on. Raises NotFoundInData and BadOffset."""
        return self._reads.run(lambda: self._collectors.open(collector_id, owner, resume_offset))

    def states(self) -> Mapping[Key, State]:
        """Of every collector: another one when it has more, or is another one. Raises Transient."""
        return self._collectors.states()

    def count(self, query: str, start: int, stop: int) -> list[tuple[str, int]]:
        """How many documents a query finds of each day that has any, `YYYY-MM-DD` in UTC; `start` and `stop` in ms."""
        return self._counts.run(lambda: self._count(query, start, stop))

    def _count(self, query: str, start: int, stop: int) -> list[tuple[str, int]]:
        with self._means.spark.session() as session:
            return _by_day(session, self._means, query, start, stop)


def _by_day(session: SparkSession, means: Means, query: str, start: int, stop: int) -> list[tuple[str, int]]:
    means.sources.check(session, DOCUMENTS, ("id", "published"))
    rows = means.sources.read(session, DOCUMENTS)
    found = rows.filter(published_within(moment(start), moment(stop)) & found_by(query))
    once = found.groupBy("id").agg(F.min("published").alias("published"))  # as an export counts it
    days = once.groupBy(F.to_date("published").alias("day")).count().sort("day")
    return [(f"{row['day']:%Y-%m-%d}", int(row["count"])) for row in days.collect()]
