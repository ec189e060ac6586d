"""From names and addresses to what is there: the phases that all work of finding has alike, each where it is asked
for. What one of them finds is what the next ones look at."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import lru_cache

from tag_tasks.assets import found
from tag_tasks.assets.addresses import Address, inside, judged
from tag_tasks.assets.connects import bounded
from tag_tasks.assets.options import Options
from tag_tasks.assets.probes.certificates import Endpoint, certificates
from tag_tasks.assets.probes.identify import identify
from tag_tasks.assets.probes.names import Name, candidates, most_candidates, names_in, resolve, variations
from tag_tasks.assets.probes.ports import open_ports, plain, ports_of
from tag_tasks.assets.probes.scripts import hunt
from tag_tasks.assets.probes.services import services
from tag_tasks.assets.probes.sites import Site, find_sites, tell
from tag_tasks.assets.probes.spider import Crawled, spider
from tag_tasks.assets.scan import Scan
from tag_tasks.assets.scope import SITE_PORTS, below
from tag_tasks.assets.scope_file import ScopeError
from tag_tasks.assets.spelling import Host

PHASES = (
    "domain_brute",
    "alt_dns",
    "port_scan",
    "service_detection",
    "ssl_cert",
    "find_site",
    "site_identify",
    "site_spider",
    "web_info_hunter",
    "page_names",
)
"""In the order in which they are gone through."""
Opened = Sequence[tuple[Address, int]]


@dataclass(slots=True)
class Survey:
    """What is known while the phases go on. To be used on the loop of its scan."""

    scan: Scan
    options: Options
    domains: Sequence[str] = ()
    """Below which names are looked for; none where addresses alone are."""
    names: list[Name] = field(default_factory=list)
    known: set[str] = field(default_factory=set)
    opened: Opened = ()
    opened_at: dict[Address, list[int]] = field(default_factory=dict)
    """The same by address: each of many thousand names looks for its own."""
    sites: list[Site] = field(default_factory=list)

    # -- where it begins -------------------------------------------------------------------

    async def of_domains(self) -> None:
        """Find names below the domains, and what is there."""
        await self.scan.phase("domain_brute")
        await self._resolve(candidates(self.domains, self.options), most_candidates(self.domains, self.options))
        if self.options.alt_dns:
            await self.scan.phase("alt_dns")
            alike = list(variations([one.name for one in self.names], self.domains))
            await self._resolve(alike, len(alike))
        for address, names in self._names_of().items():
            self.scan.found(found.address(address, names=names))
        addresses = list(self._names_of())
        await self._ports(addresses, len(addresses))
        await self.certificates()
        await self._sites_and_more(lambda: self._ports_of_names(self.names))

    async def of_addresses(self, addresses: Iterable[Address], total: int) -> None:
        """Find what is there at these addresses. They are drawn as there is room for them, and again for each phase."""
        again = _Again(addresses)
        await self._ports(again, total)
        await self.certificates()
        if self.options.port_scan:
            await self._sites_and_more(self.opened_at.items)
        else:
            await self._sites_and_more(lambda: ((one, self.site_ports(one)) for one in again))

    # -- phases ----------------------------------------------------------------------------

    async def _resolve(self, candidates: Iterable[tuple[str, str]], total: int | None = None) -> list[Name]:
        new = await resolve(self.scan, candidates, self.known, total=total)
        self.names += new
        return new

    async def _ports(self, addresses: Iterable[Address], total: int) -> None:
        if not self.options.port_scan:
            return
        await self.scan.phase("port_scan")
        self.opened = await open_ports(self.scan, addresses, ports_of(self.options), total=total)
        for address, port in self.opened:
            self.opened_at.setdefault(address, []).append(port)
        if self.options.service_detection:
            await self.scan.phase("service_detection")
            await services(self.scan, self.opened, total=len(self.opened))
        else:
            plain(self.scan, self.opened)

    async def certificates(self) -> None:
        """Which also teach names."""
        if not self.options.ssl_cert:
            return
        await self.scan.phase("ssl_cert")
        endpoints = list(bounded(self.scan, self._endpoints()))
        shown = await certificates(self.scan, endpoints, total=len(endpoints))
        taught = {name for one in shown for name in names_in("\n".join(one.names), self.domains)}
        await self._resolve([(name, "certificate") for name in sorted(taught)], len(taught))

    def _endpoints(self) -> Iterator[Endpoint]:
        for one in self.names:
            for address in one.addresses:
                yield from (Endpoint(one.name, address, port) for port in self.ports_of_name(one) if port != 80)
        if not self.domains:
            yield from (Endpoint(address, address, port) for address, port in self.opened)

    async def _sites_and_more(self, hosts: Callable[[], Iterable[tuple[Host, Sequence[int]]]]) -> None:
        """Hosts with the ports at which they may have sites, as often as they are asked for."""
        if not self.options.sites:
            return
        await self.scan.phase("find_site")
        sites = await find_sites(self.scan, hosts(), total=sum(len(ports) for _, ports in hosts()))
        if self.options.site_identify:
            await self.scan.phase("site_identify")
        await self._identify(sites)
        crawled = await self._spider()
        taught = await self._hunt(crawled)
        if not self.domains:
            return
        for site in self.sites:
            text = site.page.body.decode("utf-8", "replace")
            taught |= await asyncio.to_thread(names_in, text, self.domains)
        if taught - self.known:
            await self.scan.phase("page_names")
            new = await self._resolve([(name, "page") for name in sorted(taught)], len(taught))
            tries = sum(len(ports) for _, ports in self._ports_of_names(new))
            await self._identify(await find_sites(self.scan, self._ports_of_names(new), total=tries))

    async def _identify(self, sites: Sequence[Site]) -> None:
        if self.options.site_identify:
            await identify(self.scan, sites)
        else:
            tell(self.scan, sites)
        self.sites += sites

    async def _spider(self) -> Sequence[Crawled]:
        if not self.options.site_spider:
            return ()
        await self.scan.phase("site_spider")
        return await spider(self.scan, self.sites)

    async def _hunt(self, crawled: Sequence[Crawled]) -> set[str]:
        if not self.options.web_info_hunter:
            return set()
        await self.scan.phase("web_info_hunter")
        return await hunt(self.scan, self.sites, crawled, self.domains)

    # -- what they look at -----------------------------------------------------------------

    def _names_of(self) -> dict[Address, list[str]]:
        names: dict[Address, list[str]] = defaultdict(list)
        for one in self.names:
            for address in one.addresses:
                names[address].append(one.name)
        return names

    def _ports_of_names(self, names: Iterable[Name]) -> Iterator[tuple[Host, Sequence[int]]]:
        return ((one.name, self.ports_of_name(one)) for one in names)

    def ports_of_name(self, one: Name) -> Sequence[int]:
        """At which a site of this name may be: the scope's, and what is open at its addresses."""
        opened = [port for address in one.addresses for port in self.opened_at.get(address, ())]
        ports = self.site_ports(one.name)
        return sorted({*ports, *opened}) if opened else ports

    def site_ports(self, host: Host) -> Sequence[int]:
        """At which the scopes that have this host look for sites."""
        try:
            scopes = self.scan.scopes()
        except ScopeError:  # the guard refuses, and says so
            return _in_order(SITE_PORTS)
        if isinstance(host, str):
            held = [scope.ports for scope in scopes if below(host, scope.domains)]
        else:
            held = [scope.ports for scope in scopes if inside(judged(host), scope.networks)]
        return _in_order(held[0] if len(held) == 1 else frozenset().union(*held) or SITE_PORTS)


@lru_cache(maxsize=64)
def _in_order(ports: frozenset[int]) -> Sequence[int]:
    """Once for the hosts of a scope: it may have all ports, and ten thousand hosts."""
    return tuple(sorted(ports))


class _Again:
    """Addresses that can be drawn more than once, of which none is kept where they can be made anew."""

    def __init__(self, addresses: Iterable[Address]) -> None:
        self._addresses = addresses if iter(addresses) is not addresses else list(addresses)

    def __iter__(self) -> Iterator[Address]:
        return iter(self._addresses)
