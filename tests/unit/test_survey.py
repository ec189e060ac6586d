"""What one phase of a survey teaches the next ones."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Sequence
from ipaddress import ip_address

from tag_tasks.assets.options import Options
from tag_tasks.assets.probes.names import Name
from tag_tasks.assets.scan import Scan
from tag_tasks.assets.survey import Survey
from tests.internet.net import Internet
from tests.internet.sites import page
from tests.unit.outside import Context
from tests.unit.scanning import scan
from tests.unit.test_probe_sites import AT, corp

MANY = 20_000
SOON = 5.0  # seconds: many times what it takes, and a fraction of what it takes where each name looks through all


def test_each_of_many_names_has_the_ports_of_its_own_addresses_soon() -> None:
    at = [ip_address(0x7F010000 + number) for number in range(MANY)]
    names = [Name(f"n{number}.corp.example", (address,), (), "brute") for number, address in enumerate(at)]
    ports: list[Sequence[int]] = []

    async def scene(given: Scan) -> None:
        opened_at = {address: [8000 + number % 7, 9000] for number, address in enumerate(at)}
        opened = [(address, port) for address, held in opened_at.items() for port in held]
        survey = Survey(given, Options(), ["corp.example"], names=names, opened=opened, opened_at=opened_at)
        began = time.monotonic()
        ports.extend(survey.ports_of_name(one) for one in names)
        assert time.monotonic() - began < SOON

    scan(Internet({}, {}, addresses=()), [corp()], scene)
    assert ports == [[80, 443, 8000 + number % 7, 9000] for number in range(MANY)]


def test_where_nothing_is_asked_for_nothing_is_done_and_no_phase_told() -> None:
    told: list[object] = []

    async def scene(given: Scan) -> None:
        await Survey(given, Options()).of_addresses([ip_address(AT)], 1)
        told.append(given.service())

    internet = Internet({}, {}, addresses=())
    assert scan(internet, [corp()], scene).rows == {} and told == [[]] and not internet.accepted


def test_each_phase_tells_how_much_there_is_and_is_not_done_before_it_is() -> None:
    names = ["www.corp.example", "shop.corp.example"]
    net = Internet({name: {"A": [AT]} for name in names}, {name: page(b"<title>x</title>") for name in names})
    told: dict[str | None, list[tuple[int, int]]] = defaultdict(list)

    class Told(Context):
        def progress(self, done: int, total: int) -> None:
            told[self.said[-1][0]].append((done, total))

    async def scene(given: Scan) -> None:
        here = Scan(Told({}), given.guard, lambda: [corp([net.port])], lambda _: True)
        options = Options(domain_brute=True, domain_brute_type="test", site_identify=True)
        await Survey(here, options, ["corp.example"]).of_domains()

    scan(net, [corp()], scene)
    for phase, total in (("domain_brute", 21), ("find_site", 2), ("site_identify", 2)):
        assert told[phase][0] == (0, total) and told[phase][-1] == (total, total), (phase, told[phase])
        assert told[phase] == sorted(told[phase])
