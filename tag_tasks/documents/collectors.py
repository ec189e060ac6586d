"""What collectors hold, and what people have defined: one Delta table, partitioned by owner, kind and name.

A collector is a queue that only grows at its end: each commit adds a file of documents whose offsets follow
those that are there, and in the same commit says how far the job is and how many credits were used. So there is
one truth: what is in the table was delivered, and paid for, once. A reader takes the files from its offset on,
which the table's own list of files names: nothing is listed, and nothing before the offset is opened.
"""

from __future__ import annotations

import hashlib
import json
import time
from bisect import bisect_left
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from functools import lru_cache, partial, reduce
from typing import Any, TypeVar

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from deltalake import DeltaTable, Transaction
from deltalake.transaction import AddAction, RemoveAction

from tag_tasks.delta import commits, files
from tag_tasks.delta.files import DataFile
from tag_tasks.delta.table import JobTable
from tag_tasks.storage import answered
from tagapi.jobs.errors import Contended, TaskFailed, Transient

COLLECTOR, STREAM, PROJECT, DOCUMENTS = "collector", "stream", "project", "documents"
"""Kinds of rows: three of definitions, of which each is a file with one row, and the documents of collectors."""
LINES = pa.schema(
    [("offset", pa.int64()), ("id", pa.string()), ("published", pa.timestamp("us", tz="UTC")), ("line", pa.string())]
)
COMMITS_TRIED = 200  # while others commit: each try is a hundredth of a second
TOLD_KEPT = 1000  # definitions in memory
ROW_GROUP = 1000  # documents: what a reader has in memory at once, or fewer where they are large
GROUP_BYTES = 4 * 1024 * 1024  # of lines, of about the same size each
WINDOW = 64  # pieces
TOLD_OF_FILES = (
    *("path", "size_bytes", "num_records", "modification_time", "min.offset", "max.offset"),
    *("partition.owner", "partition.name"),
)
"""The columns of Delta's list of files that are asked for here."""

Answer = TypeVar("Answer")
State = tuple[str, int | None]
"""Of a collector: the path of its definition, and the offset of its last document, where it has any."""


class TargetGone(TaskFailed):
    message = "The collector {name} was deleted."
    code = "target_gone"


class NoCredits(TaskFailed):
    message = "All {monthly} credits of this month are used."
    code = "no_credits"


@dataclass(frozen=True, slots=True)
class Key:
    """What something is kept under. `owner` is what `owner_key` makes of a name: no text of a user's is a path."""

    owner: str
    kind: str
    name: str

    @property
    def partition(self) -> Mapping[str, str | None]:
        return {"owner": self.owner, "kind": self.kind, "name": self.name}

    @property
    def folder(self) -> str:
        return f"owner={self.owner}/kind={self.kind}/name={self.name}"


def owner_key(name: str) -> str:
    return hashlib.sha256(name.encode()).hexdigest()[:32]


@dataclass(frozen=True, slots=True)
class Piece:
    """A file of documents, with their offsets."""

    file: DataFile
    first: int
    last: int
    added: int
    """When, in milliseconds since 1970."""


