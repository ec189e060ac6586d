"""What a sync has to change: who is wanted against what was sent, row by row, on Spark."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from tag_tasks.audiences.sent import MAYBE, ROWS, SENT, Held, SentTable
from tag_tasks.delta.files import DataFile

HASHES = ["email", "phone"]


@dataclass(frozen=True, slots=True)
class Difference:
    """Rows that come, and rows that go; none of them is written yet."""

    session: SparkSession
    table: SentTable
    held: Held
    wanted_files: Sequence[DataFile]

    @property
    def wanted(self) -> DataFrame:
        return self._rows(self.wanted_files)

    @property
    def sent(self) -> DataFrame:
        return self._rows(self.held.of(SENT))

    @property
    def new(self) -> DataFrame:
        """Wanted, and not known to be there."""
        return self.wanted.join(self.sent, ROWS.names, "left_anti")

    @property
    def gone(self) -> DataFrame:
        """There, or perhaps there, and not wanted; with `shared`, whether somebody who stays has the same hashes."""
        there = self.sent.unionAll(self._rows(self.held.of(MAYBE)))
        gone = there.join(self.wanted, ROWS.names, "left_anti").distinct()
        shared = gone.join(self.wanted, HASHES, "left_semi").withColumn("shared", F.lit(True))
        return shared.unionAll(gone.join(self.wanted, HASHES, "left_anti").withColumn("shared", F.lit(False)))

    @property
    def kept(self) -> DataFrame:
        """There, and wanted."""
        return self.sent.join(self.wanted, ROWS.names, "left_semi")

    @property
    def perhaps(self) -> DataFrame:
        """Perhaps there, and wanted: sent again with what is new, and `maybe` until then."""
        return self._rows(self.held.of(MAYBE)).join(self.wanted, ROWS.names, "left_semi")

    def _rows(self, files: Sequence[DataFile]) -> DataFrame:
        if not files:
            return self.session.createDataFrame([], "user_id string, email string, phone string")
        rows = self.session.read.parquet(*(self.table.uri(file) for file in files))
        return rows.select(*ROWS.names)
