"""The memberships: one Delta table, partitioned by tag_id, changed by whole files.

Each commit says what it touched (so that a later commit knows whether it computed on old ground) and,
for runs over all users, the tag's marks.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from functools import partial

import pyarrow as pa
import pyarrow.parquet as pq
from deltalake import DeltaTable, Transaction
from deltalake.transaction import AddAction, RemoveAction

from tag_tasks.delta import commits, files
from tag_tasks.delta.table import SECONDS, JobTable
from tag_tasks.spark.seen import SeenStore
from tag_tasks.storage import answered
from tag_tasks.tags.catalogue import catalogue
from tag_tasks.tags.model import Edit, Marks, MemberFile, Snapshot, Touched

MANY_COMMITS = 200  # since a job read the table: beyond this it is cheaper to compute anew than to compare
USERS_NAMED = 100  # in a commit; one that touches more says that it touched everyone
SEEN = "_files_seen"  # Delta, and so its vacuum, leaves names alone that begin like this


class MembershipTable(JobTable):
    """The table of this process. Safe to use from many threads."""

    named = "membership table"
    schema = pa.schema(
        [pa.field("user_id", pa.string(), nullable=False), pa.field("tag_id", pa.int32(), nullable=False)]
    )
    partition_by = ("tag_id",)

    def __init__(self, path: str, seconds: float = SECONDS) -> None:
        super().__init__(path, seconds)
        self.seen = SeenStore(self._files, f"{self._root}/{SEEN}", self._threads)

    # -- reading ---------------------------------------------------------------------------

    def snapshot(self) -> Snapshot:
        """The table as it is now. It is made where it does not exist."""
        return self.use(_snapshot)

    def marks(self, tag_id: int) -> Marks | None:
        """The marks of the tag's last run over all users; None before the first."""
        return self.use(partial(_marks, tag_id=tag_id))

    def read(self, file: MemberFile) -> pa.Array:
        """The user ids of one file."""

        def read() -> pa.Array:
            with self._files.open_input_file(f"{self._root}/{file.path}") as source:
                return pq.read_table(source, columns=["user_id"])["user_id"].combine_chunks()

        return answered(self._threads, read, self._unusable)

    # -- staging ---------------------------------------------------------------------------

    def stage(self, tag_id: int, name: str) -> str:
        """The folder, relative to the table, for the files of one attempt and tag."""
        return f"tag_id={tag_id}/{name}"

    def write(self, tag_id: int, folder: str, user_ids: pa.Array) -> MemberFile:
        """Write one file of members into a staging folder."""
        rows = pa.table({"user_id": user_ids})
        encoding = {"user_id": "DELTA_BYTE_ARRAY"}
        return MemberFile.of(tag_id, self.write_file(folder, rows, use_dictionary=False, column_encoding=encoding))

    def staged(self, tag_id: int, folder: str) -> tuple[MemberFile, ...]:
        """The files that Spark wrote into a staging folder, those without rows left out."""
        return tuple(MemberFile.of(tag_id, file) for file in self.staged_files(folder))

    def discard(self, tag_ids: Iterable[int], name: str) -> None:
        """Remove what an attempt staged and did not commit. What cannot be removed is left to the vacuum."""
        self.discard_folders([self.stage(tag_id, name) for tag_id in tag_ids])

    # -- writing ---------------------------------------------------------------------------

    def touched_since(self, version: int, wanted: Touched, fresh: bool = True) -> bool:
        """Whether a commit after `version` touched any of what is `wanted`, as far as can be told: else yes.

        Not `fresh`, it is asked of the table as the last snapshot found it.
        """
        return self.use(partial(_touched_since, version=version, wanted=wanted), fresh)

    def commit(
        self,
        job_id: str,
        base: Snapshot,
        edits: Iterable[Edit],
        touched: Touched,
        marks: Mapping[int, Marks],
    ) -> int:
        """Commit on top of exactly `base`; answers with the new version.

        Raises Contended where another was faster: then this commit is not there, and never will be.
        """
        now = int(time.time() * 1000)
        actions: list[AddAction | RemoveAction] = []
        for edit in edits:
            actions += [files.removing(file, _partition(file), now) for file in edit.remove]
            actions += [files.adding(file, "user_id", _partition(file), now) for file in edit.add]
        named = touched.users is not None and len(touched.users) <= USERS_NAMED
        metadata = {
            "tags": sorted(touched.tag_ids),
            "users": sorted(touched.users) if named and touched.users is not None else None,
        }
        return self.commit_on(base.version, job_id, actions, metadata, _transactions(marks))

    def _vacuum(self, retention_hours: float) -> None:
        super()._vacuum(retention_hours)
        self.seen.vacuum(retention_hours, lambda: self.use(_seen))


# -- what is done with an open table -------------------------------------------------------

MARKS = ("watermark", "rule", "run")
"""The kinds of marks: app transactions `<kind>/<tag_id>` without a time, since those never expire."""

FILES = "files"
"""One more, which tables of earlier releases do not have."""


def _snapshot(table: DeltaTable) -> Snapshot:
    files: dict[int, list[MemberFile]] = {}
    for row in pa.table(table.get_add_actions(flatten=True)).to_pylist():
        tag_id = int(row["partition.tag_id"])
        low, high = row.get("min.user_id"), row.get("max.user_id")
        file = MemberFile(row["path"], row["size_bytes"], row["num_records"], low, high, tag_id=tag_id)
        files.setdefault(tag_id, []).append(file)
    return Snapshot(table.version(), {tag_id: tuple(found) for tag_id, found in files.items()})


def _marks(table: DeltaTable, tag_id: int) -> Marks | None:
    watermark, rule, run = (table.transaction_version(f"{kind}/{tag_id}") for kind in MARKS)
    if watermark is None or rule is None or run is None:
        return None
    return Marks(_from_micros(watermark), rule, _from_micros(run), table.transaction_version(f"{FILES}/{tag_id}"))


def _seen(table: DeltaTable) -> frozenset[int]:
    """What refers to the files that some tag's last run over everyone has seen."""
    found = (table.transaction_version(f"{FILES}/{tag_id}") for tag_id in catalogue())
    return frozenset(reference for reference in found if reference is not None)


def _touched_since(table: DeltaTable, version: int, wanted: Touched) -> bool:
    missed = table.version() - version
    if missed <= 0:
        return False
    if missed > MANY_COMMITS:
        return True
    history = table.history(missed)
    if len(history) < missed:
        return True
    for commit in history:
        if commits.changes_no_rows(commit):
            continue
        if "tags" not in commit or wanted.overlaps(commit["tags"], commit.get("users")):
            return True
    return False


def _transactions(marks: Mapping[int, Marks]) -> list[Transaction]:
    transactions = []
    for tag_id, mark in marks.items():
        values = (_micros(mark.watermark), mark.rule, _micros(mark.run))
        transactions += [Transaction(f"{kind}/{tag_id}", value) for kind, value in zip(MARKS, values, strict=True)]
        if mark.files is not None:
            transactions.append(Transaction(f"{FILES}/{tag_id}", mark.files))
    return transactions


def _partition(file: MemberFile) -> Mapping[str, str | None]:
    return {"tag_id": str(file.tag_id)}


def _micros(moment: datetime) -> int:
    return round(moment.timestamp() * 1_000_000)


def _from_micros(micros: int) -> datetime:
    return datetime.fromtimestamp(micros / 1_000_000, UTC)
