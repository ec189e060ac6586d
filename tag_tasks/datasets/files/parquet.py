"""Parquet, with every value as it is in the source. What is written at once is a row group."""

from __future__ import annotations

from collections.abc import Mapping

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from tag_tasks.datasets.files.target import Target
from tag_tasks.datasets.tables import Kind

REPEATED = 8
"""A column whose values come so often on average gets a dictionary; for others it only costs time."""
ENCODED_AT_ONCE = 65_536
"""Values: by the thousand, as is the default, encoding takes a sixth longer."""


class ParquetFile:
    """See the module."""

    def __init__(self, target: Target, columns: Mapping[str, Kind], schema: pa.Schema) -> None:
        self._target = target
        self._schema = schema
        self._bounded = [header for header, kind in columns.items() if kind is not Kind.TEXT]
        self._writer: pq.ParquetWriter | None = None

    def write(self, rows: pa.Table) -> None:
        if self._writer is None:
            self._writer = self._begin([name for name in rows.column_names if _repeats(rows[name])])
        self._writer.write_table(rows, row_group_size=rows.num_rows)

    def close(self) -> None:
        if self._writer is None:
            self._writer = self._begin([])
        self._writer.close()

    def _begin(self, repeated: list[str]) -> pq.ParquetWriter:
        return pq.ParquetWriter(
            self._target,
            self._schema,
            compression="snappy",  # what every reader knows, and the fastest of those
            use_dictionary=repeated,
            write_batch_size=ENCODED_AT_ONCE,
            write_statistics=self._bounded,  # of text nobody asks for a range, and finding its bounds takes long
        )


def _repeats(column: pa.ChunkedArray) -> bool:
    return bool(pc.count_distinct(column, mode="all").as_py() * REPEATED <= len(column))
