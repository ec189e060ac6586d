"""GitHub's code search: in which public files a text stands.

https://docs.github.com/en/rest/search/search#search-code: at most 1,000 results a query, and ten queries a minute for
a token, of which the headers say how many are left. Heeding them is the client's work: whoever does not is shut out.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from tag_tasks.platforms.transport import Answer, Asked, PlatformBusy, PlatformRefused, Transport, Unanswered

PAGE = 100
MOST_RESULTS = 1000
TRIES = 6  # of a page, while GitHub is busy: each waits for as long as it says
LONGEST_WAIT = 900.0  # seconds: a limit of the search is over within a minute
LIMITED_FOR = 60.0  # seconds, where it is not said
LOST_FOR = 5.0  # seconds after no answer came
MOST_TEXT = 500  # characters of a name, a path, a URL, and of what GitHub says
MOST_FRAGMENTS, MOST_FRAGMENT = 10, 4000
TEXT_MATCHES = "application/vnd.github.text-match+json"


@dataclass(frozen=True, kw_only=True, slots=True)
class GitHubAccount:
    base_url: str
    token: str = field(repr=False)


@dataclass(frozen=True, kw_only=True, slots=True)
class Hit:
    """A file in which the text stands. What its owner wrote is in it: it may hold anything."""

    repository: str
    path: str
    url: str
    sha: str
    """Of the file's content: copies have the same."""
    fork: bool
    fragments: Sequence[str] = field(repr=False)
    """The lines around, as they are: secrets among them."""


class GitHubClient:
    """Of one account. Safe to use from many threads."""

    name = "GitHub"

    def __init__(self, account: GitHubAccount, now: Callable[[], float] = time.time) -> None:
        self._account = account
        self._now = now
        self._transport = Transport(self.name, self._judge)

    def search(self, query: str, pause: Callable[[float], None]) -> Iterator[Hit]:
        """The files that the query finds, at most MOST_RESULTS, in GitHub's order.

        `pause` waits so many seconds, and may raise. Raises PlatformRefused for a query or a token that GitHub does
        not take, PlatformBusy where it has no time, Unanswered where it does not answer.
        """
        for page in range(1, MOST_RESULTS // PAGE + 1):
            answer = self._page(query, page, pause)
            items, total = answer.body.get("items"), answer.body.get("total_count")
            if not isinstance(items, list) or not isinstance(total, int):
                raise Unanswered(reason="GitHub 的应答无法理解", kind="GitHubError", detail="no items")
            yield from (hit for hit in map(_hit, items[:PAGE]) if hit is not None)
            if not items or page * PAGE >= total:
                return
            if (wait := self._until_reset(answer)) is not None:
                pause(wait)

    def _page(self, query: str, page: int, pause: Callable[[float], None]) -> Answer:
        headers = {
            "Accept": TEXT_MATCHES,
            "Authorization": f"Bearer {self._account.token}",
            "X-GitHub-Api-Version": "2022-11-28",
            "User-Agent": "tagapi",
        }
        url = f"{self._account.base_url.rstrip('/')}/search/code"
        asked = Asked("GET", url, headers, {"q": query, "per_page": str(PAGE), "page": str(page)})
        for tried in range(TRIES):
            try:
                return self._transport.answer(asked)
            except (PlatformBusy, Unanswered) as error:  # it is a question: to ask it again does no harm
                if tried == TRIES - 1:
                    raise type(error)(**{**error.facts, "reason": "GitHub 没有应答或限制了请求速度"}) from None
                wait = float(error.facts.get("retry_after", LOST_FOR))
            pause(wait)
        raise AssertionError("a try ends with an answer or an error")

    def _judge(self, answer: Answer) -> Exception | None:
        if answer.status < 400:
            return None
        said = str(answer.body.get("message") or f"HTTP {answer.status}").replace(self._account.token or "\0", "***")
        facts = {"kind": "GitHubError", "detail": said[:MOST_TEXT]}
        if answer.status == 429 or (answer.status == 403 and _limited(answer, said)):
            wait = _asked_for(answer) or self._until_reset(answer) or LIMITED_FOR
            return PlatformBusy(reason="GitHub 限制了请求速度", retry_after=wait, **facts)
        if answer.status >= 500:
            return Unanswered(reason="GitHub 没有应答", **facts)
        return PlatformRefused(reason=f"GitHub 拒绝了查询：{facts['detail']}", **facts)

    def _until_reset(self, answer: Answer) -> float | None:
        """Seconds until questions are taken again; None while some are left."""
        left, reset = (answer.headers.get(f"x-ratelimit-{name}", "") for name in ("remaining", "reset"))
        if left != "0" or not (reset.isascii() and reset.isdigit()):
            return None
        return min(max(float(reset[:12]) - self._now(), 0.0) + 1.0, LONGEST_WAIT)  # it counts whole seconds


def _limited(answer: Answer, said: str) -> bool:
    """Whether a refusal is for now: a token without the right is refused with the same status."""
    headers = answer.headers
    return headers.get("x-ratelimit-remaining") == "0" or "retry-after" in headers or "rate limit" in said.lower()


def _asked_for(answer: Answer) -> float | None:
    said = answer.headers.get("retry-after", "")
    return min(float(said), LONGEST_WAIT) if said.isascii() and said.isdigit() else None


def _hit(given: Any) -> Hit | None:
    """None for what is no file of a repository."""
    if not isinstance(given, dict) or not isinstance(repository := given.get("repository"), dict):
        return None
    texts = {
        "repository": repository.get("full_name"),
        "path": given.get("path"),
        "url": given.get("html_url"),
        "sha": given.get("sha"),
    }
    known = {name: text for name, text in texts.items() if isinstance(text, str) and len(text) <= MOST_TEXT}
    if len(known) < len(texts):
        return None
    return Hit(**known, fork=repository.get("fork") is True, fragments=_fragments(given.get("text_matches")))


def _fragments(matches: Any) -> Sequence[str]:
    if not isinstance(matches, list):
        return ()
    found = (one.get("fragment") for one in matches[:MOST_FRAGMENTS] if isinstance(one, Mapping))
    return tuple(text[:MOST_FRAGMENT] for text in found if isinstance(text, str))
