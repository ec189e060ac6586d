"""What a job's result says of the work: counts by the names of the document, and each phase with its seconds."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

from tag_tasks.assets.found import REFUSED, SKIPPED, Kind
from tagapi.jobs.task import TaskContext

COUNTS: Mapping[str, str] = {
    Kind.DOMAINS: "domain_cnt",
    Kind.ADDRESSES: "ip_cnt",
    Kind.SITES: "site_cnt",
    Kind.CERTIFICATES: "cert_cnt",
    Kind.FINDINGS: "vuln_cnt",
    Kind.LEAKS: "leak_cnt",
    Kind.WIH: "wih_cnt",
    Kind.PAGES: "url_cnt",
    REFUSED: "refused_cnt",
    SKIPPED: "skipped_cnt",
}
"""By what is counted: a kind, or, of findings that say what a job did not do, their check."""


def statistic(counts: Mapping[str, int]) -> dict[str, int]:
    """Of counts as the writer of a job's files, or a commit, has them: every name, also where it is 0."""
    return {name: counts.get(what, 0) for what, name in COUNTS.items()}


class Phases:
    """The phases of an attempt, with their seconds."""

    def __init__(self, context: TaskContext) -> None:
        self._context = context
        self._begun: list[tuple[str, float]] = []

    def begin(self, name: str, total: int | None = None) -> None:
        self._begun.append((name, time.monotonic()))
        self._context.phase(name, total)

    def service(self) -> list[dict[str, Any]]:
        """Each so far, in order; of work that was asked for nothing there are none."""
        ends = [*(began for _, began in self._begun), time.monotonic()][1:]
        told = zip(self._begun, ends, strict=True)
        return [{"name": name, "seconds": round(end - began, 3)} for (name, began), end in told]
