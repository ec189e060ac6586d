"""Reading a collector over HTTP: whole, on from any place, while it is written, across processes and restarts."""

from __future__ import annotations

import shutil
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import requests

from tag_tasks.documents.sample import write_sample
from tests.e2e.collector_reader import Chunk, CollectorReader, chunks, document_of
from tests.e2e.conftest import served, write_tokens
from tests.e2e.export_client import (
    STREAM,
    TASKS,
    ask,
    export,
    found,
    found_in,
    make_collector,
    refused,
    task,
    told,
    wait,
)
from tests.e2e.server import Client, Server, make_sample, until

DOCUMENTS = 30_000
EVERYTHING = "NOT nothing_is_called_so"
WOKEN_WITHIN = 0.5  # seconds after a commit
EN = "lang = 'en'"


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """With more documents than one commit holds."""
    folder = tmp_path_factory.mktemp("reading")
    make_sample(folder, 100, documents=DOCUMENTS)
    yield from served(Server(folder))


@pytest.fixture(scope="module")
def whole(service: Server) -> str:
    """A collector of everything, in three commits."""
    make_collector(service, "whole")
    assert export(service, "whole", EVERYTHING)["processed"] == DOCUMENTS
    return "whole"


def read(client: Client, name: str, **asked: Any) -> list[Chunk]:
    return [*chunks(client, name, **{"end_behaviour": "stop", **asked})]


def ids(found_chunks: list[Chunk]) -> list[str]:
    return [document_of(chunk)["id"] for chunk in found_chunks if chunk["chunk_type"] == "CT_RESULT"]


def places(found_chunks: list[Chunk]) -> list[str]:
    return [one["chunk_control"]["resume_offset"] for one in found_chunks if one["chunk_type"] == "CT_CONTROL"]


def test_everything_comes_once_and_in_order(service: Server, whole: str) -> None:
    seen = read(service, whole)
    assert ids(seen) == found(service.sources, "true")
    assert seen[0]["chunk_type"] == seen[-1]["chunk_type"] == "CT_CONTROL"
    control = seen[0]["chunk_control"]
    assert {key: control[key] for key in ("resume_offset", "collector_id")} == {
        "resume_offset": "earliest",
        "collector_id": whole,
    }
    assert control["connection_id"].startswith("#") and control["connection_id"].endswith("#")
    assert {one["chunk_control"]["connection_id"] for one in seen if "chunk_control" in one} == {
        control["connection_id"]
    }


def test_every_place_that_was_told_is_one_to_go_on_from(service: Server, whole: str) -> None:
    seen = read(service, whole)
    offsets = places(seen)
    assert len(offsets) > DOCUMENTS / 1000
    before = 0
    wanted = ids(seen)
    for chunk in seen:
        if chunk["chunk_type"] == "CT_RESULT":
            before += 1
            continue
        rest = read(service, whole, resume_offset=chunk["chunk_control"]["resume_offset"], max_hits=5)
        assert ids(rest) == wanted[before : before + 5]


def test_a_reader_that_hangs_up_again_and_again_has_all_of_it_once(service: Server, whole: str) -> None:
    reader = CollectorReader(whole)
    lines = 1
    while not reader.read(service, lines):
        lines = lines * 7 % 4001
    assert reader.cuts > 5
    assert reader.ids == found(service.sources, "true")


TOLD = {
    *("id", "url", "indexed", "search_indexed", "published", "title", "content", "root_url", "domain_url", "host_url"),
    *("lang", "sentiment", "source_type", "post_type", "images", "tags_internal", "extra_author_attributes"),
    *("extra_source_attributes", "word_count", "engagement"),
}


def test_a_document_is_told_as_the_vendor_tells_it(service: Server, whole: str) -> None:
    """What is null in the source is left out."""
    shown = [document_of(chunk) for chunk in read(service, whole, max_hits=50)[1:51]]
    assert set().union(*shown) == TOLD
    for document in shown:
        assert {"id", "published"} <= document.keys()
        assert isinstance(document["published"], int)
        assert set(document["extra_author_attributes"]) <= {"id", "name", "gender"}


@pytest.mark.parametrize("hits", [1, 999, 1000, 1001, 10_001, DOCUMENTS, DOCUMENTS + 1])
def test_max_hits(service: Server, whole: str, hits: int) -> None:
    seen = read(service, whole, max_hits=hits)
    assert len(ids(seen)) == min(hits, DOCUMENTS)
    rest = read(service, whole, resume_offset=places(seen)[-1])
    assert len(ids(rest)) == DOCUMENTS - min(hits, DOCUMENTS)


