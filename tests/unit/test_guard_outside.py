"""Nothing outside: ten thousand random attempts to lead the guard out of its scope, in all ways that are known.

What the sockets were sent to is written down by the sockets, and judged here by tables instead of by rules: each
machine of this internet is known by its IPv4 address, and each spelling is made from a machine.
"""

from __future__ import annotations

import asyncio
import random
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv4Network, ip_address, ip_network
from typing import Any

import pytest

from tag_tasks.assets.guard import Guard
from tag_tasks.assets.guard.names import Names
from tag_tasks.assets.limits import Limits
from tag_tasks.assets.refused import NotReached, Refusal, Refused
from tag_tasks.assets.scope import Asked, Scope, Use, Why
from tests.internet.diverted import Connects, diverted
from tests.internet.names import Turns, Zone
from tests.internet.net import ANY, Internet
from tests.internet.sites import Get, answer
from tests.internet.spellings import spelt, spelt6

ATTEMPTS = 10_000
WORLDS = 50  # each with a scope, zones and attempts of its own

GLOBAL = ["93.184.216.34", "8.8.8.8", "1.1.1.1", "151.101.1.69"]
INNER = ["10.1.0.1", "10.1.9.1", "10.2.0.1", "192.168.1.1", "172.16.5.5", "127.0.0.1", "127.3.0.1", "100.64.0.9"]
NEVER = ["169.254.169.254", "0.0.0.0", "224.0.0.1", "255.255.255.255", "168.63.129.16"]  # noqa: S104
MACHINES = [IPv4Address(one) for one in (*GLOBAL, *INNER, *NEVER)]
NETWORKS = [
    "10.1.0.0/16",
    "10.0.0.0/8",
    "127.3.0.0/24",
    "192.168.1.1/32",
    "93.184.216.0/24",
    "172.16.0.0/12",
    "8.0.0.0/8",
]
EXCLUDED = ["10.1.9.0/24", "8.8.8.8/32", "93.184.216.34/32", "127.3.0.1/32", "10.1.0.0/16"]
OWN_NAMES = ["corp.example", "www.corp.example", "a.b.corp.example", "team.example", "x.team.example"]
OTHER_NAMES = ["evil.test", "corp.example.evil.test", "notcorp.example", "example", "localhost", "teams.example"]
NAMES = [*OWN_NAMES, "legacy.corp.example", "x.legacy.corp.example", *OTHER_NAMES]
PORTS = [80, 80, 80, 80, 443, 8080, 22, 1]
SCHEMES = ["http"] * 60 + ["https", "HTTP", "ftp", "file", "gopher", "javascript", "ws", "data"]


