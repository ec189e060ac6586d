"""Tickets: what a browser, which cannot send a header with a socket, shows instead of its token.

A ticket is made with the SHA-256 of the token that asked for it, which all processes read in the same
tokens file: so each of them can check it, nobody else can make one, and it goes with its token. That it
counts once is for whoever redeems it to see to, by its nonce.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
import time
from dataclasses import dataclass

SECONDS = 30
"""For which a ticket may be used."""
FORM = re.compile(r"([0-9]{1,12})\.([0-9a-f]{32})\.([0-9a-f]{64})")


@dataclass(frozen=True, slots=True)
class Ticket:
    """One that has the right form, and has not expired."""

    said: str
    nonce: str
    mac: str

    def made_with(self, key: bytes) -> bool:
        return hmac.compare_digest(self.mac, _mac(key, self.said))


def make(key: bytes) -> str:
    """A new ticket. `key` is the SHA-256 of the token, or nothing where no token is needed."""
    said = f"{int(time.time()) + SECONDS}.{secrets.token_hex(16)}"
    return f"{said}.{_mac(key, said)}"


def read(text: str) -> Ticket | None:
    """What was made by `make` and has not expired; None for anything else."""
    found = FORM.fullmatch(text)
    if found is None or not 0 <= int(found[1]) - time.time() <= SECONDS:
        return None
    return Ticket(f"{found[1]}.{found[2]}", found[2], found[3])


def _mac(key: bytes, said: str) -> str:
    return hmac.new(b"tagapi ticket" + key, said.encode(), hashlib.sha256).hexdigest()
