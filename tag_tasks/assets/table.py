"""The assets of all scopes: one Delta table, partitioned by kind and scope, so that a job's commit is atomic over both.

Rows are numbered within their partition in the order in which they were found, and a file holds consecutive numbers:
a page is read from the files that hold it alone, and a row that comes meanwhile moves no other.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import TypeVar

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from deltalake import DeltaTable
from deltalake.transaction import AddAction, RemoveAction
from pyarrow.fs import FileSelector

from tag_tasks.assets.found import Kind
from tag_tasks.assets.rows import rows_between
from tag_tasks.delta import commits, files
from tag_tasks.delta.files import DataFile
from tag_tasks.delta.table import JobTable
from tag_tasks.folders.arrow import create
from tag_tasks.storage import answered
from tagapi.jobs.errors import Contended

SCRATCH = "scratch"  # the folder of what Spark reads and no commit refers to
NO_SCOPE = "-"
"""In place of a scope's id, of what belongs to none; no scope can have it."""
MOST_FILES = 20  # of a partition: a commit that would make it more writes one in their place
COMMITS_TRIED = 100  # while jobs of other scopes commit

Answer = TypeVar("Answer")
MOMENT = pa.timestamp("us", tz="UTC")
ROWS = pa.schema(
    [
        ("key", pa.string()),
        ("number", pa.int64()),
        ("facts", pa.string()),  # JSON
        ("job_id", pa.string()),  # which found it first
        ("found_at", MOMENT),
        ("changed_at", MOMENT),  # when its facts became what they are
        ("owner", pa.string()),  # whose it is, where it belongs to no scope
    ]
)


@dataclass(frozen=True, slots=True, order=True)
class Place:
    """A partition."""

    kind: Kind
    scope_id: str

    @property
    def folder(self) -> str:
        return f"kind={self.kind.value}/scope_id={self.scope_id}"

    @property
    def partition(self) -> Mapping[str, str | None]:
        return {"kind": self.kind.value, "scope_id": self.scope_id}


@dataclass(frozen=True, slots=True, kw_only=True)
class AssetFile(DataFile):
    """A file of a partition, whose rows have the numbers from `first` to `last`, in order."""

    place: Place
    first: int
    last: int


@dataclass(frozen=True, slots=True)
class Assets:
    """What there is in some places, at one version of the table."""

    version: int
    files: Mapping[Place, Sequence[AssetFile]]
    """By number."""

    def rows(self, place: Place) -> int:
        return sum(file.rows for file in self.files[place])

    def next(self, place: Place) -> int:
        """The number that the next new row gets."""
        return max((file.last + 1 for file in self.files[place]), default=0)


