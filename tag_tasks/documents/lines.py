"""Documents as they go over the wire: JSON, one line each, rendered by Arrow a whole column at a time.

They are rendered when they are delivered and kept like that: a document is written once and read often, and a
reader then costs no more than its bytes.
"""

from __future__ import annotations

import re

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from tag_tasks.datasets.files.text import bytes_of, empty_where_null, flat, holds, joined, plain, words

SNIPPET = 200  # characters of a content that are shown as what was found
BREAKS = ("\x85", "\u2028", "\u2029")
OTHER_CONTROLS = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f]")


def lines_of(rows: pa.Table, rules: pa.Array) -> pa.Array:
    """A line for each document of the source's table; `rules` are the ids of the queries that found it, as lists."""
    document = _object(
        ("id", _text(rows, "id")),
        ("url", _text(rows, "url")),
        ("indexed", _moment(rows, "indexed")),
        ("search_indexed", _moment(rows, "indexed")),
        ("published", _moment(rows, "published")),
        ("title", _text(rows, "title")),
        ("content", _text(rows, "content")),
        ("root_url", _text(rows, "root_url")),
        ("domain_url", _text(rows, "domain_url")),
        ("host_url", _text(rows, "host_url")),
        ("lang", _text(rows, "lang")),
        ("sentiment", plain(flat(rows["sentiment"]))),
        ("source_type", _texts(flat(rows["source_type"]))),
        ("post_type", _texts(flat(rows["post_type"]))),
        ("images", _texts(flat(rows["image_urls"]), '{"url":"', '"}')),
        ("tags_internal", _texts(flat(rows["tags"]))),
        ("extra_author_attributes", _author(rows)),
        ("extra_source_attributes", _source(rows)),
        ("word_count", plain(flat(rows["word_count"]))),
        ("engagement", plain(flat(rows["engagement"]))),
    )
    content = flat(rows["content"])
    found = _object(
        ("title_snippet", _text(rows, "title")),
        ("content_snippet", _quoted(pc.utf8_slice_codeunits(content, 0, SNIPPET))),
        ("matched", joined('{"collector_query_ids":', _texts(rules), "}")),
    )
    return joined(
        '{"chunk_type":"CT_RESULT","chunk_result":{"data":{"data":', document, ',"highlighted_data":[', found, "]}}}\n"
    )


def _author(rows: pa.Table) -> pa.Array:
    return _object(
        ("id", _text(rows, "author_id")), ("name", _text(rows, "author_name")), ("gender", _text(rows, "author_gender"))
    )


def _source(rows: pa.Table) -> pa.Array:
    world = _object(
        ("country_code", _text(rows, "country_code")),
        ("city", _text(rows, "city")),
        ("latitude", _number(flat(rows["latitude"]))),
        ("longitude", _number(flat(rows["longitude"]))),
    )
    return _object(("id", _text(rows, "source_id")), ("name", _text(rows, "source_name")), ("world_data", world))


def _object(*fields: tuple[str, pa.Array]) -> pa.Array:
    """JSON's object; what is null in a row is not in its object."""
    parts: list[pa.Array | str] = ["{"]
    for name, value in fields:
        parts += empty_where_null(f'"{name}":', value, ",")
    opened = joined(*parts)
    kept = pc.if_else(pc.ends_with(opened, ","), pc.utf8_slice_codeunits(opened, 0, -1), opened)
    return joined(kept, "}")


def _text(rows: pa.Table, name: str) -> pa.Array:
    return _quoted(flat(rows[name]))


def _quoted(column: pa.Array) -> pa.Array:
    return joined('"', _escaped(words(column)), '"')


def _escaped(column: pa.Array) -> pa.Array:
    """As RFC 8259 wants it between quotes."""
    for sign, written in (("\\", "\\\\"), ('"', '\\"'), ("\n", "\\n"), ("\r", "\\r"), ("\t", "\\t")):
        if holds(column, sign):
            column = pc.replace_substring(column, sign, written)
    told_in = bytes_of(column).tobytes()
    for sign in BREAKS:  # JSON has them as they are; but clients that read lines of text end one there
        if sign.encode() in told_in:
            column = pc.replace_substring(column, sign, f"\\u{ord(sign):04x}")
    if (bytes_of(column) < 0x20).any():  # rare enough for Python
        told = [None if text is None else OTHER_CONTROLS.sub(_code, text) for text in column.to_pylist()]
        column = pa.array(told, pa.large_string())
    return column


def _code(found: re.Match[str]) -> str:
    return f"\\u{ord(found[0]):04x}"


def _moment(rows: pa.Table, name: str) -> pa.Array:
    """Milliseconds since 1970."""
    return plain(flat(rows[name]).cast(pa.timestamp("ms", tz="UTC"), safe=False).cast(pa.int64()))


def _number(column: pa.Array) -> pa.Array:
    """Of floats, those that JSON has."""
    return plain(pc.if_else(pc.is_finite(column), column, None))


def _texts(column: pa.Array, before: str = '"', behind: str = '"') -> pa.Array:
    """Lists of texts; what is null within one is left out."""
    whole = pc.list_flatten(column)
    if whole.null_count:
        told = [None if texts is None else [text for text in texts if text is not None] for texts in column.to_pylist()]
        column = pa.array(told, column.type)
        whole = pc.list_flatten(column)
    ends = np.concatenate([[0], np.cumsum(pc.fill_null(pc.list_value_length(column), 0).to_numpy())])
    lists = pa.ListArray.from_arrays(pa.array(ends, pa.int32()), _escaped(words(whole)).cast(pa.string()))
    between = words(pc.binary_join(lists, f"{behind},{before}"))
    filled = pc.not_equal(pc.list_value_length(lists), 0)
    told = pc.if_else(filled, joined(f"[{before}", between, f"{behind}]"), pa.scalar("[]", pa.large_string()))
    return pc.if_else(pc.is_valid(column), told, pa.scalar(None, pa.large_string()))
