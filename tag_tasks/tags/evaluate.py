"""Rules over sources, as data frames: the Spark half of the computation, without a side effect.

Tags read one table each, so nothing is joined: a tag over everyone is a filter, and a tag
over some users a filter with one more condition.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from functools import reduce

import pyarrow as pa
from pyspark.sql import Column, DataFrame, Row, SparkSession
from pyspark.sql import functions as F

from tag_tasks.spark.sources import Sources
from tag_tasks.tags.tag import TagTask
from tagapi.jobs.errors import TaskFailed

USERS = "user_basic_info"
"""The source that lists the users that exist."""


@dataclass(frozen=True, slots=True)
class Survey:
    """One source as a run found it."""

    rows: int
    newest: datetime | None
    """The greatest updated_time that is not later than the run's submission."""


@dataclass(slots=True)
class Verdicts:
    """Rules evaluated for a few users."""

    matches: dict[int, dict[str, bool]]
    """By tag and user, for the users in the tag's scope; a user without a row in the source does not match."""

    existing: set[str] = field(default_factory=set)
    """Those of the users that the list of users has. Only asked for a list."""

    @property
    def users(self) -> set[str]:
        return {user for found in self.matches.values() for user in found}


class Evaluator:
    """Evaluates tags for one run: one session, one day."""

    def __init__(self, session: SparkSession, sources: Sources, tags: Sequence[TagTask], submitted: datetime) -> None:
        self._session = session
        self._sources = sources
        self.tags = tags
        self._submitted = submitted
        self._today: date = submitted.date()

    def survey(self) -> Mapping[str, Survey]:
        """How many rows each source has, the list of users included, and the newest of them.

        Raises TaskFailed for a source without rows: it reads as a broken delivery, not as "nobody matches".
        """
        known = F.col("updated_time").cast("timestamp") <= F.lit(self._submitted)
        newest = F.unix_micros(F.max(F.when(known, F.col("updated_time").cast("timestamp"))))
        branches = [
            self._source(name).agg(F.lit(name).alias("source"), F.count("*").alias("n"), newest.alias("newest"))
            for name in self._names()
        ]
        found = {}
        for row in _union(branches).collect():
            moment = None if row["newest"] is None else _utc(row["newest"])
            found[row["source"]] = Survey(row["n"], moment)
            _check_rows(row["source"], row["n"])
        return found

    def members(self, tag: TagTask) -> DataFrame:
        """Everyone who matches: `user_id`."""
        return self._users_of(tag).filter(tag.rule(self._today)).select("user_id")

    def changed(self, tag: TagTask, since: datetime | None) -> DataFrame:
        """The users that changed after `since` (None: everyone), as `user_id, matches`."""
        rows = self._users_of(tag)
        if since is not None:
            rows = rows.filter(_changed(since))
        return rows.select("user_id", tag.matches(self._today).alias("matches"))

    def changed_users(self, since: Mapping[int, datetime | None]) -> DataFrame:
        """The distinct users that changed after the watermark of any tag: `user_id`."""
        return _union([self.changed(tag, since[tag.tag_id]).select("user_id") for tag in self.tags]).distinct()

    def few_changed(self, since: Mapping[int, datetime], most: int) -> Verdicts | None:
        """The verdicts on all changed users, where there are at most `most` of them; else None."""
        branches = []
        for source, tags in self._by_source().items():
            scopes = {tag.tag_id: _changed(since[tag.tag_id]) for tag in tags}
            rows = self._source(source).filter(reduce(Column.__or__, scopes.values()))
            branches.append(self._cells(source, rows, scopes).limit(most + 1))
        found = _union(branches).collect()
        return None if len(found) > most else self._verdicts(found)

    def listed(self, user_ids: Sequence[str]) -> Verdicts:
        """The verdicts on a short list of users."""
        asked = F.col("user_id").isin(list(user_ids))
        branches = [self._cells(name, self._source(name).filter(asked), {}) for name in self._names()]
        rows = _union(branches).collect()
        self._check_not_empty({*self._names()} - {row["source"] for row in rows})
        verdicts = self._verdicts(rows)
        for tag in self.tags:
            found = verdicts.matches[tag.tag_id]
            for user in user_ids:
                found.setdefault(user, False)
        return verdicts

    def frame(self, user_ids: Sequence[str]) -> DataFrame:
        """A long list of users as a data frame: `user_id`."""
        return self._session.createDataFrame(pa.table({"user_id": pa.array(user_ids, pa.string())}))

    def listed_in(self, tag: TagTask, users: DataFrame) -> DataFrame:
        """The verdicts on a long list of users, as `user_id, matches`."""
        members = self.members(tag).distinct().withColumn("matches", F.lit(True))
        return users.join(members, "user_id", "left").select(
            "user_id", F.coalesce("matches", F.lit(False)).alias("matches")
        )

    def unknown(self, users: DataFrame) -> DataFrame:
        """Those of the users that the list of users does not have: `user_id`."""
        return users.join(self._source(USERS).select("user_id"), "user_id", "left_anti")

    # -- parts -----------------------------------------------------------------------------

    def _source(self, name: str) -> DataFrame:
        return self._sources.read(self._session, name)

    def _users_of(self, tag: TagTask) -> DataFrame:
        return self._source(tag.source).filter(F.col("user_id").isNotNull())

    def _by_source(self) -> dict[str, list[TagTask]]:
        found: dict[str, list[TagTask]] = {}
        for tag in self.tags:
            found.setdefault(tag.source, []).append(tag)
        return found

    def _names(self) -> list[str]:
        return sorted({USERS, *self._by_source()})

    def _cells(self, name: str, rows: DataFrame, scopes: Mapping[int, Column]) -> DataFrame:
        """`source, user_id` and a cell for each tag of the run: its verdict, or null outside its scope or source."""
        cells = []
        for tag in self.tags:
            verdict = F.lit(None).cast("boolean")
            if tag.source == name:
                verdict = tag.matches(self._today)
                if tag.tag_id in scopes:
                    verdict = F.when(scopes[tag.tag_id], verdict)
            cells.append(verdict.alias(f"tag_{tag.tag_id}"))
        named = rows.filter(F.col("user_id").isNotNull())
        return named.select(F.lit(name).alias("source"), F.col("user_id").cast("string"), *cells)

    def _check_not_empty(self, silent: set[str]) -> None:
        """Look into the sources that had nothing on the users: are they without any row?"""
        if silent:
            probes = [self._source(name).limit(1).select(F.lit(name).alias("source")) for name in sorted(silent)]
            alive = {row["source"] for row in _union(probes).collect()}
            for name in sorted(silent):
                _check_rows(name, int(name in alive))

    def _verdicts(self, rows: Sequence[Row]) -> Verdicts:
        verdicts = Verdicts({tag.tag_id: {} for tag in self.tags})
        for row in rows:
            user = row["user_id"]
            if row["source"] == USERS:
                verdicts.existing.add(user)
            for tag in self.tags:
                cell = row[f"tag_{tag.tag_id}"]
                if cell is not None:  # a user with several rows matches if any of them does, as in a run over everyone
                    known = verdicts.matches[tag.tag_id]
                    known[user] = known.get(user, False) or cell
        return verdicts


def _changed(since: datetime) -> Column:
    updated = F.col("updated_time").cast("timestamp")
    return updated.isNull() | (updated > F.lit(since))


def _check_rows(source: str, rows: int) -> None:
    if rows == 0:
        raise TaskFailed(reason=f"the source {source} has no rows")


def _union(branches: Sequence[DataFrame]) -> DataFrame:
    return reduce(DataFrame.unionAll, branches)


def _utc(micros: int) -> datetime:
    return datetime.fromtimestamp(micros / 1_000_000, UTC)
