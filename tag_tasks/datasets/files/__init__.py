"""The formats that an export is written in: each takes Arrow tables and writes a file as they come."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Protocol

import pyarrow as pa

from tag_tasks.datasets.files.csv import CsvFile
from tag_tasks.datasets.files.parquet import ParquetFile
from tag_tasks.datasets.files.target import Target
from tag_tasks.datasets.files.xlsx import XlsxFile
from tag_tasks.datasets.tables import Kind


class ExportFile(Protocol):
    """A file that grows. It is complete once it is closed."""

    def write(self, rows: pa.Table) -> None:
        """Add rows, in the order of the columns that the file was opened with."""

    def close(self) -> None:
        """Write what is left. The target stays open."""


@dataclass(frozen=True, slots=True)
class Format:
    """How a format is called, and how much of it is written at once."""

    suffix: str
    content_type: str
    open: Callable[[Target, Mapping[str, Kind], pa.Schema], ExportFile]
    """With the target, the columns (header → kind), and their types in Arrow."""

    piece: int
    """Rows written between two looks for a cancel: a tenth of a second's work. In Parquet, a row group."""


FORMATS: Mapping[str, Format] = {
    "csv": Format("csv", "text/csv; charset=utf-8", CsvFile, 65_536),
    "parquet": Format("parquet", "application/vnd.apache.parquet", ParquetFile, 65_536),
    "xlsx": Format("xlsx", "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet", XlsxFile, 8_192),
}