class AssetTable(JobTable):
    """The table of this process. Safe to use from many threads."""

    named = "table of assets"
    schema = pa.schema([*ROWS, ("kind", pa.string()), ("scope_id", pa.string())])
    partition_by = ("kind", "scope_id")

    def at(self, places: Collection[Place]) -> Assets:
        """What there is in these places now."""
        return self.use(partial(_assets, places=places))

    # -- reading -----------------------------------------------------------------------------

    def page(self, place: Place, offset: int, limit: int) -> tuple[int, pa.Table]:
        """How many rows there are, and so many of them from the offset on, by number."""
        at = self.at([place])
        before, found = 0, [ROWS.empty_table()]
        for file in at.files[place]:
            first, last = max(offset - before, 0), min(offset + limit - before, file.rows)
            if first < last:
                found.append(self._ask(partial(self._between, file, first, last)))
            before += file.rows
        return before, pa.concat_tables(found)

    def page_of(self, owner: str, place: Place, offset: int, limit: int) -> tuple[int, pa.Table]:
        """The same of an owner's rows alone: whose they are is read of all, the rest of the page's."""
        before, found = 0, [ROWS.empty_table()]
        for file in self.at([place]).files[place]:
            for group, owners in enumerate(self.groups([file], ["owner"])):
                theirs = pc.equal(owners["owner"], owner)
                count = pc.sum(theirs).as_py() or 0
                first, last = max(offset - before, 0), min(offset + limit - before, count)
                if first < last:
                    rows = self._ask(partial(self._group, file, group)).filter(theirs)
                    found.append(rows.slice(first, last - first))
                before += count
        return before, pa.concat_tables(found)

    def keys(self, place: Place) -> Iterator[str]:
        """All keys, in the order in which they were found."""
        for group in self.groups(self.at([place]).files[place], ["key"]):
            yield from group["key"].to_pylist()

    def groups(self, held: Iterable[AssetFile], columns: Sequence[str] = ROWS.names) -> Iterator[pa.Table]:
        """All rows of these files, so many at a time, in order."""
        for file in held:
            with self._ask(partial(self._files.open_input_file, f"{self._root}/{file.path}")) as source:
                opened: pq.ParquetFile = self._ask(partial(pq.ParquetFile, source))
                for group in range(opened.num_row_groups):
                    yield self._ask(partial(opened.read_row_group, group, columns=list(columns)))

    def _between(self, file: AssetFile, first: int, last: int) -> pa.Table:
        with self._files.open_input_file(f"{self._root}/{file.path}") as source:
            return rows_between(pq.ParquetFile(source), first, last, ROWS.names).cast(ROWS)

    def _group(self, file: AssetFile, group: int) -> pa.Table:
        with self._files.open_input_file(f"{self._root}/{file.path}") as source:
            return pq.ParquetFile(source).read_row_group(group, columns=ROWS.names).cast(ROWS)

    def _ask(self, work: Callable[[], Answer]) -> Answer:
        return answered(self._threads, work, self._unusable)

    # -- writing -----------------------------------------------------------------------------

    def write(self, place: Place, attempt: str, pieces: Iterable[pa.Table]) -> AssetFile | None:
        """Stage a file of rows by ROWS, whose numbers follow each other; None, and nothing, where there are none.

        Each piece is a row group: no more than one is in memory at once.
        """
        numbers: list[int] = []

        def looked_at() -> Iterator[pa.Table]:
            for piece in pieces:
                numbers[:] = [*(numbers or [piece["number"][0].as_py()])[:1], piece["number"][-1].as_py()]
                yield piece.select(ROWS.names).cast(ROWS)

        folder = staging(place, attempt)
        if self.write_all(folder, looked_at()) is None:
            return None
        (file,) = self.staged_files(folder)
        first, last = numbers
        return AssetFile(file.path, file.size, file.rows, file.low, file.high, place=place, first=first, last=last)

    @contextmanager
    def scratch(self, attempt: str) -> Iterator[str]:
        """A folder beside the table, relative to it, for what Spark reads until it is stored."""
        folder = f"{SCRATCH}/{attempt}"
        try:
            yield folder
        finally:
            self.discard_folders([folder])

    def write_all(self, folder: str, pieces: Iterable[pa.Table]) -> str | None:
        """Write pieces into one file of a folder, relative to the table; answers with where Spark reads it."""
        name, writer, sink = f"{folder}/part-{time.monotonic_ns()}.parquet", None, None
        try:
            for piece in pieces:
                if writer is None or sink is None:
                    sink = answered(self._threads, partial(self._created, name), self._unwritable)
                    writer = pq.ParquetWriter(sink, piece.schema, compression="zstd")
                write = partial(writer.write_table, piece, row_group_size=max(1, piece.num_rows))
                answered(self._threads, write, self._unwritable)
        finally:
            for opened in (writer, sink):
                if opened is not None:
                    answered(self._threads, opened.close, self._unwritable)
        return None if writer is None else f"{self.path}/{name}"

    def sweep(self, ended: Callable[[str], bool]) -> None:
        """Remove what lost attempts had Spark read, of jobs of which `ended` says so."""
        selector = FileSelector(f"{self._root}/{SCRATCH}", allow_not_found=True)
        left = [one.base_name for one in self._ask(partial(self._files.get_file_info, selector))]
        self.discard_folders([f"{SCRATCH}/{attempt}" for attempt in left if ended(attempt.rpartition("-")[0])])

    def _created(self, name: str) -> pa.NativeFile:
        return create(self._files, f"{self._root}/{name}")

    def commit(self, job_id: str, at: Assets, come: Sequence[AssetFile], go: Sequence[AssetFile]) -> None:
        """Raises Contended where one of the places has changed since `at`, or the job's commit was asked for: then
        this one never comes."""
        now = int(time.time() * 1000)
        actions: list[AddAction | RemoveAction] = [files.removing(file, file.place.partition, now) for file in go]
        actions += [files.adding(file, "number", file.place.partition, now, (file.first, file.last)) for file in come]
        for _ in range(COMMITS_TRIED):
            try:
                self.commit_on(at.version, job_id, actions, {"rows": str(sum(file.rows for file in come))})
                return
            except Contended:
                at = self.use(partial(_rebased, at=at, job_id=job_id))
        raise Contended(reason=commits.FASTER)


def staging(place: Place, attempt: str) -> str:
    """Where an attempt stages the file of a place, relative to the table."""
    return f"{place.folder}/{attempt}"


def _rebased(table: DeltaTable, at: Assets, job_id: str) -> Assets:
    """What a commit made on `at` can be made on now. Raises Contended where there is no such version."""
    newer = _assets(table, at.files.keys())
    if newer.files != at.files or commits.fenced_since(table, job_id, at.version):
        raise Contended(reason=commits.FASTER)
    return newer


def _assets(table: DeltaTable, places: Collection[Place]) -> Assets:
    found: dict[Place, list[AssetFile]] = {place: [] for place in places}
    for row in pa.table(table.get_add_actions(flatten=True)).to_pylist():
        place = Place(Kind(row["partition.kind"]), row["partition.scope_id"])
        if place in found:
            file, first, last = files.of_action(row), row["min.number"], row["max.number"]
            found[place].append(AssetFile(file.path, file.size, file.rows, place=place, first=first, last=last))
    return Assets(table.version(), {place: sorted(held, key=lambda file: file.first) for place, held in found.items()})
