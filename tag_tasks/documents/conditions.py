"""Which documents are meant, as conditions on their columns: by days, by queries, by rules."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from pyspark.sql import Column
from pyspark.sql import functions as F

from tag_tasks.documents.query.columns import matches
from tag_tasks.documents.query.parse import QueryError, parse
from tagapi.jobs.errors import TaskFailed

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def moment(milliseconds: int) -> datetime:
    return EPOCH + timedelta(milliseconds=milliseconds)


def published_within(start: datetime, stop: datetime) -> Column:
    """From `start` on and before `stop`, of documents that have an id."""
    published = F.col("published")
    return (published >= F.lit(start)) & (published < F.lit(stop)) & F.col("id").isNotNull()


def found_by(query: str) -> Column:
    """The condition of a query. Raises TaskFailed for one that says nothing."""
    try:
        return matches(parse(query))
    except QueryError as error:  # a release may understand less than the one that accepted it
        raise TaskFailed(reason=f"the query cannot be understood: {error}") from error
