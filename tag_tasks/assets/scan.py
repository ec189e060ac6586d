"""An attempt at work on the network: its loop, its guard, its pace, and where what it finds goes.

Whatever is asked of many targets goes through `Scan.each`: so many at once, drawn one by one, so that memory does not
grow with their number, and a target that hangs holds up nothing but itself.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Container, Iterable, Sequence
from contextlib import suppress
from typing import Any, TypeVar

from tag_tasks.assets import found
from tag_tasks.assets.found import Found
from tag_tasks.assets.guard import Guard
from tag_tasks.assets.refused import NotReached, Refusal, Refused
from tag_tasks.assets.scope import Scope, Why
from tag_tasks.assets.scope_file import ScopeError
from tag_tasks.assets.told import Phases
from tagapi.jobs.errors import TaskFailed
from tagapi.jobs.task import TaskContext

AT_ONCE = 64  # targets that one job works on at the same time
TOLD_EVERY = 0.1  # seconds between two times in which it is told how far the work is
CLOSED, CLOSED_MEANWHILE = "授权范围文件不可用", "扫描期间授权范围曾不可用"
SHOWN = 100  # characters of what was not contacted
T = TypeVar("T")

Take = Callable[[Found], bool]
"""Keeps a row; answers whether it is new in this job."""


class Scan:
    """What the probes see of an attempt. To be used on its loop."""

    def __init__(
        self,
        context: TaskContext,
        guard: Guard,
        scopes: Callable[[], Sequence[Scope]],
        take: Take,
        refused: Container[str] = (),
    ) -> None:
        """`scopes` are those that the job works in, or raises ScopeError; `refused` is what its guard has refused so
        far: URLs, names, and addresses with their port."""
        self.guard = guard
        self.scopes = scopes
        self.refused = refused
        self._context = context
        self._take = take
        self._phases = Phases(context)
        self._done = self._total = 0
        self._telling = False
        self._told_at = 0.0

    async def phase(self, name: str, total: int | None = None) -> None:
        """Begin the next phase. `each` counts within it, up to `total` or the number that it is told."""
        self._done, self._total = 0, total or 0
        await asyncio.to_thread(self._phases.begin, name, total)

    def found(self, *rows: Found) -> None:
        for row in rows:
            self._take(row)

    def skipped(self, what: str, reason: str) -> None:
        """A target was left out, or did not answer: the job says so."""
        self._take(found.skipped(what, reason))

    async def each(
        self,
        items: Iterable[T],
        work: Callable[[T], Awaitable[Any]],
        *,
        total: int | None = None,
        at_once: int = AT_ONCE,
        counted: bool = True,
    ) -> None:
        """Do the work for each item, so many at once. What is refused is recorded by the guard already, and what is
        not reached is skipped; both end the work on their item alone. `total` adds to that of the phase, which counts
        the items, or, where these are not counted, those of an `each` inside of their work."""
        waiting = iter(items)
        if total:
            self._total += total

        async def worker() -> None:
            for item in waiting:
                try:
                    await work(item)
                except Refused:
                    pass
                except NotReached as error:
                    self.skipped(str(error.facts["what"]), str(error.facts["reason"]))
                if counted:
                    await self._step()

        async with asyncio.TaskGroup() as group:
            if total:
                group.create_task(self._tell())
            for _ in range(at_once):
                group.create_task(worker())

    async def _step(self) -> None:
        self._done += 1
        due = not self._telling and time.monotonic() - self._told_at >= TOLD_EVERY
        if self._total and (due or self._done == self._total):
            await self._tell()

    async def _tell(self) -> None:
        """Beside the loop: a job store that hangs holds up the one target that is done, and no other."""
        self._telling = True
        try:
            await asyncio.to_thread(self._context.progress, min(self._done, self._total), self._total)
        finally:
            self._telling, self._told_at = False, time.monotonic()

    def service(self) -> list[dict[str, Any]]:
        """Each phase with its seconds so far, in order."""
        return self._phases.service()


Open = Callable[[Callable[[], Sequence[Scope]], Callable[[Refusal], None]], Guard]
"""Makes the guard of a job, by its scopes and by where its refusals go."""


def scanned(
    context: TaskContext,
    open_guard: Open,
    scopes: Callable[[], Sequence[Scope]],
    take: Take,
    work: Callable[[Scan], Awaitable[T]],
) -> T:
    """The answer of work on a loop of its own. A cancel ends it at once, with every socket closed.

    Raises JobCancelled, TaskFailed where no scope can be used, or could not be for a while, and what the work raises.
    """

    refused: set[str] = set()
    closed: set[str] = set()

    async def work_guarded() -> T:
        async with open_guard(scopes, record) as guard:
            return await work(Scan(context, guard, scopes, take, refused))

    def record(told: Refusal) -> None:
        refused.add(told.what)
        if told.why is Why.CLOSED:
            closed.add(told.what)
        take(found.refusal(told))

    async def play() -> T:
        loop, working = asyncio.get_running_loop(), asyncio.create_task(work_guarded())

        def stop() -> None:
            with suppress(RuntimeError):  # the loop is closed: it has stopped
                loop.call_soon_threadsafe(working.cancel)

        with context.on_cancel(stop):
            return await working

    try:
        answer = asyncio.run(play())
    except asyncio.CancelledError:
        context.check()
        raise
    except ScopeError as error:
        raise TaskFailed(reason=f"{CLOSED}: {error}") from error
    except BaseExceptionGroup as error:  # of the workers of `each`: the first one tells
        raise _first(error) from error
    if closed:  # half of what was asked for is not what was asked for
        raise TaskFailed(reason=f"{CLOSED_MEANWHILE}：{min(closed)[:SHOWN]} 等 {len(closed)} 个目标未检查")
    return answer


def _first(error: BaseExceptionGroup[BaseException]) -> BaseException:
    inner = error.exceptions[0]
    return _first(inner) if isinstance(inner, BaseExceptionGroup) else inner
