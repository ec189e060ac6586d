"""Which ports are open: a connect to each, and nothing said."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from tag_tasks.assets import found
from tag_tasks.assets.addresses import Address
from tag_tasks.assets.connects import MOST_CONNECTS
from tag_tasks.assets.guard import Port
from tag_tasks.assets.options import Options
from tag_tasks.assets.probes.common_ports import TEST, TOP100, TOP1000
from tag_tasks.assets.refused import Refused
from tag_tasks.assets.scan import Scan
from tag_tasks.assets.scope import Why

CONNECTS_AT_ONCE = 256  # of one job
PER_ADDRESS_AT_ONCE = 8  # so that those of an address that says nothing leave room for many others
LAST = 65_535
MOST_TEXT = 4096  # characters of a custom list
SHOWN = 40  # characters of what is wrong with it
PART = re.compile(r"([0-9]{1,5})(?:-([0-9]{1,5}))?")
LISTS = {"test": TEST, "top100": TOP100, "top1000": TOP1000}


class BadPorts(ValueError):
    """A list of ports that is not understood. The message says what is wrong with it."""


def ports_of(options: Options) -> tuple[int, ...]:
    """The ports that are looked at, each once, in order. Raises BadPorts."""
    known = LISTS.get(options.port_scan_type)
    return custom(options.port_custom) if known is None else known


def custom(text: str) -> tuple[int, ...]:
    """The ports of a list such as `80,443,8000-8010`. Raises BadPorts."""
    if len(text) > MOST_TEXT:
        raise BadPorts(f"the list of ports has more than {MOST_TEXT} characters")
    if not text.strip():
        raise BadPorts("the list of ports is empty")
    ports: dict[int, None] = {}
    for part in text.split(","):
        ports.update(dict.fromkeys(_range(part.strip())))
    return tuple(ports)


def _range(part: str) -> range:
    if not part:
        raise BadPorts("the list of ports has an empty part: there is a comma too many")
    if not (numbers := PART.fullmatch(part)):
        raise BadPorts(f"{part[:SHOWN]!r} is no port and no range, such as 8000-8010")
    low, high = int(numbers[1]), int(numbers[2] or numbers[1])
    if not (1 <= low <= LAST and 1 <= high <= LAST):
        raise BadPorts(f"{part!r} is no port: they go from 1 to {LAST}")
    if low > high:
        raise BadPorts(f"{part!r} ends before it begins")
    return range(low, high + 1)


@dataclass(slots=True)
class _Look:
    """What is known of an address while its ports are looked at."""

    answered: bool = False
    refused: bool = False
    cut: bool = False
    """There may be no more connects, and it has ports that were not looked at."""


@dataclass(slots=True)
class _Left:
    """What a job may do yet."""

    connects: int


async def open_ports(
    scan: Scan, addresses: Iterable[Address], ports: Sequence[int], *, total: int | None = None
) -> list[tuple[Address, int]]:
    """What is open, in order. `total` is the number of addresses, which are drawn as there is room for them.

    An address that is refused is so once, for all its ports; one at which nobody answered at any port is skipped, as
    is one that would be too many: which ones there are may be known only now.
    """
    opened: list[tuple[Address, int]] = []
    left = _Left(MOST_CONNECTS)

    async def look(address: Address) -> None:
        seen = _Look()

        async def knock(port: int) -> None:
            try:
                answer = await scan.guard.port(address, port)
            except Refused as error:
                left.connects += 1  # there was none
                seen.refused = seen.refused or error.refusal.why is not Why.OWN  # which is true of one port alone
                raise
            seen.answered = seen.answered or answer is not Port.SILENT
            if answer is Port.OPEN:
                opened.append((address, port))

        await scan.each(_allowed(ports, seen, left), knock, at_once=per_address)
        if seen.cut:
            scan.skipped(str(address), f"more than {MOST_CONNECTS} ports of all addresses")
        elif not seen.answered and not seen.refused:
            scan.skipped(str(address), "no answer at any port")

    per_address = max(1, min(len(ports), PER_ADDRESS_AT_ONCE))
    connects = None if total is None else total * len(ports)
    await scan.each(addresses, look, total=connects, at_once=CONNECTS_AT_ONCE // per_address, counted=False)
    return sorted(opened, key=lambda one: (one[0].version, int(one[0]), one[1]))


def _allowed(ports: Sequence[int], seen: _Look, left: _Left) -> Iterator[int]:
    """Until the address is refused, or there may be no more connects."""
    for port in ports:
        seen.cut = not left.connects
        if seen.refused or seen.cut:
            return
        left.connects -= 1
        yield port


def plain(scan: Scan, opened: Iterable[tuple[Address, int]]) -> None:
    """Tell that these are open, where nobody asks what speaks there."""
    for address, port in opened:
        scan.found(found.address(address, port))
