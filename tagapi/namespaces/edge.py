"""What happens to every request before a front sees it: its id, the check of its host, its route for the record.

And to those that no front sees, since the server could not read them.
"""

from __future__ import annotations

import ipaddress
import os
import re
from collections.abc import Callable, Iterable, Mapping
from functools import lru_cache
from typing import Any, Protocol

import orjson
from flask import Flask, Response, request

from tagapi.auth import is_loopback
from tagapi.hosts import Hosts
from tagapi.jobs.task import request_in_context
from tagapi.namespaces.headers import REQUEST_ID
from tagapi.namespaces.problems import Problem, unread_problem
from tagapi.serving import records
from tagapi.serving.refusals import REFUSALS

CHECKED_HOST = "tagapi.checked_host"  # in the environment of a request
ABSOLUTE = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://([^/?#]*)")
WELL_FORMED = re.compile(r"[A-Za-z0-9._-]{1,128}")


class Renders(Protocol):
    """A front, as far as this module needs it."""

    def render_problem(self, problem: Problem) -> Mapping[str, Any]:
        """The body of an error."""


class Proxies:
    """Whose word on a request's id is taken: the addresses that are set, and this machine where it is the admin."""

    def __init__(self, networks: Iterable[str] = (), *, loopback: bool) -> None:
        self._networks = [ipaddress.ip_network(one, strict=False) for one in networks]
        self._loopback = loopback
        self.trusted = lru_cache(1024)(self._is_trusted)

    def _is_trusted(self, address: str) -> bool:
        if self._loopback and is_loopback(address):
            return True
        try:
            ip = ipaddress.ip_address(address)
        except ValueError:
            return False
        ip = getattr(ip, "ipv4_mapped", None) or ip
        return any(ip in network for network in self._networks)


def guard(app: Flask, hosts: Hosts, proxies: Proxies, front_for: Callable[[str], Renders]) -> None:
    """Have every request of the app looked at."""

    @app.before_request
    def come_in() -> None:
        asked = request.environ
        sent = asked.get("HTTP_X_REQUEST_ID")
        taken = sent is not None and WELL_FORMED.fullmatch(sent) and proxies.trusted(asked.get("REMOTE_ADDR", ""))
        asked[records.REQUEST_ID] = name = sent if taken else new_request_id()
        request_in_context.set(name)
        if request.url_rule is not None:
            asked[records.ROUTE] = request.url_rule.rule
        whole = ABSOLUTE.match(asked.get("RAW_URI", ""))  # a target that names a host goes before the header (RFC 9112)
        host = whole[1] if whole else asked.get("HTTP_HOST")
        pushed = "HTTP_UPGRADE" in asked or "text/event-stream" in asked.get("HTTP_ACCEPT", "").lower()
        origin = asked.get("HTTP_ORIGIN")
        asked[CHECKED_HOST] = hosts.check(host, asked["SERVER_PROTOCOL"], origin, pushed=pushed)

    @app.after_request
    def go_out(response: Response) -> Response:
        response.headers[REQUEST_ID] = request.environ[records.REQUEST_ID]
        return response

    def refuse_unread(status: int, path: str | None) -> bytes:
        """By the front of the path, or where none is named, in one neutral shape."""
        problem = unread_problem(status)
        if path is None:
            return orjson.dumps({"error": problem.code, "message": problem.detail})
        return orjson.dumps(front_for(path).render_problem(problem))

    app.extensions[REFUSALS] = refuse_unread


def new_request_id() -> str:
    return os.urandom(16).hex()


def request_id() -> str | None:
    """Of the request that is being served."""
    name: str | None = request.environ.get(records.REQUEST_ID)
    return name


def checked_host() -> str | None:
    """The host that this request named, where it is known to be ours: the only one that a link may begin with."""
    host: str | None = request.environ.get(CHECKED_HOST)
    return host
