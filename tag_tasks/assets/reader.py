"""What namespaces read: what a job found, and what is known of a scope, page by page."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import pyarrow as pa

from tag_tasks.assets.found import Kind
from tag_tasks.assets.results import FoundFiles
from tag_tasks.assets.table import NO_SCOPE, AssetTable, Place
from tag_tasks.reads import Reads
from tagapi.jobs.errors import NotFoundInData


class AssetReader:
    """Reads for the API. Pages count from 1. Raises NotReady where the storage does not answer."""

    def __init__(self, files: FoundFiles, table: AssetTable, at_once: int) -> None:
        """At most `at_once` reads are under way."""
        self._files = files
        self._table = table
        self._reads = Reads(at_once)

    def found(self, job_id: str, kind: str | None, page: int, size: int) -> Mapping[str, Any]:
        """`total` and `items`, each `kind, key` and its facts, in the order of the kinds and of discovery.

        To be asked of a job that has succeeded. Raises NotFoundInData where it has no such result, or not any more.
        """
        kinds = list(Kind) if kind is None else [Kind(kind)]

        def read() -> Mapping[str, Any]:
            if not self._files.there(job_id):
                raise NotFoundInData(thing="result", name=job_id)
            total, rows = self._files.page(job_id, kinds, (page - 1) * size, size)
            return {"total": total, "items": [{**row.facts, "kind": row.kind.value, "key": row.key} for row in rows]}

        return self._reads.run(read)

    def assets(
        self, kind: str, page: int, size: int, *, scope_id: str | None = None, owner: str | None = None
    ) -> Mapping[str, Any]:
        """`total` and `items`, each `kind, key`, its facts, `job_id`, `found_at` and `changed_at`, in the order of
        discovery: of a scope, or an owner's where they belong to none. A place without any is empty, and no error."""
        where, asked = Kind(kind), ((page - 1) * size, size)

        def read() -> tuple[int, pa.Table]:
            if scope_id is not None:
                return self._table.page(Place(where, scope_id), *asked)
            return self._table.page_of(str(owner), Place(where, NO_SCOPE), *asked)

        total, rows = self._reads.run(read)
        return {"total": total, "items": [_told(where, row) for row in rows.to_pylist()]}


def _told(kind: Kind, row: Mapping[str, Any]) -> Mapping[str, Any]:
    more = {name: row[name] for name in ("job_id", "found_at", "changed_at")}
    return {**json.loads(row["facts"]), "kind": kind.value, "key": row["key"], **more}
