"""The lines of a collector's files, a row group at a time: what a reader has in memory, and sends as it lies there."""

from __future__ import annotations

from functools import partial

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from tag_tasks.datasets.files.text import flat
from tag_tasks.documents.collected import Piece
from tag_tasks.documents.collectors import CollectorTable
from tagapi.jobs.errors import TaskFailed

MOST_BYTES = 2 * 1024 * 1024  # that are handed out at once, unless a single document is larger


class Lines:
    """The lines of one row group, from an offset on; its file stays open until another one is read."""

    def __init__(self, table: CollectorTable) -> None:
        self._table = table
        self._piece: Piece | None = None
        self._file: pq.ParquetFile | None = None
        self._lines: pa.Array = pa.array([], pa.string())

    @property
    def left(self) -> int:
        return len(self._lines)

    def read(self, piece: Piece, offset: int) -> None:
        """Raises as `CollectorTable.ask` does."""
        self._lines = self._table.ask(partial(self._read, piece, offset))

    def _read(self, piece: Piece, offset: int) -> pa.Array:
        if self._file is None or self._piece != piece:
            self._file, self._piece = pq.ParquetFile(self._table.source(piece)), piece
        group, skipped = _place(self._file.metadata, offset - piece.first)
        return flat(self._file.read_row_group(group, columns=["line"])["line"]).slice(skipped)

    def cut(self, most: int) -> tuple[memoryview, int]:
        """The first lines as they lie in memory, at most so many and MOST_BYTES, and how many they are."""
        _, ends, text = self._lines.buffers()
        width = np.int64 if pa.types.is_large_string(self._lines.type) else np.int32
        bounds = np.frombuffer(ends, width)[self._lines.offset :][: len(self._lines) + 1]
        fitting = int(np.searchsorted(bounds, bounds[0] + MOST_BYTES, side="right")) - 1
        count = max(1, min(most, fitting))
        self._lines = self._lines.slice(count)
        return memoryview(text)[int(bounds[0]) : int(bounds[count])], count


def _place(footer: pq.FileMetaData, row: int) -> tuple[int, int]:
    """The row group that has this row, and how many of its rows are before that."""
    for group in range(footer.num_row_groups):
        rows = footer.row_group(group).num_rows
        if row < rows:
            return group, row
        row -= rows
    raise TaskFailed(reason="a file of documents is shorter than its offsets say")
