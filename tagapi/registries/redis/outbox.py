"""Webhooks and their deliveries on the server of the jobs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

from tagapi.jobs.model import Job
from tagapi.jobs.outbox import DeliveryPage, Known, Outbox
from tagapi.jobs.webhooks import Delivery, Webhook
from tagapi.registries.codec import micros
from tagapi.registries.redis import outbox_scripts as scripts
from tagapi.registries.redis.admission import Admission
from tagapi.registries.redis.schedules import Asking
from tagapi.registries.redis.scripts import PREFIX as P
from tagapi.registries.webhook_codec import due_place, dump_delivery, dump_webhook, load_delivery, load_webhook


class RedisOutbox(Outbox):
    def __init__(self, now: Callable[[], datetime], redis: Any, asking: Asking, admission: Admission) -> None:
        """`asking` is around whatever the server is asked."""
        super().__init__(now)
        self._redis = redis
        self._asking = asking
        self._admission = admission
        self._insert_script = redis.register_script(scripts.INSERT)
        self._swap_script = redis.register_script(scripts.SWAP)
        self._remove_script = redis.register_script(scripts.REMOVE)
        self._read_script = redis.register_script(scripts.READ)
        self._due_script = redis.register_script(scripts.DUE)
        self._swap_delivery_script = redis.register_script(scripts.SWAP_DELIVERY)
        self._page_script = redis.register_script(scripts.PAGE)
        self._trim_script = redis.register_script(scripts.TRIM)

    def arguments(self, before: Job, after: Job) -> list[Any]:
        """The end of what the script of a job's change takes: what it delivers, and to which webhooks."""
        known = self.known
        arguments: list[Any] = [known.generation]
        for one in known.deliveries(before, after):
            arguments += [one.id, one.version, one.webhook_id, _due(one), micros(one.at), dump_delivery(one)]
        return arguments

    def learn(self) -> None:
        """Know the webhooks as they are: somebody has written."""
        self.known = self._read()

    # -- webhooks --------------------------------------------------------------------------

    def _generation(self) -> str:
        with self._asking():
            found = self._redis.get(f"{P}webhooks:generation")
        return "" if found is None else str(found.decode())

    def _read(self) -> Known:
        with self._asking():
            generation, *rows = self._read_script()
        return Known(generation=generation.decode(), webhooks=[load_webhook(int(n), int(v), one) for n, v, one in rows])

    def _insert(self, webhook: Webhook, at_most: int, generation: str) -> Webhook:
        arguments: list[Any] = [webhook.id, webhook.owner, at_most, webhook.version, dump_webhook(webhook), generation]
        with self._asking():
            told, number = self._insert_script(args=[*arguments, self._admission.heard_until()])
        if told == b"late":
            raise self._admission.late()
        if told == b"full":
            self._check_room(webhook.owner, number, at_most)
        return replace(webhook, number=number)

    def _swap(self, before: Webhook, after: Webhook) -> bool:
        arguments: list[Any] = [before.id, before.version, after.version, dump_webhook(after), after.token]
        with self._asking():
            return bool(self._swap_script(args=arguments))

    def _remove(self, webhook_id: str, generation: str) -> bool:
        with self._asking():
            return bool(self._remove_script(args=[webhook_id, generation]))

    # -- deliveries ------------------------------------------------------------------------

    def _due(self, room: dict[str, int], now: datetime) -> Sequence[Delivery]:
        if not room:
            return ()
        each = [part for one in room.items() for part in one]
        with self._asking():
            rows = self._due_script(args=[micros(now), *each])
        return [_loaded(row) for row in rows]

    def _delivery(self, delivery_id: str) -> Delivery | None:
        with self._asking():
            row = self._redis.hmget(f"{P}delivery:{delivery_id}", ["number", "version", "delivery"])
        return None if None in row else _loaded(row)

    def _swap_delivery(self, before: Delivery, after: Delivery) -> bool:
        arguments: list[Any] = [before.id, before.version, after.version, dump_delivery(after), _due(after)]
        with self._asking():
            return bool(self._swap_delivery_script(args=[*arguments, before.webhook_id]))

    def _page(self, webhook_id: str, before: int | None, limit: int) -> DeliveryPage:
        highest = "+inf" if before is None else f"({before}"
        with self._asking():
            total, *rows = self._page_script(args=[webhook_id, highest, limit])
        return DeliveryPage(deliveries=[_loaded(row) for row in rows], total=total)

    def _trim(self, webhook_id: str, moment: datetime, kept: int) -> None:
        with self._asking():
            self._trim_script(args=[webhook_id, micros(moment), kept])

    def _waiting(self, webhook_id: str) -> int:
        with self._asking():
            return int(self._redis.zcard(f"{P}deliveries:due:{webhook_id}"))


def _loaded(row: Sequence[bytes]) -> Delivery:
    return load_delivery(int(row[0]), int(row[1]), row[2])


def _due(delivery: Delivery) -> int | str:
    place = due_place(delivery)
    return "" if place is None else place
