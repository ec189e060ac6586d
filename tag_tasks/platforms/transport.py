"""One request to a platform, and exactly one of the ways in which it can end.

What matters of a request that changes something is whether it took effect: it did (an answer), it did
not (PlatformRefused, PlatformBusy), or nobody knows (Unanswered). A client never sends a creation
again by itself; whoever asked looks first.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from http.cookiejar import DefaultCookiePolicy
from ssl import SSLCertVerificationError
from typing import Any

import orjson
import requests
from urllib3.exceptions import ConnectTimeoutError, NameResolutionError, NewConnectionError

from tagapi.jobs.errors import TaskFailed, Transient

log = logging.getLogger(__name__)

CONNECT_SECONDS = 5.0
ANSWER_SECONDS = 60.0  # without a byte
MOST_ANSWER = 16 * 1024 * 1024  # bytes
RETRY_AFTER_MOST = 3600.0  # seconds
NEVER_CONNECTED = (NewConnectionError, ConnectTimeoutError, NameResolutionError, SSLCertVerificationError)
"""Errors after which no request was sent. Of TLS a certificate alone: any other may be met while the answer is read."""


class PlatformRefused(TaskFailed):
    """Nothing happened, and the same request would be refused again. `kind` and `detail` are the platform's own."""

    code = "platform_refused"


class PlatformBusy(Transient):
    """Nothing happened; another time it may: after `retry_after` seconds, where the platform says so."""

    code = "platform_busy"


class Unanswered(Transient):
    """Nobody knows whether it happened."""

    code = "unanswered"


@dataclass(frozen=True, slots=True)
class Answer:
    """What a platform said."""

    status: int
    body: Mapping[str, Any]
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Asked:
    """A request. Secrets go into `headers` alone, and none of this is ever logged but the method and the platform."""

    method: str
    url: str
    headers: Mapping[str, str] = field(repr=False)
    query: Mapping[str, str] = field(default_factory=dict)
    json: Any = field(default=None, repr=False)
    form: Mapping[str, str] | None = field(default=None, repr=False)


Judge = Callable[[Answer], Exception | None]
"""Which error an answer is, by the platform's own codes; None for one that says what was asked."""


class Transport:
    """Sends requests to one platform. Safe to use from many threads."""

    def __init__(self, platform: str, judge: Judge, seconds: float = ANSWER_SECONDS) -> None:
        """`platform` is its name, for people."""
        self._platform = platform
        self._judge = judge
        self._seconds = seconds

    def send(self, asked: Asked) -> Mapping[str, Any]:
        """The body of the answer. Raises PlatformRefused, PlatformBusy or Unanswered."""
        return self.answer(asked).body

    def answer(self, asked: Asked) -> Answer:
        """The answer with its headers. Raises the same."""
        answer = self._exchange(asked)
        if (error := self._judge(answer)) is not None:
            log.info("platform_refused", extra={"platform": self._platform, "status": answer.status})
            raise error
        return answer

    def _exchange(self, asked: Asked) -> Answer:
        """On a connection of its own: on one that was kept, a request may be lost that was never read."""
        try:
            with requests.Session() as session:
                session.trust_env = False
                session.cookies.set_policy(DefaultCookiePolicy(allowed_domains=()))
                with session.request(
                    asked.method,
                    asked.url,
                    params=dict(asked.query),
                    data=asked.form if asked.json is None else orjson.dumps(asked.json),
                    headers={**asked.headers, **({} if asked.json is None else {"Content-Type": "application/json"})},
                    timeout=(CONNECT_SECONDS, self._seconds),
                    allow_redirects=False,
                    stream=True,
                ) as response:
                    return self._read(response)
        except requests.RequestException as error:
            raise self._lost(error) from None  # its text holds the address, query and all

    def _read(self, response: requests.Response) -> Answer:
        raw = bytearray()
        for piece in response.iter_content(64 * 1024):
            raw += piece
            if len(raw) > MOST_ANSWER:
                raise self._unclear("the answer is too large")
        try:
            body = orjson.loads(raw) if raw else None
        except orjson.JSONDecodeError:
            body = None
        if 300 <= response.status_code < 400:  # from somebody on the way, who did not pass it on, or did
            raise self._unclear(f"HTTP {response.status_code}")
        if not isinstance(body, dict):
            if 400 <= response.status_code < 500 and response.status_code != 408:
                return Answer(response.status_code, {}, response.headers)
            raise self._unclear(f"HTTP {response.status_code} without JSON")
        return Answer(response.status_code, body, response.headers)

    def _lost(self, error: requests.RequestException) -> Exception:
        if _never_sent(error):
            return PlatformBusy(
                reason=f"No se pudo conectar con la API de {self._platform}",
                kind="ConnectionError",
                detail=f"Failed to establish connection to {self._platform}",
            )
        return self._unclear(type(error).__name__)

    def _unclear(self, detail: str) -> Unanswered:
        reason = f"La API de {self._platform} no respondió, y no se sabe si hizo lo pedido"
        return Unanswered(reason=reason, kind="ConnectionError", detail=f"{self._platform}: {detail}")


def _never_sent(error: BaseException) -> bool:
    """Whether no connection came about."""
    seen: set[int] = set()
    waiting: list[Any] = [error]
    while waiting:
        one = waiting.pop()
        if not isinstance(one, BaseException) or id(one) in seen:
            continue
        if isinstance(one, NEVER_CONNECTED):
            return True
        seen.add(id(one))
        waiting += [one.__cause__, one.__context__, getattr(one, "reason", None), *one.args]
    return False


def retry_after(answer: Answer) -> float | None:
    """Seconds that `Retry-After` asks for."""
    said = answer.headers.get("Retry-After", "")
    return min(float(said), RETRY_AFTER_MOST) if said.isdecimal() else None
