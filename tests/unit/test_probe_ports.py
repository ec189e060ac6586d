"""Which ports are open: every one that is, and nothing else; whoever is silent holds up nobody."""

from __future__ import annotations

import asyncio
import re
import socket
import threading
from collections.abc import Iterator
from contextlib import ExitStack
from ipaddress import IPv4Address, ip_address, ip_network
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tag_tasks.assets import found
from tag_tasks.assets.addresses import Address
from tag_tasks.assets.found import Kind
from tag_tasks.assets.limits import Limits
from tag_tasks.assets.options import Options
from tag_tasks.assets.probes.ports import CONNECTS_AT_ONCE, BadPorts, open_ports, plain, ports_of
from tag_tasks.assets.scan import Scan
from tag_tasks.assets.scope import Own, Scope
from tests.internet.diverted import Connects, diverted
from tests.internet.net import Internet
from tests.internet.services import Where, services, silent
from tests.unit.fakes import PATIENCE
from tests.unit.outside import Context
from tests.unit.scanning import scan

CORP = Scope(
    id="corp",
    name="corp",
    networks=(ip_network("127.1.0.0/16"), ip_network("10.0.0.0/16")),
    exclude_networks=(ip_network("127.1.9.0/24"),),
)
SOON = 0.05  # seconds that a target has, where it uses them up


def net() -> Internet:
    return Internet({}, {}, addresses=())


def addresses(*given: str) -> list[Address]:
    return [ip_address(one) for one in given]


def test_each_open_port_is_found_and_nothing_else() -> None:
    opened: list[Where] = []
    planted: list[Where] = []

    async def scene(scan: Scan) -> None:
        async with services() as there:
            planted.extend([await there.listen(f"127.1.0.{n}") for n in (1, 1, 2, 5)])
            ports = sorted({port for _, port in planted} | {1, 2, 3})
            opened.extend(await open_ports(scan, ip_network("127.1.0.0/28"), ports, total=16))
            plain(scan, opened)
            assert set(there.accepted) == set(planted)

    taken = scan(net(), [CORP], scene)
    assert sorted(planted) == opened
    assert taken.of(Kind.ADDRESSES) == sorted(
        ({"address": str(at), "port": port} for at, port in planted), key=lambda row: f"{row['address']}:{row['port']}"
    )
    assert not taken.said(found.REFUSED) and not taken.said(found.SKIPPED)


def test_progress_is_told_in_connects() -> None:
    told: list[tuple[int, int]] = []

    class Told(Context):
        def progress(self, done: int, total: int) -> None:
            told.append((done, total))

    async def scene(given: Scan) -> None:
        scan = Scan(Told({}), given.guard, given.scopes, lambda _: True)
        await scan.phase("ports")
        await open_ports(scan, addresses("127.1.0.1", "127.1.0.2"), [1, 2, 3], total=2)

    scan(net(), [CORP], scene)
    assert told[-1] == (6, 6) and told == sorted(set(told))


def test_a_job_store_that_hangs_holds_up_one_target_and_no_other() -> None:
    others = threading.Event()
    waited: list[bool] = []
    looked: list[int] = []

    class Hangs(Context):
        def progress(self, done: int, total: int) -> None:
            waited.append(others.wait(PATIENCE))

    async def work(number: int) -> None:
        looked.append(number)
        if len(looked) == 9:
            others.set()

    async def scene(given: Scan) -> None:
        scan = Scan(Hangs({}), given.guard, given.scopes, lambda _: True)
        await scan.phase("ports")
        await scan.each(range(9), work, total=9, at_once=2)

    scan(net(), [CORP], scene)
    assert len(looked) == 9 and all(waited)


def test_an_address_that_is_refused_is_so_once() -> None:
    async def scene(scan: Scan) -> None:
        async with services() as there:
            at, port = await there.listen("127.1.0.1")
            ports = [*range(1000, 3000), port]
            opened = await open_ports(scan, addresses("127.1.9.1", "127.2.0.1", "127.1.0.1"), ports)
            assert (at, port) in opened and {one for one, _ in opened} == {at}  # where others may listen, too

    taken = scan(net(), [CORP], scene)
    assert taken.said(found.REFUSED) == [
        ("127.1.9.1:1000", "excluded (127.1.9.1)"),
        ("127.2.0.1:1000", "outside (127.2.0.1)"),
    ]
    assert not taken.said(found.SKIPPED)


