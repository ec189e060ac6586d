"""`ip_task`, `ip_exec_task` and `fofa_task`: addresses that are named, or that Fofa knows, and what is there."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from ipaddress import ip_address
from typing import Any

from tag_tasks.assets import found
from tag_tasks.assets.addresses import Address, in_order
from tag_tasks.assets.orders import targets_in, whole
from tag_tasks.assets.scan import Scan
from tag_tasks.assets.scanning import Scanning, Tending, Tools, options_of
from tag_tasks.assets.scope import Asked, Use, refusal
from tag_tasks.assets.secrets import masked_url
from tag_tasks.assets.survey import PHASES, Survey
from tag_tasks.assets.targets import Block, Single, addresses_of, size
from tag_tasks.platforms.fofa import FofaAccount, FofaClient, FofaRow
from tagapi.jobs.errors import TaskFailed
from tagapi.jobs.model import Json
from tagapi.jobs.task import TaskContext

NOT_CONFIGURED = "未配置 Fofa 账号：TAGAPI_FOFA__EMAIL, TAGAPI_FOFA__KEY"


class IpTask(Scanning):
    """Arguments: `target`, `options`, `user`."""

    name = "celery_task.ip_task"
    phases = PHASES[2:]

    async def scan(self, scan: Scan, asked: Json) -> None:
        await survey(scan, asked, "ip_task")


class IpMonitor(Tending):
    """Arguments: `scope_id`, `target` or null for all of the scope, `options`, `user`."""

    name = "celery_task.ip_exec_task"
    phases = PHASES[2:]

    async def scan(self, scan: Scan, asked: Json) -> None:
        await survey(scan, asked, "ip_exec_task")


async def survey(scan: Scan, asked: Json, task_type: str) -> None:
    """Of the addresses that are named, or of all that the scopes name."""
    named = asked.get("target")
    targets = whole(task_type, scan.scopes()) if named is None else targets_in(task_type, named)
    addresses = _Addresses([one for one in targets if isinstance(one, Single | Block)])
    await Survey(scan, options_of(asked)).of_addresses(addresses, sum(map(size, addresses.targets)))


class _Addresses:
    """Of targets, one by one, as often as they are asked for."""

    def __init__(self, targets: Sequence[Single | Block]) -> None:
        self.targets = targets

    def __iter__(self) -> Iterator[Address]:
        for target in self.targets:
            yield from addresses_of(target)


class FofaTask(Scanning):
    """Arguments: `query`, `options`, `user`. What Fofa knows of others is listed as refused, and left alone."""

    name = "celery_task.fofa_task"
    phases = ("fofa_search", *PHASES[2:])

    def __init__(self, tools: Tools, account: FofaAccount | None) -> None:
        """Without an account every job fails, and says why."""
        super().__init__(tools)
        self._client = None if account is None else FofaClient(account)

    def prepared(self, context: TaskContext) -> Json:
        """With the rows that Fofa has."""
        if self._client is None:
            raise TaskFailed(reason=NOT_CONFIGURED)
        context.phase("fofa_search")
        return {**context.arguments, "rows": list(self._client.search(context.arguments["query"], context.pause))}

    async def scan(self, scan: Scan, asked: Json) -> None:
        addresses = in_order(_inside(scan, asked["rows"]))
        await Survey(scan, options_of(asked)).of_addresses(addresses, len(addresses))


def _inside(scan: Scan, rows: Sequence[FofaRow]) -> set[Address]:
    """The addresses that lie in the scopes; of all others a finding says that they do not."""
    scopes, inside = scan.scopes(), set[Address]()
    for row in rows:
        what: dict[str, Any] = {"check": found.REFUSED, "severity": "info", "advice": ""}
        try:
            address = ip_address(row.ip)
        except ValueError:
            scan.found(found.finding(where=masked_url(row.host or row.ip), evidence="no address", **what))
            continue
        why = refusal(scopes, Asked(address=address, port=80, use=Use.SCAN))
        if why is None:
            inside.add(address)
        else:
            where = masked_url(f"{row.ip}:{row.port} {row.host}".strip())
            scan.found(found.finding(where=where, evidence=why.value, **what))
    return inside
