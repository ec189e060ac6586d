"""The users of an audience: who carries some tags, or is in a segment."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import reduce
from typing import Any, NamedTuple

from pyspark.sql import Column, DataFrame, SparkSession
from pyspark.sql import functions as F

from tag_tasks.segments.assigned import Assigned, SegmentTable
from tag_tasks.segments.models import ModelTable
from tag_tasks.tags.model import Snapshot
from tag_tasks.tags.table import MembershipTable
from tagapi.jobs.errors import TaskFailed

Expression = Mapping[str, Sequence[Any]]
"""`all`, `any`, `none`: lists of numbers of tags, and of such expressions again."""


class Members(NamedTuple):
    users: DataFrame
    """`user_id`, each once."""
    version: int
    """Of the table that says so."""


def tags_in(expression: Expression) -> list[int]:
    """Every tag that an expression names."""
    members = [member for listed in expression.values() for member in listed]
    return [tag for member in members for tag in (tags_in(member) if isinstance(member, Mapping) else [int(member)])]


def carriers(session: SparkSession, table: MembershipTable, at: Snapshot, expression: Expression) -> DataFrame:
    """The users (`user_id`) of an expression, each once. Raises TaskFailed for a tag that was never computed."""
    tags = sorted(set(tags_in(expression)))
    for tag in tags:
        if never_computed(table, at, tag):
            raise TaskFailed(reason=f"La etiqueta {tag} todavía no se ha calculado")
    return masks_of(session, table, at, tags).filter(holding(expression, tags)).select("user_id")


def never_computed(table: MembershipTable, at: Snapshot, tag: int) -> bool:
    """Nothing is known of who carries it, which is not that nobody does."""
    return not at.of(tag) and table.marks(tag) is None


def masks_of(session: SparkSession, table: MembershipTable, at: Snapshot, tags: Sequence[int]) -> DataFrame:
    """What every user carries of these different tags (`user_id`, `mask`), those left out who carry none.

    Each tag is a bit, by its place, so that one pass over the memberships tells of all of them.
    """
    carried = [_bit(session, table, at, tag, 1 << place) for place, tag in enumerate(tags) if at.of(tag)]
    if not carried:
        return session.createDataFrame([], "user_id string, mask long")
    masks = reduce(DataFrame.unionAll, carried)
    return masks.groupBy("user_id").agg(F.bit_or("mask").alias("mask")) if len(tags) > 1 else masks


def holding(expression: Expression, tags: Sequence[int]) -> Column:
    """Whether an expression is true of a mask of these tags."""
    return _holds(expression, lambda tag: F.col("mask").bitwiseAND(1 << tags.index(tag)) != 0)


def of_segment(session: SparkSession, table: SegmentTable, models: ModelTable, model: str, segment: int) -> Members:
    """The users of a segment. Raises TaskFailed where nobody was predicted, or the model that did it has no such one.

    That is no empty segment: everybody would be taken out of the audience.
    """
    at = table.assigned(model)
    if at.in_use is None:
        raise TaskFailed(reason="Todavía no se ha predicho el segmento de nadie con este modelo")
    used = models.read(model, at.in_use)
    if used is None or segment >= len(used.centres):
        raise TaskFailed(
            reason=f"La versión {at.in_use} del modelo, con la que se predijo, no tiene segmento {segment}"
        )
    return Members(_of_segment(session, table, at, segment), at.version)


def _of_segment(session: SparkSession, table: SegmentTable, at: Assigned, segment: int) -> DataFrame:
    files = at.of(segment)
    if not files:
        return session.createDataFrame([], "user_id string")
    return session.read.parquet(*(table.uri(file) for file in files)).select("user_id")


def _bit(session: SparkSession, table: MembershipTable, at: Snapshot, tag: int, bit: int) -> DataFrame:
    rows = session.read.parquet(*(table.uri(file) for file in at.of(tag)))
    return rows.select("user_id", F.lit(bit).cast("long").alias("mask"))


def _holds(expression: Expression, carries: Callable[[int], Column]) -> Column:
    def holds(member: Any) -> Column:
        return _holds(member, carries) if isinstance(member, Mapping) else carries(int(member))

    parts: list[Column] = [holds(member) for member in expression.get("all", ())]
    if any_of := [holds(member) for member in expression.get("any", ())]:
        parts.append(reduce(Column.__or__, any_of))
    parts += [~holds(member) for member in expression.get("none", ())]
    return reduce(Column.__and__, parts)
