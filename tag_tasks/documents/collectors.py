"""What collectors hold, and what people have defined: one Delta table, partitioned by owner, kind and name.

A collector is a queue that only grows at its end: each commit adds a file of documents whose offsets follow
those that are there, and in the same commit says how far the job is and how many credits were used. So there is
one truth: what is in the table was delivered, and paid for, once. A reader takes the files from its offset on,
which the table's own list of files names: nothing is listed, and nothing before the offset is opened.
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any, TypeVar

import pyarrow as pa
import pyarrow.parquet as pq
from cachetools import LRUCache, cached
from deltalake import Transaction
from deltalake.transaction import AddAction, RemoveAction

from tag_tasks.delta import commits, files
from tag_tasks.delta.files import DataFile
from tag_tasks.delta.table import JobTable
from tag_tasks.documents.collected import (
    COLLECTOR,
    DOCUMENTS,
    Collected,
    Key,
    Live,
    Piece,
    definitions_named,
    definitions_of,
    offsets_of,
    pieces_and_next,
    pieces_before,
    pieces_of,
    states_of,
    transaction,
    transactions,
    used_and_attempted,
)
from tag_tasks.spark.seen import SeenStore
from tag_tasks.storage import answered
from tagapi.jobs.errors import Contended, TaskFailed, Transient

LINES = pa.schema(
    [("offset", pa.int64()), ("id", pa.string()), ("published", pa.timestamp("us", tz="UTC")), ("line", pa.string())]
)
SEEN = "_files_seen"  # Delta, and so its vacuum, leaves names alone that begin like this
COMMITS_TRIED = 200  # while others commit: each try is a hundredth of a second
TOLD_KEPT = 32 * 1024 * 1024  # bytes, of definitions in memory
ROW_GROUP = 1000  # documents: what a reader has in memory at once, or fewer where they are large
GROUP_BYTES = 4 * 1024 * 1024  # of lines, of about the same size each
Answer = TypeVar("Answer")


class TargetGone(TaskFailed):
    message = "The collector {name} was deleted."
    code = "target_gone"


class NoCredits(TaskFailed):
    message = "All {monthly} credits of this month are used."
    code = "no_credits"


@dataclass(frozen=True, kw_only=True, slots=True)
class Delivery:
    """What a step adds: of which job's attempt, into which collector, at whose cost."""

    key: Key
    generation: str
    job_id: str
    epoch: int
    documents: int = 0
    """Of this job, that are there by now."""
    steps: int = 0
    """Of this attempt."""
    payer: str | None = None
    """The owner's key whose credits are used; None where it costs nothing."""
    monthly: int = 0
    """Credits of a month; 0 is without limit."""

    @property
    def attempt(self) -> str:
        return f"{self.job_id}-{self.epoch}"


@dataclass(slots=True)
class _Staged:
    """The file of a step that is tried again: it stays as long as it would be written the same.

    To write it takes longer than others take to commit, and a step that wrote one for each try would never be there.
    """

    file: DataFile | None = None
    place: tuple[int, int] = (0, 0)
    """Its first offset, and how many documents it has."""


