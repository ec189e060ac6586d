"""The contract of the export API, row by row, against a running service with tokens."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from tests.e2e.conftest import served, write_tokens
from tests.e2e.export_client import (
    CREDITS,
    STREAM,
    TASKS,
    V3,
    ask,
    definition,
    export,
    found,
    make_collector,
    put,
    refused,
    task,
    told,
    wait,
)
from tests.e2e.server import Client, Server

ENGLISH = "lang:en"
MONTHLY = 1900
KEYS = [
    *("creation_date", "type", "id", "processed", "ready", "progress", "target", "owner", "query"),
    *("start", "stop", "limit", "status", "state", "attempt"),
    *("started_at", "completed_at", "error", "retry_of", "processed_before"),
]


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory, sample: Path) -> Iterator[Server]:
    """With tokens, and with credits for nearly as many documents as there are."""
    folder = tmp_path_factory.mktemp("exports")
    shutil.copytree(sample, folder / "data" / "sources")
    tokens = write_tokens(folder / "tokens.yaml")
    variables = {"TAGAPI_AUTH__TOKENS_FILE": str(tokens), "TAGAPI_EXPORT__CREDITS_MONTHLY": str(MONTHLY)}
    yield from served(Server(folder, variables))


@pytest.fixture
def ann(service: Server) -> Iterator[Client]:
    with Client(service.url, "ann-token") as client:
        yield client


@pytest.fixture
def bob(service: Server) -> Iterator[Client]:
    with Client(service.url, "bob-token") as client:
        yield client


@pytest.fixture
def target(ann: Client) -> str:
    name = f"c{uuid4().hex[:10]}"
    make_collector(ann, name)
    return name


# -- collectors, streams, projects ---------------------------------------------------------


def test_a_collector_is_made_once(ann: Client) -> None:
    first = make_collector(ann, "collector_1")
    assert first == {
        "collector_id": "collector_1",
        "collector_query": {},
        "creation_date": first["creation_date"],
        "state": "PAUSED",
    }
    assert datetime.fromisoformat(first["creation_date"]).tzinfo is not None
    assert make_collector(ann, "collector_1") == first
    assert definition(ann, "c/collector_1") == {"collectors": [first]}


def test_a_collector_goes_with_what_it_holds(ann: Client, target: str) -> None:
    assert export(ann, target, ENGLISH, limit=5)["processed"] == 5
    gone = told(ann.delete(f"{STREAM}/c/{target}"))["result_stream"]["collectors"][0]
    assert (gone["collector_id"], gone["state"]) == (target, "DELETED")
    for again in (ann.get(f"{STREAM}/c/{target}"), ann.delete(f"{STREAM}/c/{target}")):
        refused(again, 404, "15")
    make_collector(ann, target)
    assert export(ann, target, ENGLISH, limit=5)["processed"] == 5


def test_a_stream_and_its_rules(ann: Client) -> None:
    rules = [{"rule_id": "r1", "query": "café"}, {"rule_id": "r2", "query": ENGLISH}]
    data = {"data": [{"stream_id": "stream_1", "enabled": True, "rules": rules}]}
    assert told(put(ann, "s/stream_1", {"rules": rules}))["result_stream"] == data
    assert definition(ann, "s/stream_1") == data
    assert told(put(ann, "s/stream_1", {"rules": rules[:1]}))["result_stream"]["data"][0]["rules"] == rules[:1]
    assert told(ann.delete(f"{STREAM}/s/stream_1"))["result_stream"]["data"][0]["enabled"] is False
    refused(ann.get(f"{STREAM}/s/stream_1"), 404, "15")


def test_a_project_and_its_topics(ann: Client) -> None:
    body = {"title": "Café", "query": "lang:(en OR es)", "topics": [{"id": "t1", "title": None, "query": "café"}]}
    project = {"projects": [{"project_id": "project_1", **body}]}
    assert told(put(ann, "p/project_1", body))["result_project"] == project
    assert definition(ann, "p/project_1") == project
    assert told(ann.delete(f"{STREAM}/p/project_1"))["result_project"] == project
    refused(ann.get(f"{STREAM}/p/project_1"), 404, "15")


def test_what_there_is_of_ones_own(service: Server) -> None:
    with Client(service.url, "cleo-token") as cleo:
        assert definition(cleo, "info") == {"streams": [], "collectors": [], "projects": []}
        make_collector(cleo, "b")
        make_collector(cleo, "a")
        put(cleo, "s/s1", {"rules": []})
        put(cleo, "p/p1", {"title": "One", "query": "a"})
        assert definition(cleo, "info") == {
            "streams": [{"stream_id": "s1", "enabled": True}],
            "collectors": [{"collector_id": "a", "state": "PAUSED"}, {"collector_id": "b", "state": "PAUSED"}],
            "projects": [{"project_id": "p1", "title": "One"}],
        }


# -- exports -------------------------------------------------------------------------------


def test_an_export_of_a_query(ann: Client, target: str, sample: Path) -> None:
    begun = told(ask(ann, target, ENGLISH, limit=20))["result_tasks"]["tasks"][0]
    assert [*begun] == KEYS
    ended = wait(ann, begun["id"])
    assert [*ended] == KEYS
    assert {key: ended[key] for key in ("type", "id", "processed", "ready", "progress", "target", "status")} == {
        "type": "export",
        "id": begun["id"],
        "processed": 20,
        "ready": 20,
        "progress": 1.0,
        "target": target,
        "status": "result_limit_reached",
    }
    assert (ended["state"], ended["attempt"], ended["error"]) == ("RESULT_LIMIT_REACHED", 1, None)
    for key in ("creation_date", "started_at", "completed_at"):
        assert datetime.fromisoformat(ended[key]).utcoffset() is not None


@pytest.mark.parametrize(("fewer", "status"), [(0, "finished"), (1, "result_limit_reached"), (-1, "finished")])
def test_a_limit_is_reached_where_more_would_have_matched(
    ann: Client, target: str, sample: Path, fewer: int, status: str
) -> None:
    rare = len(found(sample, "lang = 'fr' AND published >= '2026-06-01'"))
    assert rare > 3
    ended = export(ann, target, "lang:fr", start="2026-06-01", limit=rare - fewer)
    assert (ended["processed"], ended["status"]) == (min(rare, rare - fewer), status)


def test_days_are_included_at_the_start_and_not_at_the_stop(ann: Client, target: str, sample: Path) -> None:
    within = found(sample, "published >= '2026-03-01' AND published < '2026-04-01' AND lang = 'en'")
    assert export(ann, target, ENGLISH, start="2026-03-01", stop="2026-04-01")["processed"] == len(within)
    start, stop = (int(datetime(2026, month, 1, tzinfo=UTC).timestamp() * 1000) for month in (3, 4))
    assert export(ann, target, ENGLISH, start=start, stop=str(stop))["processed"] == len(within)


def test_an_export_of_a_stream(ann: Client, target: str, sample: Path) -> None:
    rules = [{"rule_id": "fr", "query": "lang:fr"}, {"rule_id": "de", "query": "lang:de"}]
    put(ann, "s/s_of_two", {"rules": rules})
    either = found(sample, "lang IN ('fr', 'de') AND published >= '2026-08-01'")
    assert export(ann, target, source="s/s_of_two", start="2026-08-01")["processed"] == len(either)
    fewer = found(sample, "lang = 'fr' AND published >= '2026-08-01'")
    assert export(ann, target, "lang:fr", "s/s_of_two", start="2026-08-01")["processed"] == len(fewer)


def test_an_export_of_a_project(ann: Client, target: str, sample: Path) -> None:
    topics = [{"id": "fr", "query": "lang:fr"}, {"id": "de", "query": "lang:de"}]
    put(ann, "p/p_of_two", {"query": "sourcetype:BLOG", "topics": topics})
    blogs = "list_contains(source_type, 'BLOG') AND published >= '2026-01-01'"
    for asked, languages in ((None, "'fr', 'de'"), (["fr"], "'fr'"), (["de", "fr"], "'fr', 'de'")):
        wanted = found(sample, f"{blogs} AND lang IN ({languages})")
        more = {} if asked is None else {"topics": asked}
        assert export(ann, target, source="p/p_of_two", start="2026-01-01", **more)["processed"] == len(wanted)


def test_the_list_of_tasks(ann: Client, target: str) -> None:
    ids = [export(ann, target, "nothing_is_called_so")["id"] for _ in range(3)]
    page = told(ann.get(TASKS, target=target))["result_tasks"]
    assert [one["id"] for one in page["tasks"]] == ids[::-1]
    assert (page["total"], page["next"]) == (3, None)
    first = told(ann.get(TASKS, target=target, page_size=2))["result_tasks"]
    rest = told(ann.get(TASKS, target=target, page_size=2, cursor=first["next"]))["result_tasks"]
    assert [one["id"] for one in (*first["tasks"], *rest["tasks"])] == ids[::-1]
    assert [one["id"] for one in told(ann.get(TASKS))["result_tasks"]["tasks"]][:3] == ids[::-1]


def test_the_same_key_starts_one_task(ann: Client, target: str) -> None:
    headers = {"Idempotency-Key": uuid4().hex}
    answers = [ask(ann, target, "nothing_is_called_so", headers=headers) for _ in range(2)]
    assert len({told(one)["result_tasks"]["tasks"][0]["id"] for one in answers}) == 1
    assert answers[1].headers["Idempotency-Replayed"] == "true"
    refused(ask(ann, target, "another", headers=headers), 422, "5")


def test_the_same_key_is_answered_whatever_has_become_of_what_it_named(ann: Client, target: str) -> None:
    """The first answer may have been lost, and the rules, or the target, be others when it is asked again."""
    rule = {"rule_id": "r", "query": "nothing_is_called_so"}
    put(ann, "s/changing", {"rules": [rule]})
    headers = {"Idempotency-Key": uuid4().hex}
    first = told(ask(ann, target, source="s/changing", headers=headers))["result_tasks"]["tasks"][0]["id"]
    wait(ann, first)
    for change in (
        lambda: put(ann, "s/changing", {"rules": [{**rule, "query": "another"}]}),
        lambda: ann.delete(f"{STREAM}/s/changing"),
        lambda: ann.delete(f"{STREAM}/c/{target}"),
        lambda: put(ann, f"c/{target}", {}),
    ):
        told(change())
        again = ask(ann, target, source="s/changing", headers=headers)
        assert told(again)["result_tasks"]["tasks"][0]["id"] == first
        assert again.headers["Idempotency-Replayed"] == "true"


def test_an_unknown_task(ann: Client) -> None:
    for name in (str(uuid4()), "abc", "%00", "1"):
        for answer in (ann.get(f"{TASKS}/{name}"), ann.delete(f"{TASKS}/{name}")):
            (shown,) = told(answer)["result_tasks"]["tasks"]
            assert [*shown] == ["id", "status"]
            assert shown["status"] == "unknown"


def test_a_task_that_is_over_says_so(ann: Client, target: str) -> None:
    ended = export(ann, target, "nothing_is_called_so")
    assert (ended["processed"], ended["status"]) == (0, "finished")
    answer = told(ann.delete(f"{TASKS}/{ended['id']}"))["result_tasks"]["tasks"]
    assert answer == [{"id": ended["id"], "status": "finished"}]


def test_a_task_that_waits_is_deleted_and_then_aborted(still: Server) -> None:
    make_collector(still, "waiting")
    begun = told(ask(still, "waiting", "a"))["result_tasks"]["tasks"][0]
    assert (begun["status"], begun["state"], begun["attempt"]) == ("queued", "QUEUED", 0)
    answer = told(still.delete(f"{TASKS}/{begun['id']}"))["result_tasks"]["tasks"]
    assert answer == [{"id": begun["id"], "status": "deleted"}]
    ended = task(still, begun["id"])
    assert (ended["status"], ended["state"], ended["processed"]) == ("aborted", "ABORTED", 0)
    again = told(still.delete(f"{TASKS}/{begun['id']}"))["result_tasks"]["tasks"]
    assert again == [{"id": begun["id"], "status": "aborted"}]


def test_every_front_tells_the_same_task(ann: Client, target: str) -> None:
    ended = export(ann, target, "nothing_is_called_so")
    status = ann.read(f"/api/tasks/status/{ended['id']}")
    assert (status["status"], status["task"]) == ("SUCCESS", "export.documents")


# -- queries, counts, credits --------------------------------------------------------------


def test_a_query_is_checked(ann: Client) -> None:
    good = told(ann.post(f"{STREAM}/query/validate", {"query": '"a b"~3 AND NOT lang:(en OR es)'}))
    assert good["result_query"] == {"valid": True}
    bad = refused(ann.post(f"{STREAM}/query/validate", {"query": "lang:(en OR"}), 400, "4", "query")
    assert bad["position"] == "11"
    assert bad["expected"] and bad["found"]


def test_a_count_by_day(ann: Client, sample: Path) -> None:
    wanted = "lang = 'en' AND published >= '2026-05-01' AND published < '2026-06-01'"
    counted = told(ann.post(f"{STREAM}/count", {"query": ENGLISH, "start": "2026-05-01", "stop": "2026-06-01"}))[
        "result_count"
    ]
    assert counted["total"] == len(found(sample, wanted)) == sum(one["count"] for one in counted["days"])
    days = [one["day"] for one in counted["days"]]
    assert days == sorted(days)
    for one in counted["days"][:5]:
        of_day = f"lang = 'en' AND published >= '{one['day']}' AND published < DATE '{one['day']}' + 1"
        assert len(found(sample, of_day)) == one["count"]
    every = told(ann.post(f"{STREAM}/count", {"query": ENGLISH}))["result_count"]
    assert every["total"] == len(found(sample, "lang = 'en'"))
    refused(ann.post(f"{STREAM}/count", {"start": "2026-05-01"}), 400, "3", "query")
    nothing = told(ann.post(f"{STREAM}/count", {"query": "nothing_is_called_so", "start": "2026-05-01"}))
    assert nothing["result_count"] == {"total": 0, "days": []}


def test_credits_are_used_up_by_what_is_delivered(bob: Client, sample: Path) -> None:
    make_collector(bob, "c1")
    info = told(bob.get(CREDITS))["result_creditinfo"]
    assert info["used_credits_monthly"] == 0
    assert (info["remaining_credits_monthly"], info["monthly_total"]) == (MONTHLY, MONTHLY)
    following = datetime.fromisoformat(info["next_billing_period"])
    assert (following.day, following.hour) == (1, 0) and following > datetime.now(UTC)
    ended = export(bob, "c1", "NOT nothing_is_called_so")
    assert (ended["status"], ended["processed"], ended["ready"]) == ("failed", MONTHLY, MONTHLY)
    assert ended["error"]["code"] == "9"
    assert "credits" in ended["error"]["message"]
    info = told(bob.get(CREDITS))["result_creditinfo"]
    assert (info["used_credits_monthly"], info["remaining_credits_monthly"]) == (MONTHLY, 0)
    again = export(bob, "c1", ENGLISH, limit=1)
    assert (again["status"], again["processed"], again["error"]["code"]) == ("failed", 0, "9")
    assert told(bob.post(f"{STREAM}/count", {"query": ENGLISH, "start": "2026-05-01"}))["result_count"]["total"]


# -- whose it is ---------------------------------------------------------------------------


def test_what_is_others_is_unknown(ann: Client, bob: Client, service: Server, target: str) -> None:
    put(ann, "s/mine", {"rules": [{"rule_id": "r", "query": "a"}]})
    put(ann, "p/mine", {"query": "a"})
    ended = export(ann, target, "nothing_is_called_so")
    for path in (f"c/{target}", "s/mine", "p/mine"):
        refused(bob.get(f"{STREAM}/{path}"), 404, "15")
        refused(bob.delete(f"{STREAM}/{path}"), 404, "15")
    for verb in ("pause", "resume"):
        refused(bob.post(f"{STREAM}/c/{target}/{verb}", None), 404, "15")
    refused(ask(bob, target, "a"), 400, "5", "target")
    make_collector(bob, "of_bob")
    for source in ("s/mine", "p/mine"):
        refused(ask(bob, "of_bob", source=source), 404, "15")
    assert task(bob, ended["id"]) == {"id": ended["id"], "status": "unknown"}
    assert ended["id"] not in {one["id"] for one in told(bob.get(TASKS))["result_tasks"]["tasks"]}
    with Client(service.url, "root-token") as root:
        assert task(root, ended["id"])["status"] == "finished"
        refused(root.get(f"{STREAM}/c/{target}"), 404, "15")


def test_two_people_have_a_collector_of_the_same_name(ann: Client, service: Server) -> None:
    with Client(service.url, "cleo-token") as cleo:
        first, second = make_collector(ann, "shared_name"), make_collector(cleo, "shared_name")
        assert first["creation_date"] != second["creation_date"]
        told(cleo.delete(f"{STREAM}/c/shared_name"))
        assert definition(ann, "c/shared_name")["collectors"] == [first]


# -- tokens --------------------------------------------------------------------------------


def test_a_token_may_stand_in_the_query_of_v3_alone(service: Server) -> None:
    with Client(service.url) as nobody:
        shown = told(nobody.get(f"{STREAM}/info", access_token="ann-token"))
        assert shown["request"] == f"GET {STREAM}/info?access_token=***"
        assert told(nobody.get(TASKS, access_token="ann-token", page_size=1))["request"].endswith("&page_size=1")
        body = {"query": "a"}
        assert told(nobody.post(f"{STREAM}/query/validate?access_token=ann-token", body))
        refused(nobody.get(f"{STREAM}/info", access_token="wrong"), 401, "7")
        refused(nobody.get(f"{STREAM}/info"), 401, "7")
        refused(nobody.get(CREDITS, access_token="ann-token"), 401, "7")
        for path in ("/api/tasks", "/api/v1/workers/", "/api/v1/tasks"):
            assert nobody.get(path, access_token="ann-token").status_code == 401
        told(service.request("GET", CREDITS, headers={"Authorization": "Bearer ann-token"}))


def test_what_may_be_a_secret_is_shown_nowhere(service: Server) -> None:
    secret = "ann-token"
    places = [
        f"{STREAM}/info?access_token={secret}",
        f"{STREAM}/info?{secret}",
        f"{STREAM}/info?access_token={secret}&{secret}",
        f"{STREAM}/info?acces_token={secret}",
        f"{STREAM}/info?access%5Ftoken={secret}",
        f"{STREAM}/nowhere?access_token={secret}&token={secret}",
        f"{V3}/?ACCESS_TOKEN={secret}",
        f"{STREAM}/c/x?access_token={secret}&pretty={secret}x",
        f"{CREDITS}?access_token={secret}",
        f"{TASKS}?access_token={secret}&access_token={secret}",
        f"{TASKS}?access_token={secret}&page_size=0&target=A",
    ]
    with Client(service.url) as nobody:
        for place in places:
            for method in ("GET", "POST", "PATCH"):
                answer = nobody.request(method, place)
                shown = answer.text.replace(f"pretty={secret}x", "")  # a documented one, and nobody's secret
                assert secret not in shown, place
    assert secret not in service.log_file.read_text(encoding="utf-8")
    assert secret not in service.output.read_text(encoding="utf-8")


def test_an_answer_can_be_indented(ann: Client) -> None:
    for path in (f"{STREAM}/info", TASKS, CREDITS, f"{STREAM}/c/not_there"):
        plain, pretty = ann.get(path), ann.get(path, pretty="true")
        assert pretty.text.startswith('{\n  "status_code"') and not plain.text.startswith("{\n")
        assert [*plain.json()] == [*pretty.json()]
    refused(ann.get(f"{STREAM}/info", pretty="yes"), 400, "5", "pretty")


# -- errors --------------------------------------------------------------------------------

GOOD: dict[str, Any] = {"start": "2026-01-01", "target": "collector_1", "query": "a"}
EXPORT = f"{STREAM}/export"
QUERIES = "collector_query.queries"


@pytest.mark.parametrize(
    ("body", "code", "param"),
    [
        ({}, "3", "start"),
        ({"start": "2026-01-01"}, "3", "target"),
        ({**GOOD, "start": None}, "5", "start"),
        ({"start": "2026-01-01", "target": "collector_1"}, "3", "query"),
        ({**GOOD, "query": ""}, "4", "query"),
        ({**GOOD, "query": "a AND"}, "4", "query"),
        ({**GOOD, "query": "nofield:a"}, "4", "query"),
        ({**GOOD, "query": "a " * 51}, "4", "query"),
        ({**GOOD, "query": "a" * 4097}, "4", "query"),
        ({**GOOD, "query": 1}, "5", "query"),
        ({**GOOD, "start": "yesterday"}, "5", "start"),
        ({**GOOD, "start": "2026-02-30"}, "5", "start"),
        ({**GOOD, "start": True}, "5", "start"),
        ({**GOOD, "start": -1}, "5", "start"),
        ({**GOOD, "start": 10**15}, "5", "start"),
        ({**GOOD, "start": 1.5}, "5", "start"),
        ({**GOOD, "stop": "2026-01-01"}, "5", "stop"),
        ({**GOOD, "stop": "2025-01-01"}, "5", "stop"),
        ({**GOOD, "limit": 0}, "5", "limit"),
        ({**GOOD, "limit": 1_000_001}, "5", "limit"),
        ({**GOOD, "limit": "5"}, "5", "limit"),
        ({**GOOD, "limit": True}, "5", "limit"),
        ({**GOOD, "target": "not_there"}, "5", "target"),
        ({**GOOD, "target": "Not_An_Id"}, "5", "target"),
        ({**GOOD, "target": ["collector_1"]}, "5", "target"),
        ({**GOOD, "topics": ["a"]}, "5", "topics"),
        ({**GOOD, "x": 1}, "5", "x"),
    ],
    ids=repr,
)
def test_what_is_wrong_with_an_export_is_named(ann: Client, body: Any, code: str, param: str) -> None:
    make_collector(ann, "collector_1")
    before = told(ann.get(TASKS))["result_tasks"]["total"]
    refused(ann.post(EXPORT, body), 400, code, param)
    assert told(ann.get(TASKS))["result_tasks"]["total"] == before


@pytest.mark.parametrize(
    ("path", "body", "code", "param"),
    [
        ("c/UPPER", {}, "5", "collector_id"),
        ("c/1a", {}, "5", "collector_id"),
        (f"c/{'a' * 65}", {}, "5", "collector_id"),
        ("c/a%20b", {}, "5", "collector_id"),
        ("c/a%0A", {}, "5", "collector_id"),
        ("c/c1", {"collector_query": {}}, "3", QUERIES),
        ("c/c1", {"collector_query": {"queries": [{"id": "q"}]}}, "3", f"{QUERIES}[0].query"),
        ("c/c1", {"collector_query": {"queries": [{"id": "Q", "query": "a"}]}}, "5", f"{QUERIES}[0].id"),
        (
            "c/c1",
            {"collector_query": {"queries": [{"id": "q", "query": "("}]}},
            "4",
            "collector_query.queries[0].query",
        ),
        ("c/c1", {"collector_query": {"filters": ["a", "("]}}, "4", "collector_query.filters[1]"),
        ("c/c1", {"x": 1}, "5", "x"),
        ("s/S", {"rules": []}, "5", "stream_id"),
        ("s/s1", {"rules": [{"rule_id": "r", "query": "a AND"}]}, "4", "rules[0].query"),
        ("s/s1", {"rules": [{"query": "a"}]}, "3", "rules[0].rule_id"),
        ("s/s1", {"rules": [{"rule_id": "r", "query": "a"}, {"rule_id": "r", "query": "b"}]}, "5", "rules[1].rule_id"),
        ("s/s1", {"rules": [{"rule_id": f"r{n}", "query": "a"} for n in range(101)]}, "5", "rules"),
        ("p/P", {"query": "a"}, "5", "project_id"),
        ("p/p1", {}, "3", "topics"),
        ("p/p1", {"query": "("}, "4", "query"),
        ("p/p1", {"topics": [{"id": "t", "query": "("}]}, "4", "topics[0].query"),
        ("p/p1", {"query": "a", "title": ""}, "5", "title"),
    ],
    ids=repr,
)
def test_what_is_wrong_with_a_definition_is_named(ann: Client, path: str, body: Any, code: str, param: str) -> None:
    before = definition(ann, "info")
    refused(put(ann, path, body), 400, code, param)
    assert definition(ann, "info") == before


def test_the_rest_of_the_catalogue(ann: Client, service: Server, target: str) -> None:
    refused(put(ann, "c/c1", {"collector_query": {"project_topics": {"project": "none"}}}), 404, "15")
    put(ann, "p/one_topic", {"topics": [{"id": "t", "query": "a"}]})
    asked = {"collector_query": {"project_topics": {"project": "one_topic", "topics": ["u"]}}}
    refused(put(ann, "c/c1", asked), 400, "5", "collector_query.project_topics.topics")
    refused(ask(ann, target, source="p/one_topic", topics=["u"]), 400, "5", "topics")
    refused(ask(ann, target, source="p/none"), 404, "15")
    refused(ask(ann, target, source="s/none"), 404, "15")
    put(ann, "s/empty", {"rules": []})
    refused(ask(ann, target, source="s/empty"), 403, "23")
    refused(ann.post(f"{STREAM}/c/{target}/resume", None), 400, "18")
    json = {"Content-Type": "application/json"}
    refused(ann.request("POST", EXPORT, data=b"{", headers=json), 400, "17", "body")
    refused(ann.request("POST", EXPORT, data=b"[]", headers=json), 400, "17", "body")
    refused(ann.request("POST", EXPORT, data=b"a", headers={"Content-Type": "text/plain"}), 415, "17")
    refused(ann.request("POST", EXPORT, data=b"a" * (9 << 20), headers=json), 413, "17")
    refused(ann.get(f"{V3}/nothing/here"), 404, "26")
    wrong = ann.request("PATCH", f"{STREAM}/info")
    refused(wrong, 405, "26")
    assert {"GET", "HEAD"} <= {one.strip() for one in wrong.headers["Allow"].split(",")}
    refused(ann.get(TASKS, page_size="1001"), 400, "5", "page_size")
    refused(ann.get(TASKS, nope="1"), 400, "5", "nope")
    refused(ann.get(f"{STREAM}/info", nope="1"), 400, "5", "nope")


def test_a_target_with_a_query_of_its_own(ann: Client) -> None:
    shown = told(put(ann, "c/live", {"collector_query": {"queries": [{"id": "q", "query": "a"}]}}))
    (collector,) = shown["result_stream"]["collectors"]
    assert collector["state"] == "ACTIVE"
    assert collector["collector_query"] == {
        "queries": [{"id": "q", "query": "a"}],
        "project_topics": None,
        "filters": [],
    }
    refused(ask(ann, "live", "a"), 400, "5", "target")


def test_a_collector_is_paused_and_resumed(ann: Client) -> None:
    query = {"collector_query": {"filters": [ENGLISH]}}

    def state(answer: Any) -> str:
        return str(told(answer)["result_stream"]["collectors"][0]["state"])

    assert state(put(ann, "c/on_and_off", query)) == "ACTIVE"
    for verb, becomes in (("pause", "PAUSED"), ("pause", "PAUSED"), ("resume", "ACTIVE"), ("resume", "ACTIVE")):
        assert state(ann.post(f"{STREAM}/c/on_and_off/{verb}", None)) == becomes
    state(ann.post(f"{STREAM}/c/on_and_off/pause", None))
    assert state(put(ann, "c/on_and_off", query)) == "PAUSED", "the same query changes nothing"
    assert state(put(ann, "c/on_and_off", {})) == "PAUSED"
    refused(ann.post(f"{STREAM}/c/on_and_off/resume", None), 400, "18")


@pytest.mark.parametrize("queue", ["full", "full of one's own"])
def test_a_full_queue(start_still_server: Any, queue: str) -> None:
    own = queue != "full"
    server = start_still_server(**{"jobs__max_queued_per_user" if own else "jobs__max_queued": 1})
    make_collector(server, "c1")
    told(ask(server, "c1", "a"))
    answer = ask(server, "c1", "a")
    refused(answer, 429 if own else 503, "8" if own else "1")
    assert int(answer.headers["Retry-After"]) > 0
