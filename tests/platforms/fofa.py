"""Fofa's search, as far as it is asked here: errors with status 200, pages that end, a limit on how fast one asks."""

from __future__ import annotations

import base64
from dataclasses import dataclass, field
from typing import Any

from tests.platforms.server import Asked, Platform, Refused

EMAIL, KEY = "ann@example.org", "fofa+secret/key=0123"
MOST_SIZE, MOST_ROWS = 10_000, 10_000
COLUMNS = ("ip", "host", "port")


def error(message: str) -> Refused:
    return Refused(200, {"error": True, "errmsg": message})


@dataclass
class Fofa(Platform):
    """What each query finds."""

    found: dict[str, list[list[Any]]] = field(default_factory=dict)
    """By query: rows of ip, host and port."""

    def books(self) -> dict[str, Any]:
        return {"found": self.found}

    def limited(self) -> Refused:
        return error("[45012] 请求速度过快")

    def expired(self) -> Refused:
        return error("[-700] 账号无效")

    def refused(self) -> Refused:
        return error("[820000] FOFA Query Syntax Incorrect")

    def answer(self, asked: Asked) -> dict[str, Any]:
        assert (asked.method, asked.path) == ("GET", "/api/v1/search/all")
        if (asked.query.get("email"), asked.query.get("key")) != (EMAIL, KEY):
            raise self.expired()
        query = base64.b64decode(asked.query["qbase64"], validate=True).decode()
        if query not in self.found:
            raise self.refused()
        page, size = int(asked.query.get("page", 1)), int(asked.query.get("size", 100))
        if not 1 <= size <= MOST_SIZE or page * size > MOST_ROWS:
            raise error("[-9] 参数错误")
        assert tuple(asked.query["fields"].split(",")) == COLUMNS
        rows = self.found[query]
        return {
            "error": False,
            "size": len(rows),
            "page": page,
            "mode": "extended",
            "query": query,
            "results": rows[(page - 1) * size : page * size],
        }
