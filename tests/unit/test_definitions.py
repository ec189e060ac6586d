"""What people define of documents, and which queries that comes to."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tag_tasks.documents import definitions as module
from tag_tasks.documents.collected import COLLECTOR, PROJECT, STREAM
from tag_tasks.documents.collectors import CollectorTable
from tag_tasks.documents.definitions import Definitions
from tagapi.jobs.errors import NotFoundInData, Unusable


class Begun:
    """Counts how often it was noted what there is."""

    def __init__(self) -> None:
        self.times = 0

    def __call__(self) -> int:
        self.times += 1
        return self.times


@pytest.fixture
def begun() -> Begun:
    return Begun()


@pytest.fixture
def definitions(tmp_path: Path, begun: Begun) -> Definitions:
    return Definitions(CollectorTable(str(tmp_path / "collectors")), begun)


def rule(name: str, query: str, *also: str) -> dict[str, Any]:
    return {"id": name, "query": query, "also": list(also)}


TOPICS = [{"id": "t1", "title": None, "query": "one"}, {"id": "t2", "title": None, "query": "two"}]


def put_project(definitions: Definitions, name: str = "p", query: str | None = "lang:en") -> None:
    definitions.put("ann", PROJECT, name, {"title": None, "query": query, "topics": TOPICS})


def scope_of(definitions: Definitions, **query: Any) -> Any:
    asked = {"queries": [], "project_topics": None, "filters": [], **query}
    told = definitions.put_collector("ann", "c", asked)
    assert told["state"] == "ACTIVE"
    live = {key: told["live"][key] for key in ("every", "any")}
    assert live == told["scope"]
    return live


def test_a_stream_finds_what_one_of_its_rules_finds(definitions: Definitions) -> None:
    definitions.put("ann", STREAM, "s", {"rules": [{"rule_id": "r1", "query": "a"}, {"rule_id": "r2", "query": "b"}]})
    assert definitions.scope_of_stream("ann", "s") == {"every": [], "any": [rule("r1", "a"), rule("r2", "b")]}
    with pytest.raises(NotFoundInData):
        definitions.scope_of_stream("bob", "s")


def test_a_project_finds_by_its_query_and_one_of_its_topics(definitions: Definitions) -> None:
    put_project(definitions)
    both = [rule("t1", "one"), rule("t2", "two")]
    assert definitions.scope_of_project("ann", "p", None) == {"every": ["lang:en"], "any": both}
    assert definitions.scope_of_project("ann", "p", ["t2"])["any"] == both[1:]
    put_project(definitions, "without", None)
    assert definitions.scope_of_project("ann", "without", None)["every"] == []
    with pytest.raises(Unusable, match="no topic t3"):
        definitions.scope_of_project("ann", "p", ["t1", "t3"])


def test_a_live_collector_finds_by_queries_topics_and_filters(definitions: Definitions) -> None:
    put_project(definitions)
    queries = [{"id": "q1", "query": "cars"}]
    assert scope_of(definitions, queries=queries) == {"every": [], "any": [rule("q1", "cars")]}
    assert scope_of(definitions, filters=["a", "b"]) == {"every": ["a", "b"], "any": []}
    topics = {"project": "p", "topics": ["t2"]}
    assert scope_of(definitions, queries=queries, project_topics=topics, filters=["a"]) == {
        "every": ["a"],
        "any": [rule("q1", "cars"), rule("t2", "two", "lang:en")],
    }
    whole = {"project": "p", "topics": None}
    assert scope_of(definitions, project_topics=whole)["any"] == [
        rule("t1", "one", "lang:en"),
        rule("t2", "two", "lang:en"),
    ]


def test_a_project_without_topics_is_its_query(definitions: Definitions) -> None:
    definitions.put("ann", PROJECT, "p", {"title": None, "query": "lang:en", "topics": []})
    assert scope_of(definitions, project_topics={"project": "p", "topics": None})["any"] == [rule("p", "lang:en")]


def test_ids_that_are_there_twice_are_refused(definitions: Definitions) -> None:
    put_project(definitions)
    with pytest.raises(Unusable, match="same id"):
        scope_of(
            definitions,
            queries=[{"id": "t1", "query": "cars"}],
            project_topics={"project": "p", "topics": ["t1"]},
        )


def test_what_was_defined_of_a_project_stays_when_it_goes(definitions: Definitions) -> None:
    put_project(definitions)
    before = scope_of(definitions, project_topics={"project": "p", "topics": ["t1"]})
    definitions.remove("ann", PROJECT, "p")
    definitions.pause("ann", "c")
    assert {key: definitions.resume("ann", "c")["live"][key] for key in ("every", "any")} == before


def test_the_same_again_changes_nothing(definitions: Definitions, begun: Begun) -> None:
    scope_of(definitions, filters=["a"])
    first = definitions.get("ann", COLLECTOR, "c")
    scope_of(definitions, filters=["a"])
    assert definitions.get("ann", COLLECTOR, "c") == first
    definitions.resume("ann", "c")
    assert definitions.get("ann", COLLECTOR, "c") == first
    for _ in range(2):
        paused = definitions.pause("ann", "c")
        assert (paused["state"], paused["live"], paused["generation"]) == ("PAUSED", None, first["generation"])
    before = begun.times
    again = definitions.resume("ann", "c")
    assert begun.times == before + 1
    assert again["live"]["activation"] != first["live"]["activation"]
    assert definitions.put_collector("ann", "c", None)["state"] == "PAUSED"
    assert definitions.resume("ann", "c")["state"] == "PAUSED", "it has no query"


def test_there_are_not_more_than_may_be(definitions: Definitions, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MOST", 3)
    for number in range(3):
        definitions.put_collector("ann", f"c{number}", None)
    with pytest.raises(Unusable, match="as many as may be"):
        definitions.put_collector("ann", "c3", None)
    definitions.put_collector("ann", "c1", None)
    definitions.put_collector("bob", "c3", None)
    definitions.remove("ann", COLLECTOR, "c0")
    definitions.put_collector("ann", "c3", None)
    assert sorted(definitions.every("ann", COLLECTOR)) == ["c1", "c2", "c3"]
