"""`tasks.audience_sync`: make an audience on a platform what its definition says, by differences alone.

Who is wanted is computed, hashed and staged by Spark; what was sent before is in a table of our own. The
differences go to the platform in batches, each of them committed there before and after it is sent, so that
whoever goes on after a crash knows what may be there. At the end the table has the wanted rows, and nothing else.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

from pyspark.sql import DataFrame, SparkSession

from tag_tasks.audiences.accounts import Accounts
from tag_tasks.audiences.attempt import STEP, SyncAttempt, ids
from tag_tasks.audiences.members import carriers, of_segment
from tag_tasks.audiences.sent import NOBODYS, OUT, SentTable
from tag_tasks.audiences.upload import hold, release
from tag_tasks.audiences.wanted import GRANTED, hashed
from tag_tasks.campaigns.once import may_be_there, settled
from tag_tasks.delta.files import DataFile
from tag_tasks.platforms.audiences import MOST_ROWS
from tag_tasks.segments.assigned import SegmentTable
from tag_tasks.spark.session import Spark
from tag_tasks.spark.sources import Sources
from tag_tasks.tags.table import MembershipTable
from tagapi.jobs.model import Json
from tagapi.jobs.task import Task, TaskContext


class AudienceSync(Task):
    """Arguments: `platform`, `audience`, `dry_run`, `simulate`, `consent`. Result: the contract's of a sync."""

    name = "tasks.audience_sync"
    lane = "audiences"
    phases = ("calcular", "comparar", "quitar", "enviar")
    max_attempts = 8
    time_limit = 6 * 3600.0

    def __init__(
        self,
        spark: Spark,
        sources: Sources,
        members: MembershipTable,
        segments: SegmentTable,
        table: SentTable,
        accounts: Accounts,
        batch_rows: int = MOST_ROWS,
    ) -> None:
        self._spark = spark
        self._sources = sources
        self._members = members
        self._segments = segments
        self._table = table
        self._accounts = accounts
        self._batch_rows = batch_rows

    def ready(self) -> bool:
        return self._spark.ready()

    def run(self, context: TaskContext) -> Json:
        audience, platform = self._accounts.asked(context.arguments)
        if not context.arguments["dry_run"]:
            hold(context, audience)
        with self._spark.session(context) as session:
            attempt = SyncAttempt(context, session, self._table, audience, platform, self._batch_rows)
            try:
                out = self._table.held(NOBODYS).of(OUT)
                attempt.compute(*self._wanted(session, context.arguments, out))
                return attempt.count() if context.arguments["dry_run"] else attempt.sync(out)
            finally:
                attempt.clear()

    def _wanted(
        self, session: SparkSession, asked: Mapping[str, Any], out: Sequence[DataFile]
    ) -> tuple[DataFrame, int]:
        """The rows that the audience is to have, as `hashed` says, and of which version of the memberships."""
        users, version = self._users(session, asked["audience"])
        if out:
            people = session.read.parquet(*(self._table.uri(file) for file in out)).select("user_id")
            users = users.join(people, "user_id", "left_anti")
        granted = asked["consent"] == GRANTED
        return hashed(session, self._sources, users, asked["platform"], granted=granted), version

    def _users(self, session: SparkSession, definition: Mapping[str, Any]) -> tuple[DataFrame, int]:
        """Who is meant, `user_id`, and the version of the table that says so."""
        if definition["tags"] is not None:
            at = self._members.snapshot()
            return carriers(session, self._members, at, definition["tags"]), at.version
        named = definition["segment"]
        assigned = self._segments.assigned(named["model"])
        return of_segment(session, self._segments, assigned, named["segment"]), assigned.version

    def undo(self, context: TaskContext) -> str | None:
        """What was sent stays, and is told; an audience that nobody knows of goes."""
        audience, platform = self._accounts.asked(context.arguments)
        context.phase("deshacer")
        held = self._table.held(audience.key, context.job_id)
        if may_be_there(context.journaled(), STEP):
            settled(context, STEP, partial(ids, platform, context.job_id), platform.settle_seconds)
            recorded = (held.about or {}).get("audience_id")
            for found in platform.find(context.job_id):
                if found.id != recorded:
                    platform.delete(found.id)
        release(context, audience)
        return f"se enviaron {held.added} altas y {held.removed} bajas" if held.added or held.removed else None
