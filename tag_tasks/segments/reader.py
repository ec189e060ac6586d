"""What namespaces read of segments: the models, their versions, and a user's segment."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from pyspark.sql import functions as F

from tag_tasks.reads import Reads
from tag_tasks.segments.assigned import SegmentTable
from tag_tasks.segments.model import Model
from tag_tasks.segments.models import ModelTable
from tag_tasks.spark.session import Spark
from tagapi.jobs.errors import NotFoundInData


class SegmentReader:
    """Reads for the API. Raises NotReady while Spark, or the storage, does not answer."""

    def __init__(self, spark: Spark, models: ModelTable, table: SegmentTable, at_once: int) -> None:
        """At most `at_once` reads are under way."""
        self._spark = spark
        self._models = models
        self._table = table
        self._reads = Reads(at_once)

    def models(self) -> Sequence[Mapping[str, Any]]:
        """The newest version of each model, by name, in short."""

        def read() -> list[Model]:
            found = (self._models.read(name) for name in self._models.names())
            return [model for model in found if model is not None]

        return [_short(model) for model in self._reads.run(read)]

    def model(self, name: str, version: int | None = None) -> Mapping[str, Any]:
        """A version whole, the newest unless told otherwise, with `versions`. Raises NotFoundInData."""
        versions = self._reads.run(lambda: self._models.versions(name))
        if not versions:
            raise NotFoundInData(thing="model", name=name)
        found = self._reads.run(lambda: self._models.read(name, version))
        if found is None:
            raise NotFoundInData(thing="version", name=version)
        return {**json.loads(found.to_json()), "versions": list(versions)}

    def in_use(self, name: str) -> Mapping[str, Any]:
        """The version by which users were predicted, the newest where nobody was. Raises NotFoundInData."""
        return self.model(name, self._reads.run(lambda: self._table.assigned(name)).in_use)

    def segment_of(self, name: str, user_id: str) -> Mapping[str, Any]:
        """`model, version, user_id, segment, description`. Raises NotFoundInData for who was not predicted."""
        self.model(name)
        found = self._reads.run(lambda: self._segment_of(name, user_id))
        if found is None:
            raise NotFoundInData(thing="segment", name=user_id)
        version, segment = found
        model = self._reads.run(lambda: self._models.read(name, version))
        told = {} if model is None else {"description": model.segments()[segment]["description"]}
        return {"model": name, "version": version, "user_id": user_id, "segment": segment, **told}

    def _segment_of(self, name: str, user_id: str) -> tuple[int, int] | None:
        files = self._table.assigned(name).holding(user_id)
        if not files:
            return None
        with self._spark.session() as session:
            for file in files:
                rows = session.read.parquet(self._table.uri(file)).filter(F.col("user_id") == user_id)
                if rows.select("user_id").limit(1).collect():
                    return file.version, file.segment
        return None


def _short(model: Model) -> Mapping[str, Any]:
    return {
        "model": model.model,
        "version": model.version,
        "segments": len(model.centres),
        "silhouette": model.silhouette,
        "users": model.users,
        "trained_at": model.trained_at,
    }
