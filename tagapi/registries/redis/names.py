"""How the parts of keys are called on the server."""

from __future__ import annotations

import json
from functools import lru_cache
from hashlib import sha256

from tagapi.jobs.lists import ListKey
from tagapi.jobs.model import DEFAULT_LANE
from tagapi.jobs.registry import IdempotencyKey


def of_lane(lane: str) -> str:
    """What is added to the name of a key that every lane has of its own."""
    return "" if lane == DEFAULT_LANE else f":{lane}"


@lru_cache(10_000)
def list_name(key: ListKey) -> str:
    state = None if key.state is None else key.state.value
    return json.dumps([key.namespace, key.owner, state, key.label])


@lru_cache(10_000)
def list_names(keys: frozenset[ListKey]) -> str:
    return json.dumps([list_name(key) for key in keys])


def digest(key: IdempotencyKey) -> str:
    return sha256(json.dumps([key.owner, key.route, key.value]).encode()).hexdigest()
