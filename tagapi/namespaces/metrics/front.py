"""The numbers that Prometheus collects. They belong to no document's front.

They tell how much who uses the service does, if not who: so an admin reads them, or who has `may: [metrics]`. Without
tokens whoever sits at this machine does. What is wrong with a request is told as the probes do.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from flask import Response

from tagapi.auth import Policy, RightNeeded
from tagapi.jobs.service import JobService
from tagapi.namespaces.answers import compressed
from tagapi.namespaces.base import Front, NamespaceResource, Route
from tagapi.namespaces.documentation import Answer, operation
from tagapi.namespaces.problems import Problem
from tagapi.namespaces.tags.render import error_line, render_error
from tagapi.namespaces.tags.schemas import TagsError

RIGHT = "metrics"
NEEDS_RIGHT = RightNeeded(right=RIGHT, what="read the metrics")
FORMAT = "text/plain; version=0.0.4; charset=utf-8"


class MetricsFront(Front):
    """See the module."""

    name = "metrics"
    title = "指标 — Numbers of what the service does, for Prometheus"
    prefixes = ("/metrics",)
    error_schema = TagsError

    def __init__(self, service: JobService, expose: Callable[[], bytes]) -> None:
        self.service = service
        self.expose = expose

    def routes(self) -> Sequence[Route]:
        return [("/metrics", Metrics)]

    def render_problem(self, problem: Problem) -> Mapping[str, Any]:
        return render_error(problem)

    def error_line(self, body: Mapping[str, Any]) -> str:
        return error_line(body)


class Metrics(NamespaceResource):
    front: MetricsFront
    needs_store = False  # that it is away is one of the numbers

    @operation(
        policy=Policy.USER,
        answers={200: Answer("指标 (The numbers, in Prometheus' text format)", None)},
        errors=(NEEDS_RIGHT,),
        produces=("text/plain",),
    )
    def get(self) -> Any:
        """指标: requests, jobs, the queue, Spark, the store and pushes, as numbers for Prometheus.

        Of all processes of this service; from the store within a second or not at all (`tagapi_store_up`).
        """
        if not self.caller.may(RIGHT):
            raise NEEDS_RIGHT
        return compressed(Response(self.front.expose(), content_type=FORMAT))
