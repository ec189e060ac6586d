"""Sockets that write down where they are sent, and lead to a server of the tests wherever that is.

So a test can have addresses of the whole internet, and none of it is ever contacted.
"""

from __future__ import annotations

import socket
from collections.abc import Callable
from typing import Any

Connects = list[tuple[str, int]]
"""Addresses and ports to which a connection was begun."""


def diverted(connects: Connects, lead: Callable[[int], tuple[str, int]]) -> type[socket.socket]:
    """`lead` says which server stands for a port."""

    class Diverted(socket.socket):
        def connect(self, address: Any) -> None:
            connects.append((address[0], address[1]))
            host, port = lead(address[1])
            super().connect((f"::ffff:{host}" if self.family == socket.AF_INET6 else host, port))

        def connect_ex(self, address: Any) -> int:
            raise AssertionError("a connection that is not written down")

    return Diverted
