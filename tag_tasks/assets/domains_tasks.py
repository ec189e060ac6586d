"""`domain_task` and `domain_exec_task`: names below domains, and what is there."""

from __future__ import annotations

from tag_tasks.assets.orders import targets_in, whole
from tag_tasks.assets.scan import Scan
from tag_tasks.assets.scanning import Scanning, Tending, options_of
from tag_tasks.assets.survey import PHASES, Survey
from tag_tasks.assets.targets import Domain
from tagapi.jobs.model import Json


class DomainTask(Scanning):
    """Arguments: `target`, `options`, `user`."""

    name = "celery_task.domain_task"
    phases = PHASES

    async def scan(self, scan: Scan, asked: Json) -> None:
        await survey(scan, asked, "domain_task")


class DomainMonitor(Tending):
    """Arguments: `scope_id`, `target` or null for all of the scope, `options`, `user`."""

    name = "celery_task.domain_exec_task"
    phases = PHASES

    async def scan(self, scan: Scan, asked: Json) -> None:
        await survey(scan, asked, "domain_exec_task")


async def survey(scan: Scan, asked: Json, task_type: str) -> None:
    """Of the domains that are named, or of all that the scopes name."""
    named = asked.get("target")
    targets = whole(task_type, scan.scopes()) if named is None else targets_in(task_type, named)
    domains = [one.name for one in targets if isinstance(one, Domain)]
    await Survey(scan, options_of(asked), domains).of_domains()