def test_the_latest_is_behind_everything(service: Server, whole: str) -> None:
    seen = read(service, whole, resume_offset="latest")
    assert ids(seen) == []
    assert places(seen)[0] == "latest"
    assert ids(read(service, whole, resume_offset=places(seen)[-1])) == []


def test_an_empty_collector_has_its_places_too(service: Server) -> None:
    make_collector(service, "empty")
    seen = read(service, "empty")
    assert (ids(seen), places(seen)[0]) == ([], "earliest")
    assert export(service, "empty", EVERYTHING, limit=3)["processed"] == 3
    assert len(ids(read(service, "empty", resume_offset=places(seen)[-1]))) == 3


def test_what_is_wrong_is_refused_before_anything_is_read(service: Server, whole: str) -> None:
    make_collector(service, "another")
    foreign = places(read(service, "another"))[-1]
    path = f"{STREAM}/c/{whole}/results"
    for offset in ("garbage", "", "ZZZZ", foreign, foreign[:-1], "é", "a" * 5000, "0", "-1"):
        refused(service.get(path, resume_offset=offset, end_behaviour="stop"), 400, "5", "resume_offset")
    refused(service.get(path, end_behaviour="never"), 400, "5", "end_behaviour")
    for hits in ("0", "-1", "many", "1.5"):
        refused(service.get(path, max_hits=hits), 400, "5", "max_hits")
    refused(service.get(path, nope="1"), 400, "5", "nope")
    refused(service.get(f"{STREAM}/c/none/results"), 404, "15")
    refused(service.post(path, {}), 405, "26")


def test_a_head_is_answered_like_a_get_without_a_body(service: Server, whole: str) -> None:
    answer = service.request("HEAD", f"{STREAM}/c/{whole}/results")
    assert (answer.status_code, answer.content) == (200, b"")
    assert answer.headers["Content-Type"].startswith("text/plain")
    assert service.request("HEAD", f"{STREAM}/c/none/results").status_code == 404


def test_ten_readers_while_an_export_writes(service: Server) -> None:
    make_collector(service, "written")
    begun = told(ask(service, "written", EVERYTHING))["result_tasks"]["tasks"][0]["id"]

    def follow(_: int) -> list[str]:
        with Client(service.url) as client:
            seen = []
            for chunk in chunks(client, "written", max_hits=DOCUMENTS):
                seen.append(chunk)
            return ids(seen)

    with ThreadPoolExecutor(10) as pool:
        every = list(pool.map(follow, range(10)))
    wanted = found(service.sources, "true")
    assert all(one == wanted for one in every)
    assert wait(service, begun)["processed"] == DOCUMENTS


class Follower(threading.Thread):
    """A reader that waits for what comes, and notes when it came."""

    def __init__(self, server: Server, name: str, **asked: Any) -> None:
        super().__init__(daemon=True)
        self._server, self._collector, self._asked = server, name, asked
        self.seen: list[tuple[float, Chunk]] = []
        self.ended: str | None = None
        self.start()

    def run(self) -> None:
        try:
            with Client(self._server.url) as client:
                for chunk in chunks(client, self._collector, **self._asked):
                    self.seen.append((time.time(), chunk))
            self.ended = "whole"
        except requests.RequestException as error:
            self.ended = repr(error)

    @property
    def chunks(self) -> list[Chunk]:
        return [chunk for _, chunk in self.seen]


@pytest.fixture
def pair(tmp_path: Path) -> Iterator[tuple[Server, Server]]:
    """Two services that share their data and their jobs."""
    make_sample(tmp_path, 100, documents=3000)
    second = {"TAGAPI_LOGS__DIR": str(tmp_path / "second")}
    servers = Server(tmp_path), Server(tmp_path, second, output=tmp_path / "second.txt")
    try:
        for one in servers:
            one.wait_ready()
        yield servers
        assert [one.stop() for one in servers] == [0, 0]
    finally:
        for one in servers:
            one.kill()


def test_who_waits_is_woken_by_a_commit_of_any_process(pair: tuple[Server, Server]) -> None:
    """Whichever of the two runs the exports, a reader of the other one hears of them in time."""
    first, second = pair
    make_collector(first, "shared")
    followers = [Follower(one, "shared") for one in pair]
    until(lambda: all(one.seen for one in followers), "both have begun")
    for number in range(4):
        ended = export(pair[number % 2], "shared", EVERYTHING, limit=10)
        done = datetime.fromisoformat(ended["completed_at"]).timestamp()
        for one in followers:
            until(lambda one=one, n=number: len(ids(one.chunks)) == 10 * (n + 1), "it has come", 5, every=0.01)  # type: ignore[misc]
            came = next(at for at, chunk in reversed(one.seen) if chunk["chunk_type"] == "CT_RESULT")
            assert came < done + WOKEN_WITHIN
    place = places(followers[0].chunks)[-1]
    assert ids(read(second, "shared", resume_offset=place)) == []


