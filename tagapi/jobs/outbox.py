"""Where webhooks and their deliveries are kept, beside the jobs and in the same store: the contract, and the policy.

The contract, which one suite checks on every backend:

- A job's change and what it delivers are one atomic write: `JobRegistry.update` writes both, or neither. What is
  delivered is said by `webhooks.deliveries`, for exactly the webhooks that there are at that write: each process
  remembers them under a `generation`, and the write itself looks whether that is still the one.
- `add` is atomic: an owner who has too many webhooks is refused; else it is numbered and stored, and hears of all
  that is written from then on.
- `update` and `update_delivery` change as `JobRegistry.update` does a job.
- `claim` gives a delivery to one sender at a time; whoever took one and was not heard of loses it to the next.
- What is stored carries a version: an earlier release's is read, a newer one's is refused (StoreTooNew).
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import partial

from tagapi.jobs import webhooks
from tagapi.jobs.errors import DeliveryNotFound, TooManyWebhooks, WebhookNotFound
from tagapi.jobs.model import Job, new_token
from tagapi.jobs.webhooks import Answer, Delivery, DeliveryChange, Webhook, WebhookChange

WAITING_AT_MOST = 10_000
"""Deliveries that one webhook may have waiting; with more it is paused, and says so."""
KEPT_AT_MOST = 10_000
"""Deliveries of one webhook that its log shows; older ones go, once they are final."""
KEPT_FOR = timedelta(days=7)


@dataclass(frozen=True, kw_only=True, slots=True)
class Known:
    """The webhooks as a process knows them."""

    generation: str
    """Random, of the last write to any of them; empty where there never was one."""

    webhooks: Sequence[Webhook] = ()

    def deliveries(self, before: Job, after: Job) -> Sequence[Delivery]:
        """What a job's change delivers to them."""
        return webhooks.deliveries(self.webhooks, before, after)


@dataclass(frozen=True, kw_only=True, slots=True)
class DeliveryPage:
    """Newest first."""

    deliveries: Sequence[Delivery]
    total: int
    next: int | None = None
    """What to ask for as `before` to see what follows; None at the end."""


