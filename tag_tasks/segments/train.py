"""`tasks.segment_train`: find segments among the users, and keep them as a new version of a model.

Memory does not grow with the users: a seeded sample of them, by a hash of their ids, is read in a stream.
"""

from __future__ import annotations

from datetime import UTC, datetime

import numpy as np
import pyarrow as pa
from pyspark.sql import Column, SparkSession
from pyspark.sql import functions as F

from tag_tasks.segments.features import Numbers
from tag_tasks.segments.model import Model
from tag_tasks.segments.models import ModelTable
from tag_tasks.segments.training import SEED, Matrix, fit, scaled
from tag_tasks.spark.session import Spark
from tag_tasks.spark.sources import Sources
from tag_tasks.spark.stream import arrow_pieces
from tag_tasks.tags.evaluate import USERS
from tagapi.jobs.errors import TaskFailed
from tagapi.jobs.model import Job, Json
from tagapi.jobs.task import Task, TaskContext

SAMPLE = 1_000_000
"""Users that are trained on at most; some more or less, since a hash decides."""
PIECE = 50_000  # rows at once
HASHES = 2**32
HOLD_SECONDS = 60.0  # that a model is kept from other trainings: it only spares them what they would do in vain
DONE = "Modelo entrenado con éxito"


class SegmentTrain(Task):
    """Arguments: `model`, `segments`, `features`. Result: the contract's of a training."""

    name = "tasks.segment_train"
    phases = ("leer", "entrenar", "guardar")

    def __init__(self, spark: Spark, sources: Sources, models: ModelTable, sample: int = SAMPLE) -> None:
        self._spark = spark
        self._sources = sources
        self._models = models
        self._sample = sample

    def ready(self) -> bool:
        return self._spark.ready()

    def find_commit(self, job: Job) -> Json | None:
        return job.result if self._models.find_commit(job.id) else None

    def run(self, context: TaskContext) -> Json:
        name = f"model {context.arguments['model']}"
        context.hold(name, HOLD_SECONDS)
        try:
            return self._train(context, name)
        finally:
            context.release(name)

    def _train(self, context: TaskContext, name: str) -> Json:
        asked = context.arguments
        context.phase("leer")
        users, rows = self._read(context)
        least = asked["segments"] if asked["segments"] != "auto" else 2
        if len(rows) <= least:
            raise TaskFailed(reason=f"Hay {len(rows)} usuarios, y hacen falta más de {least}")
        context.phase("entrenar")
        scales, rows = scaled(rows, asked["features"])
        fitted = fit(rows, asked["segments"], context.check, context.progress)
        context.phase("guardar")
        context.hold(name, HOLD_SECONDS)
        model = Model(
            model=asked["model"],
            version=max(self._models.versions(asked["model"]), default=0) + 1,
            scales=scales,
            centres=fitted.centres,
            sizes=fitted.sizes,
            silhouette=fitted.silhouette,
            users=users,
            trained_on=len(rows),
            silhouette_on=fitted.silhouette_on,
            seed=SEED,
            today=context.submitted_at.date().isoformat(),
            trained_at=datetime.now(UTC).isoformat(),
            tried=fitted.tried,
        )
        result = told(model)
        self._models.add(model, context.job_id, lambda: context.begin_commit(result))
        return result

    def _read(self, context: TaskContext) -> tuple[int, Matrix]:
        """How many users there are, and the numbers of those who are trained on, NaN where nothing is known."""
        with self._spark.session(context) as session:
            numbers = Numbers(session, self._sources, context.arguments["features"], context.submitted_at.date())
            numbers.check()
            users = self._sources.read(session, USERS).count()
            return users, self._matrix(session, context, numbers, _sampled(users, self._sample))

    def _matrix(self, session: SparkSession, context: TaskContext, numbers: Numbers, only: Column | None) -> Matrix:
        names = context.arguments["features"]
        rows = numbers.rows(only).select(*names)
        parts = [_floats(piece, names) for piece in arrow_pieces(session, rows, PIECE, context.check)]
        return np.concatenate(parts) if parts else np.empty((0, len(names)), np.float32)


def _sampled(users: int, most: int) -> Column | None:
    """A condition that so many users meet, the same ones each time; None for all of them."""
    if users <= most:
        return None
    return F.crc32(F.col("user_id").cast("binary")) < int(HASHES * most / users)


def _floats(piece: pa.Table, names: list[str]) -> Matrix:
    columns = [piece[name].to_numpy(zero_copy_only=False).astype(np.float32) for name in names]
    return np.column_stack(columns)


def told(model: Model) -> dict[str, object]:
    """The result of a training."""
    chosen = {"chosen_by": "silhouette", "tried": list(model.tried)} if model.tried else {}
    return {
        "success": True,
        "message": DONE,
        "model": model.model,
        "version": model.version,
        "segments": model.segments(),
        "silhouette": model.silhouette,
        "users": model.users,
        "trained_on": model.trained_on,
        "silhouette_on": model.silhouette_on,
        "seed": model.seed,
        **chosen,
    }
