"""The document's JavaScript, to the letter: in a browser on a page of the service, and under Node."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.e2e import browser
from tests.e2e.browser import Page
from tests.e2e.conftest import served
from tests.e2e.scripts import RETRIES
from tests.e2e.server import Server
from tests.e2e.stand_in import FAILS, REASON
from tests.e2e.tasks_client import TASKS, publish, started

CLIENT = Path(__file__).with_name("document_client.js.txt").read_text(encoding="utf-8")
NODE = shutil.which("node")
STUBS = """
const shown = [];
let over;
const ended = new Promise((resolve) => { over = resolve; });
const showSuccessMessage = (message) => shown.push(["success", message]);
const updateCampaignUI = (result) => { shown.push(["campaign", result]); over(shown); };
const showErrorMessage = (error) => { shown.push(["error", error]); over(shown); };
"""
"""What the document's function calls and leaves to the page that it is on."""


@pytest.fixture(scope="module")
def open_service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """Without tokens: the document's function sends none."""
    yield from served(Server(tmp_path_factory.mktemp("open"), program=("-m", "tests.e2e.stand_in")), ready=False)


@pytest.fixture(scope="module")
def page(open_service: Server, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Page]:
    """A page of the service."""
    path = browser.found()
    if path is None:
        pytest.skip(f"there is no browser here: none of {', '.join(browser.NAMES)}")
    with browser.browser(path, tmp_path_factory.mktemp("browser")) as one:
        one.go(f"{open_service.url}/docs")
        yield one


def in_browser(page: Page, task_id: str) -> Any:
    """What the function shows."""
    return page.run(f"(() => {{ {STUBS} {CLIENT}; checkTaskStatus('{task_id}'); return ended; }})()")


def under_node(server: Server, task_id: str) -> Any:
    """The same, with an origin for the function's path, which a page has and Node has not."""
    if NODE is None:
        pytest.skip("there is no node here")
    origin = f"const real = fetch; globalThis.fetch = (path) => real(new URL(path, '{server.url}'));"
    script = f"{origin} {STUBS} {CLIENT}; checkTaskStatus('{task_id}');"
    script += "ended.then((all) => { console.log(JSON.stringify(all)); process.exit(0); });"
    ran = subprocess.run([NODE, "-e", script], capture_output=True, encoding="utf-8", timeout=60, check=False)
    assert ran.returncode == 0, ran.stderr
    assert not ran.stderr
    return json.loads(ran.stdout)


@pytest.fixture(params=["browser", "node"])
def shown(request: pytest.FixtureRequest, open_service: Server) -> Any:
    """What the function shows of a job, to its end."""
    if request.param == "node":
        return lambda task_id: under_node(open_service, task_id)
    page = request.getfixturevalue("page")
    return lambda task_id: in_browser(page, task_id)


@pytest.mark.parametrize("platform", ["meta", "google"])
def test_the_documents_function_shows_a_publication(open_service: Server, shown: Any, platform: str) -> None:
    task_id = publish(open_service, platform).json()["task_id"]
    (success, message), (campaign, result) = shown(task_id)
    name = {"meta": "Meta Ads", "google": "Google Ads"}[platform]
    assert (success, message) == ("success", f"Campaña publicada con éxito en {name}")
    assert campaign == "campaign"
    assert result == open_service.read(f"{TASKS}/status/{task_id}")["result"]


def test_it_shows_why_a_job_failed(open_service: Server, shown: Any) -> None:
    assert shown(started(open_service, FAILS)) == [["error", f"TaskFailed: {REASON}"]]


def test_it_asks_again_until_a_job_has_ended(open_service: Server, shown: Any) -> None:
    (success, message), (campaign, _) = shown(started(open_service, RETRIES))
    assert (success, campaign) == ("success", "campaign")
    assert message


# -- what a page follows live --------------------------------------------------------------

FOLLOWS = """(async () => {
  const asked = await fetch('/api/tasks/ws/ticket', {method: 'POST'});
  const {ticket} = await asked.json();
  const socket = new WebSocket(`ws://${location.host}/api/tasks/ws?ticket=${ticket}`);
  const heard = [];
  return await new Promise((resolve, reject) => {
    socket.onopen = () => socket.send(JSON.stringify({subscribe: ['TASK']}));
    socket.onerror = () => reject(new Error('refused'));
    socket.onmessage = (message) => {
      heard.push(JSON.parse(message.data));
      if (heard.at(-1).final) socket.close(1000);
    };
    socket.onclose = (event) => resolve({heard, code: event.code, clean: event.wasClean});
  });
})()"""
LISTENS = """new Promise((resolve) => {
  const source = new EventSource('/api/tasks/events/TASK');
  const heard = [];
  let opened = 0;
  source.onopen = () => { opened += 1; };
  for (const kind of ['snapshot', 'accepted', 'started', 'retried', 'phase', 'progress', 'committed', 'finished'])
    source.addEventListener(kind, (event) => heard.push([Number(event.lastEventId), JSON.parse(event.data).status]));
  source.onerror = () => { if (source.readyState === EventSource.CLOSED) resolve({heard, opened}); };
})"""


def test_a_page_follows_a_job_on_a_socket(open_service: Server, page: Page) -> None:
    told = page.run(FOLLOWS.replace("TASK", started(open_service, RETRIES)))
    assert told["heard"][0]["event"] == "snapshot"
    assert (told["heard"][-1]["status"], told["heard"][-1]["final"]) == ("SUCCESS", True)
    assert (told["code"], told["clean"]) == (1000, True)


def test_a_page_hears_each_event_once_and_its_stream_ends_by_itself(open_service: Server, page: Page) -> None:
    """A browser asks again when a stream ends, and hears then that there is nothing more."""
    told = page.run(LISTENS.replace("TASK", started(open_service, RETRIES)))
    numbers = [number for number, _ in told["heard"]]
    assert numbers == sorted(set(numbers)) and numbers[0] == 1
    assert told["heard"][-1][1] == "SUCCESS"
    assert told["opened"] == 1, "the second time there was nothing to open"
