"""Webhooks and their deliveries in the file of the jobs, written by the same writer."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

import apsw

from tagapi.jobs.outbox import DeliveryPage, Known, Outbox
from tagapi.jobs.webhooks import Delivery, Webhook
from tagapi.registries.codec import micros
from tagapi.registries.sqlite.schedules import Reading, Write
from tagapi.registries.webhook_codec import due_place, dump_delivery, dump_webhook, load_delivery, load_webhook

GENERATION = "SELECT generation FROM webhooks_generation"
SET_GENERATION = "UPDATE webhooks_generation SET generation = ?"
WEBHOOKS = "SELECT number, version, webhook FROM webhooks ORDER BY number DESC"
PUT = "INSERT OR IGNORE INTO deliveries (id, version, webhook, due, happened, delivery) VALUES (?, ?, ?, ?, ?, ?)"
READ = "SELECT number, version, delivery FROM deliveries WHERE "
SWAP = "UPDATE deliveries SET version = ?, due = ?, delivery = ? WHERE id = ? AND version = ?"
TRIM = """DELETE FROM deliveries WHERE webhook = ?1 AND (happened < ?2 OR (due IS NULL AND number <= (
  SELECT number FROM deliveries WHERE webhook = ?1 ORDER BY number DESC LIMIT 1 OFFSET ?3
)))
"""


class SqliteOutbox(Outbox):
    def __init__(self, now: Callable[[], datetime], reading: Reading, write: Write) -> None:
        """`reading` is for several statements that see one moment."""
        super().__init__(now)
        self._reading = reading
        self._write = write

    def put(self, db: apsw.Connection, deliveries: Sequence[Delivery]) -> None:
        """In the transaction of the change that delivers them."""
        for one in deliveries:
            columns = (one.id, one.version, one.webhook_id, due_place(one), micros(one.at), dump_delivery(one))
            db.execute(PUT, columns)

    def learn(self, db: apsw.Connection) -> bool:
        """Know the webhooks as they are for this transaction; whether they are others than was known."""
        known = _known(db)
        if known.generation == self.known.generation:
            return False
        self.known = known
        return True

    # -- webhooks --------------------------------------------------------------------------

    def _generation(self) -> str:
        with self._reading() as db:
            return str(db.execute(GENERATION).get)

    def _read(self) -> Known:
        with self._reading() as db:
            return _known(db)

    def _insert(self, webhook: Webhook, at_most: int, generation: str) -> Webhook:
        def inserted(db: apsw.Connection) -> Webhook:
            has = int(db.execute("SELECT count(*) FROM webhooks WHERE owner = ?", (webhook.owner,)).get)
            self._check_room(webhook.owner, has, at_most)
            columns = (webhook.id, webhook.version, webhook.owner, dump_webhook(webhook))
            insert = "INSERT INTO webhooks (id, version, owner, webhook) VALUES (?, ?, ?, ?) RETURNING number"
            number = int(db.execute(insert, columns).get)
            db.execute(SET_GENERATION, (generation,))
            return replace(webhook, number=number)

        return self._write(inserted)

    def _swap(self, before: Webhook, after: Webhook) -> bool:
        columns = (after.version, dump_webhook(after), before.id, before.version)

        def swapped(db: apsw.Connection) -> bool:
            db.execute("UPDATE webhooks SET version = ?, webhook = ? WHERE id = ? AND version = ?", columns)
            if written := bool(db.changes()):
                db.execute(SET_GENERATION, (after.token,))
            return written

        return self._write(swapped)

    def _remove(self, webhook_id: str, generation: str) -> bool:
        def removed(db: apsw.Connection) -> bool:
            db.execute("DELETE FROM webhooks WHERE id = ?", (webhook_id,))
            if there := bool(db.changes()):
                db.execute("DELETE FROM deliveries WHERE webhook = ?", (webhook_id,))
                db.execute(SET_GENERATION, (generation,))
            return there

        return self._write(removed)

    # -- deliveries ------------------------------------------------------------------------

    def _due(self, room: dict[str, int], now: datetime) -> Sequence[Delivery]:
        found: list[Delivery] = []
        if not room:
            return found
        with self._reading() as db:
            for webhook_id, places in room.items():
                columns = (webhook_id, micros(now), places)
                found += _deliveries(db, "webhook = ? AND due <= ? ORDER BY due, number LIMIT ?", columns)
        return found

    def _delivery(self, delivery_id: str) -> Delivery | None:
        with self._reading() as db:
            return next(iter(_deliveries(db, "id = ?", (delivery_id,))), None)

    def _swap_delivery(self, before: Delivery, after: Delivery) -> bool:
        columns = (after.version, due_place(after), dump_delivery(after), before.id, before.version)

        def swapped(db: apsw.Connection) -> bool:
            db.execute(SWAP, columns)
            return bool(db.changes())

        return self._write(swapped)

    def _page(self, webhook_id: str, before: int | None, limit: int) -> DeliveryPage:
        below = "" if before is None else f" AND number < {int(before)}"
        with self._reading() as db:
            total = int(db.execute("SELECT count(*) FROM deliveries WHERE webhook = ?", (webhook_id,)).get)
            found = _deliveries(db, f"webhook = ?{below} ORDER BY number DESC LIMIT ?", (webhook_id, limit))
        return DeliveryPage(deliveries=found, total=total)

    def _trim(self, webhook_id: str, moment: datetime, kept: int) -> None:
        columns = (webhook_id, micros(moment), kept)
        self._write(lambda db: db.execute(TRIM, columns) and None)

    def _waiting(self, webhook_id: str) -> int:
        waiting = "SELECT count(*) FROM deliveries WHERE webhook = ? AND due IS NOT NULL"
        with self._reading() as db:
            return int(db.execute(waiting, (webhook_id,)).get)


def _known(db: apsw.Connection) -> Known:
    rows: list[Any] = db.execute(WEBHOOKS).fetchall()
    return Known(generation=str(db.execute(GENERATION).get), webhooks=[load_webhook(*row) for row in rows])


def _deliveries(db: apsw.Connection, where: str, columns: tuple[Any, ...]) -> list[Delivery]:
    rows: list[Any] = db.execute(f"{READ}{where}", columns).fetchall()
    return [load_delivery(*row) for row in rows]