def test_a_service_that_leaves_says_where_its_readers_are(tmp_path: Path) -> None:
    make_sample(tmp_path, 100, documents=3000)
    server = Server(tmp_path)
    try:
        server.wait_ready()
        make_collector(server, "kept")
        export(server, "kept", EVERYTHING, limit=100)
        follower = Follower(server, "kept")
        until(lambda: len(ids(follower.chunks)) == 100, "it has come")
        assert server.stop() == 0
        until(lambda: follower.ended, "the reader is told")
        assert follower.ended == "whole"
        server = Server(tmp_path)
        server.wait_ready()
        place = places(follower.chunks)[-1]
        assert ids(read(server, "kept", resume_offset=place)) == []
        assert ids(read(server, "kept")) == ids(follower.chunks)
        for one in places(follower.chunks)[1:]:
            read(server, "kept", resume_offset=one)
    finally:
        server.kill()


def test_reads_are_bounded_and_their_places_given_back(tmp_path: Path, sample: Path) -> None:
    shutil.copytree(sample, tmp_path / "data" / "sources")
    for server in served(Server(tmp_path, {"TAGAPI_SERVER__MAX_PUSHES": "4"})):
        make_collector(server, "busy")
        followers = [Follower(server, "busy") for _ in range(3)]
        until(lambda followers=followers: all(one.seen for one in followers), "all have begun")  # type: ignore[misc]
        answer = server.get(f"{STREAM}/c/busy/results")
        refused(answer, 429, "30")
        assert int(answer.headers["Retry-After"]) > 0
        assert server.get("/health/live").status_code == 200
        server.delete(f"{STREAM}/c/busy")
        until(lambda followers=followers: all(one.ended for one in followers), "they are told", 5)  # type: ignore[misc]
        for one in followers:
            assert one.chunks[-1]["chunk_error"]["status_code"] == "15"
        make_collector(server, "busy")
        assert read(server, "busy")


def test_a_revoked_token_ends_the_reading(tmp_path: Path, sample: Path) -> None:
    shutil.copytree(sample, tmp_path / "data" / "sources")
    tokens = write_tokens(tmp_path / "tokens.yaml")
    for server in served(Server(tmp_path, {"TAGAPI_AUTH__TOKENS_FILE": str(tokens)})):
        with Client(server.url, "ann-token") as ann:
            make_collector(ann, "mine")
        follower = Follower(server, "mine", access_token="ann-token")
        until(lambda follower=follower: follower.seen, "it has begun")  # type: ignore[misc]
        tokens.write_text("[]\n", encoding="utf-8")
        until(lambda follower=follower: follower.ended, "it is ended", 10)  # type: ignore[misc]


def test_an_export_can_be_read_while_it_runs(service: Server) -> None:
    make_collector(service, "early")
    begun = told(ask(service, "early", EVERYTHING))["result_tasks"]["tasks"][0]["id"]
    ready = until(lambda: task(service, begun)["ready"], "the first documents")
    assert len(ids(read(service, "early"))) >= ready
    wait(service, begun)


def test_what_arrives_is_added_to_a_live_collector_and_read_at_once(tmp_path: Path, sample: Path) -> None:
    """By upkeep, which looks for the first time ten seconds after the start, and every minute from then on."""
    shutil.copytree(sample, tmp_path / "data" / "sources")
    for server in served(Server(tmp_path)):
        query = {"collector_query": {"queries": [{"id": "english", "query": "lang:en"}]}}
        told(server.request("PUT", f"{STREAM}/c/live", json=query))
        follower = Follower(server, "live")
        arrived = tmp_path / "arrived"
        write_sample(arrived, 500, datetime.now(UTC).date(), seed=1)
        (part,) = (arrived / "documents").iterdir()
        part.rename(server.sources / "documents" / "part-90000.parquet")
        until(lambda follower=follower: ids(follower.chunks), "what arrived is added", 30)  # type: ignore[misc]
        wanted = found_in(server.sources / "documents" / "part-90000.parquet", EN)
        until(lambda f=follower, all_=wanted: ids(f.chunks) == all_, "all of it is there", 5)  # type: ignore[misc]
        (job,) = server.read("/api/tasks", task="export.arrivals")["tasks"]
        assert (job["owner"], job["result"]["documents"]) == ("upkeep", len(wanted))
        assert told(server.get(TASKS))["result_tasks"]["tasks"] == [], "it is nobody's export"
