"""Collectors: made, filled by exports, and read as an iterator that goes on by itself wherever it is interrupted."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import requests

from tagapi.client.errors import NotAllowed, NotFound, Unreachable
from tagapi.client.front import Front, Json
from tagapi.client.transport import Pauses, Transport, segment

PIECE = 64 * 1024  # bytes
SILENCE = 30.0  # seconds; a stream that waits says where it is every ten
GONE, TOKEN = "15", "7"
STREAM = "/api/v3/stream"


@dataclass(frozen=True, slots=True)
class Batch:
    """Documents that follow each other, and the place behind them: keep both, and nothing is missed or had twice."""

    documents: Sequence[Json]
    offset: str


class Reading:
    """The documents of a collector from a place on. Iterate over it, or over its `batches`."""

    def __init__(self, transport: Transport, name: str, offset: str, wait: bool, limit: int | None) -> None:
        self._transport, self._wait, self._left = transport, wait, limit
        self._path = f"{STREAM}/c/{segment(name)}/results"
        self.offset = offset
        """Behind the last document that was taken: what lies before it does not come again."""
        self.expired = False
        """Documents were not kept as long as it took to come for them."""

    def __iter__(self) -> Iterator[Json]:
        """Each document once. `offset` moves on when the next one behind a batch is asked for."""
        for batch in self.batches():
            yield from batch.documents

    def batches(self) -> Iterator[Batch]:
        """At most a thousand documents at a time, each with the place behind them."""
        pauses = Pauses(self._transport.patience)
        while self._left is None or self._left > 0:
            before = self.offset
            try:
                yield from self._connection()
                if not self._wait or self._left == 0:
                    return
                lost = Unreachable(f"the stream of {self._path} ends again and again")
            except requests.RequestException as error:
                lost = Unreachable(f"the connection to {self._transport.url} was lost: {error}")
            except _Interrupted as interrupted:
                lost = Unreachable(str(interrupted))
            if self.offset != before:
                pauses = Pauses(self._transport.patience)
            pauses.wait(lost)

    def _connection(self) -> Iterator[Batch]:
        """What comes over one. Documents count once the place behind them is told."""
        behaviour = "wait" if self._wait else "stop"
        asked = {"resume_offset": self.offset, "end_behaviour": behaviour, "max_hits": self._left}
        documents: list[Json] = []
        with self._transport.send("GET", self._path, params=asked, stream=True, read_seconds=SILENCE) as answer:
            for line in answer.iter_lines(chunk_size=PIECE):
                chunk = self._chunk(line)
                if chunk["chunk_type"] == "CT_RESULT":
                    documents.append(chunk["chunk_result"]["data"]["data"])
                elif chunk["chunk_type"] == "CT_CONTROL":
                    yield from self._place(chunk["chunk_control"], documents)
                    documents = []
                else:
                    raise _error(chunk["chunk_error"])
        if documents:
            raise _Interrupted(f"the stream of {self._path} ended without saying where")

    def _chunk(self, line: bytes) -> Json:
        """Raises _Interrupted for a line that broke off, or is somebody else's."""
        try:
            found = json.loads(line)
        except ValueError:
            found = None
        if not isinstance(found, dict) or "chunk_type" not in found:
            raise _Interrupted(f"what answers at {self._transport.url} is not this service: {line[:80]!r}")
        return found

    def _place(self, control: Mapping[str, Any], documents: list[Json]) -> Iterator[Batch]:
        self.expired = self.expired or bool(control.get("expired"))
        offset = control["resume_offset"]
        if documents:
            yield Batch(documents, offset)
            self._left = None if self._left is None else self._left - len(documents)
        self.offset = offset


class _Interrupted(Exception):
    """The service says that this is not the end."""


def _error(told: Mapping[str, Any]) -> Exception:
    code, message = str(told.get("status_code", "")), str(told.get("status_message", told))
    if code == GONE:
        return NotFound(message, status=404, code=code)
    if code == TOKEN:
        return NotAllowed(message, status=401, code=code)
    return _Interrupted(message)


class Collectors(Front):
    """Queues of documents: filled by exports, or, with queries of their own, by what arrives."""

    def put(self, name: str, collector_query: Json | None = None) -> Json:
        """Make one, or change its query; what it holds stays. Without a query it receives what exports copy into it."""
        body = {} if collector_query is None else {"collector_query": collector_query}
        return self._one("PUT", name, body=body)

    def get(self, name: str) -> Json:
        return self._one("GET", name)

    def list(self) -> Sequence[Json]:
        """Your own."""
        found: Sequence[Json] = self._read("GET", f"{STREAM}/info")["result_stream"]["collectors"]
        return found

    def delete(self, name: str) -> None:
        """With all that it holds."""
        self._forget(f"{STREAM}/c/{segment(name)}")

    def pause(self, name: str) -> Json:
        """Add nothing more of what arrives; that is skipped for good."""
        return self._one("POST", name, "/pause", harmless=True)

    def resume(self, name: str) -> Json:
        return self._one("POST", name, "/resume", harmless=True)

    def read(self, name: str, offset: str = "earliest", *, wait: bool = False, limit: int | None = None) -> Reading:
        """Its documents from a place on: `earliest`, `latest`, or an offset that was told; with `wait`, without end."""
        return Reading(self._transport, name, offset, wait, limit)

    def _one(self, method: str, name: str, what: str = "", **more: Any) -> Json:
        told = self._read(method, f"{STREAM}/c/{segment(name)}{what}", **more)
        collector: Json = told["result_stream"]["collectors"][0]
        return collector
