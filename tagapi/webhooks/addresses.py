"""Where a webhook may lead: to addresses of the internet over https, and to what a setting lists.

Judged twice: by its form when a webhook is made, and by the very address that a socket gets when something is sent.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from ipaddress import ip_address, ip_network
from typing import NoReturn
from urllib.parse import urlsplit

from tag_tasks.assets.addresses import Address, Network, is_global, judged, never
from tagapi.jobs.errors import Unusable

LONGEST = 2000
ALLOWED_CHARACTERS = re.compile(r"[\x21-\x7e]+")
NAME = re.compile(r"(?!-)[a-z0-9-]{1,63}(?<!-)(?:\.(?!-)[a-z0-9-]{1,63}(?<!-))*\.?", re.IGNORECASE)
AUTHORITY = re.compile(r"(?:\[[0-9a-f:.]+\]|[^][%:]+)(?::[0-9]*)?", re.IGNORECASE)
"""Without what one reader takes for a part of the host and another one does not: zones, escapes, stray brackets."""
NOT_AN_ADDRESS = "it is no address of the web"
NOT_SECURE = "it has to be an https address"
NOT_GLOBAL = "it is no address of the internet, and TAGAPI_WEBHOOKS__ALLOW does not list it"
HAS_USER = "it must not have a user or a password in it"
HAS_FRAGMENT = "it must not have a fragment"


@dataclass(frozen=True, slots=True)
class Allowed:
    """What a setting lists beside the internet: names of hosts, and networks."""

    names: frozenset[str] = frozenset()
    networks: tuple[Network, ...] = ()

    def lists(self, host: str) -> bool:
        """Whether this host, a name or an address, is listed."""
        address = address_of(host)
        return self._has_name(host) if address is None else self._has(address)

    def reaches(self, host: str, address: Address) -> bool:
        """Whether a socket for this host may be connected to this address. Some may never, whatever is listed."""
        if never(address):
            return False
        return is_global(address) or self._has_name(host) or self._has(address)

    def _has_name(self, host: str) -> bool:
        return host.lower().rstrip(".") in self.names

    def _has(self, address: Address) -> bool:
        return any(one in network for network in self.networks for one in {address, judged(address)})

    def check(self, url: str) -> None:
        """Raises Unusable for a URL that nothing may be sent to, as far as that is seen by its form."""
        scheme, host = _parts(url)
        listed, address = self.lists(host), address_of(host)
        if scheme != "https" and not (scheme == "http" and listed):
            _refuse(NOT_SECURE)
        if address is None and not NAME.fullmatch(host):
            _refuse(NOT_AN_ADDRESS)
        if address is not None and not self.reaches(host, address):
            _refuse(NOT_GLOBAL)
        if address is None and not listed and _is_local(host):
            _refuse(NOT_GLOBAL)


def allowed(entries: Sequence[str]) -> Allowed:
    """From what the setting says: an entry is an address, a network or the name of a host."""
    networks, names = [], set()
    for entry in entries:
        try:
            networks.append(ip_network(entry.strip("[]"), strict=False))
        except ValueError:
            names.add(entry.lower().rstrip("."))
    return Allowed(frozenset(names), tuple(networks))


def address_of(host: str) -> Address | None:
    """The address that a host is, where it is one; None for a name."""
    with suppress(ValueError):
        return ip_address(host)
    return None


def _parts(url: str) -> tuple[str, str]:
    if len(url) > LONGEST or not ALLOWED_CHARACTERS.fullmatch(url) or "\\" in url:
        _refuse(NOT_AN_ADDRESS)
    try:
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port
    except ValueError:
        _refuse(NOT_AN_ADDRESS)
    if parts.scheme not in ("http", "https") or not host or port == 0:
        _refuse(NOT_AN_ADDRESS)
    if "@" in parts.netloc:
        _refuse(HAS_USER)
    if not AUTHORITY.fullmatch(parts.netloc):
        _refuse(NOT_AN_ADDRESS)
    if "#" in url:
        _refuse(HAS_FRAGMENT)
    return parts.scheme, host


def _is_local(name: str) -> bool:
    """A name that means a machine of one's own, or an address in a spelling that some read as one."""
    last = name.lower().rstrip(".").rpartition(".")[2]
    return last in ("localhost", "local", "internal") or last.isdigit() or bool(re.fullmatch(r"0x[0-9a-f]*", last))


def _refuse(reason: str) -> NoReturn:
    raise Unusable(field="url", reason=reason)
