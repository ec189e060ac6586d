"""The cells of a sheet as XML, a whole column at a time. A null has no cell."""

from __future__ import annotations

import re
from xml.sax.saxutils import escape

import pyarrow as pa
import pyarrow.compute as pc

from tag_tasks.datasets.files import xlsx_parts as parts
from tag_tasks.datasets.files.text import holds, iso, joined, plain, words
from tag_tasks.datasets.tables import Kind

LONGEST = 32_767  # UTF-16 units that a cell may hold; what is beyond is cut off
DAY = 86_400_000_000  # microseconds
EPOCH = 25_569  # the serial number of 1970-01-01
FIRST_DAY, LAST_DAY = -25_508, 2_932_896
"""1900-03-01, before which spreadsheets count a day that never was, and 9999-12-31; in days since 1970-01-01."""

UNSPEAKABLE = "[\\x00-\\x08\\x0b-\\x1f\ufffe\uffff]|_x[0-9A-Fa-f]{4}_"
"""What XML cannot say or a reader would change, and what looks like the way to write it: `_xHHHH_`."""

TEXT_BEGINS, TEXT_ENDS = ' t="inlineStr"><is><t xml:space="preserve">', "</t></is></c>"


def cells(column: pa.Array, kind: Kind, letter: str, numbers: pa.Array) -> pa.Array:
    """The cells of one column, in the rows with these numbers."""
    place = ('<c r="' + letter, numbers, '"')
    match kind:
        case Kind.TEXT:
            found = joined(*place, TEXT_BEGINS, _escaped(words(column)), TEXT_ENDS)
        case Kind.BOOL:
            found = joined(*place, ' t="b"><v>', plain(column.cast(pa.int8())), "</v></c>")
        case Kind.DATE:
            days = column.cast(pa.int32())
            real = joined(*place, f' s="{parts.DATE}"><v>', plain(pc.add(days, EPOCH)), "</v></c>")
            found = _where_real(days, real, joined(*place, TEXT_BEGINS, plain(column), TEXT_ENDS))
        case Kind.TIME:
            moments = column.cast(pa.timestamp("us"))
            serial = pc.add(pc.divide(moments.cast(pa.int64()).cast(pa.float64()), float(DAY)), float(EPOCH))
            real = joined(*place, f' s="{parts.TIME}"><v>', plain(serial), "</v></c>")
            found = _where_real(
                moments.cast(pa.date32()).cast(pa.int32()), real, joined(*place, TEXT_BEGINS, *iso(column), TEXT_ENDS)
            )
        case _:
            style = f' s="{parts.MONEY}"' if kind is Kind.MONEY else ""
            found = joined(*place, f"{style}><v>", plain(column), "</v></c>")
    return pc.fill_null(found, "") if found.null_count else found


def header(text: str, letter: str) -> str:
    return f'<c r="{letter}1" s="{parts.BOLD}"{TEXT_BEGINS}{escape(text)}{TEXT_ENDS}'


def _where_real(days: pa.Array, real: pa.Array, written: pa.Array) -> pa.Array:
    """As a date where a spreadsheet knows the day, else in words."""
    known = pc.and_(pc.greater_equal(days, FIRST_DAY), pc.less_equal(days, LAST_DAY))
    return pc.if_else(known, real, written)


def _escaped(text: pa.Array) -> pa.Array:
    if pc.any(pc.greater(pc.binary_length(text), LONGEST)).as_py():
        text = pa.array([None if one is None else _cut(one) for one in text.to_pylist()], pa.large_string())
    for sign, entity in (("&", "&amp;"), ("<", "&lt;"), (">", "&gt;")):
        if holds(text, sign):
            text = pc.replace_substring(text, sign, entity)
    if pc.any(pc.match_substring_regex(text, UNSPEAKABLE)).as_py():
        text = pa.array([None if one is None else _spoken(one) for one in text.to_pylist()], pa.large_string())
    return text


def _cut(text: str) -> str:
    return text.encode("utf-16-le")[: LONGEST * 2].decode("utf-16-le", "ignore")


def _spoken(text: str) -> str:
    """Each sign that cannot stand as it is becomes `_xHHHH_`; of what looks like that, the first underscore does."""
    return re.sub(UNSPEAKABLE, lambda found: f"_x{ord(found[0][0]):04X}_" + found[0][1:], text)
