"""How hosts are written: a text is understood as the address or the name that a connect would go to, or refused.

Browsers, resolvers and libraries read `0177.1`, `１２７.0.0.1` or `2130706433` in their own ways. Whoever checks one
reading and connects by another is led astray, so every host is brought into one form here, and used in that form alone.
"""

from __future__ import annotations

import re
from ipaddress import AddressValueError, IPv4Address, IPv6Address, IPv6Network, ip_address, ip_network

import idna

from tag_tasks.assets.addresses import EMBEDDING, Address, Network

Host = Address | str
"""An address, or a name: ASCII, in lower case, without a dot at its end."""

LABEL = re.compile(r"[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?")
NUMBER = re.compile(r"[0-9]+|0x[0-9a-f]*")
PLAIN = re.compile(r"0|[1-9][0-9]{0,9}|0x[0-9a-f]{1,8}")
NETWORK = re.compile(r"[0-9A-Fa-f:.]+(/[0-9]{1,3})?")
MOST_NAME = 253  # characters
DOTS = str.maketrans("。．｡", "...")


class Misspelt(ValueError):
    """The text is no host, or one that is read in different ways. The message says which."""


def host(text: str) -> Host:
    """The host that the text means. Raises Misspelt."""
    if text.startswith("[") or ":" in text:
        return _ipv6(text)
    name = _ascii(text.removesuffix("."))
    labels = name.split(".")
    if NUMBER.fullmatch(labels[-1]):  # whatever ends in a number is an address, or nothing
        return _ipv4(labels)
    return _name(name, labels)


def domain(text: str) -> str:
    """The name that the text means. Raises Misspelt, for an address too."""
    found = host(text)
    if not isinstance(found, str):
        raise Misspelt("is an address, not a name")
    return found


def network(text: str) -> Network:
    """The network that the text means; an address is one of its own. Raises Misspelt."""
    if not NETWORK.fullmatch(text):
        raise Misspelt("is no network, such as 198.51.100.0/24")
    try:
        found = ip_network(text)
    except ValueError as error:
        behind = "host bits" in str(error)
        raise Misspelt("has bits set behind its prefix" if behind else "is no network") from None
    if isinstance(found, IPv6Network) and str(found) != "::1/128" and any(found.subnet_of(one) for one in EMBEDDING):
        raise Misspelt("holds IPv4 addresses: they are named as such")
    return found


def written(one: Host) -> str:
    """As it stands in a URL."""
    return f"[{one}]" if isinstance(one, IPv6Address) else str(one)


def _ipv6(text: str) -> IPv6Address:
    bare = text[1:-1] if text.startswith("[") and text.endswith("]") else text
    if "%" in bare:
        raise Misspelt("has a zone, which means something on one machine alone")
    try:
        found = ip_address(bare)
    except ValueError:
        raise Misspelt("is no IPv6 address") from None
    if not isinstance(found, IPv6Address):
        raise Misspelt("is an IPv4 address in brackets")
    return found


def _ipv4(labels: list[str]) -> IPv4Address:
    """One to four numbers, of which the last fills all bytes that are left: `127.1`, `0x7f000001`."""
    if len(labels) > 4 or not all(NUMBER.fullmatch(one) for one in labels):
        raise Misspelt("ends in a number and is no IPv4 address")
    if not all(PLAIN.fullmatch(one) for one in labels):
        raise Misspelt("has a number that some read as octal and some as decimal")
    *first, last = [int(one, 0) for one in labels]
    if any(one > 255 for one in first) or last >= 256 ** (5 - len(labels)):
        raise Misspelt("has a number that is too large")
    whole = sum(one << 8 * (3 - place) for place, one in enumerate(first))
    try:
        return IPv4Address(whole + last)
    except AddressValueError:
        raise Misspelt("is no IPv4 address") from None


def _name(name: str, labels: list[str]) -> str:
    if len(name) > MOST_NAME:
        raise Misspelt(f"has more than {MOST_NAME} characters")
    for label in labels:
        if not LABEL.fullmatch(label):
            raise Misspelt("is no host name")
        if label.startswith("xn--"):
            _check_punycode(label)
    if labels[-1][0].isdigit():  # as in 10.0.0.1-20
        raise Misspelt("is no host name, and no address")
    return name


def _check_punycode(label: str) -> None:
    try:
        idna.ulabel(label)
    except (idna.IDNAError, UnicodeError):
        raise Misspelt("has a label that is no punycode") from None


def _ascii(text: str) -> str:
    """The text with all that looks like ASCII made ASCII, as browsers do: `１２７` is 127, and `Ａ` is a."""
    if text.isascii():
        return text.lower()
    try:
        mapped = idna.uts46_remap(text, std3_rules=False, transitional=False).translate(DOTS)
        if mapped.isascii():
            return mapped.lower().removesuffix(".")
        return idna.encode(mapped.removesuffix(".")).decode("ascii").lower()
    except (idna.IDNAError, UnicodeError):
        raise Misspelt("is no host name") from None
