"""Which of the rows that a job found lie in a scope, as a pure function.

A job may have looked through other scopes than the one whose assets its rows are to become. What is excluded there, or
not understood, does not lie in it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tag_tasks.assets.addresses import Address, inside, judged
from tag_tasks.assets.found import Kind
from tag_tasks.assets.scope import Scope, below
from tag_tasks.assets.spelling import Host, Misspelt, host
from tag_tasks.assets.urls import url

WHERE: Mapping[Kind, str] = {
    Kind.DOMAINS: "name",
    Kind.SITES: "url",
    Kind.CERTIFICATES: "where",
    Kind.FINDINGS: "where",
    Kind.WIH: "site",
}
"""The fact that says where it was found: a host, a host with its port, or a URL."""
MOST_NAMES = 100  # of an address, that are looked at


def within(scope: Scope, kind: Kind, facts: Mapping[str, Any]) -> bool:
    """Names lie below the scope's domains, addresses in its networks, or behind such a name."""
    if kind is Kind.ADDRESSES:
        return _address_within(scope, facts)
    where = facts.get(WHERE[kind]) if kind in WHERE else None
    return isinstance(where, str) and _host_within(scope, _host(where))


def _address_within(scope: Scope, facts: Mapping[str, Any]) -> bool:
    at = _host(str(facts.get("address")))
    if at is None or isinstance(at, str) or scope.excludes(None, at):
        return False
    names = facts.get("names")
    hosts = [_host(str(one)) for one in names[:MOST_NAMES]] if isinstance(names, list) else []
    return _host_within(scope, at) or any(isinstance(one, str) and _host_within(scope, one) for one in hosts)


def _host_within(scope: Scope, at: Host | None) -> bool:
    if at is None:
        return False
    if isinstance(at, str):
        return below(at, scope.domains) and not scope.excludes(at)
    return _in_networks(scope, at) and not scope.excludes(None, at)


def _in_networks(scope: Scope, address: Address) -> bool:
    return inside(judged(address), scope.networks)


def _host(where: str) -> Host | None:
    """The host of a URL, of a host with its port, or of a host; None where it is not understood."""
    try:
        if "://" in where:
            return url(where).host
        before, colon, port = where.rpartition(":")
        has_port = colon and port.isdecimal() and (":" not in before or before.endswith("]"))
        return host(before if has_port else where)
    except Misspelt:
        return None
