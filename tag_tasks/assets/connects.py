"""How many connects one job may make, whichever way it came by what it connects to."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

from tag_tasks.assets.scan import Scan

MOST_CONNECTS = 500_000  # addresses, or names, times ports
T = TypeVar("T")


def bounded(scan: Scan, places: Iterable[T], name: Callable[[T], str] = str) -> Iterator[T]:
    """The first of the places that one phase connects to; that there are more is told once, with the next one."""
    for number, place in enumerate(places):
        if number == MOST_CONNECTS:
            scan.skipped(name(place), f"it and what follows are more than {MOST_CONNECTS} connects")
            return
        yield place
