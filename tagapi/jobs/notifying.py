"""The one door to webhooks for namespaces, and what is tended of them by the clock."""

from __future__ import annotations

import logging
import secrets
import uuid
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial

from tagapi.jobs import webhooks
from tagapi.jobs.errors import WebhookNotFound, WebhookPaused
from tagapi.jobs.outbox import WAITING_AT_MOST, DeliveryPage, Outbox
from tagapi.jobs.registry import JobRegistry
from tagapi.jobs.webhooks import Delivery, Webhook

log = logging.getLogger(__name__)

OWNER_GONE = "its owner may not hear of this any more"
TOO_MANY_WAIT = "too many of its deliveries wait"
RECEIVER_GONE = "its receiver answered 410 Gone"
SECRET_BYTES = 32
AT_MOST = 20
"""Webhooks of one owner."""


class Notifying:
    """Thin on purpose, as the service of jobs is: what is delivered, and how it changes, is said in `webhooks.py`."""

    def __init__(
        self,
        registry: JobRegistry,
        check: Callable[[str], None],
        may: Callable[[Webhook], bool] = lambda webhook: True,
        at_most: int = AT_MOST,
    ) -> None:
        """`check` raises Unusable for an address that nothing may be sent to; `may` says whether a webhook's owner may
        still hear of what it tells, and where that cannot be said, it says yes."""
        self._registry = registry
        self._outbox = registry.outbox
        self._check = check
        self._may = may
        self._at_most = at_most

    def create(
        self, url: str, types: Sequence[str], tasks: Sequence[str] | None, *, owner: str, everyone: bool = False
    ) -> Webhook:
        """Have an address told of an owner's jobs, or of everyone's. Raises Unusable and TooManyWebhooks."""
        self._check(url)
        webhook = Webhook(
            id=str(uuid.uuid4()),
            owner=owner,
            url=url,
            secret=secrets.token_bytes(SECRET_BYTES),
            types=tuple(types),
            tasks=None if tasks is None else tuple(tasks),
            everyone=everyone,
            created_at=self._registry.now(),
        )
        kept = self._outbox.add(webhook, self._at_most)
        log.info("webhook_created", extra={"webhook": kept.id, "owner": owner})
        return kept

    def get(self, webhook_id: str, owner: str | None = None) -> Webhook:
        """The webhook as it is. Raises WebhookNotFound, also for another owner's."""
        found = self._outbox.get(webhook_id)
        if owner not in (None, found.owner):
            raise WebhookNotFound(webhook_id=webhook_id)
        return found

    def every(self, owner: str | None = None) -> Sequence[Webhook]:
        """An owner's, or all; newest first."""
        return [one for one in self._outbox.every() if owner in (None, one.owner)]

    def remove(self, webhook_id: str, owner: str | None = None) -> None:
        """Forget a webhook and its deliveries: what is being sent may still arrive. Raises WebhookNotFound."""
        self._outbox.remove(self.get(webhook_id, owner).id)
        log.info("webhook_removed", extra={"webhook": webhook_id})

    def resume(self, webhook_id: str, owner: str | None = None) -> Webhook:
        """Go on with what waited already, and with what happens from now on. Raises WebhookNotFound."""
        return self._outbox.update(self.get(webhook_id, owner).id, webhooks.resume)

    def deliveries(self, webhook_id: str, owner: str | None, before: int | None, limit: int) -> DeliveryPage:
        """One page of a webhook's log, newest first. Raises WebhookNotFound."""
        return self._outbox.find(self.get(webhook_id, owner).id, before, limit)

    def deliver_again(self, webhook_id: str, delivery_id: str, owner: str | None = None) -> Delivery:
        """Send a delivery now, whatever became of it. Raises WebhookNotFound, DeliveryNotFound and WebhookPaused."""
        webhook = self.get(webhook_id, owner)
        delivery = self._outbox.delivery(webhook_id, delivery_id)
        if webhook.paused is not None:
            raise WebhookPaused(why=webhook.paused)
        return self._outbox.update_delivery(delivery, webhooks.again)

    # -- what is tended by the clock -----------------------------------------------------------

    def pause_orphans(self) -> None:
        """Pause the webhooks whose owners are gone, or may not hear any more of what they tell."""
        for webhook in self._outbox.every():
            if webhook.paused is None and not self._may(webhook):
                pause(self._outbox, webhook, OWNER_GONE)

    def tidy(self) -> None:
        """Forget what logs keep no more, and pause whoever has too much waiting."""
        for webhook in self._outbox.every():
            if self._outbox.tidy(webhook.id) > WAITING_AT_MOST and webhook.paused is None:
                pause(self._outbox, webhook, TOO_MANY_WAIT)


def pause(outbox: Outbox, webhook: Webhook, why: str) -> None:
    """Send nothing more, and say why; one that was removed meanwhile is none any more."""
    with suppress(WebhookNotFound):
        outbox.update(webhook.id, partial(webhooks.pause, why=why))
        log.warning("webhook_paused", extra={"webhook": webhook.id, "owner": webhook.owner, "why": why})
