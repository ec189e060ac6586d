"""The sockets of this service, to which nothing that it runs may connect: its own, its store's, broker's, Spark's."""

from __future__ import annotations

import socket
from collections.abc import Iterator, Sequence
from functools import lru_cache
from ipaddress import ip_address
from urllib.parse import urlsplit

from tag_tasks.assets.scope import Own

PORTS = {"redis": 6379, "rediss": 6379, "amqp": 5672, "amqps": 5671, "sc": 15002}


@lru_cache(maxsize=8)  # it is asked for each connection; Spark's may have another port by now
def own_sockets(listening: tuple[tuple[str, int], ...], *urls: str) -> Sequence[Own]:
    """Where it can be reached itself, and what it reaches by these URLs. A name is looked up once."""
    return [one for host, port in (*listening, *_of(urls)) for one in _at(host, port)]


def _of(urls: Sequence[str]) -> Iterator[tuple[str, int]]:
    for parts in map(urlsplit, urls):
        if parts.scheme in PORTS and parts.hostname:
            yield parts.hostname, parts.port or PORTS[parts.scheme]


def _at(host: str, port: int) -> Iterator[Own]:
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except OSError:  # nor does whoever asks there reach it
        return
    for _, _, _, _, where in found:
        yield Own(ip_address(str(where[0]).partition("%")[0]), port)
