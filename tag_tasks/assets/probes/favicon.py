"""The hash of a site's icon, as search engines of machines have it: MurmurHash3 of its base64."""

from __future__ import annotations

import base64
import struct

MOST_ICON = 1024 * 1024  # bytes
MASK = 0xFFFFFFFF


def hash_of(icon: bytes) -> int:
    """32 bits, signed, over the base64 with a line end after each 76 characters, as Shodan and FOFA make it."""
    value = murmur3(base64.encodebytes(icon))
    return value - (1 << 32) if value >> 31 else value


def murmur3(data: bytes, seed: int = 0) -> int:
    """MurmurHash3 for x86, 32 bits, by Austin Appleby; unsigned."""
    whole = len(data) & ~3
    value = seed
    for (block,) in struct.iter_unpack("<I", data[:whole]):
        value = _turned(value ^ _mixed(block), 13) * 5 + 0xE6546B64 & MASK
    if rest := data[whole:]:
        value ^= _mixed(int.from_bytes(rest, "little"))
    value ^= len(data)
    for shift, factor in ((16, 0x85EBCA6B), (13, 0xC2B2AE35)):
        value = (value ^ value >> shift) * factor & MASK
    return value ^ value >> 16


def _mixed(block: int) -> int:
    return _turned(block * 0xCC9E2D51 & MASK, 15) * 0x1B873593 & MASK


def _turned(value: int, by: int) -> int:
    return (value << by | value >> 32 - by) & MASK
