"""Who is told of jobs over HTTP, and what of: a webhook, its deliveries, and every way in which they may change.

A webhook and a delivery are frozen values; their changes are pure, as a job's are, since the registry may apply one
more than once before it is written. This module knows no clock, no storage, no network and no chance.
"""

from __future__ import annotations

import enum
import json
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from itertools import takewhile

from tagapi.jobs.model import Event, EventKind, Job, JobState

DELIVERIES = uuid.UUID("8f1f3a52-7f0b-4f0e-9a4c-2c5f7f6b1e90")
"""The name space of the ids of deliveries."""
GIVEN_UP_AFTER = timedelta(hours=24)
LARGEST_RESULT = 16 * 1024  # bytes, as JSON: a larger one is fetched by whoever wants it

STARTED, RETRYING, PARKED = "job.started", "job.retrying", "job.parked"
TYPE_OF_KIND: Mapping[EventKind, str] = {
    EventKind.STARTED: STARTED,
    EventKind.RETRIED: RETRYING,
    EventKind.PARKED: PARKED,
}
TYPE_OF_END: Mapping[JobState, str] = {state: f"job.{state.value}" for state in JobState if state.final}
TYPES = (*TYPE_OF_KIND.values(), *TYPE_OF_END.values())
"""What can be heard of: an attempt began, ended without an outcome, nobody knows what came of it, how the job ended."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Webhook:
    """Where somebody wants to hear of jobs, and of which."""

    id: str
    owner: str
    """The name of the principal who asked: it hears of their jobs."""

    url: str
    secret: bytes = field(repr=False)
    """What its deliveries are signed with."""

    types: tuple[str, ...]
    """What it hears of: some of TYPES."""

    created_at: datetime
    tasks: tuple[str, ...] | None = None
    """The names of the tasks that it hears of; None for all."""

    everyone: bool = False
    """It hears of everybody's jobs."""

    number: int = 0
    """Grows by one with every webhook of a registry: the order of their creation."""

    version: int = 1
    """Raised by every write: what a compare-and-set compares."""

    token: str = ""
    """Random, of the last write: a writer whose reply was lost knows its own write by it."""

    paused: str | None = None
    """Why nothing is sent, nor anything more kept for it; None where it is."""

    def wants(self, job: Job, happened: str) -> bool:
        request = job.request
        return (
            self.paused is None
            and happened in self.types
            and (self.everyone or self.owner == request.owner)
            and (self.tasks is None or request.task in self.tasks)
        )


class DeliveryState(enum.Enum):
    """Where a delivery stands. The last two are final, until somebody asks for it again."""

    WAITING = "waiting"
    """It is sent when it is due."""

    DELIVERED = "delivered"
    """Its receiver said that it has it."""

    GIVEN_UP = "given up"
    """It was sent for as long as deliveries are, or its receiver wants none."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Answer:
    """What came of one attempt to deliver."""

    at: datetime
    seconds: float
    status: int | None = None
    """Of the receiver's answer, where there was one."""

    error: str | None = None
    """What went wrong, where there was none: one of a few words, and nothing of the receiver's own."""

    @property
    def taken(self) -> bool:
        return self.status is not None and 200 <= self.status < 300

    @property
    def gone(self) -> bool:
        return self.status == 410


@dataclass(frozen=True, kw_only=True, slots=True)
class Delivery:
    """One thing that happened to a job, for one webhook."""

    id: str
    """Made of the webhook, the job and the number of the event: the same, however often the change is applied."""

    webhook_id: str
    type: str
    """One of TYPES."""

    at: datetime
    """When it happened, by the registry's clock."""

    job: Job
    """As it became by this change, without its arguments and its history."""

    due_at: datetime | None
    """From when on it may be sent: while it is being sent, by whoever takes it over. None where it is final."""

    until: datetime
    """When it is given up."""

    state: DeliveryState = DeliveryState.WAITING
    attempts: int = 0
    """How many have begun, of all times."""

    failures: int = 0
    """How many have failed since it was last asked for."""

    claim: str = ""
    """Of who is sending it: an attempt that took too long may not say what came of it."""

    answer: Answer | None = None
    """The last one."""

    number: int = 0
    """Grows by one with every delivery of a registry."""

    version: int = 1
    token: str = ""


