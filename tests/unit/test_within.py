"""Which rows lie in a scope."""

from __future__ import annotations

from ipaddress import ip_network
from typing import Any

import pytest

from tag_tasks.assets.found import Kind
from tag_tasks.assets.scope import Scope
from tag_tasks.assets.within import within

SCOPE = Scope(
    id="corp",
    name="Our own",
    domains=("corp.example",),
    networks=(ip_network("198.51.100.0/24"), ip_network("2001:db8:1::/48")),
    exclude_domains=("legacy.corp.example",),
    exclude_networks=(ip_network("198.51.100.7/32"),),
)


@pytest.mark.parametrize(
    ("kind", "facts", "lies"),
    [
        (Kind.DOMAINS, {"name": "corp.example"}, True),
        (Kind.DOMAINS, {"name": "a.b.corp.example"}, True),
        (Kind.DOMAINS, {"name": "notcorp.example"}, False),
        (Kind.DOMAINS, {"name": "corp.example.evil.test"}, False),
        (Kind.DOMAINS, {"name": "old.legacy.corp.example"}, False),
        (Kind.DOMAINS, {"name": "x y.corp.example"}, False),
        (Kind.DOMAINS, {"name": None}, False),
        (Kind.DOMAINS, {}, False),
        (Kind.ADDRESSES, {"address": "198.51.100.9", "port": 22}, True),
        (Kind.ADDRESSES, {"address": "198.51.100.7"}, False),
        (Kind.ADDRESSES, {"address": "2001:db8:1::5"}, True),
        (Kind.ADDRESSES, {"address": "203.0.113.5"}, False),
        (Kind.ADDRESSES, {"address": "203.0.113.5", "names": ["www.corp.example"]}, True),
        (Kind.ADDRESSES, {"address": "203.0.113.5", "names": ["legacy.corp.example"]}, False),
        (Kind.ADDRESSES, {"address": "203.0.113.5", "names": ["198.51.100.9"]}, False),
        (Kind.ADDRESSES, {"address": "198.51.100.7", "names": ["www.corp.example"]}, False),
        (Kind.ADDRESSES, {"address": "www.corp.example"}, False),
        (Kind.SITES, {"url": "https://www.corp.example:8443/"}, True),
        (Kind.SITES, {"url": "http://198.51.100.9/"}, True),
        (Kind.SITES, {"url": "http://[2001:db8:1::5]:8080/"}, True),
        (Kind.SITES, {"url": "https://corp.example@evil.test/"}, False),
        (Kind.CERTIFICATES, {"where": "www.corp.example:443"}, True),
        (Kind.CERTIFICATES, {"where": "[2001:db8:1::5]:443"}, True),
        (Kind.CERTIFICATES, {"where": "2001:db8:1::5"}, True),
        (Kind.CERTIFICATES, {"where": "203.0.113.5:443"}, False),
        (Kind.FINDINGS, {"where": "https://www.corp.example/a?b"}, True),
        (Kind.FINDINGS, {"where": "www.corp.example"}, True),
        (Kind.FINDINGS, {"where": ["www.corp.example"]}, False),
        (Kind.WIH, {"site": "https://www.corp.example/", "value": "evil.test"}, True),
        (Kind.WIH, {"site": "https://evil.test/", "value": "www.corp.example"}, False),
        (Kind.LEAKS, {"name": "www.corp.example", "url": "https://www.corp.example/"}, False),
        (Kind.PAGES, {"url": "https://www.corp.example/"}, False),
    ],
    ids=lambda value: str(value),
)
def test_a_row_lies_where_its_host_does(kind: Kind, facts: dict[str, Any], lies: bool) -> None:
    assert within(SCOPE, kind, facts) is lies
