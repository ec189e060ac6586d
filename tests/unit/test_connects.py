"""A job connects to so much and no more, wherever it has it from; what is left out is told."""

from __future__ import annotations

import tracemalloc

import pytest

from tag_tasks.assets.options import Options
from tag_tasks.assets.probes.names import Name
from tag_tasks.assets.probes.sites import find_sites
from tag_tasks.assets.scan import Scan
from tag_tasks.assets.sites_tasks import hosts_of
from tag_tasks.assets.survey import Survey
from tag_tasks.assets.targets import targets
from tests.internet.diverted import Connects, diverted
from tests.internet.net import Internet
from tests.unit.scanning import scan
from tests.unit.test_probe_sites import corp

EVERY_PORT = range(1, 65_536)


def test_sites_are_looked_for_at_so_many_ports_of_all_hosts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tag_tasks.assets.connects.MOST_CONNECTS", 5)
    connects: Connects = []

    async def scene(given: Scan) -> None:
        hosts = hosts_of(given, targets("127.1.0.0/30"))
        assert await find_sites(given, hosts) == []

    divert = diverted(connects, lambda port: ("127.1.0.1", 1))
    taken = scan(Internet({}, {}, addresses=()), [corp([80, 443])], scene, make_socket=divert)
    assert len(connects) == 5
    assert taken.said("skipped") == [("127.1.0.2", "it and what follows are more than 5 connects")]


def test_certificates_are_looked_for_at_so_many_ports_of_all_names(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tag_tasks.assets.connects.MOST_CONNECTS", 5)
    connects: Connects = []
    net = Internet({f"n{n}.corp.example": {"A": ["127.1.0.1"]} for n in range(4)}, {}, addresses=())

    async def scene(given: Scan) -> None:
        names = [Name(f"n{n}.corp.example", (next(iter(corp().networks))[1],), (), "given") for n in range(4)]
        survey = Survey(given, Options(ssl_cert=True), ["corp.example"], names=names)
        await survey.certificates()

    taken = scan(net, [corp([8443, 9443])], scene, make_socket=diverted(connects, lambda port: ("127.1.0.1", 1)))
    assert len(connects) == 5
    assert ("n2.corp.example:9443", "it and what follows are more than 5 connects") in taken.said("skipped")


def test_ten_thousand_hosts_of_a_scope_with_every_port_take_the_room_of_one() -> None:
    async def scene(given: Scan) -> None:
        tracemalloc.start()
        try:
            hosts = hosts_of(given, targets("127.1.0.0/19 http://127.1.0.1:8080/ https://127.1.0.2/", urls=True))
            assert tracemalloc.get_traced_memory()[1] < 50_000_000
        finally:
            tracemalloc.stop()
        assert len(hosts) == 8192 and {len(ports) for _, ports in hosts} == {len(EVERY_PORT)}

    scan(Internet({}, {}, addresses=()), [corp(EVERY_PORT)], scene)
