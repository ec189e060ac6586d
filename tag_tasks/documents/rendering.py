"""From the documents that were found to the rows that a collector keeps: each once, as its line on the wire."""

from __future__ import annotations

import pyarrow as pa
import pyarrow.compute as pc

from tag_tasks.documents.conditions import RULE
from tag_tasks.documents.lines import lines_of
from tag_tasks.documents.source import SCHEMA, TEXTS


def unseen(rows: pa.Table, seen: set[str]) -> pa.Table:
    """Those whose id has not come before, of several the first; `seen` is told of them."""
    keep = []
    for document_id in rows["id"].to_pylist():
        keep.append(document_id not in seen)
        seen.add(document_id)
    return rows if all(keep) else rows.filter(pa.array(keep, pa.bool_()))


def rendered(rows: pa.Table) -> pa.Table:
    """`id, published, line` of documents, beside whose columns are those of the rules that found them."""
    told = rows.select(SCHEMA.names).cast(SCHEMA)
    lines = lines_of(told, _rules(rows)).cast(pa.string())
    return pa.table([told["id"], told["published"], lines], names=["id", "published", "line"])


def _rules(rows: pa.Table) -> pa.Array:
    """The ids of the rules that found each row, as lists."""
    names = [name for name in rows.column_names if name.startswith(RULE)]
    found: list[list[str]] = [[] for _ in range(rows.num_rows)]
    for name in names:
        for place in pc.indices_nonzero(rows[name]).to_pylist():
            found[place].append(name.removeprefix(RULE))
    return pa.array(found, TEXTS)
