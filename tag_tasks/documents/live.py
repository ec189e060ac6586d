"""What live collectors have seen of the source, and how what arrived in it is added to them.

Files never change in place, so what is new is in files that were not there. Which ones a collector has seen is a
number in the table (a hash of their list, which lies beside it), and moves with the commit that adds what they
brought: so each document is added once, wherever the work is killed, and by however many processes it is done.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from deltalake import Transaction

from tag_tasks.delta import files
from tag_tasks.delta.files import DataFile
from tag_tasks.documents.collected import DOCUMENTS, Collected, Live, Piece, offsets_of, transactions
from tag_tasks.documents.collectors import LINES, CollectorTable, Faster, told_of_job, tried
from tagapi.jobs.errors import Contended

STEP = 10_000
"""Documents of a file, at most."""
GATHERED = 3_600_000
"""Milliseconds for which documents are put into one small file, which is written anew each time."""
FOLDER = "arrived-"
READ_AT_ONCE = 64
"""Files of which the ids are read within the time that the storage has for an answer."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Attempt:
    """Whose commits they are, and how far it is."""

    job_id: str
    epoch: int
    documents: int = 0
    steps: int = 0

    @property
    def name(self) -> str:
        return f"{self.job_id}-{self.epoch}"


@dataclass(slots=True)
class Staged:
    """Files that are written and not yet in the table: with their first and last offsets."""

    written: list[tuple[DataFile, tuple[int, int]]] = field(default_factory=list)
    instead_of: Piece | None = None
    """The last piece, whose documents the first file has too."""
    documents: int = 0


class LiveCollectors:
    """Safe to use from many threads."""

    def __init__(self, table: CollectorTable, step: int = STEP) -> None:
        self._table = table
        self._step = step

    def add(self, live: Live, seen: int, found: Iterable[pa.Table], attempt: Attempt) -> Attempt:
        """Add what was found (`id, published, line`) in the files that are `seen` now, and say that they are.

        One commit, and none where the collector is another one by now, or live no more. Raises Contended where
        somebody else has added something meanwhile.
        """
        target = self._table.collected(live.key)
        if target is None or target.definition != live.definition:
            return attempt
        staged = self._stage(live, target, found)
        try:
            done = tried(lambda: self._commit(live, seen, target, staged, attempt))
        except Contended:  # of whatever else went wrong nobody knows whether it is committed
            self._table.discard_files([file for file, _ in staged.written])
            raise
        if done is attempt:
            self._table.discard_files([file for file, _ in staged.written])
        return done

    def move(self, lives: Sequence[Live], seen: int, attempt: Attempt) -> Attempt:
        """Say of collectors that they have seen these files, in which there was nothing for them: in one commit."""

        def step() -> Attempt:
            version, now = self._table.every_live()
            known = {(live.marker, live.definition): live.seen for live in now}
            moving = [live for live in lives if known.get((live.marker, live.definition)) == live.seen]
            if not moving:
                return attempt
            done = replace(attempt, steps=attempt.steps + 1)
            marks = [Transaction(live.marker, seen) for live in moving]
            self._write(version, done, [], marks)
            return done

        return tried(step)

    def _stage(self, live: Live, target: Collected, found: Iterable[pa.Table]) -> Staged:
        documents = replace(live.key, kind=DOCUMENTS)
        folder = f"{documents.folder}/{FOLDER}{uuid.uuid4().hex}"
        arrived = [piece for piece in target.pieces if f"/{FOLDER}" in piece.file.path]
        staged, following = Staged(), target.next
        for rows in found:
            fresh = self._not_there(rows, arrived)
            if not fresh.num_rows:
                continue
            first, whole = following, fresh
            if not staged.written and (tail := self._tail(target, arrived, fresh.num_rows)) is not None:
                staged.instead_of, first = tail, tail.first
                whole = pa.concat_tables([self._table.read(tail, LINES.names[1:]), fresh.cast(_ROWS)])
            following += fresh.num_rows
            staged.documents += fresh.num_rows
            staged.written.append((self._table.write_lines(folder, whole, first), (first, following - 1)))
        return staged

    def _not_there(self, rows: pa.Table, arrived: Sequence[Piece]) -> pa.Table:
        """Those whose id has not arrived before, as far as that is kept: a file may come again under another name."""
        ids, again = rows["id"].combine_chunks(), list[pa.Array]()
        for at in range(0, len(arrived), READ_AT_ONCE):
            again += self._table.ask(partial(self._again, ids, arrived[at : at + READ_AT_ONCE]))
        return rows.filter(pc.invert(pc.is_in(ids, value_set=pa.concat_arrays(again)))) if again else rows

    def _again(self, ids: pa.Array, pieces: Sequence[Piece]) -> list[pa.Array]:
        """Those of the ids that are in these pieces. A dataset, or a thread, for each piece would cost most of it."""
        found = []
        for piece in pieces:
            with self._table.source(piece) as source:
                there = pq.ParquetFile(source).read(columns=["id"])["id"]
            found += there.filter(pc.is_in(there, value_set=ids)).chunks
        return found

    def _tail(self, target: Collected, arrived: Sequence[Piece], rows: int) -> Piece | None:
        """The last piece, where there is room in it still: else a collector of a week had ten thousand files."""
        if not arrived or arrived[-1] != target.pieces[-1]:
            return None
        tail = arrived[-1]
        room = tail.file.rows + rows <= self._step and self._millis() - tail.added < GATHERED
        return tail if room else None

    def _commit(self, live: Live, seen: int, target: Collected, staged: Staged, attempt: Attempt) -> Attempt:
        there = self._table.collected(live.key)
        if there is None or there.definition != live.definition:
            return attempt
        version, (before,) = self._table.use(partial(transactions, names=[live.marker]))
        if version != there.version:
            raise Faster
        moved = (before or live.told["live"]["since"]) != live.seen or there.next != target.next
        if moved or (staged.instead_of is not None and staged.instead_of not in there.pieces):
            raise Contended(reason="somebody else has added what arrived")
        done = replace(attempt, documents=attempt.documents + staged.documents, steps=attempt.steps + 1)
        offsets = Transaction(offsets_of(live.key, target.generation), target.next + staged.documents)
        self._write(version, done, self._actions(live, staged), [Transaction(live.marker, seen), offsets])
        return done

    def _actions(self, live: Live, staged: Staged) -> list[Any]:
        """A file that has the documents of another one is as old as that: they are kept for no longer."""
        partition, now = replace(live.key, kind=DOCUMENTS).partition, self._millis()
        ages = [now if staged.instead_of is None else staged.instead_of.added] + [now] * len(staged.written)
        actions: list[Any] = [
            files.adding(file, "offset", partition, age, bounds)
            for (file, bounds), age in zip(staged.written, ages, strict=False)
        ]
        if staged.instead_of is not None:
            actions.append(files.removing(staged.instead_of.file, partition, now))
        return actions

    def _millis(self) -> int:
        return int(self._table.now().timestamp() * 1000)

    def _write(self, version: int, done: Attempt, actions: Sequence[Any], marks: Sequence[Transaction]) -> None:
        own = told_of_job(done.job_id, done.epoch, done.documents)
        _, (epoch,) = self._table.use(partial(transactions, names=[done.job_id]))
        if epoch > done.epoch:
            raise Contended(reason="another attempt of the job is at work")
        self._table.commit(version, done.name, actions, transactions=[*own, *marks], step=done.steps)


_ROWS = pa.schema([LINES.field(name) for name in LINES.names[1:]])
