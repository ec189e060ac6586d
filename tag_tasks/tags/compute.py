"""`tags.compute`: find out who carries the requested tags, and put that into the table in one commit.

A run takes one of two roads. Over everyone, Spark writes new member files for each tag
(`rewrite.py`). For some users, those of a list or those that changed, the verdicts are
collected and only the files that hold the users are rewritten (`edit.py`). Both are computed
on a snapshot of the table; if somebody else changed the same memberships meanwhile, once
more, with the table to itself.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, ClassVar

import pyarrow as pa
import pyarrow.compute as pc
from pyspark.errors import PySparkException
from pyspark.sql import SparkSession

from tag_tasks.spark.seen import Seen
from tag_tasks.spark.session import Spark
from tag_tasks.spark.sources import Sources
from tag_tasks.tags.catalogue import catalogue
from tag_tasks.tags.edit import Editor
from tag_tasks.tags.evaluate import USERS, Evaluator, Rows
from tag_tasks.tags.model import Marks, Snapshot, TagChange, Touched
from tag_tasks.tags.rewrite import Rewriter
from tag_tasks.tags.scope import Scope, Scopes
from tag_tasks.tags.table import MembershipTable
from tag_tasks.tags.tag import TagTask
from tag_tasks.tags.verdicts import Verdicts
from tagapi.jobs.errors import Contended
from tagapi.jobs.model import Job, Json
from tagapi.jobs.task import Task, TaskContext

SOME = 1_000_000
"""Users of a source up to which verdicts are collected and files edited, instead of whole tags rewritten by Spark."""

COMPUTED_AT_MOST = 3
"""Times that one attempt computes: without the table to itself, then with it, then against other processes' luck."""

UNKNOWN_NAMED = 100
"""Unknown user ids that a result names."""


@dataclass(frozen=True, slots=True)
class Order:
    """What was asked, as the namespace validated it."""

    tags: Sequence[TagTask]
    user_ids: Sequence[str] | None
    incremental: bool
    dry_run: bool
    diff: bool
    submitted: datetime

    @classmethod
    def of(cls, context: TaskContext, tags: Mapping[int, TagTask]) -> Order:
        asked = context.arguments
        return cls(
            tags=[tags[tag_id] for tag_id in asked["tag_ids"]],
            user_ids=asked.get("user_ids"),
            incremental=asked.get("mode") == "incremental",
            dry_run=bool(asked.get("dry_run")),
            diff=bool(asked.get("diff") or asked.get("dry_run")),
            submitted=context.submitted_at,
        )

    @property
    def tag_ids(self) -> frozenset[int]:
        return frozenset(tag.tag_id for tag in self.tags)


@dataclass(frozen=True, slots=True)
class Draft:
    """A computation that can be committed on the table that it was computed on."""

    snapshot: Snapshot
    touched: Touched
    total_users: int
    changes: Sequence[TagChange] = ()
    verdicts: Verdicts | None = None
    """Instead of changes, for some users: which files these take is decided right before the commit."""

    unknown: Sequence[str] = ()
    marks: Mapping[int, Marks] = field(default_factory=dict)
    seen: Mapping[str, Seen] = field(default_factory=dict)

    @property
    def changes_nothing(self) -> bool:
        """Nobody is new or changed. (Of a list nobody may exist, and memberships be left all the same.)"""
        return self.total_users == 0 and self.touched.users is None


