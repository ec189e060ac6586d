"""The memberships: one Delta table, partitioned by tag_id, changed by whole files in atomic commits.

Spark or Arrow writes Parquet files into a folder of the attempt's own; a commit then says
which files come and which go. Readers never see half a job, and any Spark server will do.
Each commit carries the job's id (so that it can be asked whether it happened), what it
touched (so that a later commit knows whether it computed on old ground) and, for runs over
all users, the tag's marks.
"""

from __future__ import annotations

import json
import logging
import math
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from functools import partial
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from deltalake import CommitProperties, DeltaTable, Transaction
from deltalake.exceptions import CommitFailedError
from deltalake.transaction import AddAction, RemoveAction
from pyarrow.fs import FileSelector, FileSystem, FileType

from tag_tasks.bounded import BoundedThreads
from tag_tasks.storage import answered
from tag_tasks.tags.catalogue import catalogue
from tag_tasks.tags.handle import TableHandle
from tag_tasks.tags.model import Edit, Marks, MemberFile, Snapshot, Touched
from tag_tasks.tags.seen import SeenStore
from tagapi.jobs.errors import Contended, TaskFailed, Transient

log = logging.getLogger(__name__)

SCHEMA = pa.schema([pa.field("user_id", pa.string(), nullable=False), pa.field("tag_id", pa.int32(), nullable=False)])
PROPERTIES = {
    # A job's transaction must outlive its doubts, and the marks (without a time) never expire.
    "delta.setTransactionRetentionDuration": "interval 30 days",
    "delta.logRetentionDuration": "interval 7 days",
    "delta.deletedFileRetentionDuration": "interval 2 days",
    "delta.checkpointInterval": "50",
}
MANY_COMMITS = 200  # since a job read the table: beyond this it is cheaper to compute anew than to compare
USERS_NAMED = 100  # in a commit; one that touches more says that it touched everyone
UNUSABLE = "the membership table cannot be used"
UNWRITABLE = "the membership table cannot be written"
FASTER = "the membership table changed while it was written"
SECONDS = 60.0  # for which somebody waits for the storage: a commit takes a hundredth of one
VACUUM_SECONDS = 1800.0  # since listing a large table takes long; nobody but upkeep waits for it
ALONE_WITHIN = 120.0  # seconds that a writer waits for another one of its process
THREADS = 64  # for what the storage is asked for; a job's three tags are asked for at once
UPKEEP_OPERATIONS = frozenset({"VACUUM START", "VACUUM END"})
SEEN = "_files_seen"  # Delta, and so its vacuum, leaves names alone that begin like this
FENCE = "fence commit"
FENCES = frozenset({FENCE, "SHUT THE DOOR"})  # the second is what earlier releases wrote


