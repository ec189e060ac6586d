"""Changing many members: Spark writes all of a tag's files anew."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial

from pyspark.sql import DataFrame, SparkSession

from tag_tasks.tags.model import Edit, MemberFile, Snapshot, TagChange
from tag_tasks.tags.parallel import change_tags
from tag_tasks.tags.table import MembershipTable
from tag_tasks.tags.tag import TagTask
from tagapi.jobs.task import TaskContext


class Rewriter:
    """Rewrites tags for one run. In a dry run it counts, and writes nothing."""

    def __init__(
        self,
        session: SparkSession,
        table: MembershipTable,
        before: Snapshot,
        context: TaskContext,
        dry_run: bool,
    ) -> None:
        self._session = session
        self._table = table
        self._before = before
        self._context = context
        self._dry_run = dry_run

    def run(
        self, whole: Mapping[TagTask, DataFrame], parts: Mapping[TagTask, DataFrame], compare: bool
    ) -> list[TagChange]:
        """Tags to replace, by their members (`user_id`), and tags to change, by verdicts (`user_id, matches`)."""
        work: dict[TagTask, Callable[[], TagChange]] = {}
        for tag, members in whole.items():
            work[tag] = partial(self._replace, tag, members, compare)
        for tag, verdicts in parts.items():
            work[tag] = partial(self._change, tag, verdicts)
        return change_tags(self._session, self._context, list(work.values()))

    def _replace(self, tag: TagTask, members: DataFrame, compare: bool) -> TagChange:
        old = self._before.of(tag.tag_id)
        staged: tuple[MemberFile, ...] = ()
        if self._dry_run:
            matched = members.count()
        else:
            staged = self._stage(tag, members, "whole")
            matched = sum(file.rows for file in staged)
            members = self._read(staged)
        added = removed = None
        if compare:
            before = self._read(old)
            added = members.join(before, "user_id", "left_anti").count()
            removed = before.join(members, "user_id", "left_anti").count()
        return TagChange(tag.tag_id, matched, added, removed, Edit(old, staged))

    def _change(self, tag: TagTask, verdicts: DataFrame) -> TagChange:
        """Keep all members but those that the verdicts put out; add those that they put in and that were not there."""
        old = self._before.of(tag.tag_id)
        before = self._read(old)
        entering = verdicts.filter("matches").select("user_id").distinct()
        # A user with several rows matches if any of them does, as in a run over everyone.
        leaving = verdicts.filter("not matches").select("user_id").join(entering, "user_id", "left_anti")
        matched = entering.count()
        kept = before.join(leaving, "user_id", "left_anti")
        # The members among those who enter first: so the hash is built on the few, never on all members.
        new = entering.join(before.join(entering, "user_id", "left_semi"), "user_id", "left_anti")
        if self._dry_run:
            return TagChange(tag.tag_id, matched, new.count(), self._before.members(tag.tag_id) - kept.count())
        kept_files, new_files = self._stage(tag, kept, "kept"), self._stage(tag, new, "new")
        removed = self._before.members(tag.tag_id) - sum(file.rows for file in kept_files)
        added = sum(file.rows for file in new_files)
        return TagChange(tag.tag_id, matched, added, removed, Edit(old, kept_files + new_files))

    def _stage(self, tag: TagTask, users: DataFrame, name: str) -> tuple[MemberFile, ...]:
        folder = f"{self._table.stage(tag.tag_id, self._context.attempt_name)}/{name}"
        users.select("user_id").write.mode("overwrite").parquet(f"{self._table.path}/{folder}")
        return self._table.staged(tag.tag_id, folder)

    def _read(self, files: Sequence[MemberFile]) -> DataFrame:
        if not files:
            return self._session.createDataFrame([], "user_id string")
        return self._session.read.parquet(*(self._table.uri(file) for file in files))