def test_a_scope_that_closes_meanwhile_ends_it() -> None:
    scopes = [CORP]

    async def scene(scan: Scan) -> None:
        async with services() as there:
            _, port = await there.listen("127.1.0.1")

            def drawn() -> Iterator[Address]:
                yield ip_address("127.1.0.1")
                scopes.clear()
                yield from ip_network("127.1.1.0/24")

            assert not await open_ports(scan, drawn(), [port, *range(1000, 2000)])
            assert not there.accepted

    refused = scan(net(), scopes, scene).said(found.REFUSED)
    assert len(refused) == 257 and {why.partition(" ")[0] for _, why in refused} == {"closed"}


def test_no_more_is_looked_at_than_a_job_may_and_what_is_refused_costs_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tag_tasks.assets.probes.ports.MOST_CONNECTS", 5)
    connects: Connects = []

    async def scene(scan: Scan) -> None:
        outside = [ip_address(f"127.2.0.{n}") for n in range(1, 9)]
        await open_ports(scan, [*outside, *(ip_address(f"127.1.0.{n}") for n in range(1, 5))], [1, 2])

    taken = scan(net(), [CORP], scene, make_socket=diverted(connects, lambda port: ("127.1.0.1", port)))
    assert len(connects) == 5 and len(taken.said(found.REFUSED)) == 8
    assert {why for _, why in taken.said(found.SKIPPED)} == {"more than 5 ports of all addresses"}
    assert {(where, port) for where in ("127.1.0.1", "127.1.0.2") for port in (1, 2)} < set(connects)


def test_the_services_own_port_keeps_no_other_from_being_looked_at() -> None:
    async def scene(scan: Scan) -> None:
        async with services() as there:
            at, port = await there.listen("127.1.0.1")
            assert await open_ports(scan, [at], [7, port, 1]) == [(at, port)]

    taken = scan(net(), [CORP], scene, own=lambda: [Own(ip_address("127.1.0.1"), 7)])
    assert taken.said(found.REFUSED) == [("127.1.0.1:7", "own (127.1.0.1)")]


def test_an_address_at_which_nobody_answers_is_skipped_and_holds_up_nobody() -> None:
    async def scene(scan: Scan) -> None:
        with silent("127.1.0.1") as (quiet, port):
            async with services() as there:
                known = [await there.listen(f"127.1.0.{n}") for n in range(2, 60)]
                ports = [port, *(port for _, port in known)]
                many = [quiet, *(at for at, _ in known)]
                working = asyncio.create_task(open_ports(scan, many, [port] * 50 + ports))
                while set(there.accepted) != set(known):
                    await asyncio.sleep(0)
                assert not working.done()  # of the silent one's many tries few are over
                working.cancel()
                with pytest.raises(asyncio.CancelledError):
                    await working

    async def alone(scan: Scan) -> None:
        with silent("127.1.0.1") as (quiet, port):
            assert await open_ports(scan, [quiet], [port]) == []
            assert await open_ports(scan, addresses("127.1.0.2"), [port]) == []

    assert not scan(net(), [CORP], scene).said(found.SKIPPED)
    taken = scan(net(), [CORP], alone, seconds=SOON)
    assert taken.said(found.SKIPPED) == [("127.1.0.1", "no answer at any port")]


def test_one_answer_is_enough_not_to_be_silent() -> None:
    async def scene(scan: Scan) -> None:
        with silent("127.1.0.1") as (quiet, port):
            assert await open_ports(scan, [quiet], [port, 1]) == []

    assert not scan(net(), [CORP], scene, seconds=SOON).said(found.SKIPPED)


