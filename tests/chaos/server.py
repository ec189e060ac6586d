"""`python -m tests.chaos.server <options of api_server.py>`: the service itself, with failpoints wrapped around it.

Everything is wrapped in the worker process, after the fork, where the app is built: what the
launcher alone imports stays as small as it is in production.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from datetime import timedelta
from functools import partial, wraps
from itertools import cycle
from pathlib import Path
from typing import Any

import api_server
from tests.chaos.failpoints import PHASE, Failpoints

FOLDER = "CHAOS_FOLDER"
WORKER_HEADER = "Chaos-Worker"
STEP = 50  # documents of a commit, instead of ten thousand: so that an export has several
RECOVER_EVERY = 0.5  # seconds, instead of five: so that a life of a few seconds sees recoveries
ANSWERED_WITHIN = 1.0  # seconds for a receiver of webhooks, instead of twelve
DELIVERY_LEASE = timedelta(seconds=3)  # instead of thirty


def main() -> None:
    load = api_server.Server.load

    def armed(self: api_server.Server) -> Any:
        _arm(Path(os.environ[FOLDER]))
        app = load(self)
        app.after_request(_signed)
        return app

    api_server.Server.load = armed  # type: ignore[method-assign]
    api_server.main()


def _signed(response: Any) -> Any:
    """With the process that answered."""
    response.headers[WORKER_HEADER] = str(os.getpid())
    return response


def _arm(folder: Path) -> None:
    from tag_tasks.datasets.cleanup import DataCleanup
    from tag_tasks.datasets.export import Export
    from tag_tasks.delta import commits
    from tag_tasks.documents.collectors import CollectorTable
    from tag_tasks.documents.export import DocumentsExport
    from tag_tasks.tags.compute import ComputeTags
    from tag_tasks.tags.table import MembershipTable
    from tagapi import upkeep
    from tagapi.jobs.attempt import Attempt
    from tagapi.jobs.errors import Transient
    from tagapi.jobs.outbox import Outbox
    from tagapi.jobs.registry import JobRegistry
    from tagapi.jobs.runner import JobRunner
    from tagapi.webhooks import posting, sender

    points = Failpoints(folder, lambda: Transient(reason="the Spark server was lost"), _hiccups())
    upkeep.RECOVER_EVERY = RECOVER_EVERY  # type: ignore[assignment]
    _wrap(JobRegistry, "add", before=_at(points, "before_accept"), after=_at(points, "after_accept"))
    _wrap(JobRegistry, "claim", after=lambda job, *_, **__: job is not None and points.hit("after_claim"))
    _wrap(Attempt, "begin_commit", before=_at(points, "staged"), after=_at(points, "committing"))
    _wrap(MembershipTable, "commit", after=_at(points, "committed"))
    _wrap(MembershipTable, "find_commit", after=_at(points, "settling"))
    for name in ("_write", "_staged"):
        _wrap(MembershipTable, name, before=_at(points, "storing"))
    _wrap(commits, "commit", before=_at(points, "before_commit"), after=_at(points, "after_commit"))
    _wrap(commits, "fenced", before=_at(points, "asking"))
    # The context is interrupted like the work itself: whoever is held there leaves when told to.
    _wrap(ComputeTags, "_compute", after=lambda _draft, _task, _order, context, _: points.hit("mid_run", context.check))
    _wrap(Export, "_write", after=lambda _, _task, _file, _form, context: points.hit("mid_run", context.check))
    _wrap(DataCleanup, "_look", after=lambda _, _task, _spark, context, *__: points.hit("mid_run", context.check))
    for owner, name, before, after in (
        (CollectorTable, "_deliver", "delivering", "delivered"),
        (Attempt, "grow", "growing", "grown"),
        (CollectorTable, "stop", "stopping", "stopped"),
    ):
        _wrap(owner, name, before=_at(points, before), after=_at(points, after))
    _wrap(DocumentsExport, "__init__", after=lambda _, task, *__, **___: setattr(task, "_step", STEP))
    _wrap(Attempt, "journal", before=_at_note(points, "noting"), after=_at_note(points, "noted", 1))
    _wrap(JobRunner, "_record", before=_at(points, "leaving"))
    posting.SECONDS, sender.LEASE = ANSWERED_WITHIN, DELIVERY_LEASE
    _wrap(Outbox, "claim", after=lambda claimed, *_: claimed is not None and points.hit("delivery_claimed"))
    _wrap(Outbox, "answer", before=_at(points, "delivery_sent"), after=_at(points, "delivery_noted"))
    _wrap_update(JobRegistry, points)
    _arm_scans(points)


def _arm_scans(points: Failpoints) -> None:
    from tag_tasks.assets.results import Writer
    from tag_tasks.assets.scan import Scan
    from tag_tasks.assets.store import _Work
    from tag_tasks.assets.table import AssetTable
    from tagapi import upkeep

    upkeep.SWEEP_EVERY = RECOVER_EVERY  # type: ignore[assignment]
    _wrap(Scan, "phase", after=lambda _, _scan, name, *__, **___: points.hit(PHASE.format(name=name)))
    for owner, name, before, after in (
        (AssetTable, "write_all", "keeping", "kept"),
        (_Work, "compare", "comparing", "compared"),
        (Writer, "publish", "publishing", "published"),
    ):
        _wrap(owner, name, before=_at(points, before), after=_at(points, after))
    _wrap(AssetTable, "commit", after=_at(points, "committed"))
    _wrap(AssetTable, "find_commit", after=_at(points, "settling"))


def _hiccups() -> Callable[[], BaseException]:
    """What Arrow and delta-rs raise where the storage hesitates, by turns."""
    from deltalake.exceptions import DeltaError

    walk = "Error interacting with object store: Generic LocalFileSystem error: Unable to walk dir"
    errors = cycle(
        [
            lambda: OSError(errno.ESTALE, os.strerror(errno.ESTALE)),
            lambda: DeltaError(f"Generic DeltaTable error: {walk}: Input/output error (os error 5)"),
            lambda: OSError("Generic S3 error: Error after 10 retries: 503 Slow Down"),
        ]
    )
    return lambda: next(errors)()


def _at(points: Failpoints, name: str) -> Callable[..., None]:
    return lambda *_, **__: points.hit(name)


def _at_note(points: Failpoints, name: str, answers: int = 0) -> Callable[..., None]:
    """At a note in the journal: called with so many answers, then the attempt, the step and the fact."""

    def hit(*args: Any) -> None:
        _attempt, step, fact = args[answers:]
        points.hit(f"{name} {step} {fact.get('about', 'id')}")

    return hit


def _wrap(
    owner: Any, name: str, before: Callable[..., Any] | None = None, after: Callable[..., Any] | None = None
) -> None:
    """Call `before` with the arguments of each call, and `after` with its answer and the arguments."""
    original = getattr(owner, name)

    @wraps(original)
    def wrapped(*args: Any, **kwargs: Any) -> Any:
        if before is not None:
            before(*args, **kwargs)
        answer = original(*args, **kwargs)
        if after is not None:
            after(answer, *args, **kwargs)
        return answer

    setattr(owner, name, wrapped)


def _wrap_update(registry: type, points: Failpoints) -> None:
    """Every change goes through `update`: which one it is decides what is hit."""
    from tagapi.jobs import changes
    from tagapi.jobs.errors import StoreUnavailable

    original = registry.update  # type: ignore[attr-defined]

    @wraps(original)
    def update(self: Any, job_id: str, change: Any, token: str | None = None) -> Any:
        kind = getattr(change, "func", change)
        if kind is changes.recover:
            points.hit("recovering")
        job = original(self, job_id, change, token)
        if kind is changes.claim:
            points.hit("claim_unheard", lost=partial(StoreUnavailable, retry_after=1))
        if kind is changes.recover:
            points.hit("recovered")
        if kind is changes.request_cancel and not job.finished:
            points.hit("cancelling")
        return job

    registry.update = update  # type: ignore[attr-defined]


if __name__ == "__main__":
    main()
