"""`workers.data_cleanup`: find what is broken, and on request write what is left into tables of its own.

A dry run leaves a report. Otherwise eight tables change as well, `<table>` and
`<table>_removed` for each of the four, and no file system commits to all of them at once. So
whatever can be refused is found out first. The decision is the verdict that publishes the report,
beside which lies the list of what is to be committed; the commits follow, each taken
once. Whoever finds that finishes what is left of the list: the job that was interrupted
there is done, never undone.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import datetime
from typing import Any, ClassVar

from pyspark.sql import DataFrame, SparkSession, Window
from pyspark.sql import functions as F

from tag_tasks.datasets.cleaned import CleanedTables, Staged
from tag_tasks.datasets.documents import JSON, to_json
from tag_tasks.datasets.faults import CHECKS, REASON, REASONS, Checks, flagged
from tag_tasks.datasets.progress import Steps
from tag_tasks.datasets.results import UNREADABLE, ResultFolder, TakenOver
from tag_tasks.datasets.results import Staged as StagedFiles
from tag_tasks.datasets.select import Selection, rows_of, selected
from tag_tasks.datasets.tables import Table
from tag_tasks.spark.session import Spark
from tag_tasks.spark.sources import Sources
from tag_tasks.storage import storage_errors
from tagapi.jobs.model import Job, Json
from tagapi.jobs.task import Task, TaskContext

NAME = "data_cleanup.json"
PLAN = "commits"
"""The list of what is to be committed, beside the report."""

SAMPLES = 5  # rows shown for each reason
REMOVED = "{}_removed"


@dataclass(frozen=True, slots=True)
class Found:
    """What was found in one table."""

    rows: int
    removed: int
    reasons: Mapping[str, Any]


class DataCleanup(Task):
    """A report of what is broken; unless it is a dry run, the good rows and the others in tables of their own."""

    name: ClassVar[str] = "workers.data_cleanup"

    def __init__(self, spark: Spark, sources: Sources, results: ResultFolder, cleaned: CleanedTables) -> None:
        self._spark = spark
        self._sources = sources
        self._results = results
        self._cleaned = cleaned

    def ready(self) -> bool:
        return self._spark.ready()

    def find_commit(self, job: Job) -> Json | None:
        if not self._results.find(job.id, job.epoch):
            return None
        self._carry_out(job.id, job.submitted_at)
        return job.result

    def run(self, context: TaskContext) -> Json:
        dry = bool((context.arguments.get("filters") or {}).get("dry_run", True))
        with self._results.stage(context.attempt_name) as files, ExitStack() as undo:
            staged: list[Staged] = []
            with self._spark.session(context) as session:
                found = self._look(session, context, None if dry else staged, undo)
            result = self._report(files, context, found, dry)
            if staged:
                self._plan(files, staged)
            context.begin_commit(result)
            kept = undo.pop_all()  # from here on the plan may be there, and refer to what was staged
            try:
                files.publish()
            except TakenOver:  # it is not, and never will be
                kept.close()
                raise
        self._carry_out(context.job_id, context.submitted_at)
        return result

    # -- looking -----------------------------------------------------------------------------

    def _look(
        self, session: SparkSession, context: TaskContext, staged: list[Staged] | None, undo: ExitStack
    ) -> Mapping[str, Found]:
        """What there is in each table; where `staged` is given, the rows are written for it."""

        def read(table: Table) -> DataFrame:
            return rows_of(session, self._sources, table)

        wanted = Selection.of(context.arguments, filters={})  # the filters of a cleanup are about how, not about which
        sizes = {name: selected(read(checks.table), checks.table, wanted).count() for name, checks in CHECKS.items()}
        steps = Steps(context, sum(sizes.values()))
        done = 0
        found = {}
        for name, checks in CHECKS.items():
            rows = flagged(checks, selected(read(checks.table), checks.table, wanted), read, context.submitted_at)
            if staged is None:
                found[name] = _summary(rows, checks)
            else:
                with self._cleaned.fixed(session, name, rows, context.attempt_name) as fixed:
                    found[name] = _summary(fixed, checks)
                    staged += self._split(fixed, name, context, undo)
            done += sizes[name]
            steps.reach(done)
        steps.end(sum(one.rows for one in found.values()))
        return found

    def _split(self, rows: DataFrame, name: str, context: TaskContext, undo: ExitStack) -> list[Staged]:
        """Write the rows that are kept, and those that are not."""
        halves = {
            name: rows.filter(F.col(REASON) == "").drop(REASON),
            REMOVED.format(name): rows.filter(F.col(REASON) != ""),
        }
        staged = []
        for table, half in halves.items():
            context.check()
            undo.callback(self._cleaned.discard, table, context.attempt_name)
            staged.append(self._cleaned.stage(table, half, context.attempt_name))
        return staged

    # -- committing --------------------------------------------------------------------------

    def _report(self, files: StagedFiles, context: TaskContext, found: Mapping[str, Found], dry: bool) -> Json:
        report = {
            "dry_run": dry,
            "date_from": context.arguments.get("date_from"),
            "date_to": context.arguments.get("date_to"),
            "tables": {
                name: {"rows": one.rows, "kept": one.rows - one.removed, "removed": one.removed, "reasons": one.reasons}
                for name, one in found.items()
            },
        }
        total, removed = sum(one.rows for one in found.values()), sum(one.removed for one in found.values())
        with files.file(NAME, JSON) as file:
            file.write(to_json(report))
        file.sync()
        return {
            "file": file.described(),
            "total_records": total,
            "processed_records": total,
            "removed_records": removed,
            "dry_run": dry,
        }

    def _plan(self, files: StagedFiles, staged: Sequence[Staged]) -> None:
        """Write the list of what is to be committed, once it is sure that every table on it can be."""
        for one in staged:
            self._cleaned.check(one)
        with files.file(PLAN, JSON) as file:
            file.write(to_json([one.to_json() for one in staged]))
        file.sync()

    def _carry_out(self, job_id: str, submitted_at: datetime) -> None:
        """Commit whatever of the job's plan is not committed yet."""
        file = self._results.open(job_id, PLAN)
        if file is None:  # a dry run
            return
        with file, storage_errors(UNREADABLE):
            plan = json.load(file)
        for told in plan:
            self._cleaned.commit(Staged.from_json(told), job_id, submitted_at)


def _summary(rows: DataFrame, checks: Checks) -> Found:
    """Counts, and the first few rows of each reason."""
    total, removed = rows.agg(F.count("*"), F.count_if(F.col(REASON) != "")).collect()[0]
    one = rows.filter(F.col(REASON) != "").withColumn("_one", F.explode(F.split(REASON, ",")))
    of_reason = Window.partitionBy("_one")
    placed = one.withColumn("_count", F.count("*").over(of_reason)).withColumn(
        "_place", F.row_number().over(of_reason.orderBy(*checks.table.columns))
    )
    shown = placed.filter(F.col("_place") <= SAMPLES).sort("_one", "_place").toArrow().to_pylist()
    reasons: dict[str, Any] = {}
    for row in shown:
        reason, count = row.pop("_one"), row.pop("_count")
        del row["_place"], row[REASON]
        seen = reasons.setdefault(reason, {"title": REASONS[reason], "count": count, "samples": []})
        seen["samples"].append(row)
    return Found(int(total), int(removed), {name: reasons[name] for name in REASONS if name in reasons})
