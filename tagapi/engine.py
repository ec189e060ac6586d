"""What runs attempts, the same in the service and in a worker of Celery: means, tasks, the registry and a runner.

Nothing of it runs yet, and nothing of Spark, Delta or the registry exists before `build_engine`: threads and delta-rs
do not survive a fork.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import timedelta
from pathlib import Path
from typing import Any

from tag_tasks import every_task
from tag_tasks.assets.guard.names import servers_of
from tag_tasks.assets.guarding import Guarding
from tag_tasks.assets.limits import Limits
from tag_tasks.assets.scope import Own
from tag_tasks.assets.scope_file import ScopeFile
from tag_tasks.assets.table import AssetTable
from tag_tasks.audiences.sent import SentTable
from tag_tasks.datasets.cleaned import CleanedTables
from tag_tasks.datasets.results import ResultFolder
from tag_tasks.documents.collectors import CollectorTable
from tag_tasks.folders import folder_at
from tag_tasks.means import KNOWN_SOURCES, Means
from tag_tasks.platforms.fofa import FofaAccount
from tag_tasks.platforms.github import GitHubAccount
from tag_tasks.platforms.google import GoogleAccount
from tag_tasks.platforms.meta import MetaAccount
from tag_tasks.segments.assigned import SegmentTable
from tag_tasks.segments.models import ModelTable
from tag_tasks.spark.endpoint import spark_endpoint
from tag_tasks.spark.session import Spark
from tag_tasks.spark.sources import Source, Sources
from tag_tasks.tags.table import MembershipTable
from tagapi.jobs.model import DEFAULT_LANE
from tagapi.jobs.registry import JobRegistry
from tagapi.jobs.runner import JobRunner, RunnerLimits
from tagapi.jobs.task import Task
from tagapi.own import own_sockets
from tagapi.registries import open_registry
from tagapi.settings import Assets, Data, Fofa, GitHub, Google, Jobs, Meta, Settings

RENEWALS = 6  # of a lease before it lapses: five may be missed


@dataclass(frozen=True, slots=True)
class Engine:
    means: Means
    tasks: Mapping[str, Task]
    registry: JobRegistry
    runner: JobRunner
    lanes: Mapping[str, int]
    """Attempts at once in this process, by lane."""


def build_engine(settings: Settings, worker: str, listening: Sequence[tuple[str, int]] = ()) -> Engine:
    """`worker` names the process; `listening` says at which addresses and ports the service can be reached."""
    means = _means(settings, listening)
    tasks = every_task(means)
    registry = open_registry(settings.registry.url)
    runner = JobRunner(registry, tasks, worker, _limits(settings.jobs), on_stuck=means.spark.restart)
    return Engine(means, tasks, registry, runner, lanes_of(settings.jobs))


def sources_of(data: Data) -> Sources:
    """Every table that the work reads, and whatever else is configured."""
    tables = {name: data.source(name) for name in KNOWN_SOURCES.keys() | data.sources.keys()}
    return Sources({name: Source(table.path, table.format) for name, table in tables.items()})


def _means(settings: Settings, listening: Sequence[tuple[str, int]]) -> Means:
    data, spark = settings.data, Spark(spark_endpoint(settings.spark.remote))
    return Means(
        spark=spark,
        sources=sources_of(data),
        members=MembershipTable(data.user_tags),
        results=ResultFolder(folder_at(data.results), settings.storage.link_seconds),
        cleaned=CleanedTables(data.cleaned),
        sent=SentTable(data.sent),
        models=ModelTable(data.models),
        segments=SegmentTable(data.user_segments),
        collectors=CollectorTable(data.collectors),
        assets=AssetTable(data.assets),
        guarding=_guarding(settings.assets, _own(listening, settings, spark)),
        fofa=_fofa(settings.fofa),
        github=None if settings.github.token is None else GitHubAccount(**_facts(settings.github)),
        late=timedelta(seconds=settings.tags.late_seconds),
        credits_monthly=settings.export.credits_monthly,
        meta=None if not_set(settings.meta) else MetaAccount(**_facts(settings.meta)),
        google=None if not_set(settings.google) else GoogleAccount(**_facts(settings.google)),
    )


def _guarding(assets: Assets, own: Callable[[], Sequence[Own]]) -> Guarding:
    limits = Limits(sockets=assets.sockets, per_address=assets.per_address, per_second=assets.per_second or None)
    return Guarding(
        scope_file=ScopeFile(None if assets.scope_file is None else Path(assets.scope_file)),
        limits=limits,
        nameservers=servers_of(assets.nameservers),
        own=own,
        seconds=assets.target_seconds,
        most_body=assets.target_bytes,
    )


def _own(listening: Sequence[tuple[str, int]], settings: Settings, spark: Spark) -> Callable[[], Sequence[Own]]:
    sockets, urls = (*listening, *_told(settings)), _urls(settings)
    return lambda: own_sockets(sockets, *urls, spark.address or "")


def _told(settings: Settings) -> Iterator[tuple[str, int]]:
    """Where the service listens, as a worker of Celery is told, and where that tells its numbers."""
    metrics = settings.executor.metrics
    for one in (*settings.assets.own, *([] if metrics is None else [metrics])):
        host, _, port = one.rpartition(":")
        yield host.strip("[]"), int(port)


def _urls(settings: Settings) -> tuple[str, ...]:
    """Of the services that this one needs, and no scan may reach."""
    return tuple(url for url in (settings.registry.url, settings.executor.broker) if url is not None)


def _fofa(account: Fofa) -> FofaAccount | None:
    if account.email is None or account.key is None:
        return None
    return FofaAccount(base_url=account.base_url, email=account.email, key=account.key)


def not_set(account: Meta | Google) -> str | None:
    """The variables that an account needs and has not, by their names; None where nothing is missing."""
    section, facts = type(account).__name__.upper(), _facts(account)
    missing = [key for key, value in facts.items() if value is None and key != "login_customer_id"]
    return ", ".join(f"TAGAPI_{section}__{key.upper()}" for key in missing) or None


def _facts(account: Meta | Google | GitHub) -> dict[str, Any]:
    return {key.name: getattr(account, key.name) for key in fields(account)}


def lanes_of(jobs: Jobs) -> Mapping[str, int]:
    """How many attempts at once, by lane."""
    return {
        DEFAULT_LANE: jobs.max_concurrent,
        "platforms": jobs.max_publishing,
        "audiences": jobs.max_syncs,
        "documents": jobs.max_exports,
        "scans": jobs.max_scans,
        "monitors": jobs.max_monitors,
    }


def _limits(jobs: Jobs) -> RunnerLimits:
    return RunnerLimits(
        lease=jobs.lease_seconds,
        renew_every=jobs.lease_seconds / RENEWALS,
        timeout=jobs.timeout_seconds,
        max_recoveries=jobs.max_recoveries,
    )
