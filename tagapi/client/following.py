"""The events of a job as they happen, across lost connections and restarts of the service.

They are pushed as a stream; where there is no room for one more, and shortly before a time limit, the list
of events is asked for instead.
"""

from __future__ import annotations

import json
import time
from collections.abc import Generator, Iterable, Iterator
from dataclasses import dataclass

import requests

from tagapi.client.errors import Busy
from tagapi.client.transport import READ_SECONDS, Transport, segment
from tagapi.client.values import FINAL, Event

NO_ROOM = ("pushes_full", "no_pushes")
HEARTBEAT = 15.0  # seconds after which a silent stream says that it is alive
SILENCE = 3 * HEARTBEAT  # after which it is dead
ASK_EVERY = 0.5  # seconds, where events are not pushed
SHORTEST = 1.0  # seconds that an answer is waited for, however little time is left

Events = Generator[Event, None, bool]
"""Whether nothing can come after them is what it returns."""


class TimeIsUp(Exception):
    """The job goes on."""


@dataclass
class Place:
    """The number of the last event that was told, and until when they are wanted."""

    last: int
    until: float | None

    def left(self) -> float:
        return float("inf") if self.until is None else self.until - time.monotonic()


def follow(transport: Transport, job_id: str, after: int = 0, until: float | None = None) -> Iterator[Event]:
    """Every event after this one, each once, to the last. Raises TimeIsUp, Refused or Unreachable."""
    place, path = Place(after, until), f"/api/tasks/events/{segment(job_id)}"
    pushed = True
    while True:
        before = place.last
        if (yield from (_told if pushed else _asked)(transport, path, place)):
            return
        if place.left() <= 0:
            raise TimeIsUp
        pushed = not pushed or place.last != before  # the list says who does not answer a stream that said nothing


def _told(transport: Transport, path: str, place: Place) -> Events:
    if place.left() <= HEARTBEAT + 1:
        return (yield from _asked(transport, path, place))
    try:
        return (yield from _pushed(transport, path, place))
    except Busy as busy:
        if busy.code not in NO_ROOM:
            raise
        return (yield from _asked(transport, path, place))


def _pushed(transport: Transport, path: str, place: Place) -> Events:
    headers = {"Accept": "text/event-stream", "Last-Event-ID": str(place.last)}
    left = place.left()
    in_time = min(SILENCE, left)
    try:
        with transport.send(
            "GET", path, headers=headers, stream=True, at_once=NO_ROOM, read_seconds=in_time, patience=left
        ) as answer:
            if answer.status_code == requests.codes.no_content:
                return True
            for number, event in _parsed(answer.iter_lines(chunk_size=1)):
                if event is not None:
                    place.last = place.last if number is None else number
                    yield event
                    if event.final:
                        return True
                if place.left() <= HEARTBEAT + 1:
                    return False
    except requests.RequestException:
        pass  # it is asked for again, behind what came
    return False


def _parsed(lines: Iterable[bytes]) -> Iterator[tuple[int | None, Event | None]]:
    """The id and the event of each; None for a sign of life."""
    number, data = None, b""
    for line in lines:
        name, _, value = line.partition(b": ")
        if line.startswith(b":"):
            yield None, None
        elif name == b"id":
            number = int(value or 0)  # an id that is cut off has no event
        elif name == b"data":
            data = value
        elif not line and data:
            yield number, Event.of(json.loads(data))
            number, data = None, b""


def _asked(transport: Transport, path: str, place: Place) -> Events:
    """The same from the list, once; a moment later there may be more."""
    in_time = max(SHORTEST, min(READ_SECONDS, place.left()))
    told = transport.read("GET", path, read_seconds=in_time, patience=place.left())["events"]
    for event in map(Event.of, told):
        if event.number > place.last:
            place.last = event.number
            yield event
    if told and told[-1]["status"] in FINAL:
        return True
    time.sleep(max(0.0, min(ASK_EVERY, place.left())))
    return False
