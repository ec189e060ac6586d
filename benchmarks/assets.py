"""Work on the network: what the guard costs, whether memory grows with targets, whether monitors stand in the way."""

from __future__ import annotations

import asyncio
import shutil
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime
from ipaddress import IPv4Address, ip_address, ip_network
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks import bare_network
from benchmarks.compute import Running, peak
from benchmarks.internet import DOMAIN, Where, internet, name_of
from benchmarks.report import figure, title
from tag_tasks.assets.guard import Guard
from tag_tasks.assets.guard.names import Names
from tag_tasks.assets.limits import Limits
from tag_tasks.assets.probes.ports import PER_ADDRESS_AT_ONCE, open_ports
from tag_tasks.assets.scan import AT_ONCE, Scan
from tag_tasks.assets.scope import Scope
from tests.e2e.server import ROOT, Client, until
from tests.internet.lab import SHOP, Lab
from tests.unit.outside import Context

NAMES, SITES = 1_000, 500
PORTS = range(1, 65_536)
PORTS_AT = "127.9.9.9"
FEW, MANY = 1_000, 100_000
DEAD = IPv4Address("127.64.0.1")
ROUNDS = 5
MONITORS = 100
API = "/api/celery_task"
CORP = Scope(id="corp", name="corp", domains=(DOMAIN,), networks=(ip_network("127.0.0.0/8"),))


def run(folder: Path, _users: int, _jobs: int) -> None:
    title(f"work on the network, at loopback addresses; medians of {ROUNDS} pairs")
    with internet(NAMES) as where:
        _compare("names", NAMES, lambda: _resolve(where), lambda: _resolve_bare(where), most=1.5)
        _compare("sites", SITES, lambda: _fetch(where), lambda: _fetch_bare(where), most=1.5)
    _compare("ports of one address", len(PORTS), _scan_ports, _scan_bare, most=2)
    few, many = (_peak_of(targets) for targets in (FEW, MANY))
    note = f"{many:.0f} MB"
    figure(f"peak memory, {MANY:,} dead addresses / {FEW:,}", many / few, "×", most=1.1, note=note)
    _behind_monitors(folder / "monitors")


def _compare(
    what: str, number: int, ours: Callable[[], Awaitable[Any]], bare: Callable[[], Awaitable[Any]], most: float
) -> None:
    pairs = [(_seconds(ours), _seconds(bare)) for _ in range(ROUNDS)]
    note = f"{median(one for one, _ in pairs):.2f} s"
    ratio = median(one / other for one, other in pairs)
    figure(f"{number:,} {what} / without a guard", ratio, "×", most=most, note=note)


def _seconds(work: Callable[[], Awaitable[Any]]) -> float:
    async def play() -> float:
        began = time.perf_counter()
        await work()
        return time.perf_counter() - began

    return asyncio.run(play())


async def guarded(servers: Sequence[tuple[IPv4Address, int]], work: Callable[[Scan], Awaitable[Any]]) -> None:
    """In a scope that allows all of loopback, with no limits for an address."""
    limits = Limits(per_address=AT_ONCE, per_second=None)
    guard = Guard(scopes=lambda: [CORP], limits=limits, record=lambda _: None, names=Names(servers))
    async with guard:
        await work(Scan(Context({}), guard, lambda: [CORP], lambda _: True))


# -- names and sites -----------------------------------------------------------------------


async def _resolve(where: Where) -> None:
    async def work(scan: Scan) -> None:
        await scan.each((name_of(n) for n in range(NAMES)), scan.guard.resolve, total=NAMES)

    await guarded(_servers(where), work)


async def _resolve_bare(where: Where) -> None:
    resolver = bare_network.Resolver(where.name_server)
    await bare_network.each((name_of(n) for n in range(NAMES)), resolver.addresses, AT_ONCE)


async def _fetch(where: Where) -> None:
    async def work(scan: Scan) -> None:
        await scan.each(_urls(where), scan.guard.fetch, total=SITES)

    await guarded(_servers(where), work)


async def _fetch_bare(where: Where) -> None:
    await bare_network.fetch(_urls(where), where.name_server, AT_ONCE)


def _servers(where: Where) -> Sequence[tuple[IPv4Address, int]]:
    host, port = where.name_server
    return [(IPv4Address(host), port)]


def _urls(where: Where) -> Sequence[str]:
    return [f"http://{name_of(n)}:{where.port}/" for n in range(SITES)]


# -- ports ---------------------------------------------------------------------------------


async def _scan_ports() -> None:
    async def work(scan: Scan) -> None:
        await scan.phase("ports")
        await open_ports(scan, [ip_address(PORTS_AT)], PORTS, total=1)

    await guarded((), work)


async def _scan_bare() -> None:
    await bare_network.connect(PORTS_AT, PORTS, PER_ADDRESS_AT_ONCE)


def _peak_of(targets: int) -> float:
    """MB of a process of its own that looks at one port of so many addresses, at which nobody listens."""
    command = [sys.executable, "-m", "benchmarks.assets", str(targets)]
    return float(subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout)


# -- monitors ------------------------------------------------------------------------------


def _behind_monitors(folder: Path) -> None:
    """What somebody asks for by hand, while monitors wait for each other."""
    shutil.rmtree(folder, ignore_errors=True)
    with Lab() as lab, Running(folder, lab.settings(folder / "scope.yaml")) as server:
        slow = {"scope_id": "corp", "target": "dev.corp.example", "options": {"find_site": True}}
        every_day = {"schedule": {"every_seconds": 24 * 3600}}
        monitors = [_begin(server, "domain_exec_task", **slow, **every_day) for _ in range(MONITORS)]
        first = _ended(server, monitors[0])
        seconds = (_moment(first["end_time"]) - _moment(first["start_time"])).total_seconds()
        asked = datetime.now(UTC)
        by_hand = _begin(server, "ip_task", target=SHOP, options={"find_site": True})
        waited = (_moment(_ended(server, by_hand)["start_time"]) - asked).total_seconds()
        waiting = sum(_status(server, one)["status"] == "PENDING" for one in monitors)
        assert waiting > MONITORS // 2, waiting
    note = f"{waited * 1000:.0f} ms, {waiting} still waiting"
    figure(f"start by hand behind {MONITORS} monitors / one of their runs", waited / seconds, "×", most=1, note=note)


def _begin(server: Client, task_type: str, **data: Any) -> str:
    told = server.post(f"{API}/", {"task_type": task_type, "data": data}).json()
    return str(told["data"]["celery_id"])


def _status(server: Client, celery_id: str) -> dict[str, Any]:
    status: dict[str, Any] = server.read(f"{API}/{celery_id}/")["data"]
    return status


def _ended(server: Client, celery_id: str) -> dict[str, Any]:
    told = until(
        lambda: (seen := _status(server, celery_id))["end_time"] is not None and seen, celery_id, 120, every=0.05
    )
    assert told["status"] == "SUCCESS", told
    return told


_moment = datetime.fromisoformat


def scan_dead(targets: int) -> None:
    async def work(scan: Scan) -> None:
        await scan.phase("ports")
        await open_ports(scan, (DEAD + n for n in range(targets)), [1], total=targets)

    asyncio.run(guarded((), work))


if __name__ == "__main__":
    import os

    scan_dead(int(sys.argv[1]))
    print(peak(os.getpid()) / 1024)
