"""CSV by RFC 4180: UTF-8, CRLF, text always in quotes and nothing else.

So a null is nothing at all and an empty text is `""`; booleans are true and false, times ISO
with Z. Rendered by Arrow in one pass over a column: a CSV library takes a minute for what this
does in seconds.
"""

from __future__ import annotations

from collections.abc import Mapping

import pyarrow as pa
import pyarrow.compute as pc

from tag_tasks.datasets.files.target import Target
from tag_tasks.datasets.files.text import bytes_of, defused, empty_where_null, flat, holds, iso, joined, plain, words
from tag_tasks.datasets.tables import Kind

END = "\r\n"


class CsvFile:
    """See the module."""

    def __init__(self, target: Target, columns: Mapping[str, Kind], schema: pa.Schema) -> None:
        self._target = target
        self._kinds = tuple(columns.values())
        target.write((",".join(columns) + END).encode())

    def write(self, rows: pa.Table) -> None:
        line: list[pa.Array | str] = []
        for column, kind in zip(rows.columns, self._kinds, strict=True):
            line += [*empty_where_null(*_cell(flat(column), kind)), ","]
        self._target.write(bytes_of(joined(*line[:-1], END)).data)

    def close(self) -> None:
        """Nothing is left."""


def _cell(column: pa.Array, kind: Kind) -> tuple[pa.Array | str, ...]:
    if kind is Kind.TIME:
        return iso(column)
    if kind is not Kind.TEXT:
        return (plain(column),)
    text = defused(words(column))
    return '"', pc.replace_substring(text, '"', '""') if holds(text, '"') else text, '"'
