"""Who comes in, and who may call what: one gate for every front.

A route declares a Policy; the gate turns a request's Authorization header and the address of its socket
into a Principal, or refuses. No other header counts: whoever can send one could forge it. This module
knows no HTTP framework and no status number.

`python -m tagapi.auth new NAME --role user` makes a token.
"""

from __future__ import annotations

import enum
import ipaddress
import logging
import math
import re
import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import ClassVar

import click

from tagapi import tickets
from tagapi.jobs.errors import JobError
from tagapi.tokens import RIGHTS, Entry, Role, TokensError, TokensFile, append, new_token
from tagapi.tokens import Principal as Principal  # for those who ask the gate, too

log = logging.getLogger(__name__)

SETTING = "TAGAPI_AUTH__TOKENS_FILE"
OPEN_PRINCIPAL = Principal("local", Role.ADMIN)
"""Who asks, as long as nobody has to say who they are."""

BEARER = re.compile(r"bearer +([\x21-\x7e]{1,512})", re.IGNORECASE)
BURST = 100  # wrong tokens of an address at once
PER_SECOND = 2.0  # and from then on
MOST_ADDRESSES = 10_000  # remembered; beyond, the one that has been quiet longest is forgotten
TELL_AGAIN = 60.0  # seconds between two log records about one address
RETRY_AFTER = 5  # seconds, while the tokens cannot be checked


class Policy(enum.Enum):
    """Who may call a route."""

    PUBLIC = "public"
    """Anyone, without a token."""

    USER = "user"
    """Every principal; what they see is their own."""

    ADMIN = "admin"
    """Admins."""


class AuthenticationRequired(JobError):
    message = "A valid token is needed: Authorization: Bearer TOKEN."
    code = "authentication_required"


class TokenNotNeeded(JobError):
    message = "This service runs without tokens, so yours cannot be checked: send none, or set {setting}."
    code = "token_not_needed"


class PermissionDenied(JobError):
    message = "Only an admin may {what}."
    code = "permission_denied"


class RightNeeded(PermissionDenied):
    message = "Only an admin, or who has may: [{right}] in the tokens file, may {what}."
    code = "right_needed"


class TicketInvalid(JobError):
    message = "The ticket is not valid, was used before, or has expired."
    code = "ticket_invalid"


class OnlyLocal(JobError):
    message = "Without {setting}, only requests from this machine are answered."
    code = "only_local"


class RateLimited(JobError):
    message = "Too many wrong tokens came from this address. Try again in {retry_after} s."
    code = "rate_limited"


class TokensUnavailable(JobError):
    message = "Tokens cannot be checked now. Try again in {retry_after} s."
    code = "tokens_unavailable"


# -- gates ---------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Admission:
    """Somebody was let in, and by what."""

    principal: Principal
    digest: bytes | None = None
    """Of the token; None where none is needed."""


class Gate(ABC):
    """Lets a request in, or raises one of the errors above."""

    asks: ClassVar[bool]
    """Whether it wants to see a token."""

    def admit(self, policy: Policy, authorization: str | None, address: str | None) -> Admission:
        """Who asks, where the policy lets them. `address` is the socket's peer."""
        admission = self._identify(authorization, address or "")
        if policy is Policy.ADMIN and not admission.principal.admin:
            raise PermissionDenied(what="do this")
        return admission

    @abstractmethod
    def _identify(self, authorization: str | None, address: str) -> Admission:
        """Who asks."""

    @abstractmethod
    def holds(self, admission: Admission) -> bool:
        """Whether who was let in would be still: a token may be revoked, and the file that has them unusable."""

    @abstractmethod
    def known(self, name: str) -> Principal | None:
        """Who comes in by this name; None where nobody does any more. Raises TokensUnavailable where that cannot be
        said."""

    @abstractmethod
    def by_ticket(self, ticket: str, address: str | None) -> tuple[Admission, str]:
        """Who holds this ticket, and its nonce, which must be used once. Raises TicketInvalid, and OnlyLocal."""


class OpenGate(Gate):
    """Without tokens: whoever sits at this machine is its admin, and nobody else comes in.

    A token that is sent is refused: it might be a wrong one, and would make an admin of whoever sent it.
    """

    asks = False

    def _identify(self, authorization: str | None, address: str) -> Admission:
        if not is_loopback(address):
            raise OnlyLocal(setting=SETTING)
        if authorization is not None:
            raise TokenNotNeeded(setting=SETTING)
        return Admission(OPEN_PRINCIPAL)

    def holds(self, admission: Admission) -> bool:
        return admission.digest is None

    def known(self, name: str) -> Principal | None:
        return Principal(name, Role.ADMIN)

    def by_ticket(self, ticket: str, address: str | None) -> tuple[Admission, str]:
        found = tickets.read(ticket)
        admission = self._identify(None, address or "")
        if found is None or not found.made_with(b""):
            raise TicketInvalid
        return admission, found.nonce


