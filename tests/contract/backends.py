"""Every registry backend, and how a test opens an empty one. A new backend is one more line."""

from __future__ import annotations

import atexit
from collections.abc import Callable
from functools import cache
from itertools import count
from pathlib import Path

from tagapi.jobs.registry import JobRegistry
from tagapi.registries import open_registry
from tests.clock import ManualClock
from tests.valkey import Valkey

_files = count()


@cache
def valkey() -> Valkey:
    """One server for the whole run; it ends with the process."""
    server = Valkey()
    server.start()
    atexit.register(server.remove)
    return server


def _redis(_folder: Path) -> JobRegistry:
    server = valkey()
    server.client().flushdb()
    return open_registry(server.url)


BACKENDS: dict[str, Callable[[Path], JobRegistry]] = {
    "memory": lambda folder: open_registry("memory://"),
    "sqlite": lambda folder: open_registry(f"sqlite:///{folder}/jobs-{next(_files)}.db"),
    "redis": _redis,
}
"""By name: opens an empty registry, which may keep its files in the folder that it is given."""


def open_backend(name: str, folder: Path, clock: ManualClock) -> JobRegistry:
    """An empty registry whose clock is the test's."""
    registry = BACKENDS[name](folder)
    registry.now = clock.now  # type: ignore[method-assign]
    return registry
