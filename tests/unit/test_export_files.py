"""The formats without Spark: what is split, and what a reader other than ours makes of it."""

from __future__ import annotations

import io
import zipfile
from contextlib import closing
from datetime import UTC, date, datetime
from typing import Any
from xml.etree import ElementTree

import openpyxl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tag_tasks.datasets.files import FORMATS
from tag_tasks.datasets.files.csv import CsvFile
from tag_tasks.datasets.files.target import Target
from tag_tasks.datasets.files.text import empty_where_null
from tag_tasks.datasets.files.xlsx import XlsxFile
from tag_tasks.datasets.tables import Kind

COLUMNS = {"ID": Kind.INT, "Name": Kind.TEXT}
TIME = pa.timestamp("us", tz="UTC")


class Paper(Target):
    """Takes bytes, and never goes back."""

    def __init__(self) -> None:
        self.content = io.BytesIO()

    def write(self, data: bytes | memoryview) -> int:
        return self.content.write(data)

    def flush(self) -> None:
        """Nothing is kept back."""

    @property
    def closed(self) -> bool:
        return False


def rows(count: int, first: int = 0) -> pa.Table:
    numbers = range(first, first + count)
    return pa.table({"ID": pa.array(numbers, pa.int32()), "Name": [f"name {number}" for number in numbers]})


def sheets(paper: Paper) -> list[list[tuple[Any, ...]]]:
    with closing(openpyxl.load_workbook(paper.content, read_only=True)) as book:
        return [list(sheet.iter_rows(values_only=True)) for sheet in book.worksheets]


@pytest.mark.parametrize("pieces", [[10], [4, 6], [3, 3, 4], [1] * 10])
def test_further_sheets_follow_a_full_one(pieces: list[int]) -> None:
    paper = Paper()
    with closing(XlsxFile(paper, COLUMNS, rows(0).schema, rows_per_sheet=4)) as file:
        first = 0
        for piece in pieces:
            file.write(rows(piece, first))
            first += piece
    found = sheets(paper)
    assert [len(sheet) for sheet in found] == [5, 5, 3]
    assert all(sheet[0] == ("ID", "Name") for sheet in found)
    assert [row for sheet in found for row in sheet[1:]] == [(number, f"name {number}") for number in range(10)]


def test_a_sheet_that_is_just_full_is_the_only_one() -> None:
    paper = Paper()
    with closing(XlsxFile(paper, COLUMNS, rows(0).schema, rows_per_sheet=4)) as file:
        file.write(rows(4))
    assert [len(sheet) for sheet in sheets(paper)] == [5]


def test_every_part_of_a_workbook_is_xml_and_known_to_it() -> None:
    paper = Paper()
    with closing(XlsxFile(paper, COLUMNS, rows(0).schema, rows_per_sheet=2)) as file:
        file.write(rows(5))
    with zipfile.ZipFile(paper.content) as archive:
        assert archive.testzip() is None
        parts = {name: ElementTree.fromstring(archive.read(name)) for name in archive.namelist()}
    kinds = {one.get("PartName") for one in parts["[Content_Types].xml"] if one.get("PartName")}
    assert kinds == {f"/{name}" for name in parts if name.startswith("xl/") and not name.endswith(".rels")}


@pytest.mark.parametrize("form", FORMATS)
def test_a_file_without_rows_has_its_headers(form: str) -> None:
    paper = Paper()
    FORMATS[form].open(paper, COLUMNS, rows(0).schema).close()
    match form:
        case "csv":
            assert paper.content.getvalue() == b"ID,Name\r\n"
        case "parquet":
            assert pq.read_table(paper.content).schema == rows(0).schema
        case "xlsx":
            assert sheets(paper) == [[("ID", "Name")]]


def one_column(form: str, kind: Kind, values: pa.Array) -> Paper:
    paper, table = Paper(), pa.table({"It": values})
    with closing(FORMATS[form].open(paper, {"It": kind}, table.schema)) as file:
        file.write(table)
    return paper


def test_a_moment_has_a_fraction_only_where_there_is_one() -> None:
    moments = [datetime(2024, 1, 1, tzinfo=UTC), datetime(2024, 1, 1, 0, 0, 0, 1200, tzinfo=UTC), None]
    paper = one_column("csv", Kind.TIME, pa.array(moments, TIME))
    assert paper.content.getvalue() == b"It\r\n2024-01-01T00:00:00Z\r\n2024-01-01T00:00:00.001200Z\r\n\r\n"


def test_a_day_that_spreadsheets_do_not_know_is_written_in_words() -> None:
    days = [date(1900, 2, 28), date(1900, 3, 1), date(9999, 12, 31), date(1, 1, 1)]
    found = [cell for (cell,) in sheets(one_column("xlsx", Kind.DATE, pa.array(days)))[0][1:]]
    assert found == ["1900-02-28", datetime(1900, 3, 1), datetime(9999, 12, 31), "0001-01-01"]


def test_a_moment_that_spreadsheets_do_not_know_is_written_in_words() -> None:
    moments = pa.array([datetime(1899, 1, 1, 12, tzinfo=UTC), datetime(2024, 3, 1, 9, 30, 15, tzinfo=UTC)], TIME)
    found = [cell for (cell,) in sheets(one_column("xlsx", Kind.TIME, moments))[0][1:]]
    assert found == ["1899-01-01T12:00:00Z", datetime(2024, 3, 1, 9, 30, 15)]


def test_a_slice_of_a_table_is_written_and_nothing_around_it() -> None:
    table = pa.table({"ID": pa.array(range(6), pa.int32()), "Name": ['"', "=a", "b", "=c", None, '"']})
    paper = Paper()
    file = CsvFile(paper, COLUMNS, table.schema)
    file.write(table.slice(2, 3))
    assert paper.content.getvalue() == b'ID,Name\r\n2,"b"\r\n3,"\'=c"\r\n4,\r\n'


def test_a_cell_of_which_a_part_is_null_is_empty() -> None:
    days, clock = (pa.array(values, pa.large_string()) for values in (["a", None, "c"], ["x", "y", "z"]))
    assert [part.to_pylist() for part in empty_where_null(days, "T", clock)] == [["aTx", "", "cTz"]]
    assert empty_where_null(clock, "T", clock) == (clock, "T", clock)
