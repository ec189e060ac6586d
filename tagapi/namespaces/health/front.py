"""Probes: is the service there, is it ready, does anything need a person. They belong to no document's front.

What is wrong with a request is told as in the tags document, which describes `/health`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from tagapi.auth import Policy
from tagapi.jobs.service import JobService
from tagapi.namespaces.base import Front, NamespaceResource, Route
from tagapi.namespaces.documentation import Answer, operation
from tagapi.namespaces.fields import iso
from tagapi.namespaces.health import schemas as shapes
from tagapi.namespaces.problems import Problem
from tagapi.namespaces.tags.render import error_line, render_error
from tagapi.namespaces.tags.schemas import TagsError

Facts = Callable[[], Mapping[str, Any]]


class HealthFront(Front):
    """See the module."""

    name = "health"
    title = "健康检查 — Probes for orchestrators, and what people should look at"
    prefixes = ("/health",)
    error_schema = TagsError

    def __init__(self, service: JobService, environment: str, facts: Facts) -> None:
        self.service = service
        self.environment = environment
        self.facts = facts

    def routes(self) -> Sequence[Route]:
        return [("/health", Health), ("/health/live", Live), ("/health/ready", Ready)]

    def render_problem(self, problem: Problem) -> Mapping[str, Any]:
        return render_error(problem)

    def error_line(self, body: Mapping[str, Any]) -> str:
        return error_line(body)

    def alarms(self, parked: int, executor: Mapping[str, Any]) -> list[str]:
        """What waits for a person, in sentences."""
        told = []
        if parked:
            jobs = "1 job is" if parked == 1 else f"{parked} jobs are"
            told.append(
                f"{jobs} parked: nobody could find out whether the commit happened. "
                "An admin looks, and says so by POST …/settle: see /docs."
            )
        if not executor.get("up", True):
            told.append(
                "The message broker is away: jobs are accepted, and begin when it is back. "
                "It is asked again every second."
            )
        return told


class HealthResource(NamespaceResource):
    front: HealthFront


class Health(HealthResource):
    @operation(policy=Policy.PUBLIC, answers={200: Answer("健康检查 (What there is to know)", shapes.HealthAnswer)})
    def get(self) -> Any:
        """健康检查: is the service there, what of it is ready, and what waits for a person."""
        told = {"status": "healthy", "timestamp": iso(datetime.now(UTC)), "environment": self.front.environment}
        parked, facts = self.front.service.parked(), self.front.facts()
        return {**told, **facts, "parked": parked, "alarms": self.front.alarms(parked, facts["executor"])}


class Live(HealthResource):
    needs_store = False

    @operation(policy=Policy.PUBLIC, answers={200: Answer("The process answers", shapes.ProbeAnswer, shapes.ALIVE)})
    def get(self) -> Any:
        """Liveness probe: restart the process where this does not answer."""
        return shapes.ALIVE


class Ready(HealthResource):
    @operation(
        policy=Policy.PUBLIC,
        answers={
            200: Answer("Jobs begin at once", shapes.ProbeAnswer, shapes.READY),
            503: Answer("Not yet", shapes.ProbeAnswer, shapes.STARTING),
        },
    )
    def get(self) -> Any:
        """Readiness probe: send requests once this answers 200."""
        ready = self.front.service.accepting and self.front.facts()["spark"] == "ready"
        return (shapes.READY, 200) if ready else (shapes.STARTING, 503)
