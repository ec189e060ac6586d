"""Wildcards: below some names every name there is exists, and one that was guessed says nothing."""

from __future__ import annotations

import asyncio
import secrets
from dataclasses import dataclass, field

from tag_tasks.assets.addresses import Address
from tag_tasks.assets.guard import Resolved
from tag_tasks.assets.refused import NotReached, Refused
from tag_tasks.assets.scan import Scan

LABELS = 3  # that are made up, and asked for below each parent
MOST_LABELS = 12  # where the answers change: a wildcard may lead to many machines in turn


@dataclass(slots=True)
class _Wildcard:
    """What the made-up names below a parent lead to; nothing, where they do not exist."""

    addresses: set[Address] = field(default_factory=set)
    asked: int = 0
    silent: int = 0
    turn: asyncio.Lock = field(default_factory=asyncio.Lock)


class Wildcards:
    """What wildcards answer, found out once for each parent. To be used on one loop.

    The parent alone is asked about: where it does not exist, a wildcard further up answers to what is below it, too.
    """

    def __init__(self, scan: Scan) -> None:
        self._scan = scan
        self._known: dict[str, _Wildcard] = {}

    async def explain(self, name: Resolved) -> bool:
        """Whether a wildcard alone may be why this name leads where it does. An answer that was not seen yet is asked
        for more often, and taken for a host's own in the end."""
        parent = name.name.partition(".")[2]
        wildcard = self._known.setdefault(parent, _Wildcard())
        async with wildcard.turn:
            if not wildcard.asked:
                await self._ask(parent, wildcard, LABELS)
            while not wildcard.addresses.issuperset(name.addresses):
                if not wildcard.addresses or wildcard.asked >= MOST_LABELS:
                    return False
                await self._ask(parent, wildcard, 1)
        return True

    async def _ask(self, parent: str, wildcard: _Wildcard, labels: int) -> None:
        for _ in range(labels):
            wildcard.asked += 1
            try:
                wildcard.addresses.update(
                    (await self._scan.guard.resolve(f"x{secrets.token_hex(8)}.{parent}")).addresses
                )
            except Refused:
                return  # it leads over a name that is excluded, and so do the guesses
            except NotReached:
                wildcard.silent += 1
        if wildcard.silent == wildcard.asked == LABELS:
            self._scan.skipped(f"*.{parent}", "no answer to whether every name exists there")
