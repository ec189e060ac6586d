"""What is asked of the export API: queries, bodies, and what they may be. What validates is what documents."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import Any

from marshmallow import Schema, ValidationError, fields, validate, validates_schema

from tagapi.namespaces.fields import (
    Input,
    Query,
    QueryBoolean,
    QueryInteger,
    StrictInteger,
    StrictList,
    StrictText,
)

ID = re.compile(r"[a-z][a-z0-9_-]{0,63}")
ID_FORM = "must begin with a-z, then at most 63 of a-z, 0-9, _ and -"
MOST_EXPORTED = 1_000_000
MOST_LISTED = 1000
MOST_RULES = 100  # of a stream, a project or a collector: each is looked for in every document
LONGEST_TITLE = 255
DAY = re.compile(r"\d{4}-\d{2}-\d{2}")
MILLISECONDS = re.compile(r"\d{1,15}")
LATEST = 253_402_300_799_999  # milliseconds: the last of the year 9999
SECONDS = range(10**9, 10**10)
"""Of this century; as milliseconds they are of the spring of 1970, and nearly everything would be meant."""
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class Instant(fields.Field[int]):
    """Milliseconds since 1970, or a day, which begins at midnight in UTC; loaded as milliseconds."""

    default_error_messages = {
        "required": "is required",
        "null": "must not be null",
        "invalid": "must be milliseconds since 1970, or a day as YYYY-MM-DD, of the years 1970 to 9999",
        "seconds": "must be milliseconds since 1970: these look like seconds",
    }

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(metadata={"type": "string", "example": "2022-04-01", **kwargs.pop("metadata", {})}, **kwargs)

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> int:
        found = _milliseconds(value)
        if found is None or not 0 <= found <= LATEST:
            raise self.make_error("invalid")
        if found in SECONDS and not (isinstance(value, str) and DAY.fullmatch(value)):
            raise self.make_error("seconds")
        return found


def _milliseconds(value: Any) -> int | None:
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    if not isinstance(value, str):
        return None
    if MILLISECONDS.fullmatch(value) and value.isascii():
        return int(value)
    if not DAY.fullmatch(value) or not value.isascii():
        return None
    try:
        return (datetime.strptime(value, "%Y-%m-%d").replace(tzinfo=UTC) - EPOCH) // timedelta(milliseconds=1)
    except ValueError:
        return None


def check_form(name: str) -> None:
    """Raises ValidationError for what cannot be an id."""
    if not ID.fullmatch(name):
        raise ValidationError(ID_FORM)


def _id(**more: Any) -> StrictText:
    told = {"pattern": f"^{ID.pattern}$", **more.pop("metadata", {})}
    return StrictText(validate=check_form, metadata=told, **more)


def _query_text(**more: Any) -> StrictText:
    example = {"example": '"electric cars" AND lang:en'}
    return StrictText(metadata={"description": "in the query language", **example}, **more)


def _rules(of: type[Schema], **more: Any) -> StrictList:
    told = f"must be at most {MOST_RULES}"
    return StrictList(fields.Nested(of), validate=validate.Length(0, MOST_RULES, error=told), **more)


def _check_unlike(rules: list[dict[str, Any]], key: str, field: str) -> None:
    seen: set[str] = set()
    for place, rule in enumerate(rules):
        if rule[key] in seen:
            raise ValidationError({field: {place: {key: ["is there twice"]}}})
        seen.add(rule[key])


class ExportQuery(Query):
    """What every operation takes."""

    pretty = QueryBoolean(load_default=False, metadata={"description": "indent the answer"})


class ExportTasksQuery(ExportQuery):
    target = fields.String(
        load_default=None,
        validate=check_form,
        metadata={"description": "only those into this collector", "pattern": f"^{ID.pattern}$"},
    )
    page_size = QueryInteger(
        load_default=MOST_LISTED, validate=validate.Range(1, MOST_LISTED, error=f"must be from 1 to {MOST_LISTED}")
    )
    cursor = QueryInteger(
        load_default=None,
        validate=validate.Range(1, error="must be the `next` of another page"),
        metadata={"description": "the `next` of the page before"},
    )


class ResultsQuery(ExportQuery):
    resume_offset = fields.String(
        load_default="earliest",
        metadata={"description": "earliest, latest, or an offset that was told before: reading goes on behind it"},
    )
    end_behaviour = fields.String(
        load_default="wait",
        validate=validate.OneOf(("stop", "wait"), error="must be stop or wait"),
        metadata={"description": "at the end: stop, or wait for more"},
    )
    max_hits = QueryInteger(
        load_default=None,
        validate=validate.Range(1, error="must be at least 1"),
        metadata={"description": "documents, after which reading ends"},
    )


class IdentifiedQuery(Input):
    id = _id(required=True)
    query = _query_text(required=True)


class ProjectTopics(Input):
    project = _id(required=True)
    topics = StrictList(
        _id(), load_default=None, validate=validate.Length(1, MOST_RULES, error=f"must be 1 to {MOST_RULES}")
    )


class CollectorQuery(Input):
    queries = _rules(IdentifiedQuery, load_default=list)
    project_topics = fields.Nested(ProjectTopics, load_default=None)
    filters = StrictList(
        _query_text(),
        load_default=list,
        validate=validate.Length(0, MOST_RULES, error=f"must be at most {MOST_RULES}"),
    )

    @validates_schema
    def _check(self, values: dict[str, Any], **_: Any) -> None:
        if not any(values.values()):
            raise ValidationError({"queries": ["is required"]})
        _check_unlike(values["queries"], "id", "queries")


class CollectorRequest(Input):
    collector_query = fields.Nested(
        CollectorQuery,
        load_default=None,
        metadata={"description": "what of the documents that arrive from now on is added; without it, nothing is"},
    )

    example = {"collector_query": {"queries": [{"id": "cars", "query": '"electric cars"'}], "filters": ["lang:en"]}}


class StreamRule(Input):
    rule_id = _id(required=True)
    query = _query_text(required=True)


class StreamRequest(Input):
    rules = _rules(StreamRule, load_default=list)

    example = {"rules": [{"rule_id": "cars", "query": '"electric cars"'}]}

    @validates_schema
    def _check(self, values: dict[str, Any], **_: Any) -> None:
        _check_unlike(values["rules"], "rule_id", "rules")


class Topic(Input):
    id = _id(required=True)
    title = StrictText(load_default=None, validate=validate.Length(1, LONGEST_TITLE, error="must be 1 to 255 long"))
    query = _query_text(required=True)


class ProjectRequest(Input):
    title = StrictText(load_default=None, validate=validate.Length(1, LONGEST_TITLE, error="must be 1 to 255 long"))
    query = _query_text(load_default=None)
    topics = _rules(Topic, load_default=list)

    example = {
        "title": "Mobility",
        "query": "lang:(en OR es)",
        "topics": [{"id": "cars", "title": "Cars", "query": '"electric cars"'}],
    }

    @validates_schema
    def _check(self, values: dict[str, Any], **_: Any) -> None:
        if values["query"] is None and not values["topics"]:
            raise ValidationError({"topics": ["is required"]})
        _check_unlike(values["topics"], "id", "topics")


class _Range(Input):
    """What every export takes, in the order in which it is checked."""

    start = Instant(required=True, metadata={"description": "from then on; of a day, all of it"})
    stop = Instant(
        load_default=None, metadata={"description": "before then; a day is not included; without it, until now"}
    )

    @validates_schema
    def _check(self, values: dict[str, Any], **_: Any) -> None:
        if values["stop"] is not None and values["stop"] <= (values["start"] or 0):
            raise ValidationError({"stop": ["must be later than start"]})


class StreamExportRequest(_Range):
    target = _id(required=True, metadata={"description": "the collector that the documents are copied into"})
    query = _query_text(load_default=None)
    limit = StrictInteger(
        load_default=MOST_EXPORTED,
        validate=validate.Range(1, MOST_EXPORTED, error=f"must be from 1 to {MOST_EXPORTED}"),
    )

    example = {"start": "2022-04-01", "stop": "2022-05-01", "target": "collector_1", "limit": 1000}


class ProjectExportRequest(StreamExportRequest):
    topics = StrictList(
        _id(), load_default=None, validate=validate.Length(1, MOST_RULES, error=f"must be 1 to {MOST_RULES}")
    )

    example = {
        "start": "2022-04-01",
        "stop": "2022-05-01",
        "target": "collector_1",
        "query": "domainurl:reddit.com OR sourcetype:SOCIALMEDIA_TWITTER",
        "topics": ["cars"],
    }


class QueryExportRequest(StreamExportRequest):
    query = _query_text(required=True)

    example = {**ProjectExportRequest.example, "topics": None}
    example.pop("topics")


class ValidateRequest(Input):
    query = _query_text(required=True)

    example = {"query": '"electric cars" AND lang:en'}


class CountRequest(_Range):
    start = Instant(load_default=None, metadata={"description": "from then on; without it, from the first document on"})
    query = _query_text(required=True)

    example = {"query": '"electric cars" AND lang:en', "start": "2022-04-01", "stop": "2022-05-01"}
