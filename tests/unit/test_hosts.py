"""To which names the service answers, and which pages may ask it."""

from __future__ import annotations

import pytest

from tagapi.hosts import BadHost, ForeignOrigin, Hosts, Misdirected

LOCAL = [
    "localhost",
    "LOCALHOST:5000",
    "a.localhost",
    "127.0.0.1",
    "127.255.0.9:80",
    "[::1]",
    "[::1]:5000",
    "localhost.",
]
FOREIGN = [
    "evil.example",
    "localhost.evil.example",
    "notlocalhost",
    "127.0.0.1.nip.io",
    "10.0.0.1:5000",
    "[::2]",
    "1.127",
]
BAD = [
    "",
    " ",
    'evil"<x>',
    "a b",
    "localhost:99999",
    "localhost:x",
    "[::1",
    "::1",
    "[1]",
    "a/b",
    "user@localhost",
    "a:1:2",
]


@pytest.mark.parametrize("host", LOCAL)
def test_an_open_service_answers_to_loopback_names(host: str) -> None:
    assert Hosts(open_to_all=True).check(host) == host


@pytest.mark.parametrize("host", FOREIGN)
def test_an_open_service_answers_to_no_other_name(host: str) -> None:
    with pytest.raises(Misdirected):
        Hosts(open_to_all=True).check(host)


@pytest.mark.parametrize("host", BAD)
@pytest.mark.parametrize("open_to_all", [True, False])
def test_what_is_no_host_is_refused(host: str, open_to_all: bool) -> None:
    with pytest.raises(BadHost):
        Hosts(open_to_all=open_to_all).check(host)


@pytest.mark.parametrize("open_to_all", [True, False])
def test_a_named_host_is_answered(open_to_all: bool) -> None:
    hosts = Hosts(["API.example", "10.0.0.1"], open_to_all=open_to_all)
    for host in ("api.example:8080", "10.0.0.1", "localhost"):
        assert hosts.check(host) == host
    with pytest.raises(Misdirected):
        hosts.check("other.example")


def test_with_tokens_and_no_names_every_host_is_let_in_and_only_loopback_is_known() -> None:
    hosts = Hosts(open_to_all=False)
    assert hosts.check("evil.example") is None
    assert hosts.check("127.0.0.1:5000") == "127.0.0.1:5000"


def test_only_an_old_client_may_name_no_host() -> None:
    hosts = Hosts(open_to_all=True)
    assert hosts.check(None, protocol="HTTP/1.0") is None
    with pytest.raises(BadHost):
        hosts.check(None, protocol="HTTP/1.1")


@pytest.mark.parametrize(
    "origin", ["http://localhost:3000", "https://127.0.0.1", "http://[::1]:80", "http://api.example"]
)
def test_pages_of_this_machine_and_of_named_hosts_may_ask(origin: str) -> None:
    Hosts(["api.example"], open_to_all=True).check("localhost", origin=origin)


@pytest.mark.parametrize(
    "origin", ["http://evil.example", "null", "", "localhost", "file://", "http://localhost@evil.example"]
)
def test_other_pages_may_not(origin: str) -> None:
    with pytest.raises(ForeignOrigin):
        Hosts(open_to_all=True).check("localhost", origin=origin)
    Hosts(open_to_all=False).check("localhost", origin=origin)  # there a token is what counts


OURS = ["https://tagapi.example.org", "https://TAGAPI.example.org", "http://localhost:3000", "https://127.0.0.1"]
FOREIGN = ["https://evil.example", "https://tagapi.example.org.evil.example", "https://tagapi.example.org:8443", "null"]


@pytest.mark.parametrize("origin", OURS)
def test_a_page_of_the_host_that_was_asked_may_open_a_push(origin: str) -> None:
    Hosts(open_to_all=False).check("tagapi.example.org", origin=origin, pushed=True)


@pytest.mark.parametrize("origin", FOREIGN)
def test_a_page_of_elsewhere_may_not_also_where_tokens_are_asked_for(origin: str) -> None:
    """No browser keeps it from opening a socket."""
    hosts = Hosts(open_to_all=False)
    with pytest.raises(ForeignOrigin):
        hosts.check("tagapi.example.org", origin=origin, pushed=True)
    hosts.check("tagapi.example.org", origin=origin)


def test_a_page_of_a_named_host_may_open_a_push() -> None:
    hosts = Hosts(["app.example.org", "tagapi.example.org"], open_to_all=False)
    hosts.check("tagapi.example.org", origin="https://app.example.org", pushed=True)
