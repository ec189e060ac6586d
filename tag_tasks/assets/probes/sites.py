"""Which sites there are: what answers to a GET of `/`, by scheme, host and port."""

from __future__ import annotations

from collections.abc import Container, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from tag_tasks.assets import found
from tag_tasks.assets.addresses import Address
from tag_tasks.assets.connects import bounded
from tag_tasks.assets.guard.pages import Page
from tag_tasks.assets.probes import shown
from tag_tasks.assets.probes.html import same_site
from tag_tasks.assets.refused import NotReached, Refused
from tag_tasks.assets.scan import Scan
from tag_tasks.assets.spelling import Host, written
from tag_tasks.assets.urls import PORTS, Url

MOST_SITES = 20_000  # in what is answered with: rows go on after it
MOST_KEPT = 128 * 1024 * 1024  # bytes of the pages of all sites together
AT_LEAST = 4096  # bytes of a page that are kept then: titles are at the beginning
MOST_TOLD = 5  # ports of a host that do not answer
WRONG_SCHEME = (
    b"plain HTTP request was sent to HTTPS port",
    b"speaking plain HTTP to an SSL-enabled server port",
    b"sent an HTTP request to an HTTPS server",
    b"requires TLS",
)
"""What servers say to HTTP at a port of HTTPS."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Site:
    """Something that answers."""

    url: str
    """As `scheme://host[:port]/`."""
    host: Host
    address: Address
    """That the page came from."""
    port: int
    page: Page
    """The first page, behind redirects within the site. The bodies of all sites together have a bound."""
    redirects_to: str | None = None
    """The first URL outside of the site, where it leads there: then `page` is what redirects."""


@dataclass(slots=True)
class _Looked:
    """What became of the tries at one host."""

    host: Host
    named: bool
    left: int
    lost: int = 0
    """Tries that had no answer in time or, of a host that is named, no site."""
    silent: list[int] = field(default_factory=list)
    """The ports of those without an answer in time."""
    reason: str = ""

    def take(self, error: NotReached, port: int) -> None:
        late = _silent(error, self.host)
        self.lost += late or self.named
        if late:
            self.silent.append(port)
        if late or not self.silent:
            self.reason = str(error.facts["reason"])

    def tell(self, scan: Scan, tried: int) -> None:
        if self.left or not (self.silent or self.lost == tried):
            return
        at = "" if self.lost == tried else f" at {_some(sorted(self.silent))}"
        scan.skipped(written(self.host), f"{self.reason}{at}")


def _some(ports: Sequence[int]) -> str:
    shown = ", ".join(map(str, ports[:MOST_TOLD]))
    return f"port {shown}" if len(ports) <= MOST_TOLD else f"port {shown} and {len(ports) - MOST_TOLD} more"


@dataclass(slots=True)
class _Sites:
    """What was found, and how much more of it is kept."""

    by_url: dict[str, Site] = field(default_factory=dict)
    room: int = MOST_KEPT

    def take(self, site: Site) -> bool:
        """Whether it was kept."""
        if site.url in self.by_url:
            return True
        if len(self.by_url) >= MOST_SITES:
            return False
        most = max(AT_LEAST, self.room)
        page = replace(site.page, body=site.page.body[:most], cut=site.page.cut or len(site.page.body) > most)
        self.room -= len(page.body)
        self.by_url[site.url] = replace(site, page=page)
        return True


async def find_sites(
    scan: Scan,
    hosts: Iterable[tuple[Host, Sequence[int]]],
    *,
    total: int | None = None,
    named: Container[Host] = (),
) -> list[Site]:
    """The sites at these hosts, looked for at these ports of each. `total` is the number of all of those together; of a
    list of hosts they are counted here.

    What refuses is no site; where there is no answer in time, there may be one, and it is told. Of hosts that are
    `named`, since somebody asked for them, it is told whatever kept them from having one. Rows are left to `tell` or
    `identify`.
    """
    sites = _Sites()

    async def look(at: tuple[_Looked, int, int]) -> None:
        looked, port, tried = at
        try:
            site = await _site(scan, looked.host, port)
        except NotReached as error:
            looked.take(error, port)
        else:
            if site is not None and not sites.take(site):
                tell(scan, [site])
        finally:
            looked.left -= 1
            looked.tell(scan, tried)

    if total is None and isinstance(hosts, Sequence):
        total = sum(len(ports) for _, ports in hosts)
    tries = bounded(scan, _tries(hosts, named), lambda at: written(at[0].host))
    await scan.each(tries, look, total=total)
    return list(sites.by_url.values())


def _tries(hosts: Iterable[tuple[Host, Sequence[int]]], named: Container[Host]) -> Iterator[tuple[_Looked, int, int]]:
    for host, ports in hosts:
        looked = _Looked(host, host in named, len(ports))
        yield from ((looked, port, len(ports)) for port in ports)


def _silent(error: NotReached, host: Host) -> bool:
    """Whether there was no answer in time: from no server, or, for the host's name, from no name server."""
    return isinstance(error.__cause__, TimeoutError) or error.facts["what"] == host


async def _site(scan: Scan, host: Host, port: int) -> Site | None:
    """The site at a port, of whichever scheme. Raises Refused and NotReached."""
    usual = [scheme for scheme, its in PORTS.items() if its == port]
    lost: NotReached | None = None
    for scheme in usual or ("https", "http"):
        try:
            site = await _answering(scan, Url(scheme, host, port, "/"))
        except NotReached as error:
            lost = error if lost is None or _silent(error, host) else lost
        else:
            return None if _of_another_scheme(site.page) else site
    raise lost or NotReached(what=str(host), reason="there is no scheme to try")


def _of_another_scheme(page: Page) -> bool:
    return page.status in (400, 426) and any(one in page.body[:AT_LEAST] for one in WRONG_SCHEME)


async def _answering(scan: Scan, where: Url) -> Site:
    """Raises Refused and NotReached where the first page is not there; where it leads to is looked at for its sake."""
    url = str(where)
    first = await scan.guard.fetch(url, redirects=0)
    site = Site(url=url, host=where.host, address=first.address, port=where.port, page=first)
    if first.leads_to is None:
        return site
    try:
        last = await scan.guard.fetch(first.leads_to)
        way = [*last.passed, last.url]
    except Refused as error:
        passed: Sequence[Page] = error.facts["passed"]
        last = first
        way = [first.leads_to, *(one.leads_to or "" for one in passed)]
    except NotReached:  # the way ends nowhere, or in itself
        last = first
        way = [first.leads_to]
    outside = next((one for one in way if not same_site(one, url)), None)
    return replace(site, page=last if outside is None else first, redirects_to=outside)


def tell(scan: Scan, sites: Iterable[Site], **facts: Any) -> None:
    """A row for each: that it answers, and how. Not from which address: a name with several would change each time."""
    for site in sites:
        redirects_to = site.redirects_to and shown.link(site.redirects_to)
        about = {"status": site.page.status, "redirects_to": redirects_to, **facts}
        scan.found(found.site(site.url, **{name: value for name, value in about.items() if value is not None}))