class MembershipTable:
    """The table of this process. Safe to use from many threads."""

    def __init__(self, path: str, seconds: float = SECONDS) -> None:
        """`path` is a folder, absolute, or a URI that both Spark and Arrow can write.

        `seconds` is for how long anything that the storage is asked for may take.
        """
        self.path = path
        self._files, self._root = FileSystem.from_uri(path)
        self._threads = BoundedThreads("table", THREADS, seconds)
        self._vacuuming = BoundedThreads("vacuum", 1, VACUUM_SECONDS)
        self.seen = SeenStore(self._files, f"{self._root}/{SEEN}", self._threads)
        self._handle = TableHandle(lambda: self._open(), self._threads, UNUSABLE)
        self._writing = threading.RLock()
        """Held from the check for conflicts to the commit, so that jobs of one process do not collide."""

    # -- reading ---------------------------------------------------------------------------

    def snapshot(self) -> Snapshot:
        """The table as it is now. It is made where it does not exist."""
        return self._handle.use(_snapshot)

    def marks(self, tag_id: int) -> Marks | None:
        """The marks of the tag's last run over all users; None before the first."""
        return self._handle.use(partial(_marks, tag_id=tag_id))

    def uri(self, file: MemberFile) -> str:
        """Where Spark reads the file."""
        return f"{self.path}/{file.path}"

    def read(self, file: MemberFile) -> pa.Array:
        """The user ids of one file."""

        def read() -> pa.Array:
            with self._files.open_input_file(f"{self._root}/{file.path}") as source:
                return pq.read_table(source, columns=["user_id"])["user_id"].combine_chunks()

        return answered(self._threads, read, UNUSABLE)

    # -- staging ---------------------------------------------------------------------------

    def stage(self, tag_id: int, name: str) -> str:
        """The folder, relative to the table, for the files of one attempt and tag."""
        return f"tag_id={tag_id}/{name}"

    def write(self, tag_id: int, folder: str, user_ids: pa.Array) -> MemberFile:
        """Write one file of members into a staging folder."""
        return answered(self._threads, lambda: self._write(tag_id, folder, user_ids), UNWRITABLE)

    def _write(self, tag_id: int, folder: str, user_ids: pa.Array) -> MemberFile:
        name = f"{folder}/part-{time.monotonic_ns()}.parquet"
        self._files.create_dir(f"{self._root}/{folder}")
        with self._files.open_output_stream(f"{self._root}/{name}") as target:
            pq.write_table(
                pa.table({"user_id": user_ids}),
                target,
                compression="zstd",
                use_dictionary=False,
                column_encoding={"user_id": "DELTA_BYTE_ARRAY"},
            )
        return self._described(tag_id, name, self._files.get_file_info(f"{self._root}/{name}").size)

    def staged(self, tag_id: int, folder: str) -> tuple[MemberFile, ...]:
        """The files that Spark wrote into a staging folder, those without rows left out."""
        return answered(self._threads, lambda: self._staged(tag_id, folder), UNWRITABLE)

    def _staged(self, tag_id: int, folder: str) -> tuple[MemberFile, ...]:
        wanted = FileSelector(f"{self._root}/{folder}", recursive=True, allow_not_found=True)
        found = [info for info in self._files.get_file_info(wanted) if info.type == FileType.File]
        names = [(info.path.removeprefix(self._root).lstrip("/"), info.size) for info in found]
        files = [self._described(tag_id, name, size) for name, size in names if name.endswith(".parquet")]
        return tuple(file for file in files if file.rows)

    def discard(self, tag_ids: Iterable[int], name: str) -> None:
        """Remove what an attempt staged and did not commit. What cannot be removed is left to the vacuum."""
        try:
            answered(self._threads, lambda: self._discard(tag_ids, name), UNWRITABLE)
        except (Transient, TaskFailed) as error:
            log.warning("staging_not_cleared", extra={"attempt": name, "error": str(error)})

    def _discard(self, tag_ids: Iterable[int], name: str) -> None:
        for tag_id in tag_ids:
            with suppress(FileNotFoundError):
                self._files.delete_dir(f"{self._root}/{self.stage(tag_id, name)}")

    def _described(self, tag_id: int, name: str, size: int) -> MemberFile:
        """A file with the row count and the bounds from its footer (which may be shortened, but stay bounds)."""
        with self._files.open_input_file(f"{self._root}/{name}") as source:
            footer = pq.read_metadata(source)
        bounds = [footer.row_group(group).column(0).statistics for group in range(footer.num_row_groups)]
        if all(bound is not None and bound.has_min_max for bound in bounds) and bounds:
            low, high = min(bound.min for bound in bounds), max(bound.max for bound in bounds)
            return MemberFile(tag_id, name, size, footer.num_rows, low, high)
        return MemberFile(tag_id, name, size, footer.num_rows, None, None)

    # -- writing ---------------------------------------------------------------------------

    @contextmanager
    def writing(self, check: Callable[[], None]) -> Iterator[None]:
        """Be the only writer of this process. `check` is called while waiting, and may raise.

        That only spares conflicts, which are found in any case: nobody waits for ever for one who hangs.
        """
        until = time.monotonic() + ALONE_WITHIN
        while not (alone := self._writing.acquire(timeout=0.1)):
            check()
            if time.monotonic() >= until:
                log.warning("writer_not_waited_for")
                break
        try:
            yield
        finally:
            if alone:
                self._writing.release()

    def touched_since(self, version: int, wanted: Touched) -> bool:
        """Whether a commit after `version` touched any of what is `wanted`, as far as can be told: else yes."""
        return self._handle.use(partial(_touched_since, version=version, wanted=wanted))

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
            actions += [_remove(file, now) for file in edit.remove]
            actions += [_add(file, now) for file in edit.add]
        transactions = [Transaction(job_id, 1, now)]
        for tag_id, mark in marks.items():
            values = (_micros(mark.watermark), mark.rule, _micros(mark.run))
            transactions += [Transaction(f"{kind}/{tag_id}", value) for kind, value in zip(MARKS, values, strict=True)]
            if mark.files is not None:
                transactions.append(Transaction(f"{FILES}/{tag_id}", mark.files))
        named = touched.users is not None and len(touched.users) <= USERS_NAMED
        metadata = {
            "job_id": job_id,
            "tags": sorted(touched.tag_ids),
            "users": sorted(touched.users) if named and touched.users is not None else None,
        }

        def commit(table: DeltaTable) -> int:
            if table.version() != base.version:
                raise Contended(reason=FASTER)
            try:
                _commit(table, actions, metadata, transactions)
            except Contended:
                table.update_incremental()
                if table.transaction_version(job_id) is None:
                    raise
            return base.version + 1

        return self._handle.use(commit, fresh=False)

    def find_commit(self, job_id: str) -> bool:
        """Whether the job's commit is in the table, having made sure that it cannot get there later.

        A commit that is still on its way was prepared for the version that the table had; the fence
        commit, which is empty, takes that version's place, so that the late one is refused.
        """
        while True:
            try:
                return self._handle.use(partial(_fenced, job_id=job_id))
            except Contended:
                continue  # somebody else's commit is as good a fence; look at it

    def vacuum(self, retention_hours: float) -> None:
        """Remove files that no version within the retention needs, staged ones that were left behind among them."""

        def vacuum() -> None:  # on a handle of its own: it takes long, and jobs go on meanwhile
            if DeltaTable.is_deltatable(self.path):
                DeltaTable(self.path).vacuum(
                    retention_hours=math.ceil(retention_hours),
                    dry_run=False,
                    full=True,
                    enforce_retention_duration=False,
                )

            self.seen.vacuum(retention_hours, lambda: self._handle.use(_seen))

        answered(self._vacuuming, vacuum, UNUSABLE)

    def _open(self) -> DeltaTable:
        return DeltaTable.create(self.path, SCHEMA, mode="ignore", partition_by=["tag_id"], configuration=PROPERTIES)


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
        file = MemberFile(tag_id, row["path"], row["size_bytes"], row["num_records"], low, high)
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
    commits = table.history(missed)
    if len(commits) < missed:
        return True
    for commit in commits:
        if commit.get("operation") in UPKEEP_OPERATIONS or commit.get("purpose") in FENCES:
            continue
        if "tags" not in commit or wanted.overlaps(commit["tags"], commit.get("users")):
            return True
    return False


