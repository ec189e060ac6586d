"""One request, tried again where that cannot do harm, and exactly one of the ways in which it can end.

What may be sent twice: what reads, what says how things shall be (PUT, DELETE), and what carries an
Idempotency-Key. Anything else is sent once, unless it certainly never arrived.
"""

from __future__ import annotations

import random
import re
import ssl
import time
import uuid
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, urlsplit

import requests
from requests.auth import AuthBase
from urllib3.exceptions import LocationParseError, MaxRetryError, NewConnectionError

from tagapi.client.answers import Json, told_by
from tagapi.client.errors import Refused, Unaskable, Unreachable
from tagapi.client.refusals import refusal_of

KEY, REPLAYED = "Idempotency-Key", "Idempotency-Replayed"
TRIED_AGAIN = frozenset({429, 502, 503, 504})
"""Answers that another try may change."""
VISIBLE = re.compile(r"[\x21-\x7e]+")
HARMLESS = frozenset({"GET", "HEAD", "PUT", "DELETE"})
PATIENCE = 60.0  # seconds that a service is asked again, which has answered before
FIRST_PATIENCE = 5.0  # of one that never has: its address may be wrong
FIRST_PAUSE, LONGEST_PAUSE = 0.25, 3.0  # seconds
CONNECT_SECONDS, READ_SECONDS = 10.0, 60.0
ENDED = (ssl.SSLEOFError, ssl.SSLZeroReturnError, ssl.SSLSyscallError)


class Bearer(AuthBase):
    """The token, and nothing that a .netrc may have for the host."""

    def __init__(self, token: str | None) -> None:
        self._token = token

    def __call__(self, asked: requests.PreparedRequest) -> requests.PreparedRequest:
        if self._token is not None:
            asked.headers["Authorization"] = f"Bearer {self._token}"
        return asked


def new_key() -> str:
    return str(uuid.uuid4())


def segment(text: object) -> str:
    """A part of a path. Raises Unaskable for what a path cannot hold."""
    if str(text) in ("", ".", ".."):
        raise Unaskable(f"{str(text)!r} cannot be asked for: it would be another path")
    return quote(str(text), safe="")


class Pauses:
    """How long to wait before the next try; raises what went wrong once patience is at its end."""

    def __init__(self, seconds: float) -> None:
        self._until = time.monotonic() + seconds
        self._tries = 0

    def wait(self, error: Refused | Unreachable, at_least: float | None = None) -> None:
        pause = min(LONGEST_PAUSE, FIRST_PAUSE * 2**self._tries) * random.uniform(0.5, 1.0)
        pause = max(pause, at_least or 0.0)
        self._tries += 1
        if time.monotonic() + pause > self._until:
            raise error
        time.sleep(pause)


@dataclass(frozen=True, slots=True)
class Lost:
    """A request without an answer."""

    error: Unreachable
    sent: bool
    """It may have arrived."""
    hopeless: bool
    """Another try cannot change it."""


