"""What people name as targets: a text of domains, addresses, networks and, where asked for, URLs, as values."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from tag_tasks.assets.addresses import Address, Network, inside, judged, never
from tag_tasks.assets.scope import Asked, Scope, Use, Why, name_refusal, refusal
from tag_tasks.assets.spelling import Misspelt, host, network
from tag_tasks.assets.urls import Url, url

BETWEEN = re.compile(r"[\s,，]+")
PORT = re.compile(r"^[^:\[\]]+:[0-9]+$|\]:[0-9]+$")
"""A host with a port: colons of an address without brackets are several."""
MOST_ADDRESSES = 10_000
SHOWN = 100  # characters of a target that is told


@dataclass(frozen=True, slots=True)
class Domain:
    """A name and, with some tasks, what is below it."""

    name: str


@dataclass(frozen=True, slots=True)
class Single:
    """One address."""

    address: Address


@dataclass(frozen=True, slots=True)
class Block:
    """All addresses of a network."""

    network: Network


Target = Domain | Single | Block | Url


class BadTarget(ValueError):
    """A target that is not understood, or one too many."""

    def __init__(self, text: str, reason: str) -> None:
        self.text = text[:SHOWN]
        self.reason = reason
        super().__init__(f"{self.text!r} {reason}")


def targets(text: str, urls: bool = False) -> tuple[Target, ...]:
    """The targets in the order in which they stand there, each once. Raises BadTarget."""
    found: dict[Target, None] = {}
    addresses = 0
    for one in BETWEEN.split(text):
        if not one or (target := _target(one, urls)) in found:
            continue
        addresses += size(target)
        if addresses > MOST_ADDRESSES:
            raise BadTarget(one, f"is one too many: there may be {MOST_ADDRESSES} addresses")
        found[target] = None
    return tuple(found)


def size(target: Target) -> int:
    """In addresses; a name counts as one."""
    return target.network.num_addresses if isinstance(target, Block) else 1


def addresses_of(target: Single | Block) -> Iterator[Address]:
    if isinstance(target, Single):
        yield target.address
    else:
        yield from target.network


def target_refusal(scopes: Sequence[Scope], target: Target) -> Why | None:
    """Why a job with this target is refused before it begins; None where the scopes allow it.

    Of a network all addresses have to be in the scope; those that it excludes are left out by the guard.
    """
    if isinstance(target, Domain):
        return name_refusal(scopes, target.name)
    if isinstance(target, Single):
        return _address_refusal(scopes, target.address)
    if isinstance(target, Url):
        at = target.host
        return name_refusal(scopes, at) if isinstance(at, str) else _address_refusal(scopes, at)
    if any(never(one) for one in target.network):
        return Why.NEVER
    networks = tuple(one for scope in scopes for one in scope.networks)
    return None if all(inside(judged(one), networks) for one in target.network) else Why.OUTSIDE


def _address_refusal(scopes: Sequence[Scope], address: Address) -> Why | None:
    return refusal(scopes, Asked(address=address, port=80, use=Use.SCAN))


def _target(text: str, urls: bool) -> Target:
    try:
        if "://" in text:
            if not urls:
                raise Misspelt("is a URL: a domain, an address or a network is asked for")
            return url(text)
        if "/" in text:
            return Block(network(text))
        if PORT.search(text):
            raise Misspelt("has a port, which only a URL may name: http://host:8080/")
        found = host(text)
    except Misspelt as error:
        raise BadTarget(text, str(error)) from None
    return Domain(found) if isinstance(found, str) else Single(found)
