"""What all tasks on the network have alike: a scan, the files of what it finds and, for those that tend a scope, the
scope's assets."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Collection
from dataclasses import dataclass
from typing import Any, ClassVar

from tag_tasks.assets.found import KEPT, Found, Kind
from tag_tasks.assets.guarding import Guarding
from tag_tasks.assets.options import Options
from tag_tasks.assets.results import FoundFiles, Writer
from tag_tasks.assets.rows import Rows, is_asset
from tag_tasks.assets.scan import Scan, scanned
from tag_tasks.assets.store import AssetStore, Into, Stored
from tag_tasks.assets.table import AssetTable
from tag_tasks.assets.told import statistic
from tagapi.jobs.model import Job, Json
from tagapi.jobs.task import Task, TaskContext

DONE, MONITORED = "完成", "监测完成"
NOTHING_ASKED = "完成：未启用任何选项，没有检查目标"


@dataclass(frozen=True, kw_only=True, slots=True)
class Tools:
    """What the tasks work with. Safe to use from many threads."""

    guarding: Guarding
    files: FoundFiles
    table: AssetTable
    store: AssetStore


class Scanning(Task):
    """Its result files hold what it found. Arguments: `user`, and what the task type takes."""

    lane = "scans"

    def __init__(self, tools: Tools) -> None:
        self.tools = tools

    @abstractmethod
    async def scan(self, scan: Scan, asked: Json) -> None:
        """Find it. Raises what ends the job."""

    def prepared(self, context: TaskContext) -> Json:
        """What the scan is told: the arguments, and what is asked of others before."""
        return context.arguments

    def run(self, context: TaskContext) -> Json:
        with self.tools.files.writing(context) as writer:
            service = self._scanned(context, writer)
            writer.publish()
        return {
            "message": DONE if service else NOTHING_ASKED,
            "statistic": statistic(writer.counts()),
            "service": service,
        }

    def _scanned(self, context: TaskContext, writer: Writer | _Apart) -> list[dict[str, Any]]:
        """The phases with their seconds."""
        asked = self.prepared(context)

        async def work(scan: Scan) -> list[dict[str, Any]]:
            await self.scan(scan, asked)
            return scan.service()

        guarding = self.tools.guarding
        scopes = guarding.scopes(asked["user"], asked.get("scope_id"))
        return scanned(context, guarding.open, scopes, writer.take, work)


class Tending(Scanning):
    """Work that goes into the assets of a scope: its result files hold what is new there, and what was not looked at.

    Arguments: `scope_id`, beside those of a scan.
    """

    kinds: ClassVar[Collection[Kind]] = KEPT
    """What of its findings becomes assets."""
    changed: ClassVar[bool] = False
    """Whether known ones get the facts that were found now."""
    gone: ClassVar[Collection[Kind]] = ()
    """The kinds of which all that were known are looked for: what is not found of these is marked as gone."""

    def find_commit(self, job: Job) -> Json | None:
        return self.tools.store.find_commit(job)

    def run(self, context: TaskContext) -> Json:
        scratch = self.tools.table.scratch(context.attempt_name)
        with self.tools.files.writing(context) as report, scratch as staged:
            with report.apart() as rows:
                service = self._scanned(context, _Apart(rows, report))
                rows.close(sync=True)
                into = self._into(context.arguments["scope_id"], rows, staged)
            left = report.counts()  # what was refused or skipped: what is new comes later

            def result(stored: Stored) -> Json:
                counts = {**left, **stored.new}
                told = {
                    "message": MONITORED if service else NOTHING_ASKED,
                    "statistic": statistic(counts),
                    "service": service,
                }
                more = {"changed": stored.changed, "gone": stored.gone} if self.changed else {}
                return {**told, "new": dict(stored.new), **{name: dict(counts) for name, counts in more.items()}}

            return self.tools.store.store(context, into, result, report)

    def _into(self, scope_id: str, rows: Rows, staged: str) -> list[Into]:
        found = []
        for kind in self.kinds:
            path = self.tools.table.write_all(f"{staged}/{kind.value}", rows.groups(kind))
            gone = kind in self.gone
            if path is not None or gone:
                found.append(Into(kind=kind, scope_id=scope_id, rows=path, changed=self.changed or gone, gone=gone))
        return found


@dataclass(frozen=True, slots=True)
class _Apart:
    """What a scan finds, kept apart until it is compared with what is known; what could never become an asset is
    reported as it is."""

    rows: Rows
    report: Writer

    def take(self, row: Found) -> bool:
        return self.rows.take(row) if is_asset(row) else self.report.take(row)


def options_of(asked: Json) -> Options:
    return Options.of(asked.get("options") or {})