class Transport:
    """Requests to one service. Not for several threads at once."""

    def __init__(self, url: str, token: str | None, patience: float = PATIENCE) -> None:
        try:
            parts = urlsplit(url)
            fits = parts.scheme in ("http", "https") and parts.hostname and not (parts.query or parts.fragment)
        except ValueError:  # a bracket without its other one
            fits = False
        if not fits:
            raise Unaskable(f"{url!r} is no address such as http://127.0.0.1:5000")
        if parts.username is not None:
            raise Unaskable("the address must not hold a name or a password: give a token")
        if token is not None and not VISIBLE.fullmatch(token):
            raise Unaskable("the token has characters that no token has")
        self.url = url.rstrip("/")
        self.patience = patience
        self._answered = False
        self._session = requests.Session()
        self._auth = Bearer(token)

    def close(self) -> None:
        self._session.close()

    def read(self, method: str, path: str, **more: Any) -> Json:
        """The JSON object of an answer that went well."""
        return self.told(self.send(method, path, **more))

    def told(self, answer: requests.Response) -> Json:
        return told_by(answer, self.url)

    def send(
        self,
        method: str,
        path: str,
        *,
        params: Mapping[str, Any] | None = None,
        body: Any = None,
        headers: Mapping[str, str] | None = None,
        key: str | None = None,
        harmless: bool | None = None,
        at_once: Collection[str] = (),
        stream: bool = False,
        read_seconds: float = READ_SECONDS,
        patience: float = float("inf"),
    ) -> requests.Response:
        """An answer that went well. Raises Refused or Unreachable.

        `harmless` says that it may be sent twice, where method and key do not. `at_once` are codes of
        refusals that are raised without another try; `patience` is for less of it than usual.
        """
        again = (key is not None or method in HARMLESS) if harmless is None else harmless
        given = {**(headers or {}), **({} if key is None else {KEY: key})}
        asked = self._prepared(
            requests.Request(method, f"{self.url}{path}", json=body, params=_given(params), headers=given)
        )
        patience = min(patience, self.patience)
        pauses = Pauses(patience if self._answered else min(patience, FIRST_PATIENCE))
        lost = False
        while True:
            answer = self._once(asked, stream, read_seconds)
            if isinstance(answer, Lost):
                if answer.hopeless or (answer.sent and not again):
                    raise answer.error
                lost = lost or answer.sent
                pauses.wait(answer.error)
                continue
            if not self._answered:
                self._answered, pauses = True, Pauses(patience)
            if answer.status_code < 300:
                return answer
            refused = self._refused(answer)
            refused.after_loss = lost
            if not again or answer.status_code not in TRIED_AGAIN or refused.code in at_once:
                raise refused
            pauses.wait(refused, refused.retry_after)

    def _prepared(self, asked: requests.Request) -> requests.PreparedRequest:
        """Raises Unaskable."""
        if KEY in asked.headers and not asked.headers[KEY].strip():
            raise Unaskable("an empty key is none: leave it out, or give one")
        asked.auth = self._auth
        try:
            return self._session.prepare_request(asked)
        except (ValueError, requests.RequestException) as error:  # a key with line breaks, a body with NaN
            raise Unaskable(str(error)) from None

    def _once(self, asked: requests.PreparedRequest, stream: bool, read_seconds: float) -> requests.Response | Lost:
        settings = self._session.merge_environment_settings(asked.url, {}, stream, None, None)
        timeouts = CONNECT_SECONDS, read_seconds
        try:
            answer = self._session.send(asked, timeout=timeouts, allow_redirects=False, **settings)
            if answer.status_code >= 300:
                _ = answer.content  # what is refused is read here: it may break off as well
            if _broken_off(answer, stream):
                answer.close()
                return Lost(Unreachable(f"the connection to {self.url} was lost"), sent=True, hopeless=False)
            return answer
        except requests.RequestException as failed:
            return Lost(self._unreachable(failed), not _never_sent(failed), _distrusted(failed))
        except LocationParseError as wrong:  # a host with a part that is empty, or longer than names may be
            raise Unaskable(str(wrong)) from None

    def _refused(self, answer: requests.Response) -> Refused:
        """Raises Unreachable for what leads elsewhere: the token is for this address."""
        with answer:
            if answer.status_code < 400:
                place = answer.headers.get("Location", "elsewhere")
                raise Unreachable(f"{self.url} answers {answer.status_code} and leads to {place}: name that address")
            return refusal_of(answer)

    def _unreachable(self, error: requests.RequestException) -> Unreachable:
        if isinstance(error, requests.Timeout) and not isinstance(error, requests.ConnectTimeout):
            return Unreachable(f"{self.url} took the request and did not answer in time")
        if isinstance(error, requests.exceptions.ProxyError):
            return Unreachable(
                f"the proxy of your environment does not lead to {self.url} (NO_PROXY?): {_cause(error)}"
            )
        if _distrusted(error):
            hint = "; is it an http address?" if "WRONG_VERSION_NUMBER" in str(error) else ""
            return Unreachable(f"{self.url} cannot be trusted: {_cause(error)}{hint}")
        if _never_sent(error):
            return Unreachable(f"{self.url} cannot be reached: {_cause(error)}")
        return Unreachable(f"the connection to {self.url} was lost: {_cause(error)}")


def _given(params: Mapping[str, Any] | None) -> Mapping[str, Any]:
    """Without those that are None; truth as the service reads it."""
    words = {True: "true", False: "false"}
    return {
        name: words[value] if isinstance(value, bool) else value
        for name, value in (params or {}).items()
        if value is not None
    }


def _broken_off(answer: requests.Response, stream: bool) -> bool:
    """In its head, the rest of which nobody misses: it says neither how long it is nor that the connection ends it."""
    said = answer.headers
    if said.get("Content-Length") or "Transfer-Encoding" in said or answer.status_code == requests.codes.no_content:
        return False
    return "close" not in said.get("Connection", "").lower() if stream else not answer.content


def _never_sent(error: requests.RequestException) -> bool:
    reason = error.args[0].reason if error.args and isinstance(error.args[0], MaxRetryError) else None
    return isinstance(error, requests.ConnectTimeout) or isinstance(reason, NewConnectionError)


def _distrusted(error: requests.RequestException) -> bool:
    """By who it is, or how it speaks; a connection that ends before that is known is lost as any other."""
    return isinstance(error, requests.exceptions.SSLError) and not isinstance(_innermost(error), ENDED)


def _innermost(error: BaseException) -> BaseException:
    """Without the layers around it."""
    while True:
        inner = getattr(error, "reason", None) or next((one for one in error.args if isinstance(one, Exception)), None)
        if not isinstance(inner, Exception):
            return error
        error = inner


def _cause(error: BaseException) -> str:
    """What the operating system said."""
    text = str(error := _innermost(error))
    return text.rpartition(": ")[2] if isinstance(error, NewConnectionError) else text