@dataclass
class World:
    """A scope, what names lead to, and what all attempts in it have led to."""

    rng: random.Random
    zone: Zone = field(default_factory=dict)
    leads: dict[str, set[IPv4Address]] = field(default_factory=dict)
    """By name, every machine that an answer may have."""
    ways: dict[str, str] = field(default_factory=dict)
    """By path, where a page redirects to."""
    connects: Connects = field(default_factory=list)
    recorded: list[Refusal] = field(default_factory=list)
    ends: Counter[str] = field(default_factory=Counter)
    raised: list[Refusal] = field(default_factory=list)

    def __post_init__(self) -> None:
        rng = self.rng
        self.domains = rng.sample(["corp.example", "team.example"], rng.choice([0, 1, 2, 2]))
        self.networks = [ip_network(one) for one in rng.sample(NETWORKS, rng.randint(0 if self.domains else 1, 5))]
        self.out_domains = ["legacy.corp.example"] if rng.random() < 0.7 else []
        self.out_networks = [ip_network(one) for one in rng.sample(EXCLUDED, rng.randint(0, 2))]
        self.ports = frozenset(rng.sample([80, 443, 8080], rng.randint(1, 3)))
        for name in NAMES:
            self.zone[name] = self._records(name)

    @property
    def scope(self) -> Scope:
        return Scope(
            id="s",
            name="s",
            domains=tuple(self.domains),
            networks=tuple(self.networks),
            exclude_domains=tuple(self.out_domains),
            exclude_networks=tuple(self.out_networks),
            ports=self.ports,
        )

    # -- what there is ---------------------------------------------------------------------

    def _records(self, name: str) -> dict[str, Any]:
        before = [
            one for one in NAMES[: NAMES.index(name)] if "CNAME" not in self.zone.get(one, {}) or one in self.leads
        ]
        if before and self.rng.random() < 0.3:
            alias = self.rng.choice(before)
            self.leads[name] = self.leads[alias]
            return {"CNAME": [f"{alias}."]}
        machines = self.rng.sample(MACHINES, self.rng.randint(1, 2))
        self.leads[name] = set(machines)
        if self.rng.random() < 0.3:
            return {"AAAA": [spelt6(self.rng, one)[1:-1] for one in machines]}
        if self.rng.random() < 0.4:  # rebinding: another machine at each question
            return {"A": Turns(*([str(self.rng.choice(machines))] for _ in range(200)))}
        return {"A": [str(one) for one in machines]}

    def host(self) -> str:
        rng = self.rng
        kind = rng.random()
        if kind < 0.6:
            name = rng.choice(NAMES + 5 * OWN_NAMES)
            other = [name.upper(), f"{name}.", name.replace(".", "。"), f"{name}@evil.test"]
            return rng.choice([*([name] * 6), *other])
        machine = rng.choice(MACHINES)
        if kind < 0.7:
            return str(machine)
        return spelt(rng, machine) if kind < 0.9 else spelt6(rng, machine)

    def url(self, hops: int) -> str:
        """A URL, which leads to another one so many times."""
        path = f"/{len(self.ways)}"
        if hops:
            following = self.url(hops - 1)
            cut = self.rng.random()
            self.ways[path] = (
                following if cut > 0.2 else following[following.find(":") + 1 :] if cut > 0.1 else f"./{cut}"
            )
        user = self.rng.choice([*([""] * 40), "www.corp.example@", "a:b@"])
        port = self.rng.choice(["", "", "", *(f":{one}" for one in PORTS)])
        return f"{self.rng.choice(SCHEMES)}://{user}{self.host()}{port}{path}"

    async def site(self, get: Get, writer: asyncio.StreamWriter) -> None:
        where = self.ways.get(get.path)
        writer.write(answer(b"here") if where is None else answer(status=302, Location=where))

    # -- what is done ----------------------------------------------------------------------

    async def attempt(self, guard: Guard) -> None:
        try:
            await self._act(guard)
            self.ends["done"] += 1
        except Refused as error:
            self.ends[error.refusal.why.value] += 1
            self.raised.append(error.refusal)
        except NotReached:
            self.ends["not reached"] += 1

    async def _act(self, guard: Guard) -> None:
        kind, rng = self.rng.random(), self.rng
        machine = ip_address(spelt6(rng, rng.choice(MACHINES))[1:-1]) if kind < 0.5 else rng.choice(MACHINES)
        if kind < 0.03 or kind > 0.97:
            await guard.port(machine, rng.choice(PORTS))
        elif kind < 0.06 or kind > 0.94:
            name = rng.choice([None, *NAMES])
            asked = Asked(address=machine, port=rng.choice(PORTS), use=rng.choice(list(Use)), name=name)
            if name is not None and asked.use is Use.VISIT:
                self.leads[name] = self.leads[name] | {_machine(str(machine))}  # as if it had been resolved to it
            async with guard.connection(asked):
                pass
        elif kind < 0.1:
            await guard.records(rng.choice(NAMES), "A")
        else:
            await guard.fetch(self.url(rng.choice([0, 0, 0, 1, 1, 2, 4, 6])))

    # -- what was right --------------------------------------------------------------------

    def allowed(self, address: str, port: int) -> bool:
        """By tables: may this machine be spoken to at this port, whatever has led there?"""
        machine = _machine(address)
        if str(machine) in NEVER or any(machine in one for one in self.out_networks):
            return False
        if any(machine in one for one in self.networks):
            return True
        names = [name for name, led in self.leads.items() if machine in led and self.name_allowed(name)]
        return str(machine) in GLOBAL and port in self.ports and bool(names)

    def name_allowed(self, name: str) -> bool:
        out = any(f".{name}".endswith(f".{one}") for one in self.out_domains)
        return not out and any(f".{name}".endswith(f".{one}") for one in self.domains)


