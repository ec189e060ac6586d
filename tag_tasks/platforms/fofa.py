"""Fofa's search: which addresses and hosts of the internet a query finds, as Fofa saw them.

https://en.fofa.info/api: one GET, the query in base64, errors in a body with status 200. The key travels in the URL's
query, since Fofa knows no other place: so no URL is ever logged here, and whatever Fofa says is told without it.
"""

from __future__ import annotations

import base64
import logging
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote, quote_plus

from tag_tasks.platforms.transport import Answer, Asked, PlatformBusy, PlatformRefused, Transport, Unanswered

PAGE = 1000  # rows
MOST_ROWS = 10_000
TRIES = 5  # of a page, while Fofa is busy
WAIT = 2.0  # seconds before the second try; twice as many before each that follows
MOST_TEXT = 300  # characters of what Fofa says, and of a host
FIELDS = ("ip", "host", "port")
TOO_FAST = "45012"
PATH = "/api/v1/search/all"
URLS_LOGGED_BY = ("urllib3.connectionpool", "urllib3.util.retry")  # with their queries


@dataclass(frozen=True, kw_only=True, slots=True)
class FofaAccount:
    base_url: str
    email: str
    key: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class FofaRow:
    """Text of somebody else's, but for its length."""

    ip: str
    host: str
    """A name, a name with its port, or a URL."""
    port: str


class FofaClient:
    """Of one account. Safe to use from many threads."""

    name = "Fofa"

    def __init__(self, account: FofaAccount) -> None:
        self._account = account
        self._transport = Transport(self.name, self._judge)
        for logger in URLS_LOGGED_BY:
            logging.getLogger(logger).addFilter(_without_urls)

    def search(self, query: str, pause: Callable[[float], None]) -> Iterator[FofaRow]:
        """What the query finds, at most MOST_ROWS, in Fofa's order; rows that are none are left out.

        `pause` waits so many seconds, and may raise. Raises PlatformRefused for a query or an account that Fofa does
        not take, PlatformBusy where it has no time, Unanswered where it does not answer.
        """
        for page in range(1, MOST_ROWS // PAGE + 1):
            told = self._page(query, page, pause)
            rows = told.get("results")
            if not isinstance(rows, list):
                raise Unanswered(reason="Fofa 的应答无法理解", kind="FofaError", detail="no results")
            yield from (row for row in map(_row, rows[:PAGE]) if row is not None)
            if len(rows) < PAGE:
                return

    def _page(self, query: str, page: int, pause: Callable[[float], None]) -> Mapping[str, Any]:
        asked = {
            "email": self._account.email,
            "key": self._account.key,
            "qbase64": base64.b64encode(query.encode()).decode(),
            "page": str(page),
            "size": str(PAGE),
            "fields": ",".join(FIELDS),
        }
        url = f"{self._account.base_url.rstrip('/')}{PATH}"
        for tried in range(TRIES):
            try:
                return self._transport.send(Asked("GET", url, {}, asked))
            except (PlatformBusy, Unanswered) as error:  # it is a question: to ask it again does no harm
                if tried == TRIES - 1:
                    raise type(error)(**{**error.facts, "reason": "Fofa 没有应答或限制了请求速度"}) from None
            pause(WAIT * 2**tried)
        raise AssertionError("a try ends with an answer or an error")

    def _judge(self, answer: Answer) -> Exception | None:
        """The error that an answer is: Fofa's own has status 200."""
        if answer.status < 400 and answer.body.get("error") is False:
            return None
        said = self._hidden(str(answer.body.get("errmsg") or f"HTTP {answer.status}"))
        if TOO_FAST in said or answer.status == 429:
            return PlatformBusy(reason="Fofa 限制了请求速度", kind="FofaError", detail=said)
        if answer.status >= 500:
            return Unanswered(reason="Fofa 没有应答", kind="FofaError", detail=f"HTTP {answer.status}")
        return PlatformRefused(reason=f"Fofa 拒绝了查询：{said}", kind="FofaError", detail=said)

    def _hidden(self, text: str) -> str:
        """What Fofa says, without the account, as which it may be repeated."""
        for secret in (self._account.key, self._account.email):
            for form in {secret, quote(secret), quote_plus(secret)} - {""}:
                text = text.replace(form, "***")
        return text[:MOST_TEXT]


def _row(given: Any) -> FofaRow | None:
    if not isinstance(given, list) or len(given) != len(FIELDS):
        return None
    texts = [str(one) for one in given if isinstance(one, str | int)]
    return FofaRow(*texts) if len(texts) == len(FIELDS) and all(len(one) <= MOST_TEXT for one in texts) else None


def _without_urls(record: logging.LogRecord) -> bool:
    """Keeps the lines that tell of a search's URL out of every log."""
    return PATH not in record.getMessage()
