"""Cells as text, a whole column at a time. A null stays null."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

FORMULA_STARTS = np.isin(np.arange(256), [ord(sign) for sign in "=+-@\t\r"])
"""Of each byte, whether a spreadsheet takes it for the beginning of a formula."""


def flat(column: pa.ChunkedArray) -> pa.Array:
    """The column in one array."""
    return column.combine_chunks() if column.num_chunks != 1 else column.chunk(0)


def joined(*parts: pa.Array | str) -> pa.Array:
    """The parts of each row, one after the other; null where one of them is. A `str` is the same in every row."""
    fewer: list[pa.Array | str] = []
    for part in parts:  # neighbours that are the same in every row become one: each part costs as much as a column
        if isinstance(part, str) and fewer and isinstance(fewer[-1], str):
            fewer[-1] += part
        else:
            fewer.append(part)
    large = [pa.scalar(part, pa.large_string()) if isinstance(part, str) else part for part in (*fewer, "")]
    return pc.binary_join_element_wise(*large)


def empty_where_null(*parts: pa.Array | str) -> tuple[pa.Array | str, ...]:
    """The same parts, or one array with nothing where any of them is null."""
    if not any(part.null_count for part in parts if not isinstance(part, str)):
        return parts
    return (pc.fill_null(joined(*parts), ""),)


def plain(column: pa.Array) -> pa.Array:
    """Numbers and dates as everyone writes them."""
    return column.cast(pa.large_string())


def words(column: pa.Array) -> pa.Array:
    """Text that may be joined to more than 2 GB."""
    return column.cast(pa.large_string())


def defused(column: pa.Array) -> pa.Array:
    """Text that no spreadsheet runs: an apostrophe before what it would take for a formula."""
    ends = _offsets(column)
    written = np.flatnonzero(np.diff(ends))
    dangerous = np.zeros(len(column), bool)
    dangerous[written] = FORMULA_STARTS[_buffer(column)[ends[written]]]
    return pc.if_else(pa.array(dangerous), joined("'", column), column) if dangerous.any() else column


def iso(column: pa.Array) -> tuple[pa.Array | str, ...]:
    """The parts of moments in UTC, ISO 8601 with Z; a fraction only where there is one."""
    moments = column.cast(pa.timestamp("us"))  # without the zone: with it, Arrow looks it up for every value
    times = moments.cast(pa.time64("us"))
    seconds = times.cast(pa.time32("s"), safe=False)
    fractions = pc.not_equal(seconds.cast(pa.time64("us")), times)
    clock = plain(seconds)
    if pc.any(fractions).as_py():
        clock = pc.if_else(fractions, plain(times), clock)
    return plain(moments.cast(pa.date32())), "T", clock, "Z"


def bytes_of(column: pa.Array) -> np.ndarray:
    """All the text of a column, as from `words` or `joined`, one after the other: not copied."""
    ends = _offsets(column)
    return _buffer(column)[ends[0] : ends[-1]]


def holds(column: pa.Array, sign: str) -> bool:
    """Whether this ASCII sign occurs anywhere in the column: one look at its bytes, and none at its cells."""
    return bool((bytes_of(column) == ord(sign)).any())


def _offsets(column: pa.Array) -> np.ndarray:
    """Where each cell begins in the buffer, and where the last one ends."""
    return np.frombuffer(column.buffers()[1], np.int64)[column.offset : column.offset + len(column) + 1]


def _buffer(column: pa.Array) -> np.ndarray:
    return np.frombuffer(column.buffers()[2] or b"", np.uint8)
