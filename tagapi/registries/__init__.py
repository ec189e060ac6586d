"""The places where jobs can be kept, chosen by `registry.url`."""

from __future__ import annotations

from urllib.parse import urlsplit

from tagapi.jobs.errors import StoreUnavailable
from tagapi.jobs.registry import JobRegistry
from tagapi.registries.memory import MemoryRegistry
from tagapi.registries.redis.registry import RedisRegistry
from tagapi.registries.sqlite.registry import SqliteRegistry

SQLITE = "sqlite:///"
REDIS = ("redis", "rediss", "unix")


KEEPS_ALL = "noeviction"


def unusable(url: str) -> str | None:
    """Why jobs must not be kept there, in one line; None where they may be."""
    registry = open_registry(url)
    try:
        facts = registry.describe()
    except StoreUnavailable as error:
        return f"cannot be used: {error.__cause__ or error}"
    finally:
        registry.close()
    if (policy := facts.get("maxmemory_policy", KEEPS_ALL)) != KEEPS_ALL:
        return f"may evict jobs: its maxmemory-policy is {policy}, and has to be {KEEPS_ALL}"
    return None


def open_registry(url: str) -> JobRegistry:
    """The registry of a URL, whether its store answers now or not. Raises ValueError for an unknown scheme."""
    if url == "memory://":
        return MemoryRegistry()
    if url.startswith(SQLITE):
        return SqliteRegistry(url.removeprefix(SQLITE))
    if urlsplit(url).scheme in REDIS:
        return RedisRegistry(url)
    raise ValueError(f"unknown registry {urlsplit(url).scheme or url!r}; known: memory, sqlite, {', '.join(REDIS)}")
