"""A scan before a small internet: what the probes see of an attempt, without a job."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from tag_tasks.assets import found
from tag_tasks.assets.found import Found, Kind
from tag_tasks.assets.guard import Guard
from tag_tasks.assets.guard.names import Names
from tag_tasks.assets.limits import Limits
from tag_tasks.assets.scan import Scan
from tag_tasks.assets.scope import Scope
from tests.internet.net import Internet
from tests.unit.fakes import PATIENCE
from tests.unit.outside import Context


@dataclass
class Taken:
    """What a scan has found, each thing once."""

    rows: dict[tuple[Kind, str], Found] = field(default_factory=dict)

    def take(self, row: Found) -> bool:
        known = len(self.rows)
        self.rows.setdefault((row.kind, row.key), row)
        return len(self.rows) > known

    def of(self, kind: Kind) -> list[dict[str, Any]]:
        """The facts of a kind by key; of findings those alone that say what was done."""
        rows = [row for row in self.rows.values() if row.kind is kind]
        told = [dict(row.facts) for row in sorted(rows, key=lambda row: row.key)]
        return [facts for facts in told if facts.get("check") not in (found.REFUSED, found.SKIPPED)]

    def said(self, check: str) -> list[tuple[str, str]]:
        """Where and why something was refused, or skipped."""
        rows = (row.facts for row in self.rows.values() if row.kind is Kind.FINDINGS)
        return sorted((facts["where"], facts["evidence"]) for facts in rows if facts["check"] == check)


def scan(net: Internet, scopes: Sequence[Scope], scene: Callable[[Scan], Awaitable[Any]], **guard: Any) -> Taken:
    """Play a scene on an internet, inside of these scopes; answers with what was found."""
    taken = Taken()

    async def play() -> None:
        async with net:
            more: dict[str, Any] = {"limits": Limits(per_second=None), **guard}
            opened = Guard(
                scopes=lambda: scopes,
                record=lambda told: taken.take(found.refusal(told)) and None,
                names=Names(net.servers),
                **more,
            )
            async with opened:
                await scene(Scan(Context({}), opened, lambda: scopes, taken.take))

    asyncio.run(asyncio.wait_for(play(), 4 * PATIENCE))
    return taken
