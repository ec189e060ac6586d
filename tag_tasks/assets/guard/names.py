"""What names stand for: asked of the name servers that are configured, or of the system's, and of nobody else."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from ipaddress import ip_address

import dns.asyncresolver
import dns.exception
import dns.nameserver
import dns.resolver

from tag_tasks.assets.addresses import Address
from tag_tasks.assets.guard.room import check_room
from tag_tasks.assets.refused import NotReached
from tag_tasks.assets.spelling import Misspelt, host
from tagapi.jobs.errors import TaskFailed

LOOK_UP_SECONDS = 5.0
MOST_ANSWERS = 100  # of one kind, for one name
PORT = 53


@dataclass(frozen=True, slots=True)
class Records:
    """What the name servers say of a name; nothing of one that is not there."""

    values: tuple[str, ...] = ()
    """As they stand in a zone file."""
    aliases: tuple[str, ...] = ()
    """The names over which they were found, CNAME by CNAME."""
    seconds: float = field(default=0.0, compare=False)
    """That the name servers took."""


def servers_of(text: str) -> tuple[tuple[Address, int], ...]:
    """`127.0.0.1:5353, [::1]:53` as addresses and ports. Raises Misspelt."""
    return tuple(_server(one.strip()) for one in text.split(",") if one.strip())


def _server(text: str) -> tuple[Address, int]:
    where, _, port = (text, "", str(PORT)) if text.endswith("]") or ":" not in text else text.rpartition(":")
    address = host(where)
    if isinstance(address, str) or not port.isdecimal() or not 1 <= int(port) <= 65535:
        raise Misspelt(f"{text!r} is no name server, such as 192.0.2.1:53")
    return address, int(port)


class Names:
    """Asks, with a socket for each question. To be used on one loop."""

    def __init__(self, servers: Sequence[tuple[Address, int]] = (), seconds: float = LOOK_UP_SECONDS) -> None:
        """Without servers those of /etc/resolv.conf are asked, and no list of hosts is read. Raises TaskFailed."""
        try:
            self._resolver = dns.asyncresolver.Resolver(configure=not servers)
        except dns.resolver.NoResolverConfiguration as error:
            raise TaskFailed(reason="no name servers are configured, neither here nor in the system") from error
        if servers:
            self._resolver.nameservers = [dns.nameserver.Do53Nameserver(str(at), port) for at, port in servers]
        self._resolver.lifetime = seconds

    async def ask(self, name: str, kind: str) -> Records:
        """The records of a kind, such as `A` or `MX`. Raises NotReached where no server has an answer, and Transient
        where none could be asked."""
        loop = asyncio.get_running_loop()
        began = loop.time()
        try:
            answer = await self._resolver.resolve(f"{name}.", kind, search=False, raise_on_no_answer=False)
        except dns.resolver.NXDOMAIN:
            return Records(seconds=loop.time() - began)
        except (dns.exception.DNSException, OSError, EOFError) as error:
            for one in (error, *_each_tried(error)):
                check_room(one)
            raise NotReached(what=name, reason=f"no name server has an answer: {type(error).__name__}") from error
        chain = answer.chaining_result.cnames
        aliases = tuple(one.target.to_text(omit_final_dot=True).lower() for records in chain for one in records)
        values = tuple(one.to_text() for one in answer.rrset or ())
        return Records(values[:MOST_ANSWERS], aliases, loop.time() - began)


def _each_tried(error: BaseException) -> list[object]:
    """What was met at each name server, as dnspython keeps it: (server, tcp, port, error, response)."""
    kept = error.kwargs.get("errors", ()) if isinstance(error, dns.exception.DNSException) else ()
    return [one[3] for one in kept]


def addresses_in(records: Records) -> tuple[Address, ...]:
    """Of records of the kinds A and AAAA."""
    return tuple(ip_address(one) for one in records.values)
