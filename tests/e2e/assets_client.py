"""What a client of the celery_task API reads, to its end."""

from __future__ import annotations

from typing import Any

from tests.e2e.server import Client

ROOT = "/api/celery_task"


def pages(client: Client, path: str, size: int = 7, **asked: Any) -> list[dict[str, Any]]:
    """All rows, page by page: as many as each page says that there are."""
    found: list[dict[str, Any]] = []
    page = 1
    while True:
        told = client.read(f"{ROOT}/{path}", page=page, size=size, **asked)["data"]
        found += told["items"]
        if len(found) >= told["total"] or not told["items"]:
            assert len(found) == told["total"], f"{path} has {len(found)} rows, and says {told['total']}"
            return found
        page += 1
