"""The tables of user data that are read: where each lies and in which format."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from pyspark.sql import DataFrame, SparkSession

from tag_tasks.spark.session import translated_errors
from tagapi.jobs.errors import TaskFailed


@dataclass(frozen=True, slots=True)
class Source:
    """One table: `path` is whatever Spark reads, `format` one of its formats."""

    path: str
    format: str = "parquet"


class Sources:
    """All tables that tasks may read. A source is never written."""

    def __init__(self, tables: Mapping[str, Source]) -> None:
        self._tables = tables

    def read(self, session: SparkSession, table: str) -> DataFrame:
        """The table, not yet read. Raises TaskFailed where none of that name is configured."""
        source = self._tables.get(table)
        if source is None:
            raise TaskFailed(reason=f"no source {table} is configured")
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
