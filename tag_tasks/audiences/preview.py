"""How large an audience would be, and how its tags overlap, before anybody makes it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import combinations
from typing import Any

from pyspark.sql import SparkSession
from pyspark.sql import functions as F

from tag_tasks.audiences.members import Expression, holding, masks_of, never_computed, tags_in
from tag_tasks.tags.table import MembershipTable
from tagapi.jobs.errors import NotFoundInData

Counts = Sequence[tuple[int, bool, int]]
"""A mask of tags, whether the expression is true of it, and how many users have it."""


def preview(session: SparkSession, table: MembershipTable, expression: Expression) -> Mapping[str, Any]:
    """`size`, `table_version`, the users of each tag and of each pair of tags: by the masks that a sync goes by.

    Spark counts the masks, of which there are at most two to the number of tags. Raises NotFoundInData for a tag that
    was never computed.
    """
    tags, at = sorted(set(tags_in(expression))), table.snapshot()
    for tag in tags:
        if never_computed(table, at, tag):
            raise NotFoundInData(thing="computed tag", name=tag, field="tags")
    masks = masks_of(session, table, at, tags).groupBy("mask").agg(F.count("*").alias("users"))
    rows = masks.withColumn("inside", holding(expression, tags)).collect()
    counts = [(row["mask"], row["inside"], row["users"]) for row in rows]
    return {
        "size": sum(users for _, inside, users in counts if inside),
        "table_version": at.version,
        "tags": [{"tag_id": tag, "users": _with(counts, 1 << place)} for place, tag in enumerate(tags)],
        "overlaps": [
            {"tag_ids": [tags[one], tags[other]], "users": _with(counts, 1 << one | 1 << other)}
            for one, other in combinations(range(len(tags)), 2)
        ],
    }


def _with(counts: Counts, bits: int) -> int:
    """How many users carry all of these tags."""
    return sum(users for mask, _, users in counts if mask & bits == bits)
