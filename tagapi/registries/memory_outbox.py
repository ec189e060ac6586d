"""Webhooks and their deliveries in this process's memory, under the lock of its jobs."""

from __future__ import annotations

import threading
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime
from itertools import islice

from sortedcontainers import SortedDict, SortedList

from tagapi.jobs.outbox import DeliveryPage, Known, Outbox
from tagapi.jobs.webhooks import Delivery, Webhook


class MemoryOutbox(Outbox):
    """What is known of webhooks is what there is."""

    def __init__(self, now: Callable[[], datetime], lock: threading.Lock) -> None:
        super().__init__(now)
        self._lock = lock
        self._webhooks: SortedDict[int, Webhook] = SortedDict()
        self._deliveries: dict[str, Delivery] = {}
        self._logs: dict[str, SortedDict[int, str]] = defaultdict(SortedDict)
        self._queues: dict[str, SortedList[tuple[datetime, int, str]]] = defaultdict(SortedList)
        self._last_webhook = self._last_delivery = 0

    def put(self, deliveries: Sequence[Delivery]) -> None:
        """Under the lock."""
        for delivery in deliveries:
            if delivery.id not in self._deliveries:
                self._last_delivery += 1
                self._place(None, replace(delivery, number=self._last_delivery))

    def _place(self, before: Delivery | None, after: Delivery | None) -> None:
        """Write a delivery, its place in the log and in the queue; None is one that is not there."""
        if before is not None:
            del self._deliveries[before.id], self._logs[before.webhook_id][before.number]
            if before.due_at is not None:
                self._queues[before.webhook_id].remove((before.due_at, before.number, before.id))
        if after is not None:
            self._deliveries[after.id] = after
            self._logs[after.webhook_id][after.number] = after.id
            if after.due_at is not None:
                self._queues[after.webhook_id].add((after.due_at, after.number, after.id))

    # -- webhooks --------------------------------------------------------------------------

    def _generation(self) -> str:
        return self.known.generation

    def _read(self) -> Known:
        return self.known

    def _know(self, generation: str) -> None:
        self.known = Known(generation=generation, webhooks=[*reversed(self._webhooks.values())])

    def _insert(self, webhook: Webhook, at_most: int, generation: str) -> Webhook:
        with self._lock:
            self._check_room(webhook.owner, sum(one.owner == webhook.owner for one in self._webhooks.values()), at_most)
            self._last_webhook += 1
            numbered = self._webhooks[self._last_webhook] = replace(webhook, number=self._last_webhook)
            self._know(generation)
            return numbered

    def _swap(self, before: Webhook, after: Webhook) -> bool:
        with self._lock:
            known = self._webhooks.get(before.number)
            if known is None or known.version != before.version:
                return False
            self._webhooks[before.number] = after
            self._know(after.token)
            return True

    def _remove(self, webhook_id: str, generation: str) -> bool:
        with self._lock:
            number = next((one.number for one in self._webhooks.values() if one.id == webhook_id), None)
            if number is None:
                return False
            del self._webhooks[number]
            self._know(generation)
            for delivery_id in self._logs.pop(webhook_id, {}).values():
                del self._deliveries[delivery_id]
            self._queues.pop(webhook_id, None)
            return True

    # -- deliveries ------------------------------------------------------------------------

    def _due(self, room: dict[str, int], now: datetime) -> Sequence[Delivery]:
        with self._lock:
            found: list[Delivery] = []
            for webhook_id, places in room.items():
                queue = self._queues.get(webhook_id, ())
                due = (one for at, _, one in islice(queue, places) if at <= now)
                found += [self._deliveries[one] for one in due]
            return found

    def _delivery(self, delivery_id: str) -> Delivery | None:
        with self._lock:
            return self._deliveries.get(delivery_id)

    def _swap_delivery(self, before: Delivery, after: Delivery) -> bool:
        with self._lock:
            known = self._deliveries.get(before.id)
            if known is None or known.version != before.version:
                return False
            self._place(known, after)
            return True

    def _page(self, webhook_id: str, before: int | None, limit: int) -> DeliveryPage:
        with self._lock:
            log = self._logs.get(webhook_id, SortedDict())
            numbers = islice(log.irange(maximum=before, inclusive=(True, False), reverse=True), limit)
            return DeliveryPage(deliveries=[self._deliveries[log[number]] for number in numbers], total=len(log))

    def _trim(self, webhook_id: str, moment: datetime, kept: int) -> None:
        with self._lock:
            log = self._logs.get(webhook_id, SortedDict())
            beyond = len(log) - kept
            for place, delivery_id in enumerate([*log.values()]):
                delivery = self._deliveries[delivery_id]
                if delivery.at < moment or (place < beyond and delivery.due_at is None):
                    self._place(delivery, None)

    def _waiting(self, webhook_id: str) -> int:
        with self._lock:
            return len(self._queues.get(webhook_id, ()))
