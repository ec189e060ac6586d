"""Where a webhook may lead: judged by form, and by the very address that a socket gets."""

from __future__ import annotations

from ipaddress import ip_address

import pytest

from tagapi.jobs.errors import Unusable
from tagapi.webhooks.addresses import (
    HAS_FRAGMENT,
    HAS_USER,
    LONGEST,
    NOT_AN_ADDRESS,
    NOT_GLOBAL,
    NOT_SECURE,
    Allowed,
    allowed,
)

NOTHING = Allowed()
LISTED = allowed(["10.1.0.0/16", "127.0.0.1", "hooks.example.lan", "fd00::/8", "[::1]"])


@pytest.mark.parametrize(
    "url",
    [
        "https://example.org",
        "https://example.org:8443/a?b=c",
        "https://EXAMPLE.org./",
        "https://93.184.216.34/x",
        "https://[2606:2800:220:1::1]/x",
        "https://xn--mnchen-3ya.de/",
    ],
)
def test_what_is_of_the_internet_is_taken(url: str) -> None:
    NOTHING.check(url)
    LISTED.check(url)


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("http://example.org/", NOT_SECURE),
        ("http://93.184.216.34/", NOT_SECURE),
        ("ftp://example.org/", NOT_AN_ADDRESS),
        ("file:///etc/passwd", NOT_AN_ADDRESS),
        ("https://", NOT_AN_ADDRESS),
        ("https:///x", NOT_AN_ADDRESS),
        ("https://a b/", NOT_AN_ADDRESS),
        ("https://exa_mple..org/", NOT_AN_ADDRESS),
        ("https://example.org:0/", NOT_AN_ADDRESS),
        ("https://example.org:99999/", NOT_AN_ADDRESS),
        ("https://[::1/", NOT_AN_ADDRESS),
        ("https://example.org\\@10.0.0.1/", NOT_AN_ADDRESS),
        ("https://example.org/\r\nHost: x", NOT_AN_ADDRESS),
        ("https://exämple.org/", NOT_AN_ADDRESS),
        ("https://8.8.8.8%2e.example.org/", NOT_AN_ADDRESS),
        ("https://[2606:2800:220:1::1%25eth0]/", NOT_AN_ADDRESS),
        ("https://a[2606:2800:220:1::1]b/", NOT_AN_ADDRESS),
        (f"https://example.org/{'x' * LONGEST}", NOT_AN_ADDRESS),
        ("https://ann:secret@example.org/", HAS_USER),
        ("https://@example.org/", HAS_USER),
        ("https://example.org/#x", HAS_FRAGMENT),
        ("https://127.0.0.1/", NOT_GLOBAL),
        ("https://10.1.2.3/", NOT_GLOBAL),
        ("https://[::1]/", NOT_GLOBAL),
        ("https://[::ffff:127.0.0.1]/", NOT_GLOBAL),
        ("https://[64:ff9b::a00:1]/", NOT_GLOBAL),
        ("https://169.254.169.254/latest", NOT_GLOBAL),
        ("https://localhost/", NOT_GLOBAL),
        ("https://a.LOCALHOST./", NOT_GLOBAL),
        ("https://metadata.google.internal/", NOT_GLOBAL),
        ("https://printer.local/", NOT_GLOBAL),
        ("https://2130706433/", NOT_GLOBAL),
        ("https://127.1/", NOT_GLOBAL),
        ("https://0x7f000001/", NOT_GLOBAL),
        ("https://0x7f.1/", NOT_GLOBAL),
    ],
)
def test_what_is_refused_says_why(url: str, reason: str) -> None:
    with pytest.raises(Unusable) as refused:
        NOTHING.check(url)
    assert (refused.value.field, refused.value.reason) == ("url", reason)


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1:8000/x",
        "https://10.1.2.3/",
        "http://hooks.example.lan/",
        "http://HOOKS.example.lan./",
        "http://[::1]:80/",
        "https://[fd00::7]/",
    ],
)
def test_what_the_setting_lists_is_taken_in_the_clear_too(url: str) -> None:
    LISTED.check(url)
    with pytest.raises(Unusable):
        NOTHING.check(url)


@pytest.mark.parametrize("url", ["https://10.2.0.1/", "http://example.org/", "https://other.localhost/"])
def test_a_list_opens_nothing_else(url: str) -> None:
    with pytest.raises(Unusable):
        LISTED.check(url)


@pytest.mark.parametrize("url", ["https://169.254.169.254/", "https://0.0.0.0/", "https://224.0.0.1/"])
def test_some_may_never_be_whatever_is_listed(url: str) -> None:
    with pytest.raises(Unusable):
        allowed(["0.0.0.0/0", "::/0"]).check(url)


@pytest.mark.parametrize(
    ("address", "reached"),
    [
        ("93.184.216.34", True),
        ("2606:2800:220:1::1", True),
        ("127.0.0.1", False),
        ("10.1.2.3", False),
        ("::1", False),
        ("::ffff:10.1.2.3", False),
        ("64:ff9b::a01:203", False),
        ("2002:a01:203::1", False),
        ("fe80::1", False),
        ("169.254.169.254", False),
        ("fd00::7", False),
    ],
)
def test_a_socket_is_judged_by_its_address_whatever_the_name(address: str, reached: bool) -> None:
    assert NOTHING.reaches("example.org", ip_address(address)) == reached


def test_a_socket_reaches_what_is_listed() -> None:
    for address in ("10.1.2.3", "::ffff:10.1.2.3", "fd00::7"):
        assert LISTED.reaches("rebound.example.org", ip_address(address)), address
    assert LISTED.reaches("hooks.example.lan", ip_address("192.168.7.7")), "a listed name is where it leads"
    assert not LISTED.reaches("hooks.example.lan", ip_address("169.254.169.254"))
    assert not LISTED.reaches("example.org", ip_address("192.168.7.7"))
    for address in ("127.0.0.1", "127.0.0.1%x.example.org", "::1%x"):
        assert not LISTED.reaches(address, ip_address("192.168.7.7")), "a listed address is itself alone"
