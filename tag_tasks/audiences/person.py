"""`tasks.person_removal`: a person goes out of every audience, here and on the platforms, and stays out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import reduce
from typing import Any

import pyarrow as pa
from pyspark.sql import Column, DataFrame, SparkSession
from pyspark.sql import functions as F

from tag_tasks.audiences import removed
from tag_tasks.audiences.accounts import NAMES, Accounts
from tag_tasks.audiences.sent import MAYBE, NOBODYS, OUT, ROWS, SENT, Held, SentTable, Step
from tag_tasks.audiences.upload import Upload, hold, release
from tag_tasks.delta.files import DataFile
from tag_tasks.platforms.audiences import MOST_ROWS
from tag_tasks.spark.session import Spark
from tagapi.jobs.errors import JobError, TaskFailed, Transient
from tagapi.jobs.model import Json
from tagapi.jobs.task import Task, TaskContext


class PersonRemoval(Task):
    """Arguments: `user_id`. Result: `removed`, the audiences that had the person. No sync sends them from then on."""

    name = "tasks.person_removal"
    lane = "audiences"
    phases = ("quitar",)
    max_attempts = 8
    time_limit = 3600.0

    def __init__(self, spark: Spark, table: SentTable, accounts: Accounts) -> None:
        self._spark = spark
        self._table = table
        self._accounts = accounts

    def ready(self) -> bool:
        return self._spark.ready()

    def run(self, context: TaskContext) -> Json:
        user_id = str(context.arguments["user_id"])
        self._keep_out(context, user_id)
        found = self._table.abouts()
        context.phase("quitar", len(found))
        failed: list[JobError] = []
        with self._spark.session(context) as session:
            for done, about in enumerate(found, 1):
                try:
                    self._remove(context, session, about, user_id)
                except (Transient, TaskFailed) as error:  # the person goes out of the others all the same
                    failed.append(error)
                context.progress(done, len(found))
        if failed:
            raise next((error for error in failed if isinstance(error, Transient)), None) or _every(failed)
        return removed.result(context, "Persona eliminada de todas las audiencias", found)

    def undo(self, context: TaskContext) -> str | None:
        return removed.told(context)

    def _keep_out(self, context: TaskContext, user_id: str) -> None:
        """First of all, so that no sync that begins now sends the person again."""
        held = self._table.held(NOBODYS, context.job_id)
        people = [*self._table.pieces(held.of(OUT), MOST_ROWS)]
        if any(user_id in rows["user_id"].to_pylist() for rows in people):
            return
        own = pa.table([[user_id], [""], [""]], schema=ROWS)
        kept = self._table.write_rows(
            self._table.staging(NOBODYS, context.attempt_name), pa.concat_tables([*people, own])
        )
        self._table.change(NOBODYS, context.job_id, held, Step(come={OUT: [kept]}, go={OUT: held.of(OUT)}))

    def _remove(self, context: TaskContext, session: SparkSession, about: Mapping[str, Any], user_id: str) -> None:
        audience, platform = self._accounts.kept(about)
        hold(context, audience)
        held = self._table.held(audience.key, context.job_id)
        rows = _read(session, self._table, held)
        theirs = rows.filter(F.col("user_id") == user_id).select(*ROWS.names).distinct().toArrow()
        if theirs.num_rows:
            removed.note(context, audience.key, str(about["audience_id"]))
            upload = Upload(context, self._table, audience, held, platform)
            shared = _shared(rows, user_id, theirs)
            own = [row for row in theirs.to_pylist() if (row["email"], row["phone"]) not in shared]
            folder = f"{self._table.staging(audience.key, context.attempt_name)}/without"
            batch = [upload.kept(pa.Table.from_pylist(own, ROWS))] if own else []
            come = self._without(rows, user_id, folder)
            upload.commit(
                Step(
                    come={SENT: come.get(SENT, ()), MAYBE: [*come.get(MAYBE, ()), *batch]},
                    go={state: held.of(state) for state in (SENT, MAYBE)},
                )
            )
            upload.remove(str(about["audience_id"]), batch)
            if upload.unconfirmed:
                raise Transient(reason=f"{NAMES[audience.platform]} no confirma que la persona haya salido")
        release(context, audience)

    def _without(self, rows: DataFrame, user_id: str, folder: str) -> Mapping[str, list[DataFile]]:
        """Everybody else's rows, in files anew, by state."""
        others = rows.filter(F.col("user_id") != user_id)
        others.write.mode("overwrite").partitionBy("state").parquet(f"{self._table.path}/{folder}")
        found: dict[str, list[DataFile]] = {}
        for file in self._table.staged_files(folder):
            state = SENT if f"/state={SENT}/" in file.path else MAYBE
            found.setdefault(state, []).append(file)
        return found


def _every(failed: Sequence[JobError]) -> TaskFailed:
    return TaskFailed(reason="; ".join(dict.fromkeys(map(str, failed))))


def _read(session: SparkSession, table: SentTable, held: Held) -> DataFrame:
    """What is kept of an audience: `user_id, email, phone, state`."""
    frames = [
        session.read.parquet(*(table.uri(file) for file in held.of(state)))
        .select(*ROWS.names)
        .withColumn("state", F.lit(state))
        for state in (SENT, MAYBE)
        if held.of(state)
    ]
    if not frames:
        return session.createDataFrame([], "user_id string, email string, phone string, state string")
    return reduce(DataFrame.unionAll, frames)


def _shared(rows: DataFrame, user_id: str, theirs: pa.Table) -> set[tuple[str, str]]:
    """Those of the person's hashes that somebody else in the audience has, too."""
    pairs = zip(theirs["email"].to_pylist(), theirs["phone"].to_pylist(), strict=True)
    alike = [(F.col("email") == email) & (F.col("phone") == phone) for email, phone in pairs]
    found = rows.filter(F.col("user_id") != user_id).filter(reduce(Column.__or__, alike))
    return {(row["email"], row["phone"]) for row in found.select("email", "phone").distinct().collect()}