def _machine(address: str) -> IPv4Address:
    """The machine behind a spelling of these tests. In all of them its four bytes are somewhere, Teredo's inverted."""
    one = ip_address(address)
    if isinstance(one, IPv4Address):
        return one
    text = one.exploded.replace(":", "")
    if text.startswith("2002"):
        return IPv4Address(int(text[4:12], 16))
    last = int(text[24:], 16)
    return IPv4Address(last ^ 0xFFFFFFFF if text.startswith("20010000") else last)


class Connections:
    """Whatever this process sends to, by whichever library: it is told by the interpreter."""

    def __init__(self) -> None:
        self.sent: set[tuple[Any, Any]] | None = None
        """From where, and to where; where somebody asks the system for a name, that."""
        sys.addaudithook(self._hear)  # which cannot be taken back, so it does nothing afterwards

    def _hear(self, event: str, arguments: tuple[Any, ...]) -> None:
        if self.sent is None:
            return
        if event in ("socket.connect", "socket.sendto", "socket.sendmsg"):
            self.sent.add((arguments[0].getsockname()[:2], arguments[1][:2]))
        elif event in ("socket.getaddrinfo", "socket.gethostbyname"):
            self.sent.add((None, arguments[0]))

    @contextmanager
    def heard(self) -> Iterator[set[tuple[Any, Any]]]:
        self.sent = sent = set()
        try:
            yield sent
        finally:
            self.sent = None


async def play(world: World, attempts: int) -> list[tuple[str, str]]:
    """Make the attempts; answers with every question that the name server was asked."""
    net = Internet(world.zone, {ANY: world.site})
    async with net:
        lead = ("127.1.0.1", net.port)
        guard = Guard(
            scopes=lambda: [world.scope],
            limits=Limits(per_second=None),
            record=world.recorded.append,
            names=Names(net.servers),
            make_socket=diverted(world.connects, lambda port: lead),
        )
        with CONNECTIONS.heard() as sent:
            async with guard:
                for _ in range(attempts // 20):
                    await asyncio.gather(*(world.attempt(guard) for _ in range(20)))
        servers = {lead, (f"::ffff:{lead[0]}", lead[1]), net.name_server}
        assert {to for at, to in sent if at != net.name_server} <= servers
        return net.names.asked


CONNECTIONS = Connections()


@pytest.mark.timeout(300)
def test_of_ten_thousand_attempts_none_leads_outside() -> None:
    ends: Counter[str] = Counter()
    outside, connects, refusals = [], 0, 0
    for number in range(WORLDS):
        world = World(random.Random(number))
        asked = asyncio.run(play(world, ATTEMPTS // WORLDS))
        outside += [(number, where) for where in world.connects if not world.allowed(*where)]
        assert all(world.name_allowed(name) for name, _ in asked), number
        assert all(one in world.recorded for one in world.raised), number
        ends += world.ends
        connects, refusals = connects + len(world.connects), refusals + len(world.recorded)
    assert not outside
    assert sum(ends.values()) == ATTEMPTS
    assert connects > ATTEMPTS / 6 and refusals > ATTEMPTS / 2 and ends["done"] > ATTEMPTS / 50
    every = {one.value for one in Why} - {"own", "closed"}
    assert every <= ends.keys(), f"no attempt met {every - ends.keys()}"


def test_the_tables_see_what_is_outside() -> None:
    world = World(random.Random(1))
    world.networks, world.domains, world.out_networks = [IPv4Network("10.1.0.0/16")], [], []
    assert world.allowed("10.1.0.1", 22) and world.allowed("::ffff:10.1.0.1", 22)
    assert not world.allowed("10.2.0.1", 22) and not world.allowed("93.184.216.34", 80)
