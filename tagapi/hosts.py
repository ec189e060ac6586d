"""To which names the service answers, and which pages may ask it.

Where nobody has to show a token, a web page that has its own name resolve to 127.0.0.1 would ask as the admin:
its requests are known by the name in `Host`, and by `Origin`. This module knows no HTTP framework and no
status number.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable
from functools import lru_cache

from tagapi.jobs.errors import JobError

HOST = re.compile(r"(?P<name>\[[0-9A-Fa-f:.]{2,45}\]|[A-Za-z0-9._-]{1,255})(?::(?P<port>[0-9]{0,5}))?")
ORIGIN = re.compile(r"[a-z][a-z0-9+.-]*://(?P<host>[^/@]+)", re.IGNORECASE)
MOST_PORT = 65535


class BadHost(JobError):
    message = "The request does not say which host it is for."
    code = "bad_host"


class Misdirected(JobError):
    message = "This service does not answer to the host {host}. To have it do so, name it in TAGAPI_SERVER__HOSTS."
    code = "misdirected"


class ForeignOrigin(JobError):
    message = "Pages of that origin may not ask this service."
    code = "foreign_origin"


class Hosts:
    """The names that are this service's: those of the loopback interface, and those that are set."""

    def __init__(self, names: Iterable[str] = (), *, open_to_all: bool) -> None:
        self._names = frozenset(name.lower().strip("[]").removesuffix(".") for name in names)
        self._open = open_to_all
        self._strict = open_to_all or bool(self._names)
        self._known = lru_cache(1024)(self._is_ours)

    def check(
        self, host: str | None, protocol: str = "HTTP/1.1", origin: str | None = None, *, pushed: bool = False
    ) -> str | None:
        """The host where it is known to be ours, for links to begin with; None where it was not checked.

        `pushed` says that a socket or a stream is asked for: no browser keeps those from pages of elsewhere.

        Raises BadHost, Misdirected and ForeignOrigin. Only HTTP/1.0 may go without a host, as no browser does.
        """
        if host is None and protocol == "HTTP/1.0":
            ours: bool | None = None
        elif (ours := self._known(host or "")) is None:
            raise BadHost
        elif not ours and self._strict:
            raise Misdirected(host=host)
        if origin is not None and (self._open or pushed):
            said = ORIGIN.fullmatch(origin)
            same = said is not None and not self._open and said["host"].lower() == (host or "").lower()
            if said is None or not (same or self._known(said["host"])):
                raise ForeignOrigin
        return host if ours else None

    def _is_ours(self, host: str) -> bool | None:
        """Whether a host is this service's; None for what is no host."""
        said = HOST.fullmatch(host)
        if said is None or int(said["port"] or 0) > MOST_PORT:
            return None
        name = said["name"].lower().removesuffix(".")
        if name.startswith("["):
            name = name.strip("[]")
            try:
                ipaddress.IPv6Address(name)
            except ValueError:
                return None
        return _is_loopback(name) or name in self._names


def _is_loopback(name: str) -> bool:
    if name == "localhost" or name.endswith(".localhost"):
        return True
    try:
        address = ipaddress.ip_address(name)
        return (getattr(address, "ipv4_mapped", None) or address).is_loopback
    except ValueError:
        return False
