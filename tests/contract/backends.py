"""Every registry backend, and how a test opens an empty one. A new backend is one more line."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from tagapi.jobs.registry import JobRegistry
from tagapi.registries.memory import MemoryRegistry
from tests.clock import ManualClock

BACKENDS: dict[str, Callable[[Path], JobRegistry]] = {
    "memory": lambda folder: MemoryRegistry(),
}
"""By name: opens an empty registry, which may keep its files in the folder that it is given."""


def open_backend(name: str, folder: Path, clock: ManualClock) -> JobRegistry:
    """An empty registry whose clock is the test's."""
    registry = BACKENDS[name](folder)
    registry.now = clock.now  # type: ignore[method-assign]
    return registry
