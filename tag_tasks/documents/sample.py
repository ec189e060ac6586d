"""Sample documents: posts and articles in six languages over the last two years, ordered by when they were published.

The same for a seed and a day on every machine: only integer arithmetic on a seeded generator. The order is that of
exports, so that a file, and a group of rows in it, holds one stretch of time.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, date, datetime, time
from itertools import accumulate
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from tag_tasks.documents.sample_words import (
    CITIES,
    GENDERS,
    HASHTAGS,
    LANGUAGES,
    MENTIONS,
    POST_TYPES,
    SITES,
    TAGS,
)
from tag_tasks.documents.source import DOCUMENTS, SCHEMA, TEXTS

SEED = 20220316
CHUNK = 100_000  # documents a file
GROUP = 25_000  # documents of a row group: what a range of time reads at least
DAYS = 730  # that the data reach back
SENTENCES = 4  # of a content, at most
SPARSE = 25  # one value in so many is null
SHUFFLE = 2_654_435_761  # prime to ten: ids that neither repeat nor follow each other
ID_DIGITS = 10

DAY = 86_400 * 1_000_000  # microseconds
HOUR = DAY // 24


def write_sample(folder: Path, documents: int, today: date, seed: int = SEED) -> None:
    """Write so many documents into `folder`/documents/part-NNNNN.parquet, one file for every CHUNK of them.

    Existing files of the same name are replaced; the caller decides whether there is anything to keep.
    """
    first_moment = int(datetime.combine(today, time(), UTC).timestamp()) * 1_000_000 - DAYS * DAY
    each = DAYS * DAY // documents
    for number, first in enumerate(range(0, documents, CHUNK)):
        count = min(CHUNK, documents - first)
        draw = _Draws([seed, number], count)
        # Each has a slot of its own, so that nothing needs sorting.
        published = first_moment + np.arange(first, first + count) * each + draw.below(each)
        target = folder / DOCUMENTS / f"part-{number:05d}.parquet"
        target.parent.mkdir(parents=True, exist_ok=True)
        unfinished = target.with_suffix(".unfinished")
        rows = _documents(draw, np.arange(first, first + count), published)
        pq.write_table(rows, unfinished, compression="zstd", row_group_size=GROUP)
        unfinished.replace(target)


def _documents(draw: _Draws, numbers: np.ndarray, published: np.ndarray) -> pa.Table:
    ids = pc.binary_join_element_wise("doc", _padded(numbers * SHUFFLE % 10**ID_DIGITS, ID_DIGITS), "_")
    language = draw.weighted([one.share for one in LANGUAGES])
    site = draw.weighted([one.share for one in SITES])
    content = _contents(draw, language)
    columns = {
        "id": ids,
        "published": pa.array(published).cast(SCHEMA.field("published").type),
        "indexed": draw.holes(pa.array(published + draw.below(HOUR)).cast(SCHEMA.field("indexed").type)),
        "title": draw.holes(_sentences(draw, language, "")),
        "content": draw.holes(content),
        "lang": draw.holes(pa.array([one.code for one in LANGUAGES]).take(pa.array(language))),
        "sentiment": draw.holes(pa.array((draw.below(6) - draw.below(6)).astype("int32"))),
        "tags": draw.holes(draw.any(TAGS, TEXTS)),
        "post_type": draw.holes(draw.any(POST_TYPES, TEXTS)),
        "image_urls": draw.holes(_images(draw, numbers)),
        "word_count": draw.holes(pc.add(pc.count_substring(content, " "), 1).cast(pa.int32())),
        "engagement": draw.holes(pa.array(draw.below(100) ** 4 // 1000)),
        **_source(draw, site, ids),
        **_author(draw, language, site),
        **_place(draw, language),
    }
    return pa.table([columns[name] for name in SCHEMA.names], SCHEMA)


# -- texts ------------------------------------------------------------------------------------


def _contents(draw: _Draws, language: np.ndarray) -> pa.Array:
    """From one to four sentences, some with hashtags and mentions behind them."""
    length = draw.below(SENTENCES)
    parts = [_sentences(draw, language, "stop")]
    parts += [draw.where(length >= number, _sentences(draw, language, "stop")) for number in range(1, SENTENCES)]
    for words, every in ((MENTIONS, 5), (HASHTAGS, 3), (HASHTAGS, 8)):
        parts.append(draw.where(draw.below(every) == 0, pc.binary_join_element_wise(draw.any(words), "", " ")))
    return pc.utf8_trim_whitespace(pc.binary_join_element_wise(*parts, "", null_handling="skip"))


def _sentences(draw: _Draws, language: np.ndarray, end: str) -> pa.Array:
    """One for each, in its language; `end` names what is written behind it."""
    parts = [_of_language(draw, language, part) for part in ("who", "does", "what", "when")]
    sentence = pc.binary_join_element_wise(*parts, _each(language, "between"))
    return pc.binary_join_element_wise(sentence, _each(language, end), "") if end else sentence


def _of_language(draw: _Draws, language: np.ndarray, part: str) -> pa.Array:
    """Any of a language's words of that kind."""
    lists = [getattr(one, part) for one in LANGUAGES]
    sizes = np.array([len(one) for one in lists])
    starts = np.array([0, *accumulate(sizes)])[:-1]
    words = pa.array([word for one in lists for word in one])
    return words.take(pa.array(starts[language] + draw.below(10**6) % sizes[language]))


