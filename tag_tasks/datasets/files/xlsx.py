"""XLSX, written as it comes: the XML of a sheet goes straight into the archive.

The libraries for it keep the rows in temporary files and pack them at the end, a time in which
nobody can cancel, and hold the interpreter for every single cell. Here Arrow renders whole columns.
Text is text, whatever it looks like; numbers, dates and booleans are what they are. A sheet has at
most 1,048,575 rows below its headers; further ones follow.
"""

from __future__ import annotations

import zipfile
from collections.abc import Mapping
from string import ascii_uppercase
from typing import IO, cast

import pyarrow as pa

from tag_tasks.datasets.files import xlsx_parts as parts
from tag_tasks.datasets.files.target import Target
from tag_tasks.datasets.files.text import bytes_of, flat, joined, plain
from tag_tasks.datasets.files.xlsx_cells import cells, header
from tag_tasks.datasets.tables import Kind

ROWS = 1_048_575  # of a sheet, below the headers
BYTES = 1_900_000_000  # of a sheet's XML: beyond 2 GiB the archive would need what Excel warns about
EPOCH = (1980, 1, 1, 0, 0, 0)  # the same data are the same bytes, whenever they were written
LEVEL = 1  # deflate's fastest: the sheets are packed nine to one all the same


class XlsxFile:
    """See the module. `rows_per_sheet` is for tests."""

    def __init__(
        self, target: Target, columns: Mapping[str, Kind], schema: pa.Schema, rows_per_sheet: int = ROWS
    ) -> None:
        # The target never goes back, and the archive does not ask for it: sizes follow the data.
        self._archive = zipfile.ZipFile(cast("IO[bytes]", target), "w", zipfile.ZIP_DEFLATED, compresslevel=LEVEL)
        self._columns = columns
        self._most = rows_per_sheet
        self._sheets = 0
        self._sheet = self._begin_sheet()

    def write(self, rows: pa.Table) -> None:
        while rows.num_rows:
            if self._rows == self._most or self._bytes > BYTES:
                self._end_sheet()
                self._sheet = self._begin_sheet()
            fitting = rows.slice(0, self._most - self._rows)
            self._append(fitting)
            rows = rows.slice(fitting.num_rows)

    def close(self) -> None:
        self._end_sheet()
        for name, text in parts.package_parts(self._sheets).items():
            self._archive.writestr(_entry(name), text)
        self._archive.close()

    def _append(self, rows: pa.Table) -> None:
        first = self._rows + 2  # counted from 1, and the first has the headers
        numbers = plain(pa.array(range(first, first + rows.num_rows)))
        rendered = [
            cells(flat(column), kind, _letters(index), numbers)
            for index, (column, kind) in enumerate(zip(rows.columns, self._columns.values(), strict=True))
        ]
        text = bytes_of(joined('<row r="', numbers, '">', *rendered, "</row>"))
        self._sheet.write(text.data)
        self._rows += rows.num_rows
        self._bytes += len(text)

    def _begin_sheet(self) -> IO[bytes]:
        self._sheets += 1
        self._rows = self._bytes = 0
        sheet: IO[bytes] = self._archive.open(_entry(parts.SHEET.format(self._sheets)), "w")
        head = "".join(header(name, _letters(index)) for index, name in enumerate(self._columns))
        sheet.write(f'{parts.SHEET_BEGINS}<row r="1">{head}</row>'.encode())
        return sheet

    def _end_sheet(self) -> None:
        self._sheet.write(parts.SHEET_ENDS.encode())
        self._sheet.close()


def _entry(name: str) -> zipfile.ZipInfo:
    entry = zipfile.ZipInfo(name, EPOCH)
    entry.compress_type = zipfile.ZIP_DEFLATED
    entry._compresslevel = LEVEL  # type: ignore[attr-defined]  # an entry that is given takes nobody else's level
    return entry


def _letters(index: int) -> str:
    """The name of a column, counted from 0: A to Z, which is more than any table has."""
    return ascii_uppercase[index]
