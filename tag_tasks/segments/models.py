"""The models that were trained: one Delta table, a row a version, which is there whole or not at all."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial

import pyarrow as pa
import pyarrow.parquet as pq
from deltalake import DeltaTable

from tag_tasks.delta import commits, files
from tag_tasks.delta.files import DataFile
from tag_tasks.delta.table import JobTable
from tag_tasks.segments.model import Model
from tag_tasks.storage import answered
from tagapi.jobs.errors import Contended

Versions = Mapping[int, DataFile]
"""Of one model: the file of each version."""


class ModelTable(JobTable):
    """The table of this process. Safe to use from many threads."""

    named = "table of models"
    schema = pa.schema([("told", pa.string()), ("model", pa.string()), ("version", pa.int32())])
    partition_by = ("model", "version")

    def names(self) -> Sequence[str]:
        return sorted(self.use(_versions))

    def versions(self, model: str) -> Sequence[int]:
        """Of a model, the oldest first; none where there is no such model."""
        return sorted(self.use(_versions).get(model, {}))

    def read(self, model: str, version: int | None = None) -> Model | None:
        """A version of a model, the newest unless told otherwise; None where there is none."""
        known = self.use(_versions).get(model, {})
        if not known or (version is not None and version not in known):
            return None
        return Model.from_json(self._read(known[max(known) if version is None else version]))

    def add(self, model: Model, job_id: str, begin: Callable[[], None]) -> None:
        """Commit a version that is not there yet; `begin` is called right before.

        Raises Contended where it is, or where the job's commit was asked for meanwhile: then this one never comes.
        """
        folder = f"model={model.model}/version={model.version}"
        file = self.write_file(folder, pa.table({"told": [model.to_json()]}))
        partition = {"model": model.model, "version": str(model.version)}
        adding = files.adding(file, None, partition, int(time.time() * 1000))
        at = self.use(DeltaTable.version)
        begin()
        while True:
            at = self.use(partial(_rebased, model=model, at=at, job_id=job_id))
            try:
                self.commit_on(at, job_id, [adding], {"model": model.model})
                return
            except Contended:
                continue  # another model's, perhaps: look again

    def _read(self, file: DataFile) -> str:
        def read() -> str:
            with self._files.open_input_file(f"{self._root}/{file.path}") as source:
                return str(pq.read_table(source, columns=["told"])["told"][0].as_py())

        return answered(self._threads, read, self._unusable)


def _rebased(table: DeltaTable, model: Model, at: int, job_id: str) -> int:
    """The version on which a commit made for `at` can be made now. Raises Contended where there is none."""
    known = _versions(table).get(model.model, {})
    if model.version in known or commits.fenced_since(table, job_id, at):
        raise Contended(reason=commits.FASTER)
    return table.version()


def _versions(table: DeltaTable) -> Mapping[str, Versions]:
    found: dict[str, dict[int, DataFile]] = {}
    for row in pa.table(table.get_add_actions(flatten=True)).to_pylist():
        file = files.of_action(row)
        found.setdefault(row["partition.model"], {})[int(row["partition.version"])] = file
    return found