@dataclass(frozen=True, slots=True)
class Collected:
    """A collector at one version of the table."""

    version: int
    told: Mapping[str, Any]
    """Its definition, with its `generation`: another of the same name is another collector."""
    pieces: Sequence[Piece]
    """In the order of their offsets; older ones may have been forgotten."""
    next: int
    """The offset that the next document will have."""
    definition: str
    """The path of the file that has it."""

    @property
    def state(self) -> State:
        """What looks the same as long as there is nothing new."""
        return self.definition, self.pieces[-1].last if self.pieces else None

    @property
    def generation(self) -> str:
        return str(self.told["generation"])

    @property
    def earliest(self) -> int:
        return self.pieces[0].first if self.pieces else self.next

    def behind(self, offset: int) -> Sequence[Piece]:
        """The pieces that hold this offset or a later one."""
        return [piece for piece in self.pieces if piece.last >= offset]

    def window(self, offset: int) -> Collected:
        """As much of it as is read in a while, from this offset on: whoever reads for hours holds no more."""
        begin = self._first_behind(offset)
        return replace(self, pieces=self.pieces[begin : begin + WINDOW])

    def _first_behind(self, offset: int) -> int:
        return bisect_left(self.pieces, offset, key=lambda piece: piece.last)

    def at_or_behind(self, offset: int) -> Piece | None:
        """The first piece that holds this offset or a later one."""
        found = self._first_behind(offset)
        return self.pieces[found] if found < len(self.pieces) else None


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
        self._told_in = lru_cache(TOLD_KEPT)(self._read_told)
        """A definition by its file, which never changes."""

    # -- definitions -----------------------------------------------------------------------

    def definition(self, key: Key) -> Mapping[str, Any] | None:
        """What was said of it; None where there is none."""
        _, found = self.use(partial(_definitions, key=key))
        return None if not found else self._told_in(found[0].path)

    def definitions(self, owner: str, kind: str) -> Mapping[str, Mapping[str, Any]]:
        """All of an owner's, by name."""
        found = self.use(partial(_named, owner=owner, kind=kind))
        return {name: self._told_in(file.path) for name, file in found.items()}

    def names(self, owner: str, kind: str) -> frozenset[str]:
        """Of all of an owner's."""
        return frozenset(self.use(partial(_named, owner=owner, kind=kind)))

    def define(self, key: Key, change: Callable[[Mapping[str, Any] | None], Mapping[str, Any]]) -> Mapping[str, Any]:
        """Put what `change` makes of what is there in its place; where it is the same, nothing is written."""

        def step() -> Mapping[str, Any]:
            version, there = self.use(partial(_definitions, key=key))
            before = self._told_in(there[0].path) if there else None
            if (told := change(before)) == before:
                return told
            text = json.dumps(told, ensure_ascii=False)
            file = self.write_file(key.folder, pa.table({"told": pa.array([text], pa.string())}))
            actions: list[AddAction | RemoveAction] = [files.adding(file, None, key.partition, self._millis())]
            actions += [files.removing(old, key.partition, self._millis()) for old in there]
            self._commit(version, f"define {file.path}", actions)
            return told

        return _tried(step)

    def remove(self, key: Key) -> Mapping[str, Any] | None:
        """Remove a definition, and with a collector all that it holds. Answers with what it was."""

        def step() -> Mapping[str, Any] | None:
            version, there = self.use(partial(_definitions, key=key))
            if not there:
                return None
            told = self._told_in(there[0].path)
            going = [files.removing(file, key.partition, self._millis()) for file in there]
            if key.kind == COLLECTOR:
                documents = replace(key, kind=DOCUMENTS)
                pieces = self.use(partial(_pieces, key=documents))[1]
                going += [files.removing(one.file, documents.partition, self._millis()) for one in pieces]
            self._commit(version, f"remove {there[0].path}", going)
            return told

        return _tried(step)

    def _commit(self, version: int, name: str, actions: Sequence[AddAction | RemoveAction], **more: Any) -> None:
        """Raises _Faster where somebody else was: it has to be looked at again."""
        try:
            self.commit_on(version, name, actions, {}, **more)
        except Contended as error:
            raise _Faster from error

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
            version, there = self.use(partial(_definitions, key=name))
            if not there:
                return None
            told = self._told_in(there[0].path)
            documents = replace(name, kind=DOCUMENTS)
            offsets = _offsets_of(documents, str(told["generation"]))
            at, pieces, following = self.use(partial(_pieces_and_next, key=documents, offsets=offsets))
            if at != version:
                raise _Faster
            return Collected(version, told, pieces, following, there[0].path)

        return _tried(step)

    def deliver(self, delivery: Delivery, rows: pa.Table) -> Delivery:
        """Commit rows (`id, published, line`) as the next documents: all of them, or as many as there are credits for.

        Raises TargetGone, NoCredits where not one could be paid, and Contended where another attempt is, or was, at
        work since `delivery` was told how many documents there are.
        """
        staged = _Staged()
        try:
            return _tried(partial(self._deliver, delivery, rows, staged))
        except (Contended, NoCredits, TargetGone):  # of which each says that nothing was committed
            self._discard(staged)
            raise

    def _deliver(self, delivery: Delivery, rows: pa.Table, staged: _Staged) -> Delivery:
        target = self.collected(replace(delivery.key, kind=COLLECTOR))
        if target is None or target.generation != delivery.generation:
            raise TargetGone(name=delivery.key.name)
        month = self.credits_of(delivery.payer)
        used, epoch, documents = self.use(partial(_used_and_attempted, month=month, job_id=delivery.job_id))
        if epoch > delivery.epoch or documents != delivery.documents:
            # An earlier one, too, may have been in the middle of its commit when this one looked.
            raise Contended(reason="another attempt of the job is at work")
        paid = rows.slice(0, _payable(delivery, used, rows.num_rows))
        if staged.file is None or staged.place != (target.next, paid.num_rows):
            self._discard(staged)
            staged.file, staged.place = self._write_lines(delivery, paid, target.next), (target.next, paid.num_rows)
        done = replace(delivery, documents=delivery.documents + paid.num_rows, steps=delivery.steps + 1)
        last = target.next + paid.num_rows
        transactions = [
            Transaction(delivery.job_id, delivery.epoch, _of_today()),
            Transaction(f"{delivery.job_id}/documents", done.documents, _of_today()),
            Transaction(_offsets_of(delivery.key, delivery.generation), last),
        ]
        if delivery.payer is not None:
            transactions.append(Transaction(month, used + paid.num_rows))
        adding = files.adding(staged.file, "offset", delivery.key.partition, self._millis(), (target.next, last - 1))
        self._commit(target.version, delivery.attempt, [adding], transactions=transactions, step=done.steps)
        return done

    def _discard(self, staged: _Staged) -> None:
        """What cannot be removed is left to the vacuum."""
        if staged.file is not None:
            with suppress(Transient, TaskFailed):
                self.discard_files([staged.file])
            staged.file = None

    def _write_lines(self, delivery: Delivery, rows: pa.Table, first: int) -> DataFile:
        offsets = pa.array(range(first, first + rows.num_rows), pa.int64())
        lines = pa.table([offsets, *(rows[name] for name in LINES.names[1:])], schema=LINES)
        folder = f"{delivery.key.folder}/{delivery.attempt}"
        return self.write_file(folder, lines, use_dictionary=False, row_group_size=_group_of(lines["line"]))

    def stop(self, job_id: str, epoch: int) -> int:
        """See to it that no earlier attempt of the job delivers any more; answers with how many documents it has."""

        def step() -> int:
            version, documents = self.use(lambda table: (table.version(), _transaction(table, f"{job_id}/documents")))
            self._commit(version, f"{job_id}-{epoch}", [], transactions=[Transaction(job_id, epoch, _of_today())])
            return documents

        return _tried(step)

    def delivered(self, job_id: str) -> int:
        """How many documents are there of a job's, by its commits."""
        return self.use(partial(_transaction, name=f"{job_id}/documents"))

    def of_job(self, key: Key, job_ids: Sequence[str]) -> Sequence[Piece]:
        """The pieces in a collector that these jobs have delivered, and that are kept still."""
        _, pieces = self.use(partial(_pieces, key=key))
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
        return self.use(partial(_transaction, name=self.credits_of(payer)))

    def forget(self, days: float) -> int:
        """Remove documents that were committed more than so many days ago; answers with how many files that were."""
        before = int((self.now() - timedelta(days=days)).timestamp() * 1000)

        def step() -> int:
            version, old = self.use(partial(_older, before=before))
            if old:
                going = [files.removing(file, key.partition, self._millis()) for key, file in old]
                self._commit(version, f"forget {before}", going)
            return len(old)

        return _tried(step)

    def discard_files(self, written: Sequence[DataFile]) -> None:
        """Remove files that no commit refers to."""
        for file in written:
            answered(self._threads, partial(self._files.delete_file, f"{self._root}/{file.path}"), self._unwritable)

    def _millis(self) -> int:
        return int(self.now().timestamp() * 1000)


