"""What one may contact: scopes as values, and the judgement over an address as a pure function.

A domain authorises what a visitor does, at the global addresses that its names resolve to. Whatever goes further
(other ports, addresses that are not global) has to be named as a network, for only then is the machine one's own:
a name can be pointed at anybody's.
"""

from __future__ import annotations

import enum
from collections.abc import Sequence
from dataclasses import dataclass

from tag_tasks.assets.addresses import Address, Network, inside, is_global, judged, never
from tag_tasks.assets.spelling import written

SITE_PORTS = frozenset({80, 443})


class Use(enum.Enum):
    """What a connection is for."""

    VISIT = "visit"
    """What a visitor does: a TLS handshake, the GET of a page."""

    SCAN = "scan"
    """To see whether a port is open, and what is said there first."""


class Why(enum.Enum):
    """Why something is not contacted. The values are stable."""

    NEVER = "never"
    """An address that no scope can allow: link-local, unspecified, multicast."""
    OWN = "own"
    """One of this service's own sockets."""
    EXCLUDED = "excluded"
    """The scope leaves it out by name or network."""
    OUTSIDE = "outside"
    """No domain and no network of the scope has it."""
    NOT_GLOBAL = "not_global"
    """A name of the scope leads to an address that is not global, and in none of its networks."""
    PORT = "port"
    """No port at which the scope looks for sites."""
    NETWORKS_ONLY = "networks_only"
    """A scan of an address that a domain alone authorises."""
    SCHEME = "scheme"
    """Neither http nor https."""
    SPELLING = "spelling"
    """A host that is read in different ways, or is none."""
    CLOSED = "closed"
    """The scope file is missing or broken, the scope is not in it any more, or the job is over."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Asked:
    """A connection that somebody wants."""

    address: Address
    port: int
    use: Use
    name: str | None = None
    """Which was resolved to the address; None where the address itself was given."""

    def __str__(self) -> str:
        return f"{self.name or written(self.address)}:{self.port}"


@dataclass(frozen=True, kw_only=True, slots=True)
class Scope:
    """One entry of the scope file."""

    id: str
    name: str
    domains: tuple[str, ...] = ()
    """Each stands for itself and all names below."""
    networks: tuple[Network, ...] = ()
    exclude_domains: tuple[str, ...] = ()
    exclude_networks: tuple[Network, ...] = ()
    ports: frozenset[int] = SITE_PORTS
    """At which sites are looked for, at addresses that a domain alone authorises."""
    users: frozenset[str] | None = None
    """Who may see it; None is everybody."""

    def open_to(self, user: str) -> bool:
        return self.users is None or user in self.users

    def excludes(self, name: str | None, address: Address | None = None) -> bool:
        if name is not None and below(name, self.exclude_domains):
            return True
        networks = self.exclude_networks
        return address is not None and (inside(address, networks) or inside(judged(address), networks))

    def refusal(self, asked: Asked) -> Why | None:
        """Why this scope does not allow it, its exclusions aside; None where it does."""
        if asked.name is not None and not below(asked.name, self.domains):
            return Why.OUTSIDE
        if inside(judged(asked.address), self.networks):
            return None
        if asked.name is None:
            return Why.OUTSIDE
        if not is_global(asked.address):
            return Why.NOT_GLOBAL
        if asked.use is Use.SCAN:
            return Why.NETWORKS_ONLY
        return None if asked.port in self.ports else Why.PORT


@dataclass(frozen=True, slots=True)
class Own:
    """A socket at which this service itself listens."""

    address: Address
    port: int

    def meets(self, address: Address, port: int, here: bool) -> bool:
        """Whether a connect would reach it. `here`: the address is one of this machine's."""
        if port != self.port:
            return False
        anywhere = self.address.is_unspecified and (here or judged(address).is_loopback)
        return anywhere or judged(address) == judged(self.address)


def below(name: str, domains: Sequence[str]) -> bool:
    """Whether the name is one of these domains, or below one."""
    return any(name == one or name.endswith(f".{one}") for one in domains)


def refusal(scopes: Sequence[Scope], asked: Asked) -> Why | None:
    """Why these scopes together do not allow it; None where one of them does. Without a name, neither the port nor the
    use matters: a network has all its ports.

    What one of them excludes is excluded from all: who wrote that down meant the machine, not the list it stood in.
    """
    if never(asked.address):
        return Why.NEVER
    if any(one.excludes(asked.name, asked.address) for one in scopes):
        return Why.EXCLUDED
    return _best([one.refusal(asked) for one in scopes])


def name_refusal(scopes: Sequence[Scope], name: str) -> Why | None:
    """Why these scopes do not allow to ask the name servers for this name; None where one does."""
    if any(one.excludes(name) for one in scopes):
        return Why.EXCLUDED
    if any(below(name, one.domains) for one in scopes):
        return None
    return Why.OUTSIDE if scopes else Why.CLOSED


def _best(reasons: Sequence[Why | None]) -> Why | None:
    """None where one scope allows it; else the reason that came nearest to that."""
    if None in reasons:
        return None
    order = (Why.PORT, Why.NETWORKS_ONLY, Why.NOT_GLOBAL, Why.OUTSIDE)
    return next((one for one in order if one in reasons), Why.CLOSED)
