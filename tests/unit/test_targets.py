"""What people name as targets: every spelling is understood as what a connect would go to, or refused."""

from __future__ import annotations

import random
import socket
from ipaddress import IPv4Address, ip_address, ip_network

import pytest

from tag_tasks.assets.scope import Scope, Why
from tag_tasks.assets.spelling import Misspelt, host
from tag_tasks.assets.targets import (
    MOST_ADDRESSES,
    BadTarget,
    Block,
    Domain,
    Single,
    addresses_of,
    target_refusal,
    targets,
)
from tag_tasks.assets.urls import OtherScheme, Url, url
from tests.internet.spellings import spelt


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("2130706433", "127.0.0.1"),
        ("0x7f000001", "127.0.0.1"),
        ("0X7F.1", "127.0.0.1"),
        ("127.1", "127.0.0.1"),
        ("127.0.1", "127.0.0.1"),
        ("10.0x10.256", "10.16.1.0"),
        ("127.0.0.1.", "127.0.0.1"),
        ("１２７．０．０．１", "127.0.0.1"),
        ("127。0。0。1", "127.0.0.1"),
        ("①②⑦.1", "127.0.0.1"),
        ("0", "0.0.0.0"),  # noqa: S104
        ("::1", "::1"),
        ("[::1]", "::1"),
        ("0:0:0:0:0:0:0:1", "::1"),
        ("::FFFF:127.0.0.1", "::ffff:127.0.0.1"),
        ("[::ffff:7f00:1]", "::ffff:127.0.0.1"),
    ],
)
def test_an_address_is_understood(text: str, address: str) -> None:
    assert targets(text) == (Single(ip_address(address)),)
    where = f"[{text}]" if ":" in text and not text.startswith("[") else text
    assert url(f"http://{where}/").host == ip_address(address)


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("Corp.Example", "corp.example"),
        ("corp.example.", "corp.example"),
        ("bücher.example", "xn--bcher-kva.example"),
        ("BÜCHER.example", "xn--bcher-kva.example"),
        ("xn--bcher-kva.example", "xn--bcher-kva.example"),
        ("ｃｏｒｐ．example", "corp.example"),
        ("corp。example", "corp.example"),
        ("a_b.corp.example", "a_b.corp.example"),
        ("0x7f.1.example", "0x7f.1.example"),
    ],
)
def test_a_name_is_understood(text: str, name: str) -> None:
    assert targets(text) == (Domain(name),)


@pytest.mark.parametrize(
    "text",
    [
        "0177.0.0.1",
        "127.0.0.01",
        "00",
        "0x",
        "256.0.0.1",
        "127.0.0.256",
        "1.2.3.4.5",
        "4294967296",
        "0x100000000",
        "127.0.0.1..",
        "a..b",
        ".",
        "-a.example",
        "a-.example",
        "corp.example:80",
        "10.0.0.1:80",
        "[10.0.0.1]",
        "[::1",
        "::1]",
        "[::1]:80",
        "fe80::1%eth0",
        "[fe80::1%25eth0]",
        "::g",
        "1::2::3",
        "user@corp.example",
        "corp%2eexample",
        "corp.example\\evil",
        "xn--a.example",
        "xn--\u00fc.example",
        "ex\u200dample.com",
        "٣.1",
        "\u202eelpmaxe.com",
        "a" * 64 + ".example",
        "a." * 127 + "example",
        "10.0.0.1/8",
        "10.0.0.0/33",
        "10.0.0.0/255.255.255.0",
        "127.1/32",
        "0x0a.0.0.0/8",
        "::ffff:10.0.0.0/120",
        "corp.example/path",
        "http://corp.example/",
        "1-2.10.0.1",
        "10.0.0.1-20",
    ],
)
def test_what_may_be_read_in_different_ways_is_refused(text: str) -> None:
    with pytest.raises(BadTarget) as caught:
        targets(f"good.example {text}")
    assert caught.value.text == text[:100]


@pytest.mark.parametrize("text", ["corp.example:8080", "127.0.0.1:80", "[::1]:443", "localhost:0"])
def test_a_host_with_a_port_is_refused_as_that(text: str) -> None:
    with pytest.raises(BadTarget, match="has a port"):
        targets(text)


def test_no_spelling_is_read_otherwise_than_the_system_reads_it() -> None:
    rng = random.Random(1)
    understood = 0
    for _ in range(5000):
        text = spelt(rng, IPv4Address(rng.getrandbits(32)))
        try:
            found = host(text)
        except Misspelt:
            continue
        understood += 1
        if text.isascii():
            assert str(found) == socket.inet_ntoa(socket.inet_aton(text.removesuffix("."))), text
    assert understood > 2000


