"""What people define of documents: collectors, streams and projects, and which queries those come to.

A scope is what finds documents: `every` is a list of queries that all have to find one, `any` a list of rules
`{"id", "query", "also": [queries]}`, one of which has to with all of its queries, where there is any rule.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any
from uuid import uuid4

from tag_tasks.documents.collected import COLLECTOR, PROJECT, STREAM, Key, owner_key
from tag_tasks.documents.collectors import CollectorTable
from tagapi.jobs.errors import NotFoundInData, Unusable
from tagapi.jobs.model import Json

ACTIVE, PAUSED = "ACTIVE", "PAUSED"
MOST = 1000
"""Definitions of a kind that somebody may have."""


class Definitions:
    """Of all users. Each call raises Transient where the storage does not answer. Safe to use from many threads."""

    def __init__(self, table: CollectorTable, begin: Callable[[], int]) -> None:
        """`begin` notes what there is in the source now, and answers with the reference of that."""
        self._table = table
        self._begin = begin

    def get(self, owner: str, kind: str, name: str) -> Json:
        """What was said of it. Raises NotFoundInData."""
        found = self._table.definition(Key(owner_key(owner), kind, name))
        if found is None:
            raise NotFoundInData(thing=kind, name=name)
        return found

    def every(self, owner: str, kind: str) -> Mapping[str, Json]:
        """All of an owner's, by name."""
        return self._table.definitions(owner_key(owner), kind)

    def remove(self, owner: str, kind: str, name: str) -> Json:
        """Answers with what it was. Raises NotFoundInData."""
        found = self._table.remove(Key(owner_key(owner), kind, name))
        if found is None:
            raise NotFoundInData(thing=kind, name=name)
        return found

    def put(self, owner: str, kind: str, name: str, told: Json) -> Json:
        """Put a stream or a project in the place of what is there. Raises Unusable where there are too many."""
        return self._define(owner, kind, name, lambda before: told)

    # -- collectors ------------------------------------------------------------------------

    def put_collector(self, owner: str, name: str, query: Json | None) -> Json:
        """Make a collector, or give it another query, or none; what it holds stays. Raises NotFoundInData, Unusable."""
        scope = None if query is None else self._scope_of_collector(owner, query)
        since = None if scope is None else self._begin()

        def change(before: Json | None) -> Json:
            if before is not None and before["collector_query"] == query:
                return before
            made = before or {"generation": uuid4().hex, "creation_date": self._table.now().isoformat()}
            state = PAUSED if scope is None else ACTIVE
            return {**made, "state": state, "collector_query": query, "scope": scope, "live": _live(scope, since)}

        return self._define(owner, COLLECTOR, name, change)

    def pause(self, owner: str, name: str) -> Json:
        """What arrives from now on is not added. Raises NotFoundInData."""
        return self._change(owner, name, lambda before: {**before, "state": PAUSED, "live": None})

    def resume(self, owner: str, name: str) -> Json:
        """What arrives from now on is added, if it has a query to find it by. Raises NotFoundInData."""
        now = self.get(owner, COLLECTOR, name)
        if now["scope"] is None or now["state"] == ACTIVE:
            return now
        since = self._begin()

        def change(before: Json) -> Json:
            if before["scope"] is None or before["state"] == ACTIVE:
                return before
            return {**before, "state": ACTIVE, "live": _live(before["scope"], since)}

        return self._change(owner, name, change)

    def _change(self, owner: str, name: str, change: Callable[[Json], Json]) -> Json:
        def changed(before: Json | None) -> Json:
            if before is None:
                raise NotFoundInData(thing=COLLECTOR, name=name)
            return change(before)

        return self._table.define(Key(owner_key(owner), COLLECTOR, name), changed)

    def _define(self, owner: str, kind: str, name: str, change: Callable[[Json | None], Json]) -> Json:
        if len(there := self._table.names(owner_key(owner), kind)) >= MOST and name not in there:
            raise Unusable(field=f"{kind}_id", reason=f"there are {MOST} already, which is as many as may be")
        return self._table.define(Key(owner_key(owner), kind, name), change)

    # -- scopes ----------------------------------------------------------------------------

    def scope_of_stream(self, owner: str, name: str) -> Json:
        """Raises NotFoundInData. Without a rule, it is that of everything: nobody may be given that for a stream."""
        rules = self.get(owner, STREAM, name)["rules"]
        return {"every": [], "any": [_rule(rule["rule_id"], rule["query"]) for rule in rules]}

    def scope_of_project(self, owner: str, name: str, topics: Sequence[str] | None) -> Json:
        """Of these topics, or of all. Raises NotFoundInData, and Unusable for a topic that it has not."""
        project = self.get(owner, PROJECT, name)
        rules = [_rule(topic["id"], topic["query"]) for topic in _topics(project, topics, "topics")]
        return {"every": _queries(project), "any": rules}

    def _scope_of_collector(self, owner: str, query: Json) -> Json:
        rules = [_rule(one["id"], one["query"]) for one in query.get("queries", ())]
        if (asked := query.get("project_topics")) is not None:
            project = self.get(owner, PROJECT, asked["project"])
            topics = _topics(project, asked.get("topics"), "collector_query.project_topics.topics")
            also = _queries(project)
            rules += [_rule(topic["id"], topic["query"], also) for topic in topics]
            if not topics:
                rules += [_rule(asked["project"], one) for one in also]
        if len({rule["id"] for rule in rules}) < len(rules):
            raise Unusable(field="collector_query", reason="two of its queries and topics have the same id")
        return {"every": list(query.get("filters", ())), "any": rules}


def _live(scope: Json | None, since: int | None) -> Json | None:
    return None if scope is None else {**scope, "since": since, "activation": uuid4().hex}


def _rule(name: str, query: str, also: Sequence[str] = ()) -> dict[str, Any]:
    return {"id": name, "query": query, "also": list(also)}


def _queries(project: Json) -> list[str]:
    return [] if project["query"] is None else [project["query"]]


def _topics(project: Json, asked: Sequence[str] | None, field: str) -> Sequence[Json]:
    topics: Sequence[Json] = project["topics"]
    known = {topic["id"] for topic in topics}
    for name in asked or ():
        if name not in known:
            raise Unusable(field=field, reason=f"the project has no topic {name}")
    return topics if asked is None else [topic for topic in topics if topic["id"] in asked]
