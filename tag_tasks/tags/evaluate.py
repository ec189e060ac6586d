"""Rules over sources, as data frames: the Spark half of the computation, without a side effect.

Tags read one table each, so nothing is joined: a tag over everyone is a filter, and a tag
over some users a filter with one more condition.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from functools import reduce
from typing import NamedTuple

import pyarrow as pa
import pyarrow.compute as pc
from pyspark.sql import Column, DataFrame, Row, SparkSession
from pyspark.sql import functions as F

from tag_tasks.spark.sources import Sources
from tag_tasks.tags.edit import NAMED, frame
from tag_tasks.tags.scope import Scope
from tag_tasks.tags.tag import TagTask
from tag_tasks.tags.verdicts import Verdicts
from tagapi.jobs.errors import TaskFailed, Transient

USERS = "user_basic_info"
"""The source that lists the users that exist."""


class Rows(NamedTuple):
    """Some of the rows of a source: those of the files with these names, or all."""

    source: str
    names: tuple[str, ...] | None = None

    @classmethod
    def of(cls, tag: TagTask, scope: Scope) -> Rows:
        return cls(tag.source, scope.names)


@dataclass(frozen=True, slots=True)
class Survey:
    """Rows as a run found them."""

    rows: int
    newest: datetime | None
    """The greatest updated_time that is not later than the run's submission."""


