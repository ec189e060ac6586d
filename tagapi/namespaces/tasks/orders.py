"""What this front starts: whether a caller may have it done, now, and what the task is told."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Protocol

from tagapi.auth import Principal, RightNeeded
from tagapi.jobs.errors import NotFoundInData
from tagapi.namespaces.problems import Conflict, Invalid
from tagapi.namespaces.tasks.asked import composed, tags_in

NO_CONSENT = 'es obligatorio ("granted"): los usuarios no tienen la columna ads_consent'
PLATFORMS = {"meta_publish": "meta", "google_publish": "google"}
"""Where a campaign is published."""


class NotConfigured(Conflict):
    message = "The platform is not configured: {setting} is missing."
    code = "not_configured"


class Outside(Protocol):
    """What has to be known of other services."""

    @property
    def countries(self) -> frozenset[str]:
        """ISO 3166 alpha-2, of all that there are."""

    def missing(self, platform: str) -> str | None:
        """The settings without which nothing can be done there; None where all are set."""


class Audiences(Protocol):
    """What is read of audiences. Raises NotReady."""

    def tag_ids(self) -> Sequence[int]: ...

    def keeps_consent(self) -> bool:
        """Whether the users' table says who gave consent."""

    def preview(self, expression: Mapping[str, Sequence[Any]]) -> Mapping[str, Any]:
        """How large an audience would be, and how its tags overlap. Raises NotFoundInData for a tag that was never
        computed."""

    def every(self) -> Sequence[Mapping[str, Any]]:
        """What is kept of each audience."""

    def audience_id(self, platform: str, name: str, *, simulated: bool) -> str | None:
        """The platform's id of an audience; None where there is none of that name."""


class Segments(Protocol):
    """What is read of segments. Raises NotReady, and NotFoundInData for what there is not."""

    def models(self) -> Sequence[Mapping[str, Any]]: ...

    def model(self, name: str, version: int | None = None) -> Mapping[str, Any]:
        """A version, the newest unless told otherwise, with its `segments`."""

    def in_use(self, name: str) -> Mapping[str, Any]:
        """The version by which users were predicted, the newest where nobody was."""

    def segment_of(self, name: str, user_id: str) -> Mapping[str, Any]: ...


@contextmanager
def blaming(field: str) -> Iterator[None]:
    """What is not there was named in this field of the body, or its version beside it."""
    try:
        yield
    except NotFoundInData as error:
        to_blame = "version" if error.facts["thing"] == "version" else field
        raise NotFoundInData(**error.facts, field=to_blame) from None


class Orders:
    """Checks what has a valid shape. `app.py` hands in what there is to know."""

    def __init__(self, outside: Outside, audiences: Audiences, segments: Segments) -> None:
        self._outside = outside
        self.audiences = audiences
        self.segments = segments

    def check(self, work: str, arguments: Mapping[str, Any], caller: Principal) -> None:
        """Of a body, and again of a job that is repeated.

        Raises RightNeeded, NotConfigured, Invalid, NotFoundInData and NotReady.
        """
        if work in PLATFORMS:
            self._check_campaign(arguments["campaign"])
            if work == "meta_publish":
                self._audience_id(arguments["audience"], simulated=arguments["simulate"])
            if not arguments["simulate"]:
                self._check_real(caller, "publish", PLATFORMS[work])
        elif work == "audience_sync":
            self._check_sync(arguments, caller)
        elif work == "segment_predict":
            with blaming("model"):
                self.segments.model(arguments["model"], arguments["version"])
        elif work == "audience_removal":
            for audience in arguments["audiences"]:
                if not audience["simulated"]:
                    self._check_real(caller, "audience", audience["platform"])
                elif audience["asked_by"] != caller.name and not caller.may("audience"):
                    raise RightNeeded(right="audience", what="remove audiences of others")
        elif work == "person_removal" and not caller.may("audience"):
            raise RightNeeded(right="audience", what="remove people")

    def audiences_of(
        self, name: str, platform: str | None = None, simulated: bool | None = None
    ) -> Sequence[Mapping[str, Any]]:
        """The audiences of a name. Raises NotFoundInData where there are none."""
        every = (about for about in self.audiences.every() if about["name"] == composed(name))
        theirs = (about for about in every if platform in (None, about["platform"]))
        found = [about for about in theirs if simulated in (None, about["simulated"])]
        if not found:
            raise NotFoundInData(thing="audience", name=name)
        return found

    def arguments(self, work: str, body: dict[str, Any]) -> dict[str, Any]:
        """What the task is told. Raises NotFoundInData for an audience that nobody has synced."""
        if work != "meta_publish":
            return body
        return {**body, "audience_id": self._audience_id(body["audience"], simulated=body["simulate"])}

    def preview(self, expression: Mapping[str, Any]) -> Mapping[str, Any]:
        """How large an audience of these tags would be. Raises Invalid, NotFoundInData and NotReady."""
        self._check_tags(expression, "tags")
        return self.audiences.preview(expression)

    def _check_tags(self, expression: Mapping[str, Any], field: str) -> None:
        if unknown := set(tags_in(expression)) - set(self.audiences.tag_ids()):
            raise Invalid(field, f"no existe la etiqueta {min(unknown)}")

    def _audience_id(self, name: str | None, *, simulated: bool) -> str | None:
        if name is None:
            return None
        if (found := self.audiences.audience_id("meta", name, simulated=simulated)) is None:
            kind = "simulated audience" if simulated else "audience"
            raise NotFoundInData(thing=kind, name=name, field="audience")
        return found

    def _check_campaign(self, campaign: Mapping[str, Any]) -> None:
        for place, code in enumerate(campaign["countries"]):
            if code not in self._outside.countries:
                raise Invalid(f"campaign.countries[{place}]", "no es un país de ISO 3166")

    def _check_sync(self, arguments: Mapping[str, Any], caller: Principal) -> None:
        self._check_tags(arguments["audience"]["tags"] or {}, "audience.tags")
        if (named := arguments["audience"]["segment"]) is not None:
            with blaming("audience.segment.model"):
                most = len(self.segments.in_use(named["model"])["segments"])
            if named["segment"] >= most:
                raise Invalid("audience.segment.segment", f"el modelo tiene segmentos de 0 a {most - 1}")
        if not arguments["simulate"]:
            if not arguments["dry_run"] and not caller.may("audience"):
                raise RightNeeded(right="audience", what="sync audiences")
            self._check_configured(arguments["platform"])
        if arguments["consent"] is None and not self.audiences.keeps_consent():
            raise Invalid("consent", NO_CONSENT)

    def _check_real(self, caller: Principal, right: str, platform: str) -> None:
        if not caller.may(right):
            raise RightNeeded(right=right, what=right)
        self._check_configured(platform)

    def _check_configured(self, platform: str) -> None:
        if (setting := self._outside.missing(platform)) is not None:
            raise NotConfigured(setting=setting)
