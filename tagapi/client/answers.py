"""What an answer says, as the service's own words; and who answers in other words is not the service."""

from __future__ import annotations

from typing import Any

import requests

from tagapi.client.errors import Stranger

Json = dict[str, Any]


class Told(Json):
    """An answer. Raises Stranger for what the service would have said, and whoever answered did not."""

    def __init__(self, said: Json, url: str) -> None:
        super().__init__(said)
        self._url = url

    def __missing__(self, name: str) -> Any:
        raise Stranger(f"what answers at {self._url} is not this service: it says nothing of {name!r}")


def told_by(answer: requests.Response, url: str) -> Json:
    """The JSON object of an answer that went well. Raises Stranger."""
    try:
        body = answer.json()
    except ValueError:
        body = None
    if not isinstance(body, dict):
        raise Stranger(f"what answers at {url} is not this service: {answer.text[:80]!r}")
    return Told(body, url)
