"""The client: an address, a token, and what can be done there."""

from __future__ import annotations

from typing import Any

from tagapi.client.collectors import Collectors
from tagapi.client.documents import Documents, Projects, Streams
from tagapi.client.jobs import Jobs
from tagapi.client.login import chosen
from tagapi.client.outside import Audiences, Campaigns, Segments
from tagapi.client.scans import Scans, Schedules
from tagapi.client.tags import Tags
from tagapi.client.transport import PATIENCE, Transport
from tagapi.client.webhooks import Webhooks
from tagapi.client.workers import Workers


class Client:
    """A service. Not for several threads at once: each takes a client of its own.

    Without a `url`, the one of TAGAPI_URL, of `tagapi login`, or of one's own machine; without a `token`, the one of
    TAGAPI_TOKEN, or that of `tagapi login` for this url. `patience` is for how many seconds a lost connection, or a
    service that has no room, is tried again.
    """

    def __init__(self, url: str | None = None, token: str | None = None, *, patience: float = PATIENCE) -> None:
        login = chosen(url, token)
        self.url = login.url
        self._transport = Transport(login.url, login.token, patience)
        self.jobs = Jobs(self._transport)
        self.tags = Tags(self._transport)
        self.workers = Workers(self._transport)
        self.campaigns = Campaigns(self._transport)
        self.audiences = Audiences(self._transport)
        self.segments = Segments(self._transport)
        self.documents = Documents(self._transport)
        self.collectors = Collectors(self._transport)
        self.streams = Streams(self._transport)
        self.projects = Projects(self._transport)
        self.scans = Scans(self._transport)
        self.schedules = Schedules(self._transport)
        self.webhooks = Webhooks(self._transport)

    def health(self) -> dict[str, Any]:
        """How the service is; asked without a token too."""
        return self._transport.read("GET", "/health")

    def close(self) -> None:
        self._transport.close()

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
