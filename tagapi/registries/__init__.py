"""The places where jobs can be kept, chosen by `registry.url`."""

from __future__ import annotations

from urllib.parse import urlsplit

from tagapi.jobs.registry import JobRegistry
from tagapi.registries.memory import MemoryRegistry


def open_registry(url: str) -> JobRegistry:
    """The registry of a URL. Raises ValueError, naming the schemes it knows, for any other."""
    if url == "memory://":
        return MemoryRegistry()
    raise ValueError(f"unknown registry {urlsplit(url).scheme or url!r}; known: memory://")
