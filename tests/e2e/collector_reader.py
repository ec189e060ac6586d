"""A client that reads a collector, is cut off, and goes on where it was: what was told up to an offset, it has."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import requests

from tests.e2e.export_client import STREAM
from tests.e2e.server import Client

Chunk = dict[str, Any]


def chunks(client: Client, name: str, **asked: Any) -> Iterator[Chunk]:
    """The lines of a reading, as they come; of one that is not answered well, HTTPError."""
    with client.request("GET", f"{STREAM}/c/{name}/results", params=asked, stream=True) as answer:
        answer.raise_for_status()
        for line in answer.iter_lines(chunk_size=64 * 1024):
            yield json.loads(line)


def document_of(chunk: Chunk) -> dict[str, Any]:
    document: dict[str, Any] = chunk["chunk_result"]["data"]["data"]
    return document


class CollectorReader:
    """What one has read of a collector. Documents count once the offset behind them is told: else they come again."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.offset = "earliest"
        self.ids: list[str] = []
        self.cuts = 0

    def read(self, client: Client, lines: int | None = None, end: str = "stop") -> bool:
        """Read to the end, or hang up after so many lines; whether the end was reached."""
        behind: list[str] = []
        reading = chunks(client, self.name, resume_offset=self.offset, end_behaviour=end)
        for number, chunk in enumerate(reading, 1):
            kind = chunk["chunk_type"]
            assert kind != "CT_ERROR", chunk
            if kind == "CT_RESULT":
                behind.append(document_of(chunk)["id"])
            else:
                self.offset = chunk["chunk_control"]["resume_offset"]
                self.ids += behind
                behind = []
            if number == lines:
                self.cuts += 1
                reading.close()
                return False
        assert not behind, "the last line says where the reader is"
        return True

    def try_to_read(self, client: Client, lines: int | None = None) -> bool:
        """The same of a service that may go away meanwhile."""
        try:
            return self.read(client, lines)
        except requests.RequestException:
            self.cuts += 1
            return False
