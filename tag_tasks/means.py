"""What the process has that tasks and readers need: made once, and handed to each family of work."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import timedelta

from tag_tasks.assets.guarding import Guarding
from tag_tasks.assets.scope_file import ScopeFile
from tag_tasks.assets.table import AssetTable
from tag_tasks.audiences.sent import SentTable
from tag_tasks.datasets.cleaned import CleanedTables
from tag_tasks.datasets.results import ResultFolder
from tag_tasks.datasets.tables import TABLES as BUSINESS
from tag_tasks.documents.collectors import CollectorTable
from tag_tasks.documents.source import DOCUMENTS
from tag_tasks.documents.source import SCHEMA as DOCUMENT
from tag_tasks.platforms.fofa import FofaAccount
from tag_tasks.platforms.github import GitHubAccount
from tag_tasks.platforms.google import GoogleAccount
from tag_tasks.platforms.meta import MetaAccount
from tag_tasks.segments.assigned import SegmentTable
from tag_tasks.segments.models import ModelTable
from tag_tasks.spark.session import Spark
from tag_tasks.spark.sources import Sources
from tag_tasks.tags import TABLES as USERS
from tag_tasks.tags.table import MembershipTable

LATE = timedelta(hours=1)
KNOWN_SOURCES: Mapping[str, frozenset[str]] = {
    **{name: frozenset({"user_id", "updated_time"}) for name in USERS},
    **{name: frozenset(table.columns) for name, table in BUSINESS.items()},
    DOCUMENTS: frozenset(DOCUMENT.names),
}
"""The tables that the work reads, with columns that each has to have."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Means:
    """Each of them is safe to use from many threads."""

    spark: Spark
    sources: Sources
    members: MembershipTable
    results: ResultFolder
    cleaned: CleanedTables
    sent: SentTable
    models: ModelTable
    segments: SegmentTable
    collectors: CollectorTable
    assets: AssetTable
    guarding: Guarding = field(default_factory=lambda: Guarding(scope_file=ScopeFile(None)))
    """Without a scope file nothing of one's own may be contacted, either."""
    meta: MetaAccount | None = None
    """Where campaigns and audiences are made; None where that is not configured."""
    google: GoogleAccount | None = None
    fofa: FofaAccount | None = None
    """Where is asked what others know of one's own; None where that is not configured."""
    github: GitHubAccount | None = None
    late: timedelta = LATE
    """By how much rows of users may come later than their time says."""
    credits_monthly: int = 0
    """Documents that a user may export in a month; 0 is without limit."""

    def sweep(self, ended: Callable[[str], bool]) -> None:
        """Remove what lost attempts have left on disk that nobody would take away, of jobs that have `ended`."""
        self.results.sweep(ended)
        self.assets.sweep(ended)

    def vacuum(self, hours: float) -> None:
        """Remove what no version younger than so many hours needs of a table; one that is away stops no other."""
        with ExitStack() as every:
            for table in (
                self.members,
                self.cleaned,
                self.sent,
                self.models,
                self.segments,
                self.collectors,
                self.assets,
            ):
                every.callback(table.vacuum, hours)