class CollectorTable(JobTable):
    """The table of this process. Safe to use from many threads."""

    named = "table of collectors"
    schema = pa.schema(
        [*LINES, ("told", pa.string()), ("owner", pa.string()), ("kind", pa.string()), ("name", pa.string())]
    )
    partition_by = ("owner", "kind", "name")

    def __init__(self, path: str, now: Callable[[], datetime] = lambda: datetime.now(UTC), **more: Any) -> None:
        super().__init__(path, **more)
        self.now = now
        self.seen = SeenStore(self._files, f"{self._root}/{SEEN}", self._threads)
        """Lists of the source's files, which live collectors refer to."""
        kept: LRUCache[Any, Mapping[str, Any]] = LRUCache(TOLD_KEPT, lambda told: len(json.dumps(told)))
        self.told_in = cached(kept, lock=threading.Lock())(self._read_told)
        """A definition by its file, which never changes."""

    # -- definitions -----------------------------------------------------------------------

    def definition(self, key: Key) -> Mapping[str, Any] | None:
        """What was said of it; None where there is none."""
        _, found = self.use(partial(definitions_of, key=key))
        return None if not found else self.told_in(found[0].path)

    def definitions(self, owner: str, kind: str) -> Mapping[str, Mapping[str, Any]]:
        """All of an owner's, by name."""
        found = self.use(partial(definitions_named, owner=owner, kind=kind))
        return {name: self.told_in(file.path) for name, file in found.items()}

    def names(self, owner: str, kind: str) -> frozenset[str]:
        """Of all of an owner's."""
        return frozenset(self.use(partial(definitions_named, owner=owner, kind=kind)))

    def define(self, key: Key, change: Callable[[Mapping[str, Any] | None], Mapping[str, Any]]) -> Mapping[str, Any]:
        """Put what `change` makes of what is there in its place; where it is the same, nothing is written."""

        def step() -> Mapping[str, Any]:
            version, there = self.use(partial(definitions_of, key=key))
            before = self.told_in(there[0].path) if there else None
            if (told := change(before)) == before:
                return told
            text = json.dumps(told, ensure_ascii=False)
            file = self.write_file(key.folder, pa.table({"told": pa.array([text], pa.string())}))
            actions: list[AddAction | RemoveAction] = [files.adding(file, None, key.partition, self._millis())]
            actions += [files.removing(old, key.partition, self._millis()) for old in there]
            self.commit(version, f"define {file.path}", actions)
            return told

        return tried(step)

    def remove(self, key: Key) -> Mapping[str, Any] | None:
        """Remove a definition, and with a collector all that it holds. Answers with what it was."""

        def step() -> Mapping[str, Any] | None:
            version, there = self.use(partial(definitions_of, key=key))
            if not there:
                return None
            told = self.told_in(there[0].path)
            going = [files.removing(file, key.partition, self._millis()) for file in there]
            if key.kind == COLLECTOR:
                documents = replace(key, kind=DOCUMENTS)
                pieces = self.use(partial(pieces_of, key=documents))[1]
                going += [files.removing(one.file, documents.partition, self._millis()) for one in pieces]
            self.commit(version, f"remove {there[0].path}", going)
            return told

        return tried(step)

    def commit(self, version: int, name: str, actions: Sequence[AddAction | RemoveAction], **more: Any) -> None:
        """Raises Faster where somebody else was: it has to be looked at again."""
        try:
            self.commit_on(version, name, actions, {}, **more)
        except Contended as error:
            raise Faster from error

    def _read_told(self, path: str) -> Mapping[str, Any]:
        def read() -> Mapping[str, Any]:
            with self._files.open_input_file(f"{self._root}/{path}") as source:
                told: Mapping[str, Any] = json.loads(pq.read_table(source, columns=["told"])["told"][0].as_py())
            return told

        return answered(self._threads, read, self._unusable)

    # -- documents -------------------------------------------------------------------------

    def collected(self, name: Key) -> Collected | None:
        """The collector as it is now; None where there is none."""

        def step() -> Collected | None:
            version, there = self.use(partial(definitions_of, key=name))
            if not there:
                return None
            told = self.told_in(there[0].path)
            documents = replace(name, kind=DOCUMENTS)
            offsets = offsets_of(documents, str(told["generation"]))
            at, pieces, following = self.use(partial(pieces_and_next, key=documents, offsets=offsets))
            if at != version:
                raise Faster
            return Collected(version, told, pieces, following, there[0].path)

        return tried(step)

    def every_live(self) -> tuple[int, Sequence[Live]]:
        """The table's version, and all live collectors, of all owners."""

        def step() -> tuple[int, Sequence[Live]]:
            version, states = self.use(states_of)
            told = {key: self.told_in(path) for key, (path, _) in states.items()}
            lives = [
                Live(key=key, definition=states[key][0], told=one, seen=one["live"]["since"])
                for key, one in told.items()
                if one.get("live")
            ]
            at, seen = self.use(partial(transactions, names=[live.marker for live in lives]))
            if at != version:
                raise Faster
            return version, [replace(live, seen=one or live.seen) for live, one in zip(lives, seen, strict=True)]

        return tried(step)

    def deliver(self, delivery: Delivery, rows: pa.Table) -> Delivery:
        """Commit rows (`id, published, line`) as the next documents: all of them, or as many as there are credits for.

        Raises TargetGone, NoCredits where not one could be paid, and Contended where another attempt is, or was, at
        work since `delivery` was told how many documents there are.
        """
        staged = _Staged()
        try:
            return tried(partial(self._deliver, delivery, rows, staged))
        except (Contended, NoCredits, TargetGone):  # of which each says that nothing was committed
            self._discard(staged)
            raise

    def _deliver(self, delivery: Delivery, rows: pa.Table, staged: _Staged) -> Delivery:
        target = self.collected(replace(delivery.key, kind=COLLECTOR))
        if target is None or target.generation != delivery.generation:
            raise TargetGone(name=delivery.key.name)
        month = self.credits_of(delivery.payer)
        used, epoch, documents = self.use(partial(used_and_attempted, month=month, job_id=delivery.job_id))
        if epoch > delivery.epoch or documents != delivery.documents:
            # An earlier one, too, may have been in the middle of its commit when this one looked.
            raise Contended(reason="another attempt of the job is at work")
        paid = rows.slice(0, _payable(delivery, used, rows.num_rows))
        folder = f"{delivery.key.folder}/{delivery.attempt}"
        if staged.file is None or staged.place != (target.next, paid.num_rows):
            self._discard(staged)
            staged.file, staged.place = self.write_lines(folder, paid, target.next), (target.next, paid.num_rows)
        done = replace(delivery, documents=delivery.documents + paid.num_rows, steps=delivery.steps + 1)
        last = target.next + paid.num_rows
        transactions = [
            *told_of_job(delivery.job_id, delivery.epoch, done.documents),
            Transaction(offsets_of(delivery.key, delivery.generation), last),
        ]
        if delivery.payer is not None:
            transactions.append(Transaction(month, used + paid.num_rows))
        adding = files.adding(staged.file, "offset", delivery.key.partition, self._millis(), (target.next, last - 1))
        self.commit(target.version, delivery.attempt, [adding], transactions=transactions, step=done.steps)
        return done

    def _discard(self, staged: _Staged) -> None:
        """What cannot be removed is left to the vacuum."""
        if staged.file is not None:
            with suppress(Transient, TaskFailed):
                self.discard_files([staged.file])
            staged.file = None

    def write_lines(self, folder: str, rows: pa.Table, first: int) -> DataFile:
        """Stage a file of documents (`id, published, line`), whose offsets begin with `first`."""
        offsets = pa.array(range(first, first + rows.num_rows), pa.int64())
        lines = pa.table([offsets, *(rows[name] for name in LINES.names[1:])], schema=LINES)
        return self.write_file(folder, lines, use_dictionary=False, row_group_size=_group_of(lines["line"]))

    def stop(self, job_id: str, epoch: int) -> int:
        """See to it that no earlier attempt of the job delivers any more; answers with how many documents it has."""

        def step() -> int:
            version, documents = self.use(lambda table: (table.version(), transaction(table, f"{job_id}/documents")))
            self.commit(version, f"{job_id}-{epoch}", [], transactions=[Transaction(job_id, epoch, _of_today())])
            return documents

        return tried(step)

    def delivered(self, job_id: str) -> int:
        """How many documents are there of a job's, by its commits."""
        return self.use(partial(transaction, name=f"{job_id}/documents"))

    def of_job(self, key: Key, job_ids: Sequence[str]) -> Sequence[Piece]:
        """The pieces in a collector that these jobs have delivered, and that are kept still."""
        _, pieces = self.use(partial(pieces_of, key=key))
        return [one for one in pieces if any(f"/{job_id}-" in one.file.path for job_id in job_ids)]

    def read(self, piece: Piece, columns: Sequence[str]) -> pa.Table:
        def read() -> pa.Table:
            with self.source(piece) as source:
                return pq.read_table(source, columns=list(columns))

        return self.ask(read)

    def ask(self, work: Callable[[], Answer]) -> Answer:
        """The answer of work on the table's files. Raises Transient and TaskFailed."""
        return answered(self._threads, work, self._unusable)

    def source(self, piece: Piece) -> pa.NativeFile:
        """A piece's file, open; to be called within `ask`."""
        return self._files.open_input_file(f"{self._root}/{piece.file.path}")

    # -- credits, and what is forgotten ------------------------------------------------------

    def credits_of(self, payer: str | None) -> str:
        """The name of what counts an owner's credits of this month, in UTC."""
        return f"credits/{payer}/{self.now():%Y-%m}"

    def used(self, payer: str) -> int:
        """Credits of this month."""
        return self.use(partial(transaction, name=self.credits_of(payer)))

    def forget(self, days: float) -> int:
        """Remove documents that were committed more than so many days ago; answers with how many files that were."""
        before = int((self.now() - timedelta(days=days)).timestamp() * 1000)

        def step() -> int:
            version, old = self.use(partial(pieces_before, before=before))
            if old:
                going = [files.removing(file, key.partition, self._millis()) for key, file in old]
                self.commit(version, f"forget {before}", going)
            return len(old)

        return tried(step)

    def _vacuum(self, retention_hours: float) -> None:
        super()._vacuum(retention_hours)
        self.seen.vacuum(retention_hours, self._referenced)

    def _referenced(self) -> frozenset[int]:
        """The lists that are referred to."""
        _, lives = self.every_live()
        return frozenset(reference for live in lives for reference in (live.seen, live.told["live"]["since"]))

    def discard_files(self, written: Sequence[DataFile]) -> None:
        """Remove files that no commit refers to."""
        for file in written:
            answered(self._threads, partial(self._files.delete_file, f"{self._root}/{file.path}"), self._unwritable)

    def _millis(self) -> int:
        return int(self.now().timestamp() * 1000)


