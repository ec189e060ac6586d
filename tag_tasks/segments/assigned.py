"""Who is in which segment: one Delta table, partitioned by model, version and segment."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import pyarrow as pa
from deltalake import DeltaTable
from deltalake.transaction import AddAction, RemoveAction

from tag_tasks.delta import commits, files
from tag_tasks.delta.files import DataFile
from tag_tasks.delta.table import JobTable
from tagapi.jobs.errors import Contended

SEGMENT = "segment"
COMMITS_TRIED = 100  # while predictions of other models commit


@dataclass(frozen=True, slots=True, kw_only=True)
class SegmentFile(DataFile):
    """A file of users of one segment; its bounds are of their ids."""

    version: int
    segment: int

    @classmethod
    def of(cls, version: int, segment: int, file: DataFile) -> SegmentFile:
        return cls(file.path, file.size, file.rows, file.low, file.high, version=version, segment=segment)


@dataclass(frozen=True, slots=True)
class Assigned:
    """A model's users, at one version of the table."""

    version: int
    files: Sequence[SegmentFile]

    @property
    def in_use(self) -> int | None:
        """The model's version by which most users were predicted; None where nobody was.

        Some may have been predicted by a newer one since: that makes it nobody else's.
        """
        rows: Counter[int] = Counter()
        for file in self.files:
            rows[file.version] += file.rows
        return max(rows, key=lambda version: (rows[version], version), default=None)

    def of(self, segment: int) -> Sequence[SegmentFile]:
        """The files of a segment, of the version in use: another's numbers mean others."""
        return [file for file in self.files if (file.version, file.segment) == (self.in_use, segment)]

    def holding(self, user_id: str) -> Sequence[SegmentFile]:
        return [file for file in self.files if file.may_hold(user_id)]


class SegmentTable(JobTable):
    """The table of this process. Safe to use from many threads."""

    named = "table of segments"
    schema = pa.schema(
        [("user_id", pa.string()), ("model", pa.string()), ("version", pa.int32()), (SEGMENT, pa.int32())]
    )
    partition_by = ("model", "version", SEGMENT)

    def assigned(self, model: str) -> Assigned:
        return self.use(partial(_assigned, model=model))

    def staging(self, model: str, attempt: str) -> str:
        return f"model={model}/{attempt}"

    def commit(
        self, model: str, job_id: str, at: Assigned, come: Sequence[SegmentFile], go: Sequence[SegmentFile]
    ) -> None:
        """Raises Contended where the model's users changed since `at`, or the job's commit was asked for meanwhile:
        then this one never comes."""
        now = int(time.time() * 1000)
        actions: list[AddAction | RemoveAction] = [files.removing(file, _partition(model, file), now) for file in go]
        actions += [files.adding(file, "user_id", _partition(model, file), now) for file in come]
        for _ in range(COMMITS_TRIED):
            try:
                self.commit_on(at.version, job_id, actions, {"model": model})
                return
            except Contended:
                at = self.use(partial(_rebased, model=model, at=at, job_id=job_id))
        raise Contended(reason=commits.FASTER)


def _partition(model: str, file: SegmentFile) -> Mapping[str, str | None]:
    return {"model": model, "version": str(file.version), SEGMENT: str(file.segment)}


def _rebased(table: DeltaTable, model: str, at: Assigned, job_id: str) -> Assigned:
    """What a commit made on `at` can be made on now. Raises Contended where there is no such version."""
    newer = _assigned(table, model)
    if newer.files != at.files or commits.fenced_since(table, job_id, at.version):
        raise Contended(reason=commits.FASTER)
    return newer


def _assigned(table: DeltaTable, model: str) -> Assigned:
    found = []
    for row in pa.table(table.get_add_actions(flatten=True)).to_pylist():
        if row["partition.model"] == model:
            bounds = row.get("min.user_id"), row.get("max.user_id")
            file = DataFile(row["path"], row["size_bytes"], row["num_records"], *bounds)
            found.append(SegmentFile.of(int(row["partition.version"]), int(row[f"partition.{SEGMENT}"]), file))
    return Assigned(table.version(), sorted(found, key=lambda file: file.path))
