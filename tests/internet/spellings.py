"""Addresses as nobody writes them who means well."""

from __future__ import annotations

import random
from ipaddress import IPv4Address

FULL = str.maketrans("0123456789.", "０１２３４５６７８９．")


def spelt(rng: random.Random, address: IPv4Address) -> str:
    """One of the many ways to write it. Some of them mean another address to some readers."""
    parts = rng.randint(1, 4)
    whole = int(address)
    numbers = [whole >> 8 * (3 - place) & 0xFF for place in range(parts - 1)]
    numbers.append(whole & (1 << 8 * (5 - parts)) - 1)
    text = ".".join(rng.choice((str, str, hex, _octal, _upper))(number) for number in numbers)
    text = text.translate(FULL) if rng.random() < 0.1 and "x" not in text.lower() else text
    return text + "." if rng.random() < 0.1 else text


def spelt6(rng: random.Random, address: IPv4Address) -> str:
    """One of the IPv6 addresses that lead to an IPv4 one."""
    high, low = int(address) >> 16, int(address) & 0xFFFF
    return rng.choice(
        [
            f"[::ffff:{address}]",
            f"[::FFFF:{high:X}:{low:x}]",
            f"[0:0:0:0:0:ffff:{high:04x}:{low:04x}]",
            f"[::{address}]",
            f"[64:ff9b::{address}]",
            f"[2002:{high:x}:{low:x}::1]",
            f"[2001:0:1:2:3:4:{high ^ 0xFFFF:x}:{low ^ 0xFFFF:x}]",
            f"[::ffff:0:{address}]",
            f"[2606:2800::5efe:{address}]",
        ]
    )


def _octal(number: int) -> str:
    return f"0{number:o}"


def _upper(number: int) -> str:
    return f"0X{number:X}"