def _fenced(table: DeltaTable, job_id: str) -> bool:
    """Whether the job's commit is there; where it is not, with a fence behind the newest version."""
    if table.transaction_version(job_id) is not None:
        return True
    _commit(table, [], {"purpose": FENCE, "job_id": job_id}, [])
    table.update_incremental()
    return table.transaction_version(job_id) is not None


def _commit(
    table: DeltaTable,
    actions: list[AddAction | RemoveAction],
    metadata: dict[str, Any],
    transactions: list[Transaction],
) -> None:
    # With delta-rs's own retries a commit computed on an older version would go through.
    properties = CommitProperties(custom_metadata=metadata, max_commit_retries=0, app_transactions=transactions)
    try:
        table.create_write_transaction(actions, "append", table.schema(), ["tag_id"], commit_properties=properties)
    except CommitFailedError as error:
        raise Contended(reason=FASTER) from error


def _add(file: MemberFile, now: int) -> AddAction:
    stats: dict[str, Any] = {"numRecords": file.rows, "nullCount": {"user_id": 0}}
    if file.low is not None and file.high is not None:
        stats |= {"minValues": {"user_id": file.low}, "maxValues": {"user_id": file.high}}
    partition: Mapping[str, str | None] = {"tag_id": str(file.tag_id)}
    # Written as it is: escaped characters beyond the basic plane are misread by delta-rs.
    return AddAction(file.path, file.size, partition, now, True, json.dumps(stats, ensure_ascii=False))


def _remove(file: MemberFile, now: int) -> RemoveAction:
    return RemoveAction(file.path, True, now, file.size, {"tag_id": str(file.tag_id)})


def _micros(moment: datetime) -> int:
    return round(moment.timestamp() * 1_000_000)


def _from_micros(micros: int) -> datetime:
    return datetime.fromtimestamp(micros / 1_000_000, UTC)