class Outbox(ABC):
    """Policy; a backend supplies the primitives below. Safe to call from many threads."""

    def __init__(self, now: Callable[[], datetime]) -> None:
        """`now` is the registry's clock."""
        self._now = now
        self.known = Known(generation="")

    # -- webhooks --------------------------------------------------------------------------

    def add(self, webhook: Webhook, at_most: int) -> Webhook:
        """Keep a webhook. Raises TooManyWebhooks where its owner has `at_most` of them."""
        return self._insert(webhook, at_most, new_token())

    def get(self, webhook_id: str) -> Webhook:
        """The webhook as it is. Raises WebhookNotFound."""
        for one in self.every():
            if one.id == webhook_id:
                return one
        raise WebhookNotFound(webhook_id=webhook_id)

    def every(self) -> Sequence[Webhook]:
        """All that there are, newest first: they are few."""
        if self._generation() != self.known.generation:
            self.known = self._read()
        return self.known.webhooks

    def update(self, webhook_id: str, change: WebhookChange) -> Webhook:
        """Apply a change to the webhook as it is and answer with what it became. Raises WebhookNotFound."""
        while True:
            before = self.get(webhook_id)
            after = change(before, self._now())
            if after is before:
                return before
            after = replace(after, version=before.version + 1, token=new_token())
            if self._swap(before, after):
                return after

    def remove(self, webhook_id: str) -> None:
        """Forget a webhook with all its deliveries. Raises WebhookNotFound."""
        if not self._remove(webhook_id, new_token()):
            raise WebhookNotFound(webhook_id=webhook_id)

    # -- deliveries ------------------------------------------------------------------------

    def due(self, room: dict[str, int]) -> Sequence[Delivery]:
        """What is due for each of these webhooks, longest due first, at most as many as there is room for."""
        return self._due({name: places for name, places in room.items() if places > 0}, self._now())

    def claim(self, delivery: Delivery, lease: timedelta) -> Delivery | None:
        """Begin to send it; None where somebody else has it, or it is there no more."""
        claim = new_token()
        try:
            claimed = self.update_delivery(delivery, partial(webhooks.claimed, claim=claim, lease=lease))
        except DeliveryNotFound:
            return None
        return claimed if claimed.claim == claim else None

    def answer(self, delivery: Delivery, answer: Answer, delay: timedelta) -> Delivery:
        """Note what came of a delivery that was claimed. Raises DeliveryNotFound."""
        change = partial(webhooks.answered, claim=delivery.claim, answer=answer, delay=delay)
        return self.update_delivery(delivery, change)

    def update_delivery(self, before: Delivery, change: DeliveryChange) -> Delivery:
        """Apply a change to the delivery as it is, which may be as it was, and answer with what it became.

        Raises DeliveryNotFound.
        """
        while True:
            after = change(before, self._now())
            if after is before:
                return before
            after = replace(after, version=before.version + 1, token=new_token())
            if self._swap_delivery(before, after):
                return after
            now = self.delivery(before.webhook_id, before.id)
            if now.token == after.token:
                return now  # our own write, whose reply was lost
            before = now

    def delivery(self, webhook_id: str, delivery_id: str) -> Delivery:
        """The delivery as it is. Raises DeliveryNotFound, also for one of another webhook."""
        found = self._delivery(delivery_id)
        if found is None or found.webhook_id != webhook_id:
            raise DeliveryNotFound(delivery_id=delivery_id)
        return found

    def find(self, webhook_id: str, before: int | None, limit: int) -> DeliveryPage:
        """One page of a webhook's log, newest first, and the total."""
        page = self._page(webhook_id, before, limit + 1)
        shown = page.deliveries[:limit]
        follows = len(page.deliveries) > limit
        return replace(page, deliveries=shown, next=shown[-1].number if follows else None)

    def tidy(self, webhook_id: str) -> int:
        """Forget what a log keeps no more; answers with how many deliveries wait."""
        self._trim(webhook_id, self._now() - KEPT_FOR, KEPT_AT_MOST)
        return self._waiting(webhook_id)

    @staticmethod
    def _check_room(owner: str, has: int, at_most: int) -> None:
        """Raise where one more would be too many. A backend calls it inside its atomic `_insert`."""
        if has >= at_most:
            raise TooManyWebhooks(owner=owner, webhooks=has)

    # -- primitives ------------------------------------------------------------------------

    @abstractmethod
    def _generation(self) -> str:
        """Of the last write to a webhook, in one cheap read."""

    @abstractmethod
    def _read(self) -> Known:
        """All webhooks, newest first, and their generation, as of one moment."""

    @abstractmethod
    def _insert(self, webhook: Webhook, at_most: int, generation: str) -> Webhook:
        """Atomically: `_check_room`; or the webhook, numbered and stored, and this generation from now on."""

    @abstractmethod
    def _swap(self, before: Webhook, after: Webhook) -> bool:
        """Atomically replace the webhook, if it has the version of `before`; its token is the generation then."""

    @abstractmethod
    def _remove(self, webhook_id: str, generation: str) -> bool:
        """Atomically remove the webhook with its deliveries; whether there was one."""

    @abstractmethod
    def _due(self, room: dict[str, int], now: datetime) -> Sequence[Delivery]:
        """Of each of these webhooks at most so many deliveries that are due, longest due first."""

    @abstractmethod
    def _delivery(self, delivery_id: str) -> Delivery | None:
        """The delivery as it is."""

    @abstractmethod
    def _swap_delivery(self, before: Delivery, after: Delivery) -> bool:
        """Atomically replace the delivery, if it has the version of `before`."""

    @abstractmethod
    def _page(self, webhook_id: str, before: int | None, limit: int) -> DeliveryPage:
        """The deliveries of one page, by descending number, and the total."""

    @abstractmethod
    def _trim(self, webhook_id: str, moment: datetime, kept: int) -> None:
        """Forget what happened before the moment, and what is final and not among the newest `kept`."""

    @abstractmethod
    def _waiting(self, webhook_id: str) -> int:
        """How many of its deliveries are not final."""
