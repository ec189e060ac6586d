"""GitHub's code search, as far as it is asked here: text matches on request, ten questions a minute."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from tests.platforms.server import Asked, Platform, Refused

TOKEN = "github-secret-token"
EACH_MINUTE, MINUTE, MOST_RESULTS = 10, 60, 1000
CORE = "https://github.com"


@dataclass
class GitHub(Platform):
    """Public files, by whatever is asked."""

    items: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    """By query."""
    now: Callable[[], float] = lambda: 1_700_000_000.0
    each_minute: int = EACH_MINUTE
    secondary: int = 0
    """How many of the next questions are refused for another reason than their number."""
    asked_at: list[float] = field(default_factory=list)

    def add(self, query: str, repository: str, path: str, *fragments: str, fork: bool = False, text: str = "") -> None:
        """A file that the query finds."""
        sha = hashlib.sha1(f"{text or repository + path}".encode(), usedforsecurity=False).hexdigest()
        matches = [{"object_type": "FileContent", "property": "content", "fragment": one} for one in fragments]
        item = {
            "name": path.rpartition("/")[2],
            "path": path,
            "sha": sha,
            "html_url": f"{CORE}/{repository}/blob/{sha}/{path}",
            "repository": {"full_name": repository, "fork": fork, "private": False},
            "score": 1.0,
            "text_matches": matches,
        }
        self.items.setdefault(query, []).append(item)

    def books(self) -> dict[str, Any]:
        return {"items": self.items}

    def limited(self) -> Refused:
        return Refused(403, {"message": "API rate limit exceeded for user ID 1."}, self._headers())

    def expired(self) -> Refused:
        return Refused(401, {"message": "Bad credentials"})

    def refused(self) -> Refused:
        return Refused(422, {"message": "Validation Failed", "errors": []})

    def carried_out(self, asked: Asked) -> tuple[int, dict[str, Any], dict[str, str]]:
        status, body, headers = super().carried_out(asked)
        return status, body, {**self._headers(), **headers}

    def _headers(self) -> dict[str, str]:
        left = max(0, self.each_minute - len(self._recent()))
        reset = int(min(self._recent(), default=self.now()) + MINUTE)
        return {
            "X-RateLimit-Limit": str(self.each_minute),
            "X-RateLimit-Remaining": str(left),
            "X-RateLimit-Reset": str(reset),
        }

    def _recent(self) -> list[float]:
        return [at for at in self.asked_at if at > self.now() - MINUTE]

    def answer(self, asked: Asked) -> dict[str, Any]:
        assert (asked.method, asked.path) == ("GET", "/search/code")
        if asked.headers.get("authorization") != f"Bearer {TOKEN}":
            raise self.expired()
        if self.secondary:
            self.secondary -= 1
            raise Refused(403, {"message": "You have exceeded a secondary rate limit."}, {"Retry-After": "30"})
        if len(self._recent()) >= self.each_minute:
            raise self.limited()
        self.asked_at.append(self.now())
        page, size = int(asked.query.get("page", 1)), int(asked.query.get("per_page", 30))
        query = asked.query.get("q", "")
        if not query or len(query) > 256 or size > 100 or page * size > MOST_RESULTS:
            raise self.refused()
        found = self.items.get(query, [])
        items = found[(page - 1) * size : page * size]
        if "text-match" not in asked.headers.get("accept", ""):
            items = [{name: value for name, value in one.items() if name != "text_matches"} for one in items]
        return {"total_count": len(found), "incomplete_results": False, "items": items}
