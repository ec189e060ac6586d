"""What all tasks on the network have alike: a scan, the files of what it finds and, for those that tend a scope, the
scope's assets."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, ClassVar

from tag_tasks.assets.found import KEPT, Found, Kind
from tag_tasks.assets.guarding import Guarding
from tag_tasks.assets.options import Options
from tag_tasks.assets.results import FoundFiles, Rows, Writer, is_asset
from tag_tasks.assets.scan import Scan, scanned
from tag_tasks.assets.store import AssetStore, Into, Stored
from tag_tasks.assets.table import AssetTable
from tag_tasks.assets.told import statistic
from tagapi.jobs.model import Job, Json
from tagapi.jobs.task import Task, TaskContext

DONE, MONITORED = "完成", "监测完成"


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
        return {"message": DONE, "statistic": statistic(writer.counts()), "service": service}

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
        with self.tools.files.writing(context) as report, self._apart(context, report) as apart:
            service = self._scanned(context, apart)

            def result(stored: Stored) -> Json:
                told = {"message": MONITORED, "statistic": statistic(stored.new), "service": service}
                more = {"changed": stored.changed, "gone": stored.gone} if self.changed else {}
                return {**told, "new": dict(stored.new), **{name: dict(counts) for name, counts in more.items()}}

            into = apart.into(context.arguments["scope_id"], self.kinds, self.changed, self.gone)
            return self.tools.store.store(context, into, result, report)

    @contextmanager
    def _apart(self, context: TaskContext, report: Writer) -> Iterator[_Apart]:
        staged = f"scratch/{context.attempt_name}"
        try:
            with TemporaryDirectory(prefix="tagapi-") as folder:
                yield _Apart(Path(folder), self.tools.table, staged, report)
        finally:
            self.tools.table.discard_folders([staged])


class _Apart:
    """What a scan finds, kept apart until it is compared with what is known: on this machine's disk while it comes,
    then beside the table, where Spark can read it. What could never become an asset is reported as it is."""

    def __init__(self, folder: Path, table: AssetTable, staged: str, report: Writer) -> None:
        self._rows = Rows(folder)
        self._table = table
        self._staged = staged
        self._report = report

    def take(self, row: Found) -> bool:
        return self._rows.take(row) if is_asset(row) else self._report.take(row)

    def into(self, scope_id: str, kinds: Collection[Kind], changed: bool, gone: Collection[Kind]) -> list[Into]:
        self._rows.close(sync=True)
        found = []
        for kind in kinds:
            rows = self._table.write_all(f"{self._staged}/{kind.value}", self._rows.groups(kind))
            if rows is not None or kind in gone:
                found.append(
                    Into(kind=kind, scope_id=scope_id, rows=rows, changed=changed or kind in gone, gone=kind in gone)
                )
        return found


def options_of(asked: Json) -> Options:
    return Options.of(asked.get("options") or {})
