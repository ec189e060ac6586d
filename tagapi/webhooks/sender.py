"""Sends what lies in the outbox: one thread of each process, with a loop of its own.

Each webhook has a lane: so many deliveries at once, and a single one as long as its receiver fails. So whoever is slow
or dead keeps nobody else waiting. A delivery is claimed with a lease; what a killed process had is taken over.
"""

from __future__ import annotations

import asyncio
import logging
import random
import threading
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import datetime, timedelta
from functools import partial
from time import monotonic
from typing import Any, TypeVar

import orjson

from tagapi import __version__
from tagapi.jobs.errors import DeliveryNotFound, StoreUnavailable
from tagapi.jobs.model import Json
from tagapi.jobs.notifying import OWNER_GONE, RECEIVER_GONE, pause
from tagapi.jobs.outbox import Outbox
from tagapi.jobs.webhooks import Answer, Delivery, DeliveryState, Webhook, backoff
from tagapi.webhooks import signing
from tagapi.webhooks.posting import Outcome, Poster

log = logging.getLogger(__name__)

Told = TypeVar("Told")

LOOK_EVERY = 0.5  # seconds between two looks at what is due
LEAST_PAUSE = 0.02  # seconds between two looks, however much there is to send
AWAY_EVERY = 2.0  # seconds, while the store is away
LEASE = timedelta(seconds=30)  # more than an attempt takes, and the writing down of it
AT_ONCE = 4  # deliveries of one webhook
AT_ONCE_FAILING = 1
AT_ONCE_OF_ALL = 512
STORE_THREADS = 4
QUIET_MOST = 60.0  # seconds that a webhook is left in peace whose receiver asked for time; somebody may have mended it
LAST_SECONDS = 3.0  # for what is on its way when the process leaves; the rest is taken over


