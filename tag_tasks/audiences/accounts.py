"""Whose audiences a job is about: the platform's account, or the simulator's."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from tag_tasks.audiences.sent import Audience
from tag_tasks.platforms.audiences import Audiences, SimulatedAudiences
from tagapi.jobs.errors import TaskFailed

NAMES = {"meta": "Meta", "google": "Google Ads"}


@dataclass(frozen=True, slots=True)
class Accounts:
    """`real` has a client for each platform that is configured, by its name."""

    real: Mapping[str, Audiences]
    simulated: Audiences = field(default_factory=SimulatedAudiences)

    def of(self, platform: str, *, simulate: bool) -> Audiences:
        """Raises TaskFailed where the platform is not configured."""
        if simulate:
            return self.simulated
        if platform not in self.real:
            raise TaskFailed(reason=f"{NAMES[platform]} no está configurado")
        return self.real[platform]

    def named(self, told: Mapping[str, Any]) -> tuple[Audience, Audiences]:
        """The audience of this `platform` and `name`, `simulated` or not, and who has it."""
        platform, simulated = str(told["platform"]), bool(told["simulated"])
        client = self.of(platform, simulate=simulated)
        return Audience(platform, client.account, str(told["name"]), simulated), client

    def kept(self, about: Mapping[str, Any]) -> tuple[Audience, Audiences]:
        """The same of one that is kept under `key`. Raises TaskFailed where another account is configured by now."""
        audience, client = self.named(about)
        if audience.key != about["key"]:
            raise TaskFailed(reason=f"La audiencia «{audience.name}» es de otra cuenta de {NAMES[audience.platform]}")
        return audience, client

    def asked(self, arguments: Mapping[str, Any]) -> tuple[Audience, Audiences]:
        """The same of a sync's arguments."""
        told = {"platform": arguments["platform"], "name": arguments["audience"]["name"]}
        return self.named({**told, "simulated": arguments["simulate"]})