class Evaluator:
    """Evaluates tags for one run: one session, one day."""

    def __init__(self, session: SparkSession, sources: Sources, tags: Sequence[TagTask], submitted: datetime) -> None:
        self._session = session
        self._sources = sources
        self.tags = tags
        self._submitted = submitted
        self._today: date = submitted.date()

    def check_sources(self) -> None:
        """Raise TaskFailed for the first source that cannot be read as it has to be, naming it."""
        for name in self._names():
            self._sources.check(self._session, name, sorted(self._columns(name)))

    def survey(self, read: Collection[Rows]) -> Mapping[Rows, Survey]:
        """How many rows there are in each of these parts of sources, and the newest of them.

        Raises TaskFailed for a source without rows: it reads as a broken delivery, not as "nobody matches".
        """
        known = F.col("updated_time").cast("timestamp") <= F.lit(self._submitted)
        newest = F.unix_micros(F.max(F.when(known, F.col("updated_time").cast("timestamp"))))
        parts = [part for part in read if part.names != ()]
        branches = [
            self._rows(part).agg(F.lit(number).alias("part"), F.count("*").alias("n"), newest.alias("newest"))
            for number, part in enumerate(parts)
        ]
        found = {part: Survey(0, None) for part in read}
        for row in _union(branches).collect() if branches else ():
            part = parts[row["part"]]
            found[part] = Survey(row["n"], None if row["newest"] is None else _utc(row["newest"]))
            if part.names is None:
                _check_rows(part.source, row["n"])
            elif row["n"] != self._sources.rows_in(part.source, part.names):
                # Spark takes a file that it does not find for an empty one, and the marks would say that it was read.
                raise Transient(reason=f"new files of the source {part.source} could not be read whole")
        return found

    def members(self, tag: TagTask) -> DataFrame:
        """Everyone who matches: `user_id`."""
        return self._users_of(tag).filter(tag.rule(self._today)).select("user_id")

    def changed(self, tag: TagTask, scope: Scope) -> DataFrame:
        """The users in scope, as `user_id, matches`."""
        rows = self._rows(Rows.of(tag, scope)).filter(F.col("user_id").isNotNull())
        if scope.since is not None:
            rows = rows.filter(_changed(scope.since))
        return rows.select("user_id", tag.matches(self._today).alias("matches"))

    def changed_users(self, scopes: Mapping[TagTask, Scope]) -> DataFrame:
        """The distinct users in any tag's scope: `user_id`."""
        return _union([self.changed(tag, scope).select("user_id") for tag, scope in scopes.items()]).distinct()

    def verdicts_on_changed(self, scopes: Mapping[TagTask, Scope], most: int) -> Verdicts | None:
        """The verdicts on all users that changed, where no source has more than `most` of them; else None."""
        parts: dict[Rows, dict[int, Column]] = {}
        for tag, scope in scopes.items():
            if not scope.nothing and scope.since is not None:
                parts.setdefault(Rows.of(tag, scope), {})[tag.tag_id] = _changed(scope.since)
        branches = [
            self._cells(
                part.source, self._rows(part).filter(reduce(Column.__or__, conditions.values())), conditions
            ).limit(most + 1)
            for part, conditions in parts.items()
        ]
        cells = _union(branches).toArrow() if branches else self._as_table([])
        too_many = any(count["counts"] > most for count in pc.value_counts(cells["source"]).to_pylist())
        return None if too_many else Verdicts(cells, [tag.tag_id for tag in self.tags])

    def verdicts_on(self, user_ids: Sequence[str]) -> Verdicts:
        """The verdicts on a list of users."""
        listed = pa.array(user_ids, pa.string())
        few = len(listed) <= NAMED
        branches = []
        for name in self._names():
            rows = self._source(name)
            if few:
                rows = rows.filter(F.col("user_id").isin(list(user_ids)))
            else:
                rows = rows.join(frame(self._session, listed), "user_id", "left_semi")
            branches.append(self._cells(name, rows))
        found = _union(branches)
        # A few rows are cheaper to collect one by one than to ask for their schema first.
        cells = self._as_table(found.collect()) if few else found.toArrow()
        self._check_not_empty({*self._names()} - {*pc.unique(cells["source"]).to_pylist()})
        return Verdicts(cells, [tag.tag_id for tag in self.tags], listed)

    # -- parts -----------------------------------------------------------------------------

    def _rows(self, part: Rows) -> DataFrame:
        if part.names is None:
            return self._source(part.source)
        if not part.names:
            return self._source(part.source).limit(0)
        return self._sources.read_files(self._session, part.source, part.names, self._columns(part.source))

    def _columns(self, source: str) -> set[str]:
        return {"user_id", "updated_time", *(name for tag in self._by_source().get(source, ()) for name in tag.columns)}

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

    def _cells(self, name: str, rows: DataFrame, scopes: Mapping[int, Column] | None = None) -> DataFrame:
        """`source, user_id` and a cell for each tag of the run: its verdict, or null outside its scope or source."""
        cells = []
        for tag in self.tags:
            verdict = F.lit(None).cast("boolean")
            if tag.source == name and scopes is None:
                verdict = tag.matches(self._today)
            elif scopes is not None and tag.tag_id in scopes:
                verdict = F.when(scopes[tag.tag_id], tag.matches(self._today))
            cells.append(verdict.alias(f"tag_{tag.tag_id}"))
        named = rows.filter(F.col("user_id").isNotNull())
        return named.select(F.lit(name).alias("source"), F.col("user_id").cast("string"), *cells)

    def check_users(self) -> None:
        """Raise TaskFailed where the list of users has no rows, though nothing else is read of it."""
        self._check_not_empty({USERS})

    def _check_not_empty(self, silent: set[str]) -> None:
        """Look into the sources that had nothing on the users: are they without any row?"""
        if silent:
            probes = [self._source(name).limit(1).select(F.lit(name).alias("source")) for name in sorted(silent)]
            alive = {row["source"] for row in _union(probes).collect()}
            for name in sorted(silent):
                _check_rows(name, int(name in alive))

    def _as_table(self, rows: Sequence[Row]) -> pa.Table:
        flags = [(f"tag_{tag.tag_id}", pa.bool_()) for tag in self.tags]
        schema = pa.schema([("source", pa.string()), ("user_id", pa.string()), *flags])
        return pa.Table.from_pylist([row.asDict() for row in rows], schema)


def _changed(since: datetime) -> Column:
    updated = F.col("updated_time").cast("timestamp")
    return updated.isNull() | (updated >= F.lit(since))


def _check_rows(source: str, rows: int) -> None:
    if rows == 0:
        raise TaskFailed(reason=f"the source {source} has no rows")


def _union(branches: Sequence[DataFrame]) -> DataFrame:
    return reduce(DataFrame.unionAll, branches)


def _utc(micros: int) -> datetime:
    return datetime.fromtimestamp(micros / 1_000_000, UTC)