class _Faster(Exception):
    """Somebody else committed in between."""


def _tried(step: Callable[[], Answer]) -> Answer:
    """The answer of a step that is done anew where somebody else was faster. Raises Contended where they always are."""
    for _ in range(COMMITS_TRIED):
        try:
            return step()
        except _Faster:
            continue
    raise Contended(reason=commits.FASTER)


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


def _offsets_of(key: Key, generation: str) -> str:
    return f"offset/{key.owner}/{key.name}/{generation}"


# -- what the table says: each is called with the table at one version ------------------------


def _actions(table: DeltaTable, **partition: str) -> pa.Table:
    """The files of some partitions."""
    every = pa.table(table.get_add_actions(flatten=True))
    columns = [name for name in TOLD_OF_FILES if name in every.column_names]
    wanted = [pc.equal(every[f"partition.{name}"], value) for name, value in partition.items()]
    return every.select(columns).filter(reduce(pc.and_, wanted))  # once: most files are somebody else's


def _definitions(table: DeltaTable, key: Key) -> tuple[int, Sequence[DataFile]]:
    rows = _actions(table, owner=key.owner, kind=key.kind, name=key.name).to_pylist()
    return table.version(), [files.of_action(row) for row in rows]


def _named(table: DeltaTable, owner: str, kind: str) -> Mapping[str, DataFile]:
    rows = _actions(table, owner=owner, kind=kind).to_pylist()
    found = {row["partition.name"]: files.of_action(row) for row in rows}
    return dict(sorted(found.items()))


def _pieces(table: DeltaTable, key: Key) -> tuple[int, Sequence[Piece]]:
    rows = _actions(table, owner=key.owner, kind=key.kind, name=key.name).to_pylist()
    found = [
        Piece(
            files.of_action(row),
            row["min.offset"],
            row["max.offset"],
            _milliseconds(row["modification_time"]),
        )
        for row in rows
    ]
    return table.version(), sorted(found, key=lambda piece: piece.first)


def _pieces_and_next(table: DeltaTable, key: Key, offsets: str) -> tuple[int, Sequence[Piece], int]:
    version, pieces = _pieces(table, key)
    return version, pieces, _transaction(table, offsets)


def _used_and_attempted(table: DeltaTable, month: str, job_id: str) -> tuple[int, int, int]:
    """Credits used; the newest attempt of the job that has committed; the documents of all of its attempts."""
    return _transaction(table, month), _transaction(table, job_id), _transaction(table, f"{job_id}/documents")


def _older(table: DeltaTable, before: int) -> tuple[int, Sequence[tuple[Key, DataFile]]]:
    rows = _actions(table, kind=DOCUMENTS).to_pylist()
    return table.version(), [
        (
            Key(row["partition.owner"], DOCUMENTS, row["partition.name"]),
            files.of_action(row),
        )
        for row in rows
        if _milliseconds(row["modification_time"]) < before
    ]


def _transaction(table: DeltaTable, name: str) -> int:
    return table.transaction_version(name) or 0


def _milliseconds(stored: Any) -> int:
    if isinstance(stored, datetime):
        return int((stored if stored.tzinfo else stored.replace(tzinfo=UTC)).timestamp() * 1000)
    return int(stored)
