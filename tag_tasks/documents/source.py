"""The documents that there are: posts, articles, comments; one table of the sources."""

from __future__ import annotations

import pyarrow as pa

DOCUMENTS = "documents"
STAMP = pa.timestamp("us", tz="UTC")
TEXTS = pa.list_(pa.string())
SCHEMA = pa.schema(
    [
        ("id", pa.string()),
        ("url", pa.string()),
        ("published", STAMP),
        ("indexed", STAMP),
        ("title", pa.string()),
        ("content", pa.string()),
        ("domain_url", pa.string()),
        ("host_url", pa.string()),
        ("root_url", pa.string()),
        ("lang", pa.string()),
        ("sentiment", pa.int32()),
        ("source_type", TEXTS),
        ("post_type", TEXTS),
        ("author_id", pa.string()),
        ("author_name", pa.string()),
        ("author_gender", pa.string()),
        ("source_id", pa.string()),
        ("source_name", pa.string()),
        ("country_code", pa.string()),
        ("city", pa.string()),
        ("latitude", pa.float64()),
        ("longitude", pa.float64()),
        ("image_urls", TEXTS),
        ("tags", TEXTS),
        ("word_count", pa.int32()),
        ("engagement", pa.int64()),
    ]
)
