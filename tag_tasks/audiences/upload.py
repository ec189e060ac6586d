"""Sending differences: batch by batch, each kept as `maybe` before it is sent, and as `sent` once it has arrived."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import pyarrow as pa

from tag_tasks.audiences.sent import MAYBE, SENT, Audience, Held, SentTable, Step
from tag_tasks.delta.files import DataFile
from tag_tasks.platforms.audiences import Audiences, Batch, Receipt, Row
from tagapi.jobs.task import TaskContext

HOLD_SECONDS = 180.0
"""For which a batch keeps other jobs from the audience: longer than one takes."""
LOOKS = 24  # at least, in the time that the platform may take to say that a batch has arrived
LOOK_SECONDS = 5.0


def hold(context: TaskContext, audience: Audience, seconds: float = HOLD_SECONDS) -> None:
    """Be the one job that changes the audience. Raises Busy."""
    context.hold(_name(audience), seconds)


def release(context: TaskContext, audience: Audience) -> None:
    """Let others change it."""
    context.release(_name(audience))


def _name(audience: Audience) -> str:
    return f"audience {audience.key}"


@dataclass(frozen=True, slots=True)
class _Batch:
    """One that was sent: its rows as `maybe`, and the same again for when they have arrived."""

    receipt: Receipt
    maybe: DataFile
    sent: DataFile


@dataclass(slots=True)
class _Arrived:
    """Batches that the platform has, and the table does not know so yet."""

    batches: list[_Batch] = field(default_factory=list)

    def step(self, maybe: Sequence[DataFile] = ()) -> Step:
        """With the next batch, if there is one: one commit for both."""
        batches, self.batches = self.batches, []
        return Step(
            come={MAYBE: maybe, SENT: [one.sent for one in batches]},
            go={MAYBE: [one.maybe for one in batches]},
            added=sum(one.sent.rows for one in batches),
        )


class Upload:
    """One attempt's way to one audience. `held` is what is kept of it, at each moment."""

    def __init__(
        self, context: TaskContext, table: SentTable, audience: Audience, held: Held, platform: Audiences
    ) -> None:
        self._context = context
        self._table = table
        self._audience = audience
        self._platform = platform
        self._folder = f"{table.staging(audience.key, context.attempt_name)}/batches"
        self.held = held
        self.invalid = 0
        """Rows that the platform could not read."""
        self.unconfirmed = 0
        """Rows of which the platform has not said in time whether it has them: they stay `maybe`."""

    def commit(self, step: Step) -> None:
        self.held = self._table.change(self._audience.key, self._context.job_id, self.held, step)

    def kept(self, rows: pa.Table) -> DataFile:
        return self._table.write_rows(self._folder, rows)

    def remove(self, audience_id: str, gone: Sequence[DataFile]) -> None:
        """Take members out. `gone` are files of `maybe` rows, each of them a batch."""
        done, total = 0, sum(file.rows for file in gone)
        for number, file in enumerate(gone, 1):
            for rows in self._table.pieces([file], file.rows):
                last = number == len(gone)
                receipt = self._send(audience_id, rows, number, total, add=False, last=last)
                if self._wait_for([receipt]):
                    self.unconfirmed += file.rows
                else:
                    self.commit(Step(go={MAYBE: [file]}, removed=file.rows))
            done += file.rows
            self._context.progress(done, total)

    def add(self, audience_id: str, new: Sequence[DataFile], batch_rows: int) -> None:
        """Put members in. `new` are files of rows, read in batches."""
        done, total = 0, sum(file.rows for file in new)
        on_its_way: list[_Batch] = []
        arrived = _Arrived()
        for number, rows in enumerate(self._table.pieces(new, batch_rows), 1):
            maybe, sent = self.kept(rows), self.kept(rows)
            self.commit(arrived.step([maybe]))
            done += rows.num_rows
            receipt = self._send(audience_id, rows, number, total, add=True, last=done == total)
            on_its_way.append(_Batch(receipt, maybe, sent))
            while on_its_way and self._platform.arrived(on_its_way[0].receipt):
                arrived.batches.append(on_its_way.pop(0))
            self._context.progress(done, total)
        late = self._wait_for([one.receipt for one in on_its_way])
        arrived.batches += [one for one in on_its_way if one.receipt not in late]
        self.unconfirmed += sum(one.sent.rows for one in on_its_way if one.receipt in late)
        if arrived.batches:
            self.commit(arrived.step())

    def _send(self, audience_id: str, rows: pa.Table, number: int, total: int, *, add: bool, last: bool) -> Receipt:
        hold(self._context, self._audience)  # which checks, too, that this attempt is to go on
        batch = Batch(session=self._session(add), number=number, last=last, total=total, add=add, rows=_distinct(rows))
        receipt = self._platform.send(audience_id, batch)
        self.invalid += receipt.invalid
        return receipt

    def _session(self, add: bool) -> int:
        told = f"{self._context.attempt_name} {add}"
        return int.from_bytes(hashlib.sha256(told.encode()).digest()[:7], "big")

    def _wait_for(self, receipts: Sequence[Receipt]) -> Sequence[Receipt]:
        """Until the uploads have arrived, or for so long as the platform may take; answers with those that had not."""
        left, seconds = list(receipts), self._platform.settle_seconds
        for pause in _pauses(seconds):
            left = [receipt for receipt in left if not self._platform.arrived(receipt)]
            if not left:
                break
            hold(self._context, self._audience)
            self._context.pause(pause)
        return left


def _pauses(seconds: float) -> Iterator[float]:
    """Between looks, as many as there are in so many seconds; one look at least."""
    pause = min(LOOK_SECONDS, seconds / LOOKS)
    yield from [pause] * max(1, int(seconds / pause) if pause else 1)


def _distinct(rows: pa.Table) -> list[Row]:
    """What is sent of rows: two users may have the same hashes."""
    return list(dict.fromkeys(zip(rows["email"].to_pylist(), rows["phone"].to_pylist(), strict=True)))
