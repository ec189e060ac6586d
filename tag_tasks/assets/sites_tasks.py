"""`run_risk_cruising`, `add_asset_site_task`, `asset_site_update` and `asset_wih_update`: sites that are named, or that
a scope knows."""

from __future__ import annotations

import asyncio
import json
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from itertools import chain

from tag_tasks.assets.connects import MOST_CONNECTS
from tag_tasks.assets.found import Found, Kind
from tag_tasks.assets.known import GONE
from tag_tasks.assets.options import Options
from tag_tasks.assets.orders import targets_in
from tag_tasks.assets.probes.identify import identify
from tag_tasks.assets.probes.risks import check
from tag_tasks.assets.probes.scripts import hunt
from tag_tasks.assets.probes.sites import find_sites, tell
from tag_tasks.assets.scan import Scan
from tag_tasks.assets.scanning import Scanning, Tending
from tag_tasks.assets.spelling import Host, Misspelt, written
from tag_tasks.assets.survey import Survey
from tag_tasks.assets.table import Place
from tag_tasks.assets.targets import Block, Domain, Target, addresses_of
from tag_tasks.assets.urls import PORTS, Url, url
from tagapi.jobs.errors import TaskFailed
from tagapi.jobs.model import Json

FEW = 3  # known sites: where these do not answer, that says nothing of our own network

Hosts = Sequence[tuple[Host, Sequence[int]]]


class RiskTask(Scanning):
    """Arguments: `target`, `user`."""

    name = "celery_task.run_risk_cruising"
    phases = ("find_site", "risk_cruising")

    async def scan(self, scan: Scan, asked: Json) -> None:
        await scan.phase("find_site")
        targets = targets_in("run_risk_cruising", asked["target"])
        sites = await find_sites(scan, hosts_of(scan, targets), named=named_in(targets))
        tell(scan, sites)
        await scan.phase("risk_cruising")
        await check(scan, sites, datetime.now(UTC))


class SiteAdd(Tending):
    """Arguments: `target`, `scope_id`, `user`."""

    name = "celery_task.add_asset_site_task"
    phases = ("find_site", "site_identify")
    kinds = (Kind.SITES,)

    async def scan(self, scan: Scan, asked: Json) -> None:
        targets = targets_in("add_asset_site_task", asked["target"])
        known = await self.known(asked, Kind.SITES)
        await scan.phase("find_site")
        new = list(_without(hosts_of(scan, targets), urls_of(known)))
        sites = await find_sites(scan, new, named=named_in(targets))
        await scan.phase("site_identify")
        await identify(scan, sites)

    async def known(self, asked: Json, kind: Kind) -> Collection[str]:
        """The keys of a kind that the scope has already."""
        place = Place(kind, asked["scope_id"])
        return await asyncio.to_thread(lambda: set(self.tools.table.keys(place)))


class SiteUpdate(SiteAdd):
    """Arguments: `scope_id`, `user`. Known sites are fetched again, and sites are looked for at known names."""

    name = "celery_task.asset_site_update"
    changed = True
    gone = (Kind.SITES,)

    async def scan(self, scan: Scan, asked: Json) -> None:
        known = await asyncio.to_thread(self.known_facts, asked["scope_id"])
        if len(known) > MOST_CONNECTS:  # those that are not looked at would be told as gone
            raise TaskFailed(reason=f"已知站点 {len(known)} 个，超过一次任务的上限 {MOST_CONNECTS}")
        at = urls_of(known)
        survey, names = Survey(scan, Options()), await self.known(asked, Kind.DOMAINS)
        new = _without(((name, survey.site_ports(name)) for name in names), at)
        await scan.phase("find_site")
        sites = await find_sites(scan, [(one.host, [one.port]) for one in at])
        sites += await find_sites(scan, new)
        keep_refused(scan, known)
        if len(known) >= FEW and not sites:
            raise TaskFailed(reason=f"{len(known)} 个已知站点均无应答：可能是本机网络故障，资产未作更改")
        await scan.phase("site_identify")
        await identify(scan, sites)

    def known_facts(self, scope_id: str) -> Mapping[str, str]:
        """Of the scope's sites, as JSON by key."""
        table, place = self.tools.table, Place(Kind.SITES, scope_id)
        rows = (group.to_pylist() for group in table.groups(table.at([place]).files[place], ["key", "facts"]))
        return {row["key"]: row["facts"] for group in rows for row in group}


def keep_refused(scan: Scan, known: Mapping[str, str]) -> None:
    """Sites that the scope does not allow to look at any more stay as they are known: nothing is said of them."""
    for key, facts in known.items():
        if facts.startswith(GONE):  # said again, they would be there anew
            continue
        for one in urls_of([key]):
            tried = {str(replace(one, scheme=scheme)) for scheme in PORTS}
            if any(what in scan.refused for what in (written(one.host), *tried)):
                scan.found(Found(kind=Kind.SITES, key=key, facts=json.loads(facts)))


class WihUpdate(SiteAdd):
    """Arguments: `scope_id`, `user`."""

    name = "celery_task.asset_wih_update"
    phases = ("find_site", "web_info_hunter")
    kinds = (Kind.WIH,)

    async def scan(self, scan: Scan, asked: Json) -> None:
        known = await self.known(asked, Kind.SITES)
        await scan.phase("find_site")
        sites = await find_sites(scan, [(one.host, [one.port]) for one in urls_of(known)])
        await scan.phase("web_info_hunter")
        domains = [name for scope in scan.scopes() for name in scope.domains]
        await hunt(scan, sites, [], domains)


def hosts_of(scan: Scan, targets: Iterable[Target]) -> Hosts:
    """Where sites may be: at the port of a URL, and at the scopes' ports of a name or an address."""
    survey = Survey(scan, Options())

    def places() -> Iterator[tuple[Host, Sequence[int]]]:
        for target in targets:
            if isinstance(target, Url):
                yield target.host, [target.port]
            elif isinstance(target, Domain):
                yield target.name, survey.site_ports(target.name)
            else:
                yield from ((host, survey.site_ports(host)) for host in addresses_of(target))

    return _together(places())


def _without(
    places: Iterable[tuple[Host, Sequence[int]]], known: Iterable[Url]
) -> Iterator[tuple[Host, Sequence[int]]]:
    """Those places at which no site is known."""
    there: dict[Host, set[int]] = defaultdict(set)
    for one in known:
        there[one.host].add(one.port)
    for host, ports in places:
        yield host, [port for port in ports if port not in there[host]] if host in there else ports


def _together(places: Iterable[tuple[Host, Sequence[int]]]) -> Hosts:
    """Each host once. The ports of one that comes once are not copied: they may be all ports, of many thousand."""
    at: dict[Host, list[Sequence[int]]] = defaultdict(list)
    for host, ports in places:
        at[host].append(ports)
    return [(host, held[0] if len(held) == 1 else sorted({*chain(*held)})) for host, held in at.items()]


def named_in(targets: Iterable[Target]) -> set[Host]:
    """The hosts that are named one by one: of those of a network, nobody knows which ones there are."""
    named = set[Host]()
    for target in targets:
        if isinstance(target, Url):
            named.add(target.host)
        elif not isinstance(target, Block):
            named.add(target.name if isinstance(target, Domain) else target.address)
    return named


def urls_of(keys: Iterable[str]) -> Sequence[Url]:
    """Of the keys of sites."""
    urls = []
    for key in keys:
        try:
            urls.append(url(key))
        except Misspelt:  # stored by an earlier release, which read it otherwise
            continue
    return urls
