"""Tags: compute them, read who carries them and why."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from tagapi.client.front import Front, Json, Timing, given
from tagapi.client.job import Job
from tagapi.client.transport import segment
from tagapi.client.values import Schedule

TRIGGER = "/api/v1/tags/trigger"
PAGE = 10_000


class Tags(Front):
    """Rules that a user matches or not."""

    def run(
        self,
        tag_ids: Sequence[int],
        *,
        user_ids: Sequence[str] | None = None,
        mode: str | None = None,
        dry_run: bool | None = None,
        diff: bool | None = None,
        key: str | None = None,
    ) -> Job:
        """Compute tags for everyone or for these users; `mode` is `full` or `incremental`.

        A dry run tells the same, with who would be added and removed, and writes nothing.
        """
        return self._begin(TRIGGER, _body(tag_ids, user_ids, mode, dry_run, diff), key)

    def schedule(
        self,
        tag_ids: Sequence[int],
        timing: Timing,
        *,
        user_ids: Sequence[str] | None = None,
        mode: str | None = None,
        dry_run: bool | None = None,
        diff: bool | None = None,
        key: str | None = None,
    ) -> Schedule:
        """The same by the clock, again and again, and not now."""
        body = {**_body(tag_ids, user_ids, mode, dry_run, diff), "schedule": dict(timing)}
        return self._schedule(TRIGGER, body, key)

    def available(self) -> Sequence[Json]:
        found: Sequence[Json] = self._read("GET", "/api/v1/tags/available")["available_tags"]
        return found

    def get(self, tag_id: int) -> Json:
        """Its rule in words, its source, how many carry it, its last run over everyone."""
        found: Json = self._read("GET", f"/api/v1/tags/{segment(tag_id)}")["tag"]
        return found

    def members(self, tag_id: int) -> Iterator[str]:
        """Who carries it, by ascending user id."""
        cursor = None
        while True:
            asked = {"limit": PAGE, "cursor": cursor}
            page = self._read("GET", f"/api/v1/tags/{segment(tag_id)}/users", params=asked)
            yield from page["users"]
            if (cursor := page["next_cursor"]) is None:
                return

    def of(self, user_id: str) -> Sequence[int]:
        """The tags that a user carries, as stored."""
        found: Sequence[int] = self._read("GET", f"/api/v1/users/{segment(user_id)}/tags")["tags"]
        return found

    def explain(self, user_id: str) -> Sequence[Json]:
        """Of every tag, whether the user carries it, and whether and why its rule holds now."""
        path = f"/api/v1/users/{segment(user_id)}/tags"
        found: Sequence[Json] = self._read("GET", path, params={"explain": True})["tags"]
        return found


def _body(
    tag_ids: Sequence[int], user_ids: Sequence[str] | None, mode: str | None, dry_run: bool | None, diff: bool | None
) -> Json:
    users = None if user_ids is None else list(user_ids)
    return given(tag_ids=list(tag_ids), user_ids=users, mode=mode, dry_run=dry_run, diff=diff)