def test_targets_are_separated_by_spaces_commas_and_lines_and_each_is_there_once() -> None:
    found = targets(" corp.example,10.0.0.1\n10.0.0.0/30\t10.0.0.1，CORP.example. , ")
    assert found == (Domain("corp.example"), Single(ip_address("10.0.0.1")), Block(ip_network("10.0.0.0/30")))
    assert list(addresses_of(found[2])) == [ip_address(f"10.0.0.{last}") for last in range(4)]
    assert targets(" \n,") == ()


def test_there_are_so_many_addresses_at_most() -> None:
    many = "\n".join(f"10.0.{n // 250}.{n % 250}" for n in range(MOST_ADDRESSES))
    assert len(targets(many)) == MOST_ADDRESSES
    for more in (f"{many} a.example", "10.0.0.0/18", "2001:db8::/64", "10.0.0.0/19 10.1.0.0/19"):
        with pytest.raises(BadTarget, match="one too many"):
            targets(more)


# -- URLs ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("http://corp.example", Url("http", "corp.example", 80, "/")),
        ("HTTPS://Corp.Example.:8443/a?b#c", Url("https", "corp.example", 8443, "/a?b")),
        ("http://corp.example?b", Url("http", "corp.example", 80, "/?b")),
        ("http://corp.example:/", Url("http", "corp.example", 80, "/")),
        ("http://0x7f.1:81/", Url("http", ip_address("127.0.0.1"), 81, "/")),
        ("http://[::1]:81/", Url("http", ip_address("::1"), 81, "/")),
        ("http://corp.example/a@b:c", Url("http", "corp.example", 80, "/a@b:c")),
    ],
)
def test_a_url_is_understood(text: str, expected: Url) -> None:
    assert targets(text, urls=True) == (expected,)
    assert url(str(expected)) == expected


@pytest.mark.parametrize(
    "text",
    [
        "http://user@corp.example/",
        "http://corp.example@evil.test/",
        "http://user:word@corp.example/",
        "http://corp.example\\@evil.test/",
        "http:\\\\corp.example/",
        "http:corp.example",
        "http:///corp.example",
        "http://",
        "http://:80/",
        "http://corp.example:0/",
        "http://corp.example:65536/",
        "http://corp.example:80:90/",
        "http://corp.example:８０/",
        "http://corp.example:-1/",
        "http://corp%2eexample/",
        "http://%31%32%37.0.0.1/",
        "http://[::1]evil.test/",
        "http://[::1%25lo]/",
        "http://corp.example/\r\nX: y",
        "http://corp.example/\x00",
        "http://corp.example\t/",
        " http://corp.example/",
        "//corp.example/",
        "http://" + "a" * 9000,
    ],
)
def test_what_is_no_plain_url_is_refused(text: str) -> None:
    with pytest.raises(Misspelt):
        url(text)


@pytest.mark.parametrize("text", ["ftp://a.example/", "file:///etc/passwd", "gopher://a.example/", "ws://a.example/"])
def test_there_are_two_schemes(text: str) -> None:
    with pytest.raises(OtherScheme):
        url(text)


# -- and the scope -------------------------------------------------------------------------

CORP = Scope(
    id="corp",
    name="corp",
    domains=("corp.example",),
    networks=(ip_network("10.1.0.0/25"), ip_network("10.1.0.128/25")),
    exclude_domains=("legacy.corp.example",),
    exclude_networks=(ip_network("10.1.0.7/32"),),
)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("corp.example", None),
        ("a.corp.example", None),
        ("legacy.corp.example", Why.EXCLUDED),
        ("example.org", Why.OUTSIDE),
        ("10.1.0.1", None),
        ("167837697", None),
        ("10.1.0.7", Why.EXCLUDED),
        ("10.2.0.1", Why.OUTSIDE),
        ("93.184.216.34", Why.OUTSIDE),
        ("169.254.169.254", Why.NEVER),
        ("10.1.0.0/24", None),
        ("10.1.0.0/23", Why.OUTSIDE),
        ("169.254.0.0/24", Why.NEVER),
        ("http://corp.example/", None),
        ("http://10.1.0.1:8080/", None),
        ("http://10.2.0.1/", Why.OUTSIDE),
    ],
)
def test_a_target_is_in_the_scope_or_not(text: str, expected: Why | None) -> None:
    (target,) = targets(text, urls=True)
    assert target_refusal((CORP,), target) is expected
    assert target_refusal((), target) is not None
