"""The Parquet files of a table: found where Spark or Arrow put them, described by their footers, cleared away."""

from __future__ import annotations

import json
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from deltalake.transaction import AddAction, RemoveAction
from pyarrow.fs import FileSelector, FileSystem, FileType

from tag_tasks.folders.arrow import create


@dataclass(frozen=True, slots=True)
class DataFile:
    """A Parquet file of a table. `low` and `high` bound its first column, a text, where they are known."""

    path: str
    """Relative to the table."""
    size: int
    rows: int
    low: str | None = None
    high: str | None = None

    def may_hold(self, value: str) -> bool:
        return (self.low is None or self.low <= value) and (self.high is None or value <= self.high)


def of_action(row: Mapping[str, Any]) -> DataFile:
    """The file of a row of a table's flattened actions, without its bounds."""
    return DataFile(row["path"], row["size_bytes"], row["num_records"])


def found(files: FileSystem, root: str, folder: str) -> tuple[DataFile, ...]:
    """The files below a folder of the table at `root`, by name; those without rows are left out."""
    wanted = FileSelector(f"{root}/{folder}", recursive=True, allow_not_found=True)
    infos = [info for info in files.get_file_info(wanted) if info.type == FileType.File]
    names = sorted((info.path.removeprefix(root).lstrip("/"), info.size) for info in infos)
    parts = [(name, size) for name, size in names if name.endswith(".parquet")]
    described = [_described(name, size, _footer(files, f"{root}/{name}")) for name, size in parts]
    return tuple(file for file in described if file.rows)


def write(files: FileSystem, root: str, name: str, rows: pa.Table, **how: Any) -> DataFile:
    """Write one file of the table at `root`; `how` is what pyarrow.parquet.write_table takes."""
    footers: list[pq.FileMetaData] = []
    with create(files, f"{root}/{name}") as target:
        pq.write_table(rows, target, compression="zstd", metadata_collector=footers, **how)
        size = target.tell()
    return _described(name, size, footers[0])


def remove_folder(files: FileSystem, root: str, folder: str) -> None:
    with suppress(FileNotFoundError):
        files.delete_dir(f"{root}/{folder}")


def _footer(files: FileSystem, path: str) -> pq.FileMetaData:
    with files.open_input_file(path) as source:
        return pq.read_metadata(source)


def _described(name: str, size: int, footer: pq.FileMetaData) -> DataFile:
    """With the row count and the bounds from its footer (which may be shortened, but stay bounds)."""
    bounds = [footer.row_group(group).column(0).statistics for group in range(footer.num_row_groups)]
    if all(bound is not None and bound.has_min_max for bound in bounds) and bounds:
        low, high = min(bound.min for bound in bounds), max(bound.max for bound in bounds)
        if isinstance(low, str) and isinstance(high, str):
            return DataFile(name, size, footer.num_rows, low, high)
    return DataFile(name, size, footer.num_rows)


def adding(
    file: DataFile,
    column: str | None,
    partition: Mapping[str, str | None],
    now: int,
    bounds: tuple[int, int] | None = None,
) -> AddAction:
    """The action that puts a file into its table, with the bounds of `column`; `now` is in milliseconds.

    Those are the file's own, of a text, unless others are given.
    """
    stats: dict[str, Any] = {"numRecords": file.rows}
    if column is not None:
        stats["nullCount"] = {column: 0}
        low, high = bounds or (file.low, file.high)
        if low is not None and high is not None:
            stats |= {"minValues": {column: low}, "maxValues": {column: high}}
    # Written as it is: escaped characters beyond the basic plane are misread by delta-rs.
    return AddAction(file.path, file.size, partition, now, True, json.dumps(stats, ensure_ascii=False))


def removing(file: DataFile, partition: Mapping[str, str | None], now: int) -> RemoveAction:
    return RemoveAction(file.path, True, now, file.size, dict(partition))