def _each(language: np.ndarray, part: str) -> pa.Array:
    return pa.array([getattr(one, part) for one in LANGUAGES]).take(pa.array(language))


# -- who, where and what else -----------------------------------------------------------------


def _source(draw: _Draws, site: np.ndarray, ids: pa.Array) -> dict[str, pa.Array]:
    chosen, domains = pa.array(site), [one.domain for one in SITES]
    url = pc.binary_join_element_wise(_joined("https://www.", domains, "/posts").take(chosen), ids, "/")
    return {
        "url": draw.holes(url),
        "domain_url": draw.holes(pa.array(domains).take(chosen)),
        "host_url": draw.holes(_joined("https://www.", domains, "/").take(chosen)),
        "root_url": draw.holes(_joined("https://", domains, "/").take(chosen)),
        "source_type": draw.holes(pa.array([one.types for one in SITES], TEXTS).take(chosen)),
        "source_id": draw.holes(_joined("source_", [str(number) for number in range(len(SITES))], "").take(chosen)),
        "source_name": draw.holes(pa.array([one.name for one in SITES]).take(chosen)),
    }


def _author(draw: _Draws, language: np.ndarray, site: np.ndarray) -> dict[str, pa.Array]:
    author = _padded(site * 10_000 + draw.below(100) * draw.below(100), 6)
    return {
        "author_id": draw.holes(pc.binary_join_element_wise("author", author, "_")),
        "author_name": draw.holes(_of_language(draw, language, "names")),
        "author_gender": draw.holes(draw.any(GENDERS)),
    }


def _place(draw: _Draws, language: np.ndarray) -> dict[str, pa.Array]:
    """A country of the language; its city with its coordinates, where both are known."""
    country = _of_language(draw, language, "countries")
    where = pc.index_in(country, value_set=pa.array(list(CITIES)))
    known = draw.holes(where)
    return {
        "country_code": draw.holes(country),
        "city": pa.array([city for city, _, _ in CITIES.values()]).take(known),
        "latitude": pa.array([latitude for _, latitude, _ in CITIES.values()]).take(known),
        "longitude": pa.array([longitude for _, _, longitude in CITIES.values()]).take(known),
    }


def _images(draw: _Draws, numbers: np.ndarray) -> pa.Array:
    """None for two thirds, else up to two."""
    counts = np.maximum(0, draw.below(5) - 2)
    offsets = np.concatenate([[0], np.cumsum(counts)]).astype("int32")
    names = _padded(np.repeat(numbers, counts) * 2 + np.arange(counts.sum()) % 2, 9)
    urls = pc.binary_join_element_wise("https://img.example/", names, ".jpg", "")
    return pa.ListArray.from_arrays(pa.array(offsets), urls)


class _Draws:
    """Seeded choices for the documents of one file."""

    def __init__(self, seed: Sequence[int], count: int) -> None:
        self._random = np.random.default_rng(seed)
        self._count = count

    def below(self, limit: int) -> np.ndarray:
        """Whole numbers from 0."""
        return self._random.integers(0, limit, self._count)

    def weighted(self, shares: Sequence[int]) -> np.ndarray:
        """Numbers of shares, which add up to a hundred."""
        return np.searchsorted(np.cumsum(shares), self.below(100), side="right")

    def any(self, values: Sequence[Any], kind: pa.DataType | None = None) -> pa.Array:
        return pa.array(values, kind).take(pa.array(self.below(len(values))))

    def holes(self, column: pa.Array) -> pa.Array:
        """One in SPARSE is null: of most documents something is not known."""
        return self.where(self.below(SPARSE) > 0, column)

    def where(self, kept: np.ndarray, column: pa.Array) -> pa.Array:
        return column.take(pa.array(np.arange(self._count), mask=~kept))


def _joined(before: str, middles: Sequence[str], behind: str) -> pa.Array:
    return pa.array([f"{before}{one}{behind}" for one in middles])


def _padded(numbers: np.ndarray, width: int) -> pa.Array:
    return pc.utf8_lpad(pa.array(numbers).cast(pa.string()), width, "0")
