"""What the platforms have: one Delta table of the members of each audience, as they were sent.

A row is a user with the hashes that were sent of them. `sent` rows are at the platform; `maybe` rows may be,
since an upload, or a removal, was begun of which nobody knows how it ended; `out` rows, of no audience, are
people who are not to be sent at all. An audience has one more row, `about`, with facts about it as JSON.
"""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from deltalake import DeltaTable, Transaction
from deltalake.transaction import AddAction, RemoveAction

from tag_tasks.delta import commits, files
from tag_tasks.delta.files import DataFile
from tag_tasks.delta.table import JobTable
from tag_tasks.storage import answered
from tagapi.jobs.errors import Contended

SENT, MAYBE, OUT, ABOUT = "sent", "maybe", "out", "about"
NOBODYS = "people"
"""In place of an audience's key: of all of them."""
ROWS = pa.schema([("user_id", pa.string()), ("email", pa.string()), ("phone", pa.string())])
UNREADABLE = "what was staged for an audience cannot be read"
COMMITS_TRIED = 100  # while syncs of other audiences commit: each try is a hundredth of a second


@dataclass(frozen=True, slots=True)
class Audience:
    """An audience of one platform's account, or of the simulator."""

    platform: str
    account: str
    name: str
    simulated: bool = False

    @property
    def key(self) -> str:
        """What its rows are kept under: no text of a user's."""
        told = "\0".join((self.account, self.name))
        kind = f"{self.platform}-simulated" if self.simulated else self.platform
        return f"{kind}-{hashlib.sha256(told.encode()).hexdigest()[:32]}"


@dataclass(frozen=True, slots=True)
class Held:
    """What is kept of one audience, at one version of the table."""

    version: int
    files: Mapping[str, tuple[DataFile, ...]]
    """By state."""
    about: Mapping[str, Any] | None
    steps: int = 0
    """Commits of the job that asked."""
    added: int = 0
    removed: int = 0
    """Rows that this job has sent."""

    def of(self, state: str) -> tuple[DataFile, ...]:
        return self.files.get(state, ())

    def rows(self, state: str) -> int:
        return sum(file.rows for file in self.of(state))


@dataclass(frozen=True, slots=True)
class Step:
    """What one commit changes of one audience."""

    come: Mapping[str, Sequence[DataFile]] = field(default_factory=dict)
    go: Mapping[str, Sequence[DataFile]] = field(default_factory=dict)
    added: int = 0
    removed: int = 0
    fences: bool = False
    """No step of the job that was begun before can come any more, nor take this one for itself."""


class SentTable(JobTable):
    """The table of this process. Safe to use from many threads."""

    named = "table of what was sent"
    schema = pa.schema([*ROWS, ("detail", pa.string()), ("audience", pa.string()), ("state", pa.string())])
    partition_by = ("audience", "state")

    def held(self, key: str, job_id: str = "") -> Held:
        """What is kept of an audience, for a job that may have steps of its own there."""
        held: Held = self.use(partial(_held, key=key, job_id=job_id))
        about = held.of(ABOUT)
        return held if not about else replace(held, about=self._read_about(about[-1]))

    def abouts(self) -> Sequence[Mapping[str, Any]]:
        """What is known of each audience: as it was told, with `members` and `maybe` as they are now."""
        keys = self.use(_keys)
        every = [(key, self.held(key)) for key in keys]
        return [_told(held, key) for key, held in every if held.about is not None]

    def staging(self, key: str, attempt: str) -> str:
        return f"audience={key}/{attempt}"

    def write_rows(self, folder: str, rows: pa.Table) -> DataFile:
        """A file of members (`user_id, email, phone`) for a commit."""
        return self.write_file(folder, rows.select(ROWS.names).cast(ROWS), use_dictionary=False, compression_level=1)

    def pieces(self, staged: Sequence[DataFile], most: int) -> Iterator[pa.Table]:
        """The rows of files, in tables of at most so many: never more of them at once in memory."""
        for file in staged:
            yield from self._pieces(file, most)

    def _pieces(self, file: DataFile, most: int) -> Iterator[pa.Table]:
        source = answered(self._threads, lambda: self._files.open_input_file(f"{self._root}/{file.path}"), UNREADABLE)
        with source:
            read = answered(self._threads, lambda: pq.ParquetFile(source), UNREADABLE)
            batches = read.iter_batches(batch_size=most, columns=ROWS.names)
            while (batch := answered(self._threads, lambda: next(batches, None), UNREADABLE)) is not None:
                yield pa.Table.from_batches([batch]).cast(ROWS)

    def write_about(self, folder: str, about: Mapping[str, Any]) -> DataFile:
        told = json.dumps(about, ensure_ascii=False)
        schema = pa.schema([*ROWS, ("detail", pa.string())])
        return self.write_file(folder, pa.table([[None], [None], [None], [told]], schema=schema))

    def change(self, key: str, job_id: str, held: Held, step: Step) -> Held:
        """Commit a step on what is held; answers with what is held then. Raises Contended where that has changed."""
        for _ in range(COMMITS_TRIED):
            try:
                self._commit(key, job_id, held, step)
                return self.held(key, job_id)
            except Contended:
                now = self.held(key, job_id)
                if now.files != held.files or now.steps != held.steps:
                    raise
                held = now  # somebody committed something of another audience
        raise Contended(reason=commits.FASTER)

    def _commit(self, key: str, job_id: str, held: Held, step: Step) -> None:
        now = int(time.time() * 1000)
        actions: list[AddAction | RemoveAction] = []
        for state, gone in step.go.items():
            actions += [files.removing(file, _partition(key, state), now) for file in gone]
        for state, come in step.come.items():
            actions += [files.adding(file, None, _partition(key, state), now) for file in come]
        totals = [
            Transaction(f"{job_id}/added", held.added + step.added, now),
            Transaction(f"{job_id}/removed", held.removed + step.removed, now),
        ]
        self.commit_on(held.version, job_id, actions, {"audience": key}, totals, step=held.steps + 1 + step.fences)

    def _read_about(self, file: DataFile) -> Mapping[str, Any]:
        def read() -> Mapping[str, Any]:
            with self._files.open_input_file(f"{self._root}/{file.path}") as source:
                told: Mapping[str, Any] = json.loads(pq.read_table(source, columns=["detail"])["detail"][0].as_py())
            return told

        return answered(self._threads, read, self._unusable)


def _partition(key: str, state: str) -> Mapping[str, str | None]:
    return {"audience": key, "state": state}


def _held(table: DeltaTable, key: str, job_id: str) -> Held:
    found: dict[str, list[DataFile]] = {}
    for row in pa.table(table.get_add_actions(flatten=True)).to_pylist():
        if row["partition.audience"] == key:
            file = files.of_action(row)
            found.setdefault(row["partition.state"], []).append(file)
    by_state = {state: tuple(sorted(ones, key=lambda file: file.path)) for state, ones in found.items()}
    if not job_id:
        return Held(table.version(), by_state, None)
    added, removed = (table.transaction_version(f"{job_id}/{what}") or 0 for what in ("added", "removed"))
    return Held(table.version(), by_state, None, commits.steps(table, job_id), added, removed)


def _keys(table: DeltaTable) -> Sequence[str]:
    rows = pa.table(table.get_add_actions(flatten=True)).to_pylist()
    return sorted({row["partition.audience"] for row in rows if row["partition.state"] == ABOUT})


def _told(held: Held, key: str) -> Mapping[str, Any]:
    return {**(held.about or {}), "key": key, "members": held.rows(SENT), "maybe": held.rows(MAYBE)}