class Sender:
    def __init__(
        self,
        outbox: Outbox,
        now: Callable[[], datetime],
        tell: Callable[[Delivery], Json],
        poster: Poster,
        may: Callable[[Webhook], bool],
        first_delay: float,
        most_delay: float,
    ) -> None:
        """`tell` makes a body's `data` of a delivery, `may` says whether a webhook's owner may still hear of it; the
        delays, in seconds, are those after the first failure and after many."""
        self._outbox = outbox
        self._now = now
        self._tell = tell
        self._poster = poster
        self._may = may
        self._delays = (first_delay, most_delay)
        self.ended: Callable[[DeliveryState], None] = lambda state: None
        """Hears what became of a delivery by each attempt; WAITING is one that is sent again."""
        self._under_way: dict[str, asyncio.Task[None]] = {}
        """By the delivery's id."""
        self._lanes: Counter[str] = Counter()
        """How many are under way, by webhook."""
        self._failing: set[str] = set()
        self._quiet_until: dict[str, float] = {}
        """By webhook, in monotonic seconds: its receiver asked for so much time."""
        self._rests_until = 0.0
        """In monotonic seconds: what was begun did not get to the store, and would not any sooner."""
        self._stopped = False
        self._loop: asyncio.AbstractEventLoop | None = None
        self._wake = asyncio.Event()
        self._store = ThreadPoolExecutor(STORE_THREADS, "webhooks-store")
        self._thread = threading.Thread(target=lambda: asyncio.run(self._run()), name="webhooks", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """Claim nothing more; what is on its way has a moment to arrive."""
        self._stopped = True
        with suppress(RuntimeError):  # it has ended
            if self._loop is not None:
                self._loop.call_soon_threadsafe(self._wake.set)
        if self._thread.is_alive():
            self._thread.join(2 * LAST_SECONDS)

    async def _run(self) -> None:
        self._loop = asyncio.get_running_loop()
        while not self._stopped:
            pause = await self._guarded_round()
            with suppress(TimeoutError):
                async with asyncio.timeout(pause):
                    await self._wake.wait()
            await asyncio.sleep(LEAST_PAUSE)
            self._wake.clear()
        if self._under_way:
            await asyncio.wait(self._under_way.values(), timeout=LAST_SECONDS)
        for task in tuple(self._under_way.values()):
            task.cancel()
        self._store.shutdown(wait=False)

    async def _ask(self, question: Callable[..., Told], *arguments: Any) -> Told:
        """What the store is asked waits for it on another thread."""
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._store, partial(question, *arguments))

    async def _guarded_round(self) -> float:
        """Begin to send what is due; answers with how long there is to wait for the next look."""
        if (rest := self._rests_until - monotonic()) > 0:
            return rest
        try:
            await self._round()
        except StoreUnavailable:  # that it is away is told by who serves requests
            return AWAY_EVERY
        except Exception:
            log.exception("webhooks_failed")
            return AWAY_EVERY
        return LOOK_EVERY

    async def _round(self) -> None:
        known = {one.id: one for one in await self._ask(self._outbox.every)}
        self._failing &= known.keys()
        self._quiet_until = {name: until for name, until in self._quiet_until.items() if until > monotonic()}
        if (places := AT_ONCE_OF_ALL - len(self._under_way)) <= 0:
            return
        room = {one.id: self._places(one.id) for one in known.values() if one.paused is None}
        due = [one for one in await self._ask(self._outbox.due, room) if one.id not in self._under_way]
        for delivery in sorted(due, key=lambda one: one.due_at or one.at)[:places]:
            self._begin(known[delivery.webhook_id], delivery)

    def _places(self, webhook_id: str) -> int:
        if webhook_id in self._quiet_until:
            return 0
        return (AT_ONCE_FAILING if webhook_id in self._failing else AT_ONCE) - self._lanes[webhook_id]

    def _begin(self, webhook: Webhook, delivery: Delivery) -> None:
        self._lanes[webhook.id] += 1
        task = asyncio.create_task(self._deliver(webhook, delivery))
        self._under_way[delivery.id] = task
        task.add_done_callback(lambda task: self._ended(webhook.id, delivery.id, task))

    def _ended(self, webhook_id: str, delivery_id: str, task: asyncio.Task[None]) -> None:
        del self._under_way[delivery_id]
        self._lanes[webhook_id] -= 1
        if not self._lanes[webhook_id]:
            del self._lanes[webhook_id]
        if not task.cancelled() and (error := task.exception()) is not None:
            self._rests_until = monotonic() + AWAY_EVERY
            unforeseen = not isinstance(error, StoreUnavailable)
            log.log(
                logging.ERROR if unforeseen else logging.WARNING,
                "webhook_not_sent",
                extra={"webhook": webhook_id, "delivery": delivery_id},
                exc_info=error if unforeseen else None,
            )
        self._wake.set()

    # -- one delivery ----------------------------------------------------------------------

    async def _deliver(self, webhook: Webhook, delivery: Delivery) -> None:
        if not await self._ask(self._may, webhook):
            await self._ask(pause, self._outbox, webhook, OWNER_GONE)
            return
        claimed = await self._ask(self._outbox.claim, delivery, LEASE)
        if claimed is None:
            return  # another process was faster
        now, began = await self._ask(self._now), monotonic()
        outcome = await self._post(webhook, claimed, now)
        seconds = monotonic() - began
        # The clock is the store's, which may be away by now: that is for `_record` to wait for.
        at = now + timedelta(seconds=seconds)
        answer = Answer(at=at, seconds=round(seconds, 3), status=outcome.status, error=outcome.error)
        self._note_lane(webhook.id, answer)
        if outcome.retry_after:
            self._quiet_until[webhook.id] = monotonic() + min(outcome.retry_after, QUIET_MOST)
        delay = max(backoff(claimed.failures, *self._delays, random.random()), timedelta(seconds=outcome.retry_after))
        await self._record(claimed, answer, delay)
        if answer.gone:
            await self._ask(pause, self._outbox, webhook, RECEIVER_GONE)

    def _note_lane(self, webhook_id: str, answer: Answer) -> None:
        if answer.taken:
            self._failing.discard(webhook_id)
        else:
            self._failing.add(webhook_id)

    async def _post(self, webhook: Webhook, delivery: Delivery, now: datetime) -> Outcome:
        told = {"type": delivery.type, "timestamp": delivery.at.isoformat(), "data": self._tell(delivery)}
        body = orjson.dumps(told)
        headers = {
            **signing.headers(webhook.secret, delivery.id, now, body),
            "Content-Type": "application/json",
            "User-Agent": f"tagapi/{__version__}",
        }
        return await self._poster.post(webhook.url, headers, body)

    async def _record(self, claimed: Delivery, answer: Answer, delay: timedelta) -> None:
        """Note what came of it, for as long as the claim holds: later nobody would believe it."""
        deadline = monotonic() + LEASE.total_seconds()
        while True:
            try:
                kept = await self._ask(self._outbox.answer, claimed, answer, delay)
            except DeliveryNotFound:
                return  # the webhook was removed meanwhile
            except StoreUnavailable:
                if monotonic() > deadline or self._stopped:
                    raise
                await asyncio.sleep(1.0)
            else:
                self._tell_of(claimed, answer, kept)
                return

    def _tell_of(self, claimed: Delivery, answer: Answer, kept: Delivery) -> None:
        extra = {"webhook": claimed.webhook_id, "delivery": claimed.id, "job_id": claimed.job.id}
        facts = {"status": answer.status, "error": answer.error, "attempt": claimed.attempts}
        if kept.answer != answer:  # whoever took it over says what becomes of it
            log.warning("webhook_claim_lost", extra={**extra, **facts})
            return
        self.ended(kept.state)
        log.info("webhook_sent" if answer.taken else "webhook_failed", extra={**extra, **facts})
