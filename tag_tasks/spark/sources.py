"""The tables of user data that are read: where each lies and in which format."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from pyspark.sql import DataFrame, SparkSession

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
