"""Documents as lines: what Arrow renders is what Python's own JSON reads."""

from __future__ import annotations

import json
import math
import random
import time
from datetime import UTC, datetime, timedelta
from typing import Any

import pyarrow as pa
import pytest

from tag_tasks.documents.lines import SNIPPET, lines_of
from tag_tasks.documents.source import SCHEMA, TEXTS

NOON = datetime(2026, 6, 15, 12, 0, 0, 123_456, tzinfo=UTC)
ODD = [
    *("", " ", '"', "\\", '\\"', "a\nb\r\tc", "\x00", "\x1f\x07", "\u2028", "ñandú", "界", "🦜", "e\u0301", "},{"),
    *("',", ",", "a,", "{", "}", "null", "\ud7ff", "</script>", "\x7f", "x" * 500, "界" * 300),
]


def value_of(field: pa.Field, chance: random.Random) -> Any:
    if chance.random() < 0.2 and field.name != "id":
        return None
    kind = field.type
    if kind == TEXTS:
        return [chance.choice([*ODD, None]) for _ in range(chance.randrange(4))]
    if pa.types.is_string(kind):
        return chance.choice(ODD)
    if pa.types.is_timestamp(kind):
        return NOON + timedelta(microseconds=chance.randrange(-(10**15), 10**15))
    if pa.types.is_floating(kind):
        return chance.choice([0.0, -0.5, 4.6097, 1e-7, 1e22, math.nan, math.inf, -math.inf])
    return chance.choice([0, -5, 2**31 - 1])


def told(row: dict[str, Any], rules: list[str]) -> dict[str, Any]:
    """The chunk of a document, by another way."""

    def ms(moment: datetime | None) -> int | None:
        return None if moment is None else (moment - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(milliseconds=1)

    def texts(values: list[Any] | None) -> list[Any] | None:
        return None if values is None else [value for value in values if value is not None]

    def there(**facts: Any) -> dict[str, Any]:
        return {name: value for name, value in facts.items() if value is not None}

    def finite(number: float | None) -> float | None:
        return number if number is not None and math.isfinite(number) else None

    images = texts(row["image_urls"])
    place = there(
        country_code=row["country_code"],
        city=row["city"],
        latitude=finite(row["latitude"]),
        longitude=finite(row["longitude"]),
    )
    same = ("id", "url", "title", "content", "root_url", "domain_url", "host_url", "lang", "sentiment")
    document = there(
        **{name: row[name] for name in (*same, "word_count", "engagement")},
        indexed=ms(row["indexed"]),
        search_indexed=ms(row["indexed"]),
        published=ms(row["published"]),
        source_type=texts(row["source_type"]),
        post_type=texts(row["post_type"]),
        images=None if images is None else [{"url": url} for url in images],
        tags_internal=texts(row["tags"]),
        extra_author_attributes=there(id=row["author_id"], name=row["author_name"], gender=row["author_gender"]),
        extra_source_attributes=there(id=row["source_id"], name=row["source_name"], world_data=place),
    )
    content = row["content"]
    found = there(title_snippet=row["title"], content_snippet=None if content is None else content[:SNIPPET])
    shown = [{**found, "matched": {"collector_query_ids": rules}}]
    return {"chunk_type": "CT_RESULT", "chunk_result": {"data": {"data": document, "highlighted_data": shown}}}


@pytest.mark.parametrize("seed", range(5))
def test_lines_are_what_any_json_makes_of_the_documents(seed: int) -> None:
    chance = random.Random(seed)
    rows = [{field.name: value_of(field, chance) for field in SCHEMA} for _ in range(300)]
    rules = [chance.sample(["rule_1", "rule_2", "r-3"], chance.randrange(4)) for _ in rows]
    lines = lines_of(pa.Table.from_pylist(rows, SCHEMA), pa.array(rules, TEXTS)).to_pylist()
    assert all(line.endswith("\n") and line.count("\n") == 1 for line in lines)
    assert [json.loads(line) for line in lines] == [told(row, ids) for row, ids in zip(rows, rules, strict=True)]


def test_slices_and_chunks_are_read_from_where_they_begin() -> None:
    chance = random.Random(9)
    rows = [{field.name: value_of(field, chance) for field in SCHEMA} for _ in range(40)]
    whole = pa.concat_tables([pa.Table.from_pylist(rows[:17], SCHEMA), pa.Table.from_pylist(rows[17:], SCHEMA)])
    none = pa.array([[]] * 20, TEXTS)
    lines = lines_of(whole.slice(10, 20), none).to_pylist()
    assert [json.loads(line) for line in lines] == [told(row, []) for row in rows[10:30]]
    assert lines_of(whole.slice(0, 0), none.slice(0, 0)).to_pylist() == []


def test_ten_thousand_documents_take_no_time() -> None:
    """A commit's worth: what Python would take a second for."""
    row = {field.name: value_of(field, random.Random(3)) for field in SCHEMA} | {"content": "una frase corta, " * 30}
    rows = pa.Table.from_pylist([row] * 10_000, SCHEMA)
    began = time.perf_counter()
    lines_of(rows, pa.array([["q"]] * 10_000, TEXTS))
    assert time.perf_counter() - began < 1.0
