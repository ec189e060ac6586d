"""Webhooks: addresses that are told over HTTP what happens to jobs, signed as Standard Webhooks says."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from tagapi.client.front import LARGEST_PAGE, Front, Json, given
from tagapi.client.transport import segment

WEBHOOKS = "/api/tasks/webhooks"


class Webhooks(Front):
    """Yours; an admin's are everybody's."""

    def create(
        self, url: str, events: Sequence[str], *, tasks: Sequence[str] | None = None, everyone: bool | None = None
    ) -> Json:
        """With its `secret`, which is told this once. Sent once: where the answer is lost, look into `list`.

        `events` are such as `job.failed`; `tasks` keeps it to some, `everyone` is for admins.
        """
        kept = None if tasks is None else [*tasks]
        return self._read("POST", WEBHOOKS, body=given(url=url, events=[*events], tasks=kept, everyone=everyone))

    def list(self) -> Iterator[Json]:
        """The newest first."""
        return self._pages(WEBHOOKS, "webhooks")

    def get(self, webhook_id: str) -> Json:
        return self._read("GET", _path(webhook_id))

    def delete(self, webhook_id: str) -> None:
        """And all that was not delivered yet."""
        self._forget(_path(webhook_id))

    def resume(self, webhook_id: str) -> Json:
        """Go on with one that is paused."""
        return self._read("POST", f"{_path(webhook_id)}/resume", harmless=True)

    def deliveries(self, webhook_id: str) -> Iterator[Json]:
        """What was sent to it and what was answered, the newest first."""
        return self._pages(f"{_path(webhook_id)}/deliveries", "deliveries")

    def redeliver(self, webhook_id: str, delivery_id: str) -> Json:
        """Send it again, under the same id, whatever became of it."""
        path = f"{_path(webhook_id)}/deliveries/{segment(delivery_id)}/redeliver"
        return self._read("POST", path, harmless=True)

    def _pages(self, path: str, name: str) -> Iterator[Json]:
        cursor = None
        while True:
            page = self._read("GET", path, params={"page_size": LARGEST_PAGE, "cursor": cursor})
            yield from page[name]
            if (cursor := page["next"]) is None:
                return


def _path(webhook_id: str) -> str:
    return f"{WEBHOOKS}/{segment(webhook_id)}"