WebhookChange = Callable[[Webhook, datetime], Webhook]
DeliveryChange = Callable[[Delivery, datetime], Delivery]


# -- what a job's change delivers --------------------------------------------------------------


def happened(before: Job, after: Job) -> Iterator[tuple[Event, str]]:
    """What this change brought of what can be heard of."""
    seen = before.events[-1].number if before.events else 0
    news = [*takewhile(lambda event: event.number > seen, reversed(after.events))]
    for event in reversed(news):
        if event.kind is EventKind.FINISHED:
            yield event, TYPE_OF_END[after.state]
        elif event.kind in TYPE_OF_KIND:
            yield event, TYPE_OF_KIND[event.kind]


def deliveries(webhooks: Sequence[Webhook], before: Job, after: Job) -> Sequence[Delivery]:
    """What is to be delivered once the job has become this."""
    if not webhooks or after.events[-1:] == before.events[-1:]:
        return ()
    told = [(event, kind) for event, kind in happened(before, after) if any(one.wants(after, kind) for one in webhooks)]
    if not told:
        return ()
    job = told_of(after)
    return [
        Delivery(
            id=str(uuid.uuid5(DELIVERIES, f"{webhook.id} {job.id} {event.number}")),
            webhook_id=webhook.id,
            type=kind,
            at=event.at,
            job=job,
            due_at=event.at,
            until=event.at + GIVEN_UP_AFTER,
        )
        for event, kind in told
        for webhook in webhooks
        if webhook.wants(after, kind)
    ]


def told_of(job: Job) -> Job:
    """What a delivery keeps of a job: none of what somebody asked for, and no result that is large."""
    request = replace(job.request, arguments={}, labels=(), asked=None, kept_before=None)
    result = job.result
    if result is not None and len(json.dumps(result, ensure_ascii=False).encode()) > LARGEST_RESULT:
        result = None
    return replace(job, request=request, result=result, events=(), journal=(), kept=None, phases=job.phases[-1:])


# -- changes of a delivery ---------------------------------------------------------------------


def claimed(delivery: Delivery, now: datetime, *, claim: str, lease: timedelta) -> Delivery:
    """Begin to send it, where it is due; whoever does not tell in time what came of it has lost it."""
    if delivery.claim == claim or delivery.due_at is None or delivery.due_at > now:
        return delivery
    return replace(delivery, claim=claim, attempts=delivery.attempts + 1, due_at=now + lease)


def answered(delivery: Delivery, now: datetime, *, claim: str, answer: Answer, delay: timedelta) -> Delivery:
    """Note what came of the attempt: delivered, or sent again after `delay`, or given up."""
    if delivery.claim != claim:
        return delivery
    told = replace(delivery, claim="", answer=answer)
    if answer.taken:
        return replace(told, state=DeliveryState.DELIVERED, due_at=None)
    told = replace(told, failures=delivery.failures + 1)
    if answer.gone or now >= delivery.until:
        return replace(told, state=DeliveryState.GIVEN_UP, due_at=None)
    return replace(told, due_at=min(now + delay, delivery.until))


def again(delivery: Delivery, now: datetime) -> Delivery:
    """Somebody asks for it: it is sent now, and for as long as a new one. One that is being sent is left to that."""
    if delivery.claim and delivery.due_at is not None and delivery.due_at > now:
        return delivery
    return replace(delivery, state=DeliveryState.WAITING, due_at=now, until=now + GIVEN_UP_AFTER, failures=0, claim="")


def backoff(failures: int, first: float, most: float, chance: float) -> timedelta:
    """How long to wait after so many failures in a row: each time thrice as long, `most` seconds in the end.

    `chance`, of 0..1, takes up to a third of it away, so that what failed together does not come together again.
    """
    seconds = min(first * 3.0 ** min(failures, 40), most)
    return timedelta(seconds=seconds * (1 - chance / 3))


# -- changes of a webhook ----------------------------------------------------------------------


def pause(webhook: Webhook, now: datetime, *, why: str) -> Webhook:
    """Send nothing, and keep nothing more for it, until it is resumed; the first reason counts."""
    return webhook if webhook.paused is not None else replace(webhook, paused=why)


def resume(webhook: Webhook, now: datetime) -> Webhook:
    """Go on: with what waited already, and with what happens from now on."""
    return webhook if webhook.paused is None else replace(webhook, paused=None)