class ComputeTags(Task):
    """See the module."""

    name: ClassVar[str] = "tags.compute"

    def __init__(self, spark: Spark, sources: Sources, table: MembershipTable, late: timedelta) -> None:
        """`late` is by how much a row may come later than its time says, and incremental runs still see it."""
        self._spark = spark
        self._sources = sources
        self._table = table
        self._late = late
        self._tags = catalogue()

    def ready(self) -> bool:
        return self._spark.ready()

    def find_commit(self, job: Job) -> Json | None:
        return job.result if self._table.find_commit(job.id) else None

    def run(self, context: TaskContext) -> Json:
        order = Order.of(context, self._tags)
        context.progress(0, len(order.tags))
        with ExitStack() as undo, self._spark.session(context) as session:
            undo.callback(self._table.discard, order.tag_ids, context.attempt_name)
            with ExitStack() as alone:
                for _ in range(COMPUTED_AT_MOST):
                    draft = self._compute(order, context, session)
                    if draft.changes_nothing:
                        nothing = [TagChange(tag_id, 0, added=0, removed=0) for tag_id in sorted(order.tag_ids)]
                        return _result(draft, nothing, draft.snapshot.version)
                    alone.enter_context(self._table.writing(context.check))
                    base = self._table.snapshot()
                    # Not a fresh one: what came after `base` refuses the commit, and another look is another request.
                    if not self._table.touched_since(draft.snapshot.version, draft.touched, fresh=False):
                        return self._finish(order, draft, base, context, session, undo)
            raise Contended(reason="other jobs changed the same memberships again and again")

    def _compute(self, order: Order, context: TaskContext, session: SparkSession) -> Draft:
        snapshot = self._table.snapshot()
        evaluator = Evaluator(session, self._sources, order.tags, order.submitted)
        rewriter = Rewriter(session, self._table, snapshot, context, order.dry_run)
        try:
            return self._draft(order, snapshot, evaluator, rewriter)
        except PySparkException:
            evaluator.check_sources()  # says which table is to blame, where it is one
            raise

    def _draft(self, order: Order, snapshot: Snapshot, evaluator: Evaluator, rewriter: Rewriter) -> Draft:
        if order.user_ids is None:
            return self._over_everyone(order, snapshot, evaluator, rewriter)
        verdicts = evaluator.verdicts_on(order.user_ids)
        existing = verdicts.users_of(USERS)
        listed = pa.array(order.user_ids, pa.string())
        unknown = listed.filter(pc.invert(pc.is_in(listed, value_set=existing))).to_pylist()
        touched = Touched(order.tag_ids, frozenset(order.user_ids))
        total = len(order.user_ids) - len(unknown)
        return Draft(snapshot, touched, total, verdicts=verdicts, unknown=unknown[:UNKNOWN_NAMED])

    def _over_everyone(self, order: Order, snapshot: Snapshot, evaluator: Evaluator, rewriter: Rewriter) -> Draft:
        look = Scopes(self._table, self._sources, order.tags, order.submitted, self._late)
        scopes = {tag: look.of(tag) if order.incremental else Scope() for tag in order.tags}
        parts = {Rows.of(tag, scope) for tag, scope in scopes.items()}
        surveys = evaluator.survey(parts if order.incremental else parts | {Rows(USERS)})
        if not any(part.source == USERS for part in surveys):
            evaluator.check_users()
        touched = Touched(order.tag_ids, None)
        marks = {}
        for tag, scope in scopes.items():
            if (mark := look.marks(tag, scope, surveys[Rows.of(tag, scope)].newest)) is not None:
                marks[tag.tag_id] = mark
        whole = {tag: evaluator.members(tag) for tag, scope in scopes.items() if scope.whole}
        if not whole and (some := evaluator.verdicts_on_changed(scopes, SOME)) is not None:
            return Draft(snapshot, touched, some.users(), verdicts=some, marks=marks, seen=look.seen)
        total = evaluator.changed_users(scopes).count() if order.incremental else surveys[Rows(USERS)].rows
        changed = {tag: evaluator.changed(tag, scope) for tag, scope in scopes.items() if not scope.whole}
        changes = rewriter.run(whole, changed, order.diff)
        return Draft(snapshot, touched, total, changes, marks=marks, seen=look.seen)

    def _finish(
        self,
        order: Order,
        draft: Draft,
        base: Snapshot,
        context: TaskContext,
        session: SparkSession,
        undo: ExitStack,
    ) -> Json:
        """Commit on top of `base`, on which the draft still holds; in a dry run, only say what that would do."""
        changes = draft.changes
        if draft.verdicts is not None:
            changes = Editor(session, self._table, base, context, order.dry_run).edit(draft.verdicts)
        if order.dry_run:
            return _result(draft, changes, draft.snapshot.version)
        if draft.total_users == 0 and not any(change.edit for change in changes):
            return _result(draft, changes, base.version)
        result = _result(draft, changes, base.version + 1)
        for seen in draft.seen.values():
            self._table.seen.save(seen)
        context.begin_commit(result)
        staged = undo.pop_all()  # from here on the table may refer to what was staged
        try:
            edits = [change.edit for change in changes]
            self._table.commit(context.job_id, base, edits, draft.touched, draft.marks)
        except Contended:  # it does not, and never will
            staged.close()
            raise
        return result


def _result(draft: Draft, changes: Sequence[TagChange], version: int) -> dict[str, Any]:
    return {
        "total_users": draft.total_users,
        "message": f"Successfully processed {draft.total_users} users" if draft.total_users else "No results",
        "tags": [
            {"tag_id": one.tag_id, "matched_users": one.matched, "added": one.added, "removed": one.removed}
            for one in changes
        ],
        "unknown_user_ids": list(draft.unknown),
        "table_version": version,
    }
