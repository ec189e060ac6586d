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
from tag_tasks.audiences.members import Members, carriers, of_segment
from tag_tasks.audiences.sent import NOBODYS, OUT, Audience, SentTable, Step
from tag_tasks.audiences.upload import hold, release
from tag_tasks.audiences.wanted import GRANTED, hashed
from tag_tasks.campaigns.once import may_be_there, settled
from tag_tasks.delta.files import DataFile
from tag_tasks.platforms.audiences import MOST_ROWS, Audiences
from tag_tasks.platforms.model import Found, name_for
from tag_tasks.segments.assigned import SegmentTable
from tag_tasks.segments.models import ModelTable
from tag_tasks.spark.session import Spark
from tag_tasks.spark.sources import Sources
from tag_tasks.tags.table import MembershipTable
from tagapi.jobs.model import Job, Json
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
        models: ModelTable,
        table: SentTable,
        accounts: Accounts,
        batch_rows: int = MOST_ROWS,
    ) -> None:
        self._spark = spark
        self._sources = sources
        self._members = members
        self._segments = segments
        self._models = models
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

    def _users(self, session: SparkSession, definition: Mapping[str, Any]) -> Members:
        """Who is meant."""
        if definition["tags"] is not None:
            at = self._members.snapshot()
            return Members(carriers(session, self._members, at, definition["tags"]), at.version)
        named = definition["segment"]
        return of_segment(session, self._segments, self._models, named["model"], named["segment"])

    def undo(self, context: TaskContext) -> str | None:
        """What was sent stays, and is told; an audience that nobody knows of goes."""
        audience, platform = self._accounts.asked(context.arguments)
        context.phase("deshacer")
        held = self._table.held(audience.key, context.job_id)
        if may_be_there(context.journaled(), STEP):
            # An attempt that stood still meanwhile must not record an audience that goes now.
            held = self._table.change(audience.key, context.job_id, held, Step(fences=True))
            name = name_for(audience.name, context.job_id)
            settled(context, STEP, partial(ids, platform, name, context.job_id), platform.settle_seconds)
            self._remove_unknown(audience, platform, context.job_id)
        release(context, audience)
        return f"se enviaron {held.added} altas y {held.removed} bajas" if held.added or held.removed else None

    def look_again(self, job: Job) -> str | None:
        if not may_be_there(job.journal, STEP):
            return None
        audience, platform = self._accounts.asked(job.request.arguments)
        gone = self._remove_unknown(audience, platform, job.id)
        return f"se borró la audiencia {', '.join(map(str, gone))}" if gone else None

    def _remove_unknown(self, audience: Audience, platform: Audiences, job_id: str) -> list[Found]:
        """Delete what the job has made there, and the table does not name."""
        about = self._table.held(audience.key).about or {}
        found = platform.find(name_for(audience.name, job_id), job_id)
        gone = [one for one in found if one.id != about.get("audience_id")]
        for one in gone:
            platform.delete(one.id)
        return gone
