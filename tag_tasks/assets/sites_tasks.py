"""`run_risk_cruising`, `add_asset_site_task`, `asset_site_update` and `asset_wih_update`: sites that are named, or that
a scope knows."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime

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
from tag_tasks.assets.targets import Domain, Target, addresses_of
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
        scan.phase("find_site")
        sites = await find_sites(scan, hosts_of(scan, targets_in("run_risk_cruising", asked["target"])))
        tell(scan, sites)
        scan.phase("risk_cruising")
        await check(scan, sites, datetime.now(UTC))


class SiteAdd(Tending):
    """Arguments: `target`, `scope_id`, `user`."""

    name = "celery_task.add_asset_site_task"
    phases = ("find_site", "site_identify")
    kinds = (Kind.SITES,)

    async def scan(self, scan: Scan, asked: Json) -> None:
        named = hosts_of(scan, targets_in("add_asset_site_task", asked["target"]))
        known = await self.known(asked, Kind.SITES)
        there = {(one.host, one.port) for one in urls_of(known)}
        hosts = [(host, [port for port in ports if (host, port) not in there]) for host, ports in named]
        scan.phase("find_site")
        sites = await find_sites(scan, [(host, ports) for host, ports in hosts if ports])
        scan.phase("site_identify")
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
        wanted: dict[Host, set[int]] = {}
        for one in urls_of(known):
            wanted.setdefault(one.host, set()).add(one.port)
        survey = Survey(scan, Options())
        for name in await self.known(asked, Kind.DOMAINS):
            wanted.setdefault(name, set()).update(survey.site_ports(name))
        scan.phase("find_site")
        hosts = [(host, sorted(ports)) for host, ports in wanted.items()]
        sites = await find_sites(scan, hosts, total=sum(map(len, wanted.values())))
        keep_refused(scan, known)
        if len(known) >= FEW and not sites:
            raise TaskFailed(reason=f"{len(known)} 个已知站点均无应答：可能是本机网络故障，资产未作更改")
        scan.phase("site_identify")
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
        scan.phase("find_site")
        sites = await find_sites(scan, [(one.host, [one.port]) for one in urls_of(known)])
        scan.phase("web_info_hunter")
        domains = [name for scope in scan.scopes() for name in scope.domains]
        await hunt(scan, sites, [], domains)


def hosts_of(scan: Scan, targets: Iterable[Target]) -> Hosts:
    """Where sites may be: at the port of a URL, and at the scopes' ports of a name or an address."""
    survey, wanted = Survey(scan, Options()), dict[Host, dict[int, None]]()
    for target in targets:
        if isinstance(target, Url):
            wanted.setdefault(target.host, {})[target.port] = None
            continue
        hosts: Iterable[Host] = [target.name] if isinstance(target, Domain) else addresses_of(target)
        for host in hosts:
            wanted.setdefault(host, {}).update(dict.fromkeys(survey.site_ports(host)))
    return [(host, list(ports)) for host, ports in wanted.items()]


def urls_of(keys: Iterable[str]) -> Sequence[Url]:
    """Of the keys of sites."""
    urls = []
    for key in keys:
        try:
            urls.append(url(key))
        except Misspelt:  # stored by an earlier release, which read it otherwise
            continue
    return urls