class TokenGate(Gate):
    """Who has a token comes in, however many wrong ones came from the same address."""

    asks = True

    def __init__(self, tokens: TokensFile, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._tokens = tokens
        self._wrong = WrongTokens(monotonic)

    def _identify(self, authorization: str | None, address: str) -> Admission:
        if authorization is None:
            raise AuthenticationRequired
        bearer = BEARER.fullmatch(authorization)
        try:
            entry = self._tokens.entry_of(bearer[1]) if bearer else None
        except TokensError:
            raise TokensUnavailable(retry_after=RETRY_AFTER) from None
        if entry is None:
            self._wrong.count(address)
            raise AuthenticationRequired
        return Admission(entry.principal, entry.digest)

    def holds(self, admission: Admission) -> bool:
        try:
            return any(
                (one.principal, one.digest) == (admission.principal, admission.digest) for one in self._entries()
            )
        except TokensUnavailable:
            return False

    def known(self, name: str) -> Principal | None:
        return next((one.principal for one in self._entries() if one.principal.name == name), None)

    def by_ticket(self, ticket: str, address: str | None) -> tuple[Admission, str]:
        found = tickets.read(ticket)
        for entry in self._entries() if found is not None else ():
            if found is not None and found.made_with(entry.digest):
                return Admission(entry.principal, entry.digest), found.nonce
        self._wrong.count(address or "")
        raise TicketInvalid

    def _entries(self) -> Sequence[Entry]:
        try:
            return self._tokens.entries()
        except TokensError:
            raise TokensUnavailable(retry_after=RETRY_AFTER) from None


def open_gate(tokens_file: str | None) -> Gate:
    """The gate of a service. Raises TokensError for a tokens file that cannot be used."""
    if tokens_file is None:
        log.warning("auth_open", extra={"consequence": "this machine's requests are the admin's", "setting": SETTING})
        return OpenGate()
    return TokenGate(TokensFile(Path(tokens_file)))


@lru_cache(1024)
def is_loopback(address: str) -> bool:
    try:
        ip = ipaddress.ip_address(address)
    except ValueError:
        return False
    return (getattr(ip, "ipv4_mapped", None) or ip).is_loopback


# -- wrong tokens --------------------------------------------------------------------------


@dataclass(slots=True)
class _Bucket:
    """What an address has poured in; it leaks by PER_SECOND."""

    level: float
    at: float
    told: float = -math.inf


class WrongTokens:
    """How many wrong tokens each address has sent of late, to this process. Safe to use from many threads."""

    def __init__(self, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._monotonic = monotonic
        self._lock = threading.Lock()
        self._buckets: dict[str, _Bucket] = {}  # the one touched last comes last

    def count(self, address: str) -> None:
        """One more. Raises RateLimited where that is too many."""
        now, network = self._monotonic(), network_of(address)
        with self._lock:
            bucket = self._buckets.pop(network, None) or _Bucket(0.0, now)
            self._buckets[network] = bucket
            if len(self._buckets) > MOST_ADDRESSES:
                del self._buckets[next(iter(self._buckets))]
            bucket.level = max(0.0, bucket.level - (now - bucket.at) * PER_SECOND)
            bucket.at = now
            if bucket.level + 1 <= BURST:
                bucket.level += 1
                return
            over = bucket.level + 1 - BURST
            tell = now - bucket.told >= TELL_AGAIN
            bucket.told = now if tell else bucket.told
        if tell:
            log.warning("wrong_tokens_limited", extra={"address": network})
        raise RateLimited(retry_after=math.ceil(over / PER_SECOND))


def network_of(address: str) -> str:
    """What one sender can send from: an IPv4 address, or the 64 bits of IPv6 that a provider hands out."""
    try:
        ip = ipaddress.ip_address(address)
    except ValueError:
        return address
    if isinstance(ip, ipaddress.IPv4Address):
        return str(ip)
    return str(ip.ipv4_mapped or ipaddress.ip_network((int(ip) >> 64 << 64, 64)))


# -- making tokens -------------------------------------------------------------------------


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
def main() -> None:
    """Who may ask: the tokens of the file that TAGAPI_AUTH__TOKENS_FILE names. Remove an entry to revoke it."""


@main.command()
@click.argument("name")
@click.option("--role", type=click.Choice([role.value for role in Role]), default="user", show_default=True)
@click.option("--may", "rights", type=click.Choice(RIGHTS), multiple=True, help="What a user may do beside.")
@click.option("--file", "path", type=click.Path(dir_okay=False, path_type=Path), help="Append the entry to this file.")
def new(name: str, role: str, rights: tuple[str, ...], path: Path | None) -> None:
    """Make a token for NAME. It is shown this once; the file keeps its SHA-256 alone."""
    token, entry = new_token(Principal(name, Role(role), frozenset(rights)))
    try:
        entry.check()
        if path is not None:
            append(path, entry)
    except (OSError, TokensError) as error:
        raise click.ClickException(f"{path}: {error}" if path else str(error)) from None
    click.echo(f"token, shown this once: {token}")
    if path is None:
        click.echo(f"\nadd to the file that {SETTING} names:\n\n{entry.lines()}", nl=False)
    else:
        click.echo(f"added to {path}")


if __name__ == "__main__":
    main()
