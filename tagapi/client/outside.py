"""What reaches the platforms, and what is learned of users for it: campaigns, audiences, segments."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from tagapi.client.front import Front, Json, given
from tagapi.client.job import Job
from tagapi.client.transport import segment

TASKS = "/api/tasks"


class Campaigns(Front):
    """On `meta` or `google`, made once or not at all, and paused."""

    def publish(
        self,
        platform: str,
        campaign: Mapping[str, Any],
        *,
        audience: str | None = None,
        simulate: bool | None = None,
        key: str | None = None,
    ) -> Job:
        """`simulate` needs no account, and makes ids that cannot be taken for real ones."""
        body = given(campaign=dict(campaign), audience=audience, simulate=simulate)
        return self._begin(f"{TASKS}/publish/{segment(platform)}", body, key)


class Audiences(Front):
    """Who carries an expression of tags, or is in a segment, known to a platform by hashes alone."""

    def sync(
        self,
        platform: str,
        name: str,
        *,
        tags: Mapping[str, Any] | None = None,
        segment: Mapping[str, Any] | None = None,
        consent: str | None = None,
        dry_run: bool | None = None,
        simulate: bool | None = None,
        key: str | None = None,
    ) -> Job:
        """Send what has changed. `tags` is as in `{"all": [1, 5], "none": [3]}`, `segment` `{"model", "segment"}`."""
        audience = given(name=name, tags=tags, segment=segment)
        body = given(platform=platform, audience=audience, consent=consent, dry_run=dry_run, simulate=simulate)
        return self._begin(f"{TASKS}/audiences/sync", body, key)

    def preview(self, tags: Mapping[str, Any]) -> Json:
        """How large it would be, how large each of its tags is, and how each two overlap; nothing is made."""
        return self._read("POST", f"{TASKS}/audiences/preview", body={"tags": dict(tags)}, harmless=True)

    def list(self) -> Sequence[Json]:
        found: Sequence[Json] = self._read("GET", f"{TASKS}/audiences")["audiences"]
        return found

    def get(self, name: str) -> Sequence[Json]:
        """The audience on each platform that has it."""
        found: Sequence[Json] = self._read("GET", f"{TASKS}/audiences/{segment(name)}")["audiences"]
        return found

    def delete(
        self, name: str, *, platform: str | None = None, simulated: bool | None = None, key: str | None = None
    ) -> Job:
        """Here and on the platforms."""
        params = {"platform": platform, "simulated": simulated}
        return self._begin(f"{TASKS}/audiences/{segment(name)}", None, key, method="DELETE", params=params)

    def remove_person(self, user_id: str, *, key: str | None = None) -> Job:
        """Out of every audience, here and on the platforms, for good."""
        return self._begin(f"{TASKS}/audiences/users/{segment(user_id)}", None, key, method="DELETE")


class Segments(Front):
    """Users who are alike, found by their numbers."""

    def train(
        self,
        model: str,
        *,
        segments: int | str | None = None,
        features: Sequence[str] | None = None,
        key: str | None = None,
    ) -> Job:
        """A new version of a model; `segments` is 2 to 20, or `auto`."""
        features = None if features is None else list(features)
        body = given(model=model, segments=segments, features=features)
        return self._begin(f"{TASKS}/segments/train", body, key)

    def predict(
        self,
        model: str,
        *,
        version: int | None = None,
        user_ids: Sequence[str] | None = None,
        key: str | None = None,
    ) -> Job:
        """Put users into their segments."""
        users = None if user_ids is None else list(user_ids)
        body = given(model=model, version=version, user_ids=users)
        return self._begin(f"{TASKS}/segments/predict", body, key)

    def models(self) -> Sequence[Json]:
        found: Sequence[Json] = self._read("GET", f"{TASKS}/segments/models")["models"]
        return found

    def model(self, name: str, version: int | None = None) -> Json:
        return self._read("GET", f"{TASKS}/segments/models/{segment(name)}", params={"version": version})

    def of(self, model: str, user_id: str) -> Json:
        """A user's segment, by the last prediction."""
        return self._read("GET", f"{TASKS}/segments/models/{segment(model)}/users/{segment(user_id)}")
