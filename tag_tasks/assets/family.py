"""What the family of assets can do, and what can be read of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from tag_tasks.assets.addresses_tasks import FofaTask, IpMonitor, IpTask
from tag_tasks.assets.domains_tasks import DomainMonitor, DomainTask
from tag_tasks.assets.leaks import GitHubMonitor, GitHubSearch
from tag_tasks.assets.orders import AssetOrders
from tag_tasks.assets.reader import AssetReader
from tag_tasks.assets.results import FoundFiles
from tag_tasks.assets.scanning import Tools
from tag_tasks.assets.sites_tasks import RiskTask, SiteAdd, SiteUpdate, WihUpdate
from tag_tasks.assets.store import AssetStore
from tag_tasks.assets.sync import SyncTask
from tag_tasks.means import Means
from tagapi.jobs.task import Task

FOFA, GITHUB = "TAGAPI_FOFA__EMAIL, TAGAPI_FOFA__KEY", "TAGAPI_GITHUB__TOKEN"
"""The settings without which nothing is asked there."""


def tasks(means: Means) -> Sequence[Task]:
    files, store = FoundFiles(means.results), AssetStore(means.spark, means.assets)
    tools = Tools(guarding=means.guarding, files=files, table=means.assets, store=store)
    return [
        *(kind(tools) for kind in (DomainTask, DomainMonitor, IpTask, IpMonitor)),
        *(kind(tools) for kind in (RiskTask, SiteAdd, SiteUpdate, WihUpdate)),
        FofaTask(tools, means.fofa),
        SyncTask(files, means.assets, store, means.guarding.scope_file.scopes),
        GitHubSearch(means.github, files),
        GitHubMonitor(means.github, files, means.assets, store),
    ]


def reader(means: Means, at_once: int) -> AssetReader:
    """`at_once` is how many reads may be under way."""
    return AssetReader(FoundFiles(means.results), means.assets, at_once)


def orders(means: Means) -> AssetOrders:
    missing: Mapping[str, str] = {
        **({} if means.fofa else {"fofa_task": FOFA}),
        **({} if means.github else {"github_task_task": GITHUB, "github_task_monitor": GITHUB}),
    }
    return AssetOrders(means.guarding, missing)