class Faster(Exception):
    """Somebody else committed in between."""


def tried(step: Callable[[], Answer]) -> Answer:
    """The answer of a step that is done anew where somebody else was faster. Raises Contended where they always are."""
    for _ in range(COMMITS_TRIED):
        try:
            return step()
        except Faster:
            continue
    raise Contended(reason=commits.FASTER)


def epoch_of(attempt_name: str) -> int:
    """By which a later attempt of a job is known from an earlier one: the end of its name."""
    return int(attempt_name.rpartition("-")[2])


def told_of_job(job_id: str, epoch: int, documents: int) -> list[Transaction]:
    """What a commit says of its job: the attempt, which fences the earlier ones, and how many documents there are."""
    return [Transaction(job_id, epoch, _of_today()), Transaction(f"{job_id}/documents", documents, _of_today())]


def _of_today() -> int:
    """By the clock by which Delta forgets transactions."""
    return int(time.time() * 1000)


def _payable(delivery: Delivery, used: int, rows: int) -> int:
    if delivery.payer is None or not delivery.monthly:
        return rows
    if used >= delivery.monthly:
        raise NoCredits(monthly=delivery.monthly)
    return min(rows, delivery.monthly - used)


def _group_of(lines: pa.ChunkedArray) -> int:
    """How many documents make a row group."""
    size = max(1, int(lines.nbytes) // max(1, len(lines)))
    return max(1, min(ROW_GROUP, GROUP_BYTES // size))
