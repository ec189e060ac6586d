"""The tables of user data that are read: where each lies, in which format, and of which files it consists."""

from __future__ import annotations

import logging
import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.parquet as pq
from pyarrow.fs import FileSelector, FileSystem, FileType
from pyspark.sql import DataFrame, SparkSession

from tag_tasks.bounded import BoundedThreads
from tag_tasks.spark.session import translated_errors
from tag_tasks.storage import answered
from tagapi.jobs.errors import TaskFailed, Transient

log = logging.getLogger(__name__)

LISTINGS = 16  # at once
LISTING_SECONDS = 600.0  # since an object store lists a million files in minutes
NAMED = 2000
"""Files up to which a query names each: 3,000 take 0.3 s."""

UNNAMEABLE = re.compile(r"[*?\[\]{}\\\n\r]|=[^/]*/")
"""Spark takes such a path for a pattern; and of a file below `day=1/` that is named alone, the day is lost."""


@dataclass(frozen=True, slots=True)
class Source:
    """One table: `path` is whatever Spark reads, `format` one of its formats."""

    path: str
    format: str = "parquet"


@dataclass(frozen=True, slots=True)
class SourceFile:
    """A file of a table, which is another one where any of this differs."""

    path: str
    """Relative to the table."""
    size: int
    changed: int
    """Nanoseconds since 1970."""


class Sources:
    """All tables that tasks may read. A source is never written."""

    def __init__(self, tables: Mapping[str, Source]) -> None:
        self._tables = tables
        self._threads = BoundedThreads("listing", LISTINGS, LISTING_SECONDS)

    def path(self, table: str) -> str:
        """Where the table lies. Raises TaskFailed where none of that name is configured."""
        return self._source(table).path

    def identity(self, table: str) -> str:
        """What tells this table from another that was configured under its name."""
        source = self._source(table)
        return f"{source.format} {source.path}"

    def read(self, session: SparkSession, table: str) -> DataFrame:
        """The table, not yet read. Raises TaskFailed where none of that name is configured."""
        source = self._source(table)
        return session.read.format(source.format).load(source.path)

    def check(self, session: SparkSession, table: str, columns: Iterable[str]) -> None:
        """Raise TaskFailed, naming the table and where it lies, unless it can be read and has these columns."""
        path = self._tables[table].path if table in self._tables else "not configured"
        try:
            with translated_errors():
                rows = self.read(session, table)
                there = rows.columns
                if missing := sorted(set(columns) - set(there)):
                    raise TaskFailed(reason=f"it has no column {missing[0]}" if there else "there are no files")
                rows.select(*columns).limit(1).collect()
        except TaskFailed as error:
            raise TaskFailed(reason=f"the source {table} ({path}) cannot be read: {error}") from error

    # -- by files ----------------------------------------------------------------------------

    def files(self, table: str) -> frozenset[SourceFile] | None:
        """The files that Spark reads as the table; None where there are none to tell apart.

        That is so for another format than Parquet, and for a path that only Spark understands, or may list.
        """
        source = self._source(table)
        if source.format != "parquet":
            return None
        try:
            return answered(self._threads, lambda: _listed(source.path), f"the source {table} cannot be listed")
        except TaskFailed as error:
            log.warning("source_not_listed", extra={"source": table, "error": str(error)})
            return None

    def names(self, table: str, files: Collection[SourceFile]) -> tuple[str, ...] | None:
        """What Spark reads these files of the table as, and no other; None where it cannot be told in names."""
        told = len(files) <= NAMED and self.unnameable(table, files) is None
        return tuple(sorted(self._name(table, file) for file in files)) if told else None

    def unnameable(self, table: str, files: Iterable[SourceFile]) -> SourceFile | None:
        """A file that Spark cannot be asked for by its name; None where there is no such file among them."""
        return next((file for file in files if UNNAMEABLE.search(self._name(table, file))), None)

    def _name(self, table: str, file: SourceFile) -> str:
        root = self._source(table).path.rstrip("/")
        return f"{root}/{file.path}" if file.path else root

    def read_files(self, session: SparkSession, table: str, names: Sequence[str], columns: Iterable[str]) -> DataFrame:
        """Some files of the table. One that lacks a column which others have is read as they are."""
        rows = session.read.format("parquet").load(list(names))
        if set(columns) - set(rows.columns):
            rows = session.read.schema(self.read(session, table).schema).format("parquet").load(list(names))
        return rows

    def footers(self, table: str, names: Sequence[str]) -> Sequence[pq.FileMetaData]:
        """What these files say of themselves. Raises Transient where one is not there any more."""
        problem = f"files of the source {table} cannot be read"
        try:
            return answered(self._threads, lambda: [_footer(name) for name in names], problem)
        except TaskFailed as error:  # it was there when the table was listed: the next attempt lists it again
            raise Transient(reason=str(error)) from error

    def rows_in(self, table: str, names: Sequence[str]) -> int:
        """How many rows the footers of these files say. Raises as `footers` does."""
        return sum(footer.num_rows for footer in self.footers(table, names))

    def _source(self, table: str) -> Source:
        source = self._tables.get(table)
        if source is None:
            raise TaskFailed(reason=f"no source {table} is configured")
        return source


def _listed(path: str) -> frozenset[SourceFile] | None:
    try:
        system, root = FileSystem.from_uri(path)
    except (pa.ArrowException, OSError, ValueError):
        return None
    top = system.get_file_info(root)
    if top.type == FileType.File:
        return frozenset({SourceFile("", top.size, top.mtime_ns)})
    if top.type != FileType.Directory:
        return None
    files = (
        SourceFile(info.path.removeprefix(root).lstrip("/"), info.size, info.mtime_ns)
        for info in system.get_file_info(FileSelector(root, recursive=True))
        if info.type == FileType.File
    )
    return frozenset(file for file in files if not _hidden(file.path)) or None


def _footer(name: str) -> pq.FileMetaData:
    system, path = FileSystem.from_uri(name)
    with system.open_input_file(path) as file:
        return pq.read_metadata(file)


def _hidden(path: str) -> bool:
    """Spark does not read what begins like this, nor what lies below it."""
    return any(part.startswith(("_", ".")) for part in path.split("/"))
