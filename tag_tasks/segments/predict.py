"""`tasks.segment_predict`: put each user into the segment whose centre is nearest, in one commit."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from datetime import date

import pyarrow as pa
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from tag_tasks.segments.assigned import SEGMENT, Assigned, SegmentFile, SegmentTable
from tag_tasks.segments.features import Numbers
from tag_tasks.segments.model import Model
from tag_tasks.segments.models import ModelTable
from tag_tasks.spark.session import Spark
from tag_tasks.spark.sources import Sources
from tagapi.jobs.errors import Contended, TaskFailed
from tagapi.jobs.model import Job, Json
from tagapi.jobs.task import Task, TaskContext

DONE = "Predicción completada con éxito"
NAMED = 1000
"""Users up to which files are skipped that cannot hold them."""


class SegmentPredict(Task):
    """Arguments: `model`, `version` or null, `user_ids` or null. Result: the contract's of a prediction."""

    name = "tasks.segment_predict"
    phases = ("predecir", "guardar")

    def __init__(self, spark: Spark, sources: Sources, models: ModelTable, table: SegmentTable) -> None:
        self._spark = spark
        self._sources = sources
        self._models = models
        self._table = table

    def ready(self) -> bool:
        return self._spark.ready()

    def find_commit(self, job: Job) -> Json | None:
        return job.result if self._table.find_commit(job.id) else None

    def run(self, context: TaskContext) -> Json:
        asked = context.arguments
        if (model := self._models.read(asked["model"], asked["version"])) is None:
            raise TaskFailed(reason=f"No existe el modelo {asked['model']}, o no tiene esa versión")
        folder = self._table.staging(model.model, context.attempt_name)
        with ExitStack() as undo, self._spark.session(context) as session:
            undo.callback(self._table.discard_folders, [folder])
            at = self._table.assigned(model.model)
            context.phase("predecir")
            staged = _Staged(session, self._table, f"{self._table.path}/{folder}", folder)
            new = staged.write(self._predicted(session, model, context.submitted_at.date(), asked["user_ids"]), model)
            if not new and asked["user_ids"] is None:
                raise TaskFailed(reason="No hay usuarios")
            context.check()
            go, kept = staged.others(at, asked["user_ids"])
            context.phase("guardar")
            result = _result(model, new, asked["user_ids"])
            context.begin_commit(result)
            cleaning = undo.pop_all()  # from here on the table may refer to what was staged
            try:
                self._table.commit(model.model, context.job_id, at, [*new, *kept], go)
            except Contended:  # it does not, and never will
                cleaning.close()
                raise
        return result

    def _predicted(self, session: SparkSession, model: Model, today: date, user_ids: Sequence[str] | None) -> DataFrame:
        numbers = Numbers(session, self._sources, model.features, today)
        numbers.check()
        if user_ids is None:
            return model.predicted(numbers.rows())
        if len(user_ids) <= NAMED:
            return model.predicted(numbers.rows(F.col("user_id").isin(list(user_ids))))
        listed = session.createDataFrame(pa.table({"user_id": pa.array(user_ids, pa.string())}))
        return model.predicted(numbers.rows().join(listed, "user_id", "left_semi"))


class _Staged:
    """What an attempt writes before it commits."""

    def __init__(self, session: SparkSession, table: SegmentTable, path: str, folder: str) -> None:
        self._session = session
        self._table = table
        self._path = path
        self._folder = folder

    def write(self, rows: DataFrame, model: Model) -> list[SegmentFile]:
        """Users by segment: the files say by their folders and footers how many there are of each."""
        rows.write.mode("overwrite").partitionBy(SEGMENT).parquet(f"{self._path}/new")
        staged = self._table.staged_files(f"{self._folder}/new")
        return [SegmentFile.of(model.version, _segment_in(file.path), file) for file in staged]

    def others(
        self, at: Assigned, user_ids: Sequence[str] | None
    ) -> tuple[Sequence[SegmentFile], Sequence[SegmentFile]]:
        """The files that go, and those that come in their place with everybody who was not predicted now."""
        if user_ids is None:
            return at.files, []
        few = user_ids if len(user_ids) <= NAMED else None
        held = [file for file in at.files if few is None or any(map(file.may_hold, few))]
        listed = self._session.createDataFrame(pa.table({"user_id": pa.array(user_ids, pa.string())}))
        kept: list[SegmentFile] = []
        for number, file in enumerate(held):
            rows = self._session.read.parquet(self._table.uri(file)).select("user_id")
            rows.join(listed, "user_id", "left_anti").write.mode("overwrite").parquet(f"{self._path}/kept-{number}")
            staged = self._table.staged_files(f"{self._folder}/kept-{number}")
            kept += [SegmentFile.of(file.version, file.segment, one) for one in staged]
        return held, kept


def _segment_in(path: str) -> int:
    return next(int(part.partition("=")[2]) for part in path.split("/") if part.startswith(f"{SEGMENT}="))


def _result(model: Model, new: Sequence[SegmentFile], user_ids: Sequence[str] | None) -> Json:
    counts = dict.fromkeys(range(len(model.centres)), 0)
    for file in new:
        counts[file.segment] += file.rows
    updated = sum(counts.values())
    return {
        "success": True,
        "message": DONE,
        "model": model.model,
        "version": model.version,
        "updated_count": updated,
        "error_count": 0 if user_ids is None else max(0, len(set(user_ids)) - updated),
        "segments": [{"segment": segment, "users": users} for segment, users in counts.items()],
    }
