"""What there is in the table of collectors, at one version of it: definitions, and documents with their offsets."""

from __future__ import annotations

import hashlib
from bisect import bisect_left
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import reduce
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
from deltalake import DeltaTable

from tag_tasks.delta import files
from tag_tasks.delta.files import DataFile

COLLECTOR, STREAM, PROJECT, DOCUMENTS = "collector", "stream", "project", "documents"
"""Kinds of rows: three of definitions, of which each is a file with one row, and the documents of collectors."""
WINDOW = 64  # pieces
TOLD_OF_FILES = (
    *("path", "size_bytes", "num_records", "modification_time", "min.offset", "max.offset"),
    *("partition.owner", "partition.kind", "partition.name"),
)
"""The columns of Delta's list of files that are asked for here."""
LISTED = "_listed"

State = tuple[str, int | None]
"""Of a collector: the path of its definition, and the offset of its last document, where it has any."""


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
class Live:
    """A live collector as it is now."""

    key: Key
    definition: str
    """The path of the file that has it."""
    told: Mapping[str, Any]
    seen: int
    """The reference of the files that it has seen."""

    @property
    def marker(self) -> str:
        """The transaction that says what it has seen. Once it is made live anew, there is another one."""
        return f"seen/{self.key.owner}/{self.key.name}/{self.told['live']['activation']}"


def offsets_of(key: Key, generation: str) -> str:
    return f"offset/{key.owner}/{key.name}/{generation}"


# -- what the table says: each is called with the table at one version ------------------------


def _actions(table: DeltaTable, **partition: str) -> pa.Table:
    """The files of some partitions."""
    every = _listed(table)
    wanted = [pc.equal(every[f"partition.{name}"], value) for name, value in partition.items()]
    return every.filter(reduce(pc.and_, wanted))  # once: most files are somebody else's


def _listed(table: DeltaTable) -> pa.Table:
    """All files. Kept with the open table for as long as it has this version: of many, to list them takes a while."""
    kept = vars(table)
    version, every = kept.get(LISTED, (None, None))
    if version != table.version():
        every = pa.table(table.get_add_actions(flatten=True))
        every = every.select([name for name in TOLD_OF_FILES if name in every.column_names])
        kept[LISTED] = table.version(), every
    return every


def definitions_of(table: DeltaTable, key: Key) -> tuple[int, Sequence[DataFile]]:
    rows = _actions(table, owner=key.owner, kind=key.kind, name=key.name).to_pylist()
    return table.version(), [files.of_action(row) for row in rows]


def definitions_named(table: DeltaTable, owner: str, kind: str) -> Mapping[str, DataFile]:
    rows = _actions(table, owner=owner, kind=kind).to_pylist()
    found = {row["partition.name"]: files.of_action(row) for row in rows}
    return dict(sorted(found.items()))


def pieces_of(table: DeltaTable, key: Key) -> tuple[int, Sequence[Piece]]:
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


def pieces_and_next(table: DeltaTable, key: Key, offsets: str) -> tuple[int, Sequence[Piece], int]:
    version, pieces = pieces_of(table, key)
    return version, pieces, transaction(table, offsets)


def states_of(table: DeltaTable) -> tuple[int, Mapping[Key, State]]:
    """The table's version, and the state of each collector."""
    every = _listed(table)
    kinds = every["partition.kind"]
    names = ["partition.owner", "partition.name"]
    ends: dict[tuple[str, str], int] = {}
    if "max.offset" in every.column_names:  # there are documents
        documents = every.filter(pc.equal(kinds, DOCUMENTS)).group_by(names).aggregate([("max.offset", "max")])
        ends = {(row[names[0]], row[names[1]]): row["max.offset_max"] for row in documents.to_pylist()}
    defined = every.filter(pc.equal(kinds, COLLECTOR)).select([*names, "path"]).to_pylist()
    return table.version(), {
        Key(owner, COLLECTOR, name): (row["path"], ends.get((owner, name)))
        for row in defined
        for owner, name in [(row[names[0]], row[names[1]])]
    }


def used_and_attempted(table: DeltaTable, month: str, job_id: str) -> tuple[int, int, int]:
    """Credits used; the newest attempt of the job that has committed; the documents of all of its attempts."""
    return transaction(table, month), transaction(table, job_id), transaction(table, f"{job_id}/documents")


def pieces_before(table: DeltaTable, before: int) -> tuple[int, Sequence[tuple[Key, DataFile]]]:
    rows = _actions(table, kind=DOCUMENTS).to_pylist()
    return table.version(), [
        (
            Key(row["partition.owner"], DOCUMENTS, row["partition.name"]),
            files.of_action(row),
        )
        for row in rows
        if _milliseconds(row["modification_time"]) < before
    ]


def transactions(table: DeltaTable, names: Sequence[str]) -> tuple[int, Sequence[int]]:
    return table.version(), [transaction(table, name) for name in names]


def transaction(table: DeltaTable, name: str) -> int:
    return table.transaction_version(name) or 0


def _milliseconds(stored: Any) -> int:
    if isinstance(stored, datetime):
        return int((stored if stored.tzinfo else stored.replace(tzinfo=UTC)).timestamp() * 1000)
    return int(stored)