def test_ten_thousand_dead_addresses_end_within_the_limits_and_are_drawn_as_there_is_room() -> None:
    drawn = ended = most_drawn = most_open = 0
    opened: set[socket.socket] = set()

    def many() -> Iterator[Address]:
        nonlocal drawn, most_drawn
        for n in range(10_000):
            drawn += 1
            most_drawn = max(most_drawn, drawn - ended)
            yield IPv4Address("10.0.0.0") + n

    with ExitStack() as stack:
        where = stack.enter_context(silent("127.1.0.1"))

        class Counted(diverted([], lambda _: (str(where[0]), where[1]))):  # type: ignore[misc]
            def connect(self, address: Any) -> None:
                nonlocal most_open
                opened.add(self)
                most_open = max(most_open, len(opened))
                super().connect(address)

            def close(self) -> None:
                nonlocal ended
                if self in opened:
                    opened.discard(self)
                    ended += 1
                super().close()

        async def scene(scan: Scan) -> None:
            assert await open_ports(scan, many(), [80], total=10_000) == []

        limits = Limits(sockets=100, per_second=None)
        taken = scan(net(), [CORP], scene, seconds=0.01, make_socket=Counted, limits=limits)
    assert len(taken.said(found.SKIPPED)) == ended == 10_000 and not opened
    assert 50 < most_open <= 100 and most_drawn <= CONNECTS_AT_ONCE + 1


# -- which ports ---------------------------------------------------------------------------


def test_the_lists_have_as_many_ports_as_they_say() -> None:
    small, hundred, thousand = (ports_of(Options(port_scan_type=one)) for one in ("test", "top100", "top1000"))
    assert (len(small), len(hundred), len(thousand)) == (10, 100, 1000)
    assert thousand[:100] == hundred and hundred[:10] == small and set(small) > {80, 443, 22}
    assert len(set(thousand)) == 1000 and all(1 <= one <= 65_535 for one in thousand)


def custom(text: str) -> tuple[int, ...]:
    return ports_of(Options(port_scan_type="custom", port_custom=text))


def test_a_list_of_ones_own_is_read_in_its_order() -> None:
    assert custom("443, 80,8000-8002,80,8001-8003") == (443, 80, 8000, 8001, 8002, 8003)
    assert custom("1-65535") == tuple(range(1, 65_536))


@pytest.mark.parametrize(
    ("text", "wrong"),
    [
        ("", "is empty"),
        (" ", "is empty"),
        ("80,,443", "empty part"),
        ("80,", "empty part"),
        ("0", "'0' is no port"),
        ("65536", "'65536' is no port"),
        ("70000-80000", "'70000-80000' is no port"),
        ("90-80", "'90-80' ends before it begins"),
        ("-80", "'-80' is no port and no range"),
        ("80-", "'80-' is no port and no range"),
        ("1-2-3", "'1-2-3' is no port and no range"),
        ("http", "'http' is no port and no range"),
        ("+80", r"'\+80' is no port"),
        ("٨٠", "is no port and no range"),
        ("8 0", "'8 0' is no port"),
        ("1" * 4097, "more than 4096 characters"),
        ("x" * 4000, "'x{40}' is no port"),
    ],
)
def test_a_list_that_is_not_understood_is_refused_with_what_is_wrong(text: str, wrong: str) -> None:
    with pytest.raises(BadPorts, match=wrong):
        custom(text)


@given(st.lists(st.tuples(st.integers(1, 65_535), st.integers(0, 300)), min_size=1, max_size=50))
def test_ranges_are_what_they_say(ranges: list[tuple[int, int]]) -> None:
    whole = [(low, min(low + more, 65_535)) for low, more in ranges]
    text = ",".join(f"{low}-{high}" if high > low else str(low) for low, high in whole)
    ports = custom(text)
    assert set(ports) == {port for low, high in whole for port in range(low, high + 1)}
    assert len(ports) == len(set(ports))


@given(st.text(alphabet="0123456789-, x", max_size=30))
def test_a_list_is_read_strictly_or_refused(text: str) -> None:
    shape = re.fullmatch(r"( *\d{1,5}(-\d{1,5})? *)(, *\d{1,5}(-\d{1,5})? *)*", text)
    try:
        ports = custom(text)
    except BadPorts:
        return
    assert shape and ports and all(1 <= one <= 65_535 for one in ports)
