"""The certificates that are shown in TLS handshakes, whatever they are worth."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from tag_tasks.assets import found
from tag_tasks.assets.addresses import Address
from tag_tasks.assets.probes.reading import Certificate, certificate_of
from tag_tasks.assets.refused import NoTls
from tag_tasks.assets.scan import Scan
from tag_tasks.assets.scope import Asked, Use
from tag_tasks.assets.spelling import Host, written

BROKEN = "certificate_broken"
"""The check of a certificate that cannot be read, or not wholly."""
MOST_LEARNT = 100_000  # names, in what is answered with: rows go on after it


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where a certificate may be shown, and to whom: a server may have one for each name."""

    host: Host
    """The name that is asked for, or the address."""
    address: Address
    port: int

    def __str__(self) -> str:
        return f"{written(self.host)}:{self.port}"


async def certificates(scan: Scan, endpoints: Iterable[Endpoint], *, total: int | None = None) -> list[Certificate]:
    """What is shown at each; whoever speaks no TLS shows nothing. The names in them are for whoever looks for names."""
    shown: dict[str, Certificate] = {}
    learnt = 0

    async def shake(endpoint: Endpoint) -> None:
        nonlocal learnt
        name = endpoint.host if isinstance(endpoint.host, str) else None
        asked = Asked(address=endpoint.address, port=endpoint.port, use=Use.VISIT, name=name)
        try:
            async with scan.guard.connection(asked, tls=True) as made:
                der, tls = made.certificate, made.tls
        except NoTls:
            return
        if der is None:
            scan.skipped(str(endpoint), "no certificate was shown")
            return
        read = certificate_of(der)
        if read.sha256 not in shown and learnt < MOST_LEARNT:
            shown[read.sha256] = read
            learnt += len(read.names)
        _tell(scan, endpoint, read, tls)

    await scan.each(endpoints, shake, total=total)
    return list(shown.values())


def _tell(scan: Scan, endpoint: Endpoint, read: Certificate, tls: str | None) -> None:
    where = str(endpoint)
    facts = {"address": str(endpoint.address), "tls": tls, **read.facts()}
    scan.found(found.certificate(where, read.sha256, **facts))
    if read.broken:
        advice = "Have a new certificate issued: clients may refuse this one, each for reasons of its own."
        scan.found(found.finding(BROKEN, where, "medium", f"not readable: {', '.join(read.broken)}", advice))
