"""Which documents are meant, as conditions on their columns: by days, by queries, by rules."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from functools import reduce

from pyspark.sql import Column
from pyspark.sql import functions as F

from tag_tasks.documents.query.columns import matches
from tag_tasks.documents.query.parse import QueryError, parse
from tagapi.jobs.errors import TaskFailed
from tagapi.jobs.model import Json

FoundBy = Callable[[str], Column]
"""Makes a query a condition on the documents' columns."""
RULE = "matched by rule "
"""With the rule's id behind it, the name of the column that says whether it is what found a document."""
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


def of_scope(scope: Json, found_by: FoundBy) -> tuple[Sequence[Column], Mapping[str, Column]]:
    """What has to be true of a document, all of it; and whether each rule is what found it, by the columns' names."""
    rules = {f"{RULE}{rule['id']}": _all([rule["query"], *rule["also"]], found_by) for rule in scope["any"]}
    either = [reduce(Column.__or__, rules.values())] if rules else []
    return [*map(found_by, scope["every"]), *either], rules


def _all(queries: Sequence[str], found_by: FoundBy) -> Column:
    return reduce(Column.__and__, map(found_by, queries))
