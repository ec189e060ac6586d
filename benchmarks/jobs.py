"""A job of the tasks API from POST to its end."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

from tests.e2e.server import Client, until

FINAL = ("SUCCESS", "FAILURE", "REVOKED")
POLL = 0.05  # seconds between looks at a job of seconds


def done(server: Client, path: str, body: Mapping[str, Any]) -> tuple[float, Mapping[str, Any]]:
    """Seconds, and the result."""
    began = time.perf_counter()
    accepted = server.request("POST", path, json=dict(body)).json()
    ended = until(
        lambda: (told := server.read(accepted["status_url"]))["status"] in FINAL and told, path, 600, every=POLL
    )
    assert ended["status"] == "SUCCESS", ended
    return time.perf_counter() - began, ended["result"]
