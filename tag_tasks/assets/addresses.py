"""What kind of address one is: its place in the registers of IANA, and the IPv4 address inside of an IPv6 one.

The tables are our own: those of `ipaddress` differ from one release of Python to the next.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_network

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network
KEPT = 4096  # addresses of which it is known what they are: one is asked of for each of its ports


def _networks(*given: str) -> tuple[Network, ...]:
    return tuple(ip_network(one) for one in given)


NEVER = _networks(
    "0.0.0.0/8",  # to connect to it is to connect to this very machine
    "169.254.0.0/16",
    "224.0.0.0/4",
    "255.255.255.255/32",
    "::/128",
    "fe80::/10",
    "ff00::/8",
    # What clouds tell whoever asks from inside: keys among it.
    "100.100.100.200/32",
    "168.63.129.16/32",
    "192.0.0.192/32",
    "fd00:ec2::/32",
    # NAT64 of an operator's own: where in it the IPv4 address is, only they know.
    "64:ff9b:1::/48",
)
"""Link-local, unspecified, multicast: no scope can allow these."""

NOT_GLOBAL = _networks(
    "10.0.0.0/8",
    "100.64.0.0/10",
    "127.0.0.0/8",
    "172.16.0.0/12",
    "192.0.0.0/24",
    "192.0.2.0/24",
    "192.88.99.0/24",
    "192.168.0.0/16",
    "198.18.0.0/15",
    "198.51.100.0/24",
    "203.0.113.0/24",
    "240.0.0.0/4",
    "2001::/23",
    "2001:db8::/32",
    "3fff::/20",
)
GLOBAL6 = IPv6Network("2000::/3")
"""All that is given out of IPv6 so far."""

AT_THE_END = tuple(IPv6Network(one) for one in ("::ffff:0:0/96", "::ffff:0:0:0/96", "64:ff9b::/96", "::/96"))
"""Forms with the IPv4 address in the last 32 bits: mapped, translated, NAT64, and the old compatible one."""
SIX_TO_FOUR = IPv6Network("2002::/16")
TEREDO = IPv6Network("2001::/32")
ISATAP = (0x00005EFE, 0x02005EFE)
"""The 32 bits before an IPv4 address at the end, under any prefix."""
EMBEDDING = (*AT_THE_END, SIX_TO_FOUR, TEREDO)
NAMED = (IPv6Address("::"), IPv6Address("::1"))
"""Unspecified and loopback, which look like compatible forms and are none."""


@lru_cache(KEPT)
def judged(address: Address) -> Address:
    """The address that a connect to this one is judged by: the IPv4 one inside, where there is one."""
    if isinstance(address, IPv4Address) or address in NAMED:
        return address
    bits = int(address)
    if address in SIX_TO_FOUR:
        return IPv4Address(bits >> 80 & 0xFFFFFFFF)
    if address in TEREDO:
        return IPv4Address(~bits & 0xFFFFFFFF)  # it is written inverted
    if any(address in one for one in AT_THE_END) or bits >> 32 & 0xFFFFFFFF in ISATAP:
        return IPv4Address(bits & 0xFFFFFFFF)
    return address


def inside(address: Address, networks: tuple[Network, ...]) -> bool:
    return any(address in one for one in networks if one.version == address.version)


def in_order(addresses: Iterable[Address]) -> tuple[Address, ...]:
    """Each of them once, IPv4 first."""
    return tuple(sorted(set(addresses), key=lambda one: (one.version, int(one))))


@lru_cache(KEPT)
def never(address: Address) -> bool:
    """Whether no scope can allow it."""
    return inside(address, NEVER) or inside(judged(address), NEVER)


@lru_cache(KEPT)
def is_global(address: Address) -> bool:
    """Whether it is an address of the internet, with which everybody means the same machine."""
    one = judged(address)
    if never(one) or inside(one, NOT_GLOBAL):
        return False
    return isinstance(one, IPv4Address) or one in GLOBAL6
