"""What namespaces read beside jobs: the catalogue, the members of a tag, the tags of a user.

Whatever asks Spark or the storage runs on threads of its own, fewer than the server has: where
these hang, who asks is told to come again, and everything else is answered.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, date, datetime
from functools import reduce
from typing import Any

import pyarrow as pa
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from tag_tasks.reads import SECONDS, Reads
from tag_tasks.spark.session import Spark
from tag_tasks.spark.sources import Sources
from tag_tasks.tags.catalogue import catalogue
from tag_tasks.tags.edit import holders
from tag_tasks.tags.evaluate import USERS
from tag_tasks.tags.table import MembershipTable
from tag_tasks.tags.tag import TagTask
from tagapi.jobs.errors import NotFoundInData


class TagReader:
    """Reads for the API. Answers are JSON-ready values.

    Raises NotReady while there is no Spark, where a read takes too long, and at once where too many do.
    """

    def __init__(
        self,
        spark: Spark,
        sources: Sources,
        table: MembershipTable,
        at_once: int = 1,
        seconds: float = SECONDS,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        """At most `at_once` reads are under way; each may take so many seconds."""
        self._spark = spark
        self._sources = sources
        self._table = table
        self._now = now
        self._tags = catalogue()
        self._reads = Reads(at_once, seconds)

    def available(self) -> Sequence[Mapping[str, Any]]:
        """Every tag: `tag_id, task_class, description`, by ascending id."""
        return [
            {"tag_id": tag.tag_id, "task_class": tag.task_class, "description": tag.description}
            for tag in self._tags.values()
        ]

    def tag_ids(self) -> Sequence[int]:
        return list(self._tags)

    def tag(self, tag_id: int) -> Mapping[str, Any]:
        """One tag with its rule in words, its source, how many members it has and when it last ran over all users."""
        tag = self._known(tag_id)
        marks, members = self._reads.run(lambda: (self._table.marks(tag_id), self._table.snapshot().members(tag_id)))
        return {
            "tag_id": tag.tag_id,
            "task_class": tag.task_class,
            "description": tag.description,
            "source": tag.source,
            "rule": tag.rule_in_words,
            "members": members,
            "last_run": marks.run if marks else None,
        }

    def members(self, tag_id: int, after: str | None, limit: int) -> Sequence[str]:
        """At most `limit` members of a tag with ids greater than `after`, ascending (by code point)."""
        self._known(tag_id)
        return self._reads.run(lambda: self._members(tag_id, after, limit))

    def _members(self, tag_id: int, after: str | None, limit: int) -> Sequence[str]:
        files = [
            file
            for file in self._table.snapshot().of(tag_id)
            if after is None or file.high is None or file.high > after
        ]
        if not files:
            return []
        with self._spark.session() as session:
            members = session.read.parquet(*(self._table.uri(file) for file in files)).select("user_id")
            if after is not None:
                members = members.filter(F.col("user_id") > after)
            return [row["user_id"] for row in members.distinct().orderBy("user_id").limit(limit).collect()]

    def tags_of(self, user_id: str) -> Sequence[int]:
        """The tags that a user carries, as stored. Raises NotFoundInData for a user who does not exist."""
        return self._reads.run(lambda: self._tags_of(user_id))

    def _tags_of(self, user_id: str) -> Sequence[int]:
        with self._spark.session() as session:
            exists = self._sources.read(session, USERS).filter(F.col("user_id") == user_id).limit(1)
            if not exists.select("user_id").collect():
                raise NotFoundInData(thing="user", name=user_id)
            wanted = dict.fromkeys(self._tags, pa.array([user_id], pa.string()))
            found = holders(session, self._table, self._table.snapshot(), wanted)
        return sorted(tag_id for tag_id, places in found.items() if places)

    def explain(self, user_id: str) -> Sequence[Mapping[str, Any]]:
        """For every tag: is the user a member, does the rule match now, what was observed, what was wanted."""
        return self._reads.run(lambda: self._explain(user_id))

    def _explain(self, user_id: str) -> Sequence[Mapping[str, Any]]:
        stored = self._tags_of(user_id)
        today = self._now().date()
        with self._spark.session() as session:
            branches = []
            for tag in self._tags.values():
                rows = self._sources.read(session, tag.source).filter(F.col("user_id") == user_id)
                observed = F.to_json(F.struct(*(F.col(name) for name in tag.columns)))
                branches.append(
                    rows.select(
                        F.lit(tag.tag_id).alias("tag_id"), tag.matches(today).alias("now"), observed.alias("seen")
                    )
                )
            seen = {row["tag_id"]: row for row in reduce(DataFrame.unionAll, branches).collect()}
            return [_explained(tag, tag.tag_id in stored, seen.get(tag.tag_id), today) for tag in self._tags.values()]

    def _known(self, tag_id: int) -> TagTask:
        if tag_id not in self._tags:
            raise NotFoundInData(thing="tag", name=tag_id)
        return self._tags[tag_id]


def _explained(tag: TagTask, member: bool, row: Any, today: date) -> Mapping[str, Any]:
    observed: dict[str, Any] = dict.fromkeys(tag.columns)
    if row is not None and row["seen"] is not None:
        observed |= json.loads(row["seen"])
    matches = bool(row is not None and row["now"])
    if row is None:
        why = f"no row in {tag.source}"
    elif not matches and (missing := [name for name in tag.columns if observed[name] is None]):
        why = f"{missing[0]} is null, which is outside every rule"
    else:
        values = ", ".join(f"{name} = {observed[name]}" for name in tag.columns)
        why = f"{values}: {'matches' if matches else 'does not match'} {tag.rule_in_words}"
    if tag.reads_today():
        why += f" (today is {today.isoformat()})"
    return {
        "tag_id": tag.tag_id,
        "member": member,
        "matches_now": matches,
        "observed": observed,
        "threshold": tag.rule_in_words,
        "reason": why,
    }
