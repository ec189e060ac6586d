"""The page in a real browser, over a service whose tasks do what a test says."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.browser import Page
from tests.e2e.conftest import PRINCIPALS, served, write_tokens
from tests.e2e.paged import HOSTILE, come_in, open_at, page_of, serious, settled, text_of
from tests.e2e.scripts import PHASES, RETRIES
from tests.e2e.server import Client, Server, until
from tests.e2e.stand_in import COMMITS, FAILS, REASON, RUNS

WORKERS = "/api/v1/workers/"
CAMPAIGN = {
    "name": HOSTILE,
    "daily_budget": "25.00",
    "landing_url": "https://example.org/",
    "headline": HOSTILE,
    "text": HOSTILE,
    "special_ad_categories": [],
}


def start(server: Server, command: int, token: str | None = "ann-token", **more: Any) -> str:
    """A job that does what the stand-in's command says."""
    with Client(server.url, token) as client:
        answer = client.post(WORKERS, {"task_type": "bookings_export", "batch_size": command, **more})
        assert answer.status_code == 201, answer.text
        return str(answer.json()["task_id"])


def cancel(server: Server, job_id: str, token: str | None = "ann-token") -> None:
    with Client(server.url, token) as client:
        assert client.request("POST", f"/api/tasks/cancel/{job_id}").status_code == 200


@pytest.fixture
def ann(chromium: Page, stand_in: Server) -> Iterator[Page]:
    with page_of(chromium, stand_in, token="ann-token") as page:
        yield page


# -- who is here ----------------------------------------------------------------------------


def test_a_token_is_asked_for_once_and_kept_in_the_session_alone(chromium: Page, stand_in: Server) -> None:
    with page_of(chromium, stand_in) as page:
        come_in(page, "pia-token")
        assert text_of(page, ".who .name") == "piauser"
        assert "may publish" in page.run("document.querySelector('.who').title")
        page.go(f"{stand_in.url}/?again#/service")
        page.sees("Pool and queue")
        stored = page.run("[Object.values(sessionStorage), Object.keys(localStorage), document.cookie]")
        assert stored == [["pia-token"], [], ""]
        page.click("Sign out")
        page.sees("This service asks who you are")
        assert page.run("sessionStorage.length") == 0
    with page_of(chromium, stand_in) as other:
        other.sees("This service asks who you are")


def test_a_wrong_token_is_told_so(chromium: Page, stand_in: Server) -> None:
    with page_of(chromium, stand_in) as page:
        page.run("document.querySelector('#token').focus()")
        page.type("wrong")
        page.click("Come in")
        page.sees("this one is none that it knows")
        assert all("401" in complaint for complaint in page.complaints), page.complaints
        page.complaints.clear()


def test_everybody_sees_their_own_jobs_and_an_admin_all(chromium: Page, stand_in: Server, ann: Page) -> None:
    with (
        page_of(chromium, stand_in, token="bob-token") as bob,
        page_of(chromium, stand_in, "#/jobs?owner=ann", token="root-token") as root,
    ):
        job_id = start(stand_in, 100)
        for page in (ann, root):
            page.sees(job_id[:8])
        assert job_id[:8] not in text_of(bob, "main")
        open_at(bob, stand_in, f"#/jobs/{job_id}")
        bob.sees("There is no such job")
        open_at(bob, stand_in, "#/service")
        bob.sees("an admin sees")
        open_at(root, stand_in, f"#/jobs/{job_id}")
        root.sees("bookings_export.csv")


# -- jobs -----------------------------------------------------------------------------------


def test_a_job_that_fails_says_why_and_what_to_do(stand_in: Server, ann: Page) -> None:
    job_id = start(stand_in, FAILS)
    ann.sees(job_id[:8])
    ann.sees(REASON)
    open_at(ann, stand_in, f"#/jobs/{job_id}")
    ann.sees("Why it failed")
    assert REASON in text_of(ann, ".wrong .reason")
    ann.sees("See that the table is there")
    ann.click("Retry")
    ann.sees("A new job does it again")
    ann.click("Retry")
    ann.sees("nothing new was begun")
    ann.click("See the new job")
    ann.sees("Repeats")
    assert job_id[:8] in text_of(ann, "main")


def test_a_job_that_is_cancelled_elsewhere_is_seen_at_once(stand_in: Server, ann: Page) -> None:
    job_id = start(stand_in, RUNS)
    open_at(ann, stand_in, f"#/jobs/{job_id}")
    ann.sees("50 %")
    asked = len(ann.requests)
    cancel(stand_in, job_id)
    ann.sees("Cancelled", 5)
    ann.sees("Retry")
    assert all("/ws" not in url for url in ann.requests[asked:]), "it was pushed"


def test_a_cancel_says_what_it_did(stand_in: Server, ann: Page) -> None:
    job_id = start(stand_in, RUNS)
    open_at(ann, stand_in, f"#/jobs/{job_id}")
    ann.sees("50 %")
    ann.click("Cancel")
    ann.sees("Stop it?")
    ann.click("Yes, cancel")
    ann.sees("It has stopped, and nothing was written.")
    committing = start(stand_in, COMMITS)
    open_at(ann, stand_in, f"#/jobs/{committing}")
    ann.sees("100 %")
    ann.click("Cancel")
    ann.click("Yes, cancel")
    ann.sees("past its point of no return")
    assert any("409" in complaint for complaint in ann.complaints)
    ann.complaints.clear()
    ann.sees("What came of it")
    ann.sees("SHA-256")


def test_phases_and_attempts_are_told(stand_in: Server, ann: Page) -> None:
    with_phases, retried = start(stand_in, PHASES), start(stand_in, RETRIES)
    open_at(ann, stand_in, f"#/jobs/{with_phases}")
    ann.sees("Phase Read")
    open_at(ann, stand_in, f"#/jobs/{retried}")
    ann.sees("Attempts")
    ann.sees("no outcome")


def test_of_progress_after_progress_the_time_line_has_the_last(ann: Page) -> None:
    release = ann.run("document.querySelector('script[src]').src.split('/')[4]")
    told = ann.run(
        f"""(async () => {{
        const {{ timeline }} = await import("/page/{release}/views/story.js");
        const {{ render }} = await import("/page/{release}/vendor/lit-html/lit-html.js");
        const event = (event, percentage) => ({{ event, at: "2026-01-01T00:00:00Z", progress: {{ percentage }} }});
        const place = document.createElement("div");
        const past = [event("started", 0), event("progress", 1), event("progress", 40), event("retried", 40)];
        render(timeline([...past, event("progress", 2)]), place);
        return [...place.querySelectorAll("li .num")].map((one) => one.textContent);
    }})()"""
    )
    assert told == ["40 %", "2 %"]


def test_what_names_something_is_not_counted(stand_in: Server, ann: Page) -> None:
    job_id = start(stand_in, 1000, filters={"customer_id": 123456})
    open_at(ann, stand_in, f"#/jobs/{job_id}")
    ann.sees("123456")
    ann.sees("1,000")


def test_filters_and_search_are_in_the_address(stand_in: Server, ann: Page) -> None:
    failed, done = start(stand_in, FAILS), start(stand_in, 100)
    for job_id in (failed, done):
        ann.sees(job_id[:8])
    ann.click("Failed")
    until(lambda: done[:8] not in text_of(ann, "main"), "only those that failed are shown")
    ann.sees(failed[:8])
    assert ann.run("location.hash") == "#/jobs?status=FAILURE"
    another = start(stand_in, FAILS)
    ann.sees(another[:8])
    search(ann, "export bookings")
    until(lambda: "task=workers.bookings_export" in ann.run("location.hash"), "the task is in the address")
    search(ann, done.upper())
    until(lambda: ann.run("location.hash") == f"#/jobs/{done}", "the job is opened")
    ann.run("history.back()")
    ann.sees(another[:8])


def search(page: Page, text: str) -> None:
    page.run("(() => { const q = document.querySelector('input[name=q]'); q.focus(); q.select(); })()")
    page.type(text)
    page.press("Enter", 13, "\r")


def test_the_list_is_walked_by_keys(stand_in: Server, ann: Page) -> None:
    for job_id in [start(stand_in, 100) for _ in range(3)]:
        ann.sees(job_id[:8])
    ann.press("Tab", 9)
    assert ann.run("document.activeElement.textContent") == "Skip to the content"
    ann.run("document.querySelector('.rows').focus()")
    for place in (0, 1):
        ann.press("ArrowDown", 40)
        until(
            lambda place=place: ann.run("document.activeElement.dataset.place") == str(place), "the next has the focus"
        )
    assert ann.run("document.title") == "Jobs · tagapi"
    wanted = ann.run("document.activeElement.hash")
    ann.press("Enter", 13, "\r")
    until(lambda: ann.run("location.hash") == wanted, "it is opened")
    until(lambda: wanted.split("/")[-1] in ann.run("document.title"), "its title says which")


# -- answers that come late, or not at all ---------------------------------------------------


@contextmanager
def held(page: Page, begins: str) -> Iterator[None]:
    """What the service answers to such requests comes to the page only in the end."""
    page.run(f"""window.plain = window.fetch; window.later = [];
        window.fetch = async (address, asked) => {{
            const answer = await window.plain(address, asked);
            if (String(address).startsWith({json.dumps(begins)})) await new Promise((go) => window.later.push(go));
            return answer;
        }}; 1""")
    yield
    page.run("window.fetch = window.plain; for (const go of window.later) go(); 1")


def waits(page: Page) -> None:
    until(lambda: page.run("window.later.length"), "an answer is held back")


def test_a_list_that_was_read_late_takes_nothing_back(stand_in: Server, ann: Page) -> None:
    open_at(ann, stand_in, "#/jobs?status=active")
    first = start(stand_in, RUNS)
    ann.sees(first[:8])
    with held(ann, "/api/tasks?"):
        second = start(stand_in, RUNS)
        waits(ann)
        cancel(stand_in, first)
        until(lambda: first[:8] not in text_of(ann, "main"), "it is active no more")
    ann.sees(second[:8])
    until(lambda: first[:8] not in text_of(ann, "main"), "it stays away")
    cancel(stand_in, second)


def test_a_list_is_in_the_order_of_the_service(stand_in: Server, ann: Page) -> None:
    older, newer = start(stand_in, RUNS), start(stand_in, RUNS)
    open_at(ann, stand_in, "#/jobs?status=REVOKED")
    for job_id in (newer, older):
        cancel(stand_in, job_id)
        ann.sees(job_id[:8])
    seen = ann.run("[...document.querySelectorAll('.rows .row .id')].map((one) => one.textContent)")
    assert seen.index(newer[:8]) < seen.index(older[:8])


def test_a_job_that_was_read_late_has_ended(stand_in: Server, ann: Page) -> None:
    job_id = start(stand_in, RUNS)
    with held(ann, f"/api/tasks/status/{job_id}"):
        open_at(ann, stand_in, f"#/jobs/{job_id}")
        waits(ann)
        cancel(stand_in, job_id)
        with Client(stand_in.url, "ann-token") as client:
            until(lambda: client.read(f"/api/tasks/status/{job_id}")["status"] == "REVOKED", "it has ended")
        ann.run("new Promise((go) => setTimeout(go, 700))")  # it is pushed within half a second
    ann.sees("Cancelled")
    ann.sees("Retry")


def test_a_lost_answer_begins_no_second_run_of_a_tag(stand_in: Server, ann: Page) -> None:
    open_at(ann, stand_in, "#/tags/1")
    ann.sees("Show what a run would change")
    ann.run("""window.plain = window.fetch; window.fetch = async (address, asked) => {
        const answer = await window.plain(address, asked);
        if (String(address).endsWith("/trigger")) { window.fetch = window.plain; throw new TypeError("lost"); }
        return answer;
    }; 1""")
    with Client(stand_in.url, "ann-token") as client:
        before = client.read("/api/tasks", task="tags.compute")["total"]
        ann.click("Show what a run would change")
        ann.sees("does not answer")
        ann.click("Show what a run would change")
        until(lambda: "does not answer" not in text_of(ann, "main"), "it is begun")
        assert client.read("/api/tasks", task="tags.compute")["total"] == before + 1


LOST = """window.plain = window.fetch; window.fetch = async (address, asked) => {
    const answer = await window.plain(address, asked);
    if (asked.method === "POST") { window.fetch = window.plain; throw new TypeError("lost"); }
    return answer;
}; 1"""
"""Of the next thing that is asked to be done, the answer does not arrive."""


def test_a_job_is_run_again_each_time_that_somebody_says_so(stand_in: Server, ann: Page) -> None:
    def runs() -> int:
        with Client(stand_in.url, "ann-token") as client:
            told = client.read("/api/tasks", task="workers.bookings_export", page_size=100)["tasks"]
        return sum(one["retry_of"] == job_id for one in told)

    def press() -> None:
        ann.click("Run again")
        ann.click("Yes, run again")

    def opened_anew() -> None:
        open_at(ann, stand_in, "#/jobs")
        ann.sees(job_id[:8])
        open_at(ann, stand_in, f"#/jobs/{job_id}")

    job_id = start(stand_in, 100)
    open_at(ann, stand_in, f"#/jobs/{job_id}")
    for number in (1, 2):
        press()
        until(lambda number=number: runs() == number, "it is run again")
        ann.sees("A new job does it again")
    opened_anew()
    ann.run(LOST)
    press()
    ann.sees("does not answer")
    opened_anew()
    press()
    ann.sees("It had been repeated before")
    assert runs() == 3, "whose answer was lost is run once"
    press()
    until(lambda: runs() == 4, "and once more")


def test_what_was_begun_for_a_tag_is_not_shown_for_another(stand_in: Server, ann: Page) -> None:
    open_at(ann, stand_in, "#/tags/1")
    ann.sees("Show what a run would change")
    with held(ann, "/api/v1/tags/trigger"):
        ann.click("Show what a run would change")
        waits(ann)
        ann.run("""window.real = window.plain; window.plain = (address, asked) =>
            window.real(String(address).replace("/tags/2", "/tags/1"), asked); 1""")
        open_at(ann, stand_in, "#/tags/2")
        ann.sees("Members over the runs")
    ann.run("new Promise((go) => setTimeout(go, 300))")
    assert "What a run would change" not in text_of(ann, "main").replace("Show what a run would change", "")


def test_a_page_keeps_as_many_events_as_the_service(ann: Page) -> None:
    kept = ann.run(f"""(async () => {{
        const {{ merged }} = await import({json.dumps(module(ann, "rows.js"))});
        let events = [];
        for (let number = 1; number <= 1000; number++) events = merged(events, [{{ number }}]);
        return events.map((event) => event.number);
        }})()""")
    assert kept == [1, *range(902, 1001)]


def module(page: Page, name: str) -> str:
    """The address of a file of this release."""
    return str(page.run(f"document.querySelector('script[src]').src.replace('main.js', {json.dumps(name)})"))


def test_the_focus_stays_where_something_is_asked(stand_in: Server, ann: Page) -> None:
    job_id = start(stand_in, RUNS)
    open_at(ann, stand_in, f"#/jobs/{job_id}")
    ann.sees("50 %")
    ann.run("document.querySelector('.actions button').focus()")
    ann.press("Enter", 13, "\r")
    until(lambda: ann.run("document.activeElement.textContent.trim()") == "No", "the safe answer has the focus")
    ann.press("Enter", 13, "\r")
    until(lambda: ann.run("document.activeElement.textContent.trim()") == "Cancel", "the question is gone")
    cancel(stand_in, job_id)


def test_the_focus_stays_where_a_run_is_looked_at(stand_in: Server, ann: Page) -> None:
    open_at(ann, stand_in, "#/tags/1")
    ann.sees("Show what a run would change")
    ann.run("document.querySelector('.actions button:last-of-type').focus()")
    for then in ("Write it", "Leave it"):
        ann.press("Enter", 13, "\r")
        ann.sees("Nothing is written yet.")
        assert focus(ann) == "Show what a run would change"
        place = "first" if then == "Write it" else "last"
        ann.run(f"document.querySelector('.difference ~ .choices button:{place}-of-type').focus()")
        assert focus(ann) == then
        ann.press("Enter", 13, "\r")
        until(lambda: "Nothing is written yet." not in text_of(ann, "main"), "it is gone")
        assert focus(ann) == "Show what a run would change", f"after {then}"


def focus(page: Page) -> str:
    """What has it, once all is drawn."""
    page.run("new Promise((go) => requestAnimationFrame(() => requestAnimationFrame(go)))")
    return str(page.run("document.activeElement.textContent.trim()"))


def test_nobody_is_no_bar(stand_in: Server, ann: Page) -> None:
    open_at(ann, stand_in, "#/tags")
    ann.sees("total_asset_value")
    assert ann.run("[document.querySelectorAll('.track').length, document.querySelectorAll('.fill').length]") == [1, 0]


def test_what_ends_far_down_says_what_came_of_it(stand_in: Server, ann: Page) -> None:
    done = start(stand_in, 100)
    with Client(stand_in.url, "ann-token") as client:
        until(lambda: client.read(f"/api/tasks/status/{done}")["status"] == "SUCCESS", "it has ended")
    came = ann.run(f"""(async () => {{
        const {{ Rows }} = await import({json.dumps(module(ann, "rows.js"))});
        const rows = new Rows({{}}, () => {{}});
        for (let place = 0; place < 150; place++) rows.ids.push(String(place));
        for (const id of rows.ids) rows.byId.set(id, {{ id, status: "STARTED" }});
        rows.ids.push({json.dumps(done)});
        rows.byId.set({json.dumps(done)}, {{ id: {json.dumps(done)}, status: "STARTED", pace: null }});
        const again = rows.heard({{ task_id: {json.dumps(done)}, event: "finished", status: "SUCCESS", final: true }});
        await rows.ends;
        return [again, rows.byId.get({json.dumps(done)}).came];
        }})()""")
    assert came == [False, "bookings_export.csv · 1,234 rows"]


def test_a_list_is_found_again_as_it_was_left(stand_in: Server, ann: Page) -> None:
    for job_id in [start(stand_in, 100) for _ in range(8)]:
        ann.sees(job_id[:8])
    ann.looks(height=480)
    ann.run("document.querySelector('.rows').scrollTop = 150")
    until(lambda: ann.run("document.querySelector('.rows').scrollTop") == 150, "it is scrolled")
    ann.run("document.querySelectorAll('.rows .row a')[4].click()")
    ann.sees("What happened")
    ann.run("history.back()")
    until(lambda: ann.run("document.querySelector('.rows')?.scrollTop") == 150, "it is where it was")


# -- clocks, sockets and people --------------------------------------------------------------


def test_times_are_told_by_the_clock_of_the_service(stand_in: Server, ann: Page) -> None:
    ann.run("window.clock = Date.now; Date.now = () => window.clock() + 7200e3; 1")
    job_id = start(stand_in, RUNS)
    open_at(ann, stand_in, f"#/jobs/{job_id}")
    ann.sees("50 %")
    seen = text_of(ann, "main")
    cancel(stand_in, job_id)
    assert "h ago" not in seen
    assert "1 h" not in seen
    assert "2 h" not in seen


def test_a_socket_that_says_nothing_any_more_is_given_up(stand_in: Server, ann: Page) -> None:
    ann.run(f"import({json.dumps(module(ann, 'live.js'))}).then(({{ live }}) => {{ window.live = live; }})")
    assert ann.run("live.heardAt -= 60e3; live.look(); live.askedAt !== null")
    until(lambda: ann.run("live.askedAt === null"), "the service says that it is there")
    ann.run("window.dead = live.socket; live.socket.send = () => {}; live.heardAt -= 60e3; live.look(); 1")
    ann.run("live.askedAt -= 60e3; live.look(); 1")
    until(lambda: ann.run("live.socket !== window.dead && live.socket?.readyState === 1"), "another one is opened")
    job_id = start(stand_in, 100)
    ann.sees(job_id[:8])


def test_who_comes_in_later_sees_nothing_of_who_was_here(stand_in: Server, ann: Page) -> None:
    ann.click("Sign out")
    come_in(ann, "root-token")
    open_at(ann, stand_in, "#/service")
    ann.sees("Pool and queue")
    ann.click("Sign out")
    with held(ann, "/api/tasks/service"):
        come_in(ann, "bob-token")
        waits(ann)
        assert "Pool and queue" not in text_of(ann, "main")
    ann.sees("an admin sees")


def test_a_large_number_is_told_to_the_last_digit(ann: Page) -> None:
    told = ann.run(f"""import({json.dumps(module(ann, "api.js"))}).then(({{ parsed }}) =>
        Object.values(parsed('{{"a": 9007199254740993, "b": -1e300, "c": 12, "d": [123456789012345678901]}}')))""")
    assert told == ["9007199254740993", -1e300, 12, ["123456789012345678901"]]


# -- strangers' words -----------------------------------------------------------------------


def test_nothing_that_a_user_says_is_markup(stand_in: Server, ann: Page) -> None:
    named = {
        "task_type": "run_risk_cruising",
        "data": {"target": HOSTILE, "name": HOSTILE[:60], "task_tag": HOSTILE[:60]},
    }
    with Client(stand_in.url, "root-token") as root:
        exported = start(stand_in, 100, "root-token", filters={"status": HOSTILE})
        published = root.post("/api/tasks/publish/meta", {"simulate": True, "campaign": CAMPAIGN}).json()["task_id"]
        scanned = root.post("/api/celery_task/", named).json()
    jobs = [exported, published, *([scanned["data"]["celery_id"]] if scanned["code"] == 200 else [])]
    ann.click("Sign out")
    come_in(ann, "root-token")
    for job_id in jobs:
        open_at(ann, stand_in, f"#/jobs/{job_id}")
        ann.sees("<img src=x onerror=window.pwned=1>")
    for address in ("#/jobs?owner=", "#/jobs?task=", "#/users/", "#/tags/", "#/jobs/", "#/", "#/audience?all="):
        open_at(ann, stand_in, address + HOSTILE)
        settled(ann)
    open_at(ann, stand_in, "#/jobs")
    ann.sees("Since")
    search(ann, HOSTILE)
    until(lambda: "owner=" in ann.run("location.hash"), "it is looked for")
    assert ann.run("document.querySelectorAll('#app img, #app script').length") == 0
    ann.complaints[:] = [one for one in ann.complaints if "status of 4" not in one]


def test_a_report_runs_nothing(stand_in: Server, ann: Page) -> None:
    report = f"<title>r</title><style>p {{ color: rgb(1, 2, 3) }}</style><p onclick='window.pwned=1'>{HOSTILE}</p>"
    shown = ann.run(
        f"""(async () => {{
        const {{ put }} = await import({json.dumps(module(ann, "report.js"))});
        const frame = document.createElement("iframe");
        frame.setAttribute("sandbox", "allow-same-origin");
        document.body.append(frame);
        put(frame, {json.dumps(report)});
        const p = frame.contentDocument.querySelector("p");
        p.click();
        await new Promise((resolve) => setTimeout(resolve, 300));
        return [getComputedStyle(p).color, frame.contentDocument.querySelectorAll("script").length,
            frame.contentWindow.pwned ?? null];
        }})()"""
    )
    assert shown == ["rgb(1, 2, 3)", 0, None]
    blocked = [one for one in ann.complaints if "Content Security Policy" in one or "sandboxed" in one or "/x" in one]
    assert blocked == ann.complaints, "what it tried was kept from it"
    ann.complaints.clear()


# -- a service that comes and goes ----------------------------------------------------------


def test_a_page_recovers_when_its_service_starts_anew(chromium: Page, tmp_path: Path) -> None:
    path = write_tokens(tmp_path / "tokens.yaml")
    variables, program = {"TAGAPI_AUTH__TOKENS_FILE": str(path)}, ("-m", "tests.e2e.stand_in")
    first = Server(tmp_path, variables, program=program)
    for server in served(first, ready=False):
        with page_of(chromium, server, token="ann-token") as page:
            before = start(server, 100)
            page.sees(before[:8])
            server.kill()
            page.sees("Not connected to the service")
            again = Server(tmp_path, variables, program=program, port=first.port)
            try:
                again.wait_alive()
                until(lambda: "live" in text_of(page, ".who") and not text_of(page, ".away"), "it is back", 20)
                after = start(again, 100)
                page.sees(after[:8])
                assert before[:8] in text_of(page, ".rows")
                page.complaints[:] = [one for one in page.complaints if "ERR_CONNECTION" not in one]
            finally:
                again.kill()
        return


def test_a_page_of_another_release_says_so(ann: Page) -> None:
    ann.run(f"import({json.dumps(module(ann, 'live.js'))}).then(({{ live }}) => {{ window.live = live; }})")
    ann.run("""window.plain = window.fetch; window.fetch = (address, asked) =>
        String(address).endsWith("/main.js") ? Promise.resolve(new Response("", { status: 404 }))
            : window.plain(address, asked);
        live.socket.close(); 1""")
    ann.sees("The service has another version by now")
    ann.run("window.seen = true")
    ann.click("Load this page anew")
    until(lambda: ann.run("window.seen === undefined && document.readyState === 'complete'"), "it is loaded")
    ann.sees("live")
    assert "another version" not in text_of(ann, "body")


def test_a_page_whose_token_is_revoked_asks_for_another(chromium: Page, tmp_path: Path) -> None:
    path = write_tokens(tmp_path / "tokens.yaml")
    variables, program = {"TAGAPI_AUTH__TOKENS_FILE": str(path)}, ("-m", "tests.e2e.stand_in")
    for server in served(Server(tmp_path, variables, program=program), ready=False):
        with page_of(chromium, server, token="ann-token") as page:
            until(lambda: "live" in text_of(page, ".who"), "it is live")
            write_tokens(path, {token: one for token, one in PRINCIPALS.items() if token != "ann-token"})
            page.sees("this one is none that it knows", 30)
            come_in(page, "bob-token")
            until(lambda: "live" in text_of(page, ".who"), "it is live again")
            assert text_of(page, ".who .name") == "bobuser"
            page.complaints[:] = [one for one in page.complaints if "401" not in one]
        return


def test_a_service_that_answers_no_more_is_missed_though_its_connection_stands(chromium: Page, tmp_path: Path) -> None:
    for server in served(Server(tmp_path, program=("-m", "tests.e2e.stand_in")), ready=False):
        with page_of(chromium, server) as page:
            until(lambda: "live" in text_of(page, ".who"), "it is live")
            os.killpg(server.pid, signal.SIGSTOP)
            try:
                page.sees("Not connected to the service", 60)
            finally:
                os.killpg(server.pid, signal.SIGCONT)
            until(lambda: "live" in text_of(page, ".who") and not text_of(page, ".away"), "it is back", 30)
            page.complaints.clear()
        return


def test_a_view_that_could_not_be_read_is_read_by_itself(stand_in: Server, ann: Page) -> None:
    """A request is lost, and the socket is not."""
    ann._call("Network.setBlockedURLs", urls=["*/api/tasks/service*"])
    open_at(ann, stand_in, "#/service")
    ann.sees("The service does not answer")
    ann._call("Network.setBlockedURLs", urls=[])
    ann.sees("Pool and queue")
    ann.complaints[:] = [one for one in ann.complaints if "ERR_BLOCKED" not in one]


@pytest.mark.parametrize(
    ("processes", "running", "said"),
    [
        (1, 1, "though there is room"),
        (1, 2, "more come than are done"),
        (3, 5, "though there is room"),
        (3, 6, "more come than are done"),
    ],
)
def test_room_is_that_of_all_processes(stand_in: Server, ann: Page, processes: int, running: int, said: str) -> None:
    lane = {"lane": "spark", "slots": 2, "running": running, "waiting": 1, "oldest_seconds": 1000}
    ann.run(f"""window.plain = window.fetch; window.fetch = async (address, asked) => {{
        const answer = await window.plain(address, asked);
        if (address !== "/api/tasks/service") return answer;
        return Response.json({{ ...(await answer.json()), processes: {processes}, lanes: [{json.dumps(lane)}] }});
    }}; 1""")
    open_at(ann, stand_in, "#/service")
    ann.sees(said)
    told = ann.run("document.querySelector('.slots .dots').ariaLabel")
    assert told == f"{running} of {2 * processes}"


# -- everybody ------------------------------------------------------------------------------


LONG = f"#/users/{'x' * 250}"


def too_wide(page: Page) -> bool:
    return bool(
        page.run(
            """[document.documentElement, document.querySelector("main")]
            .some((one) => one.scrollWidth > one.clientWidth)"""
        )
    )


@pytest.mark.parametrize(("width", "dark"), [(1280, False), (390, True)], ids=["wide and light", "narrow and dark"])
def test_everybody_can_use_every_view(stand_in: Server, ann: Page, width: int, dark: bool) -> None:
    failed, done, running = start(stand_in, FAILS), start(stand_in, 100), start(stand_in, RUNS)
    ann.looks(width=width, dark=dark)
    for address in (
        "#/jobs",
        "#/tags",
        "#/tags/1",
        "#/audience?all=1",
        "#/service",
        "#/users/user_1",
        "#/nowhere",
        LONG,
    ):
        open_at(ann, stand_in, address)
        settled(ann)
        assert serious(ann) == [], address
        assert not too_wide(ann), address
    for job_id in (failed, done, running):
        open_at(ann, stand_in, f"#/jobs/{job_id}")
        settled(ann)
        assert serious(ann) == [], job_id
        assert not too_wide(ann), job_id
    cancel(stand_in, running)
    ann.click("Sign out")
    ann.sees("This service asks who you are")
    assert serious(ann) == []


def test_the_documentation_fits_on_a_phone(chromium: Page, stand_in: Server) -> None:
    with chromium.another() as page:
        page.looks(width=390)
        page.go(f"{stand_in.url}/docs")
        page.sees("/api/v1/tags/trigger")
        assert page.run("document.documentElement.scrollWidth") <= 390
        page.close()


@pytest.mark.parametrize("dark", [True, False])
def test_the_documentation_is_dark_where_that_is_liked(chromium: Page, stand_in: Server, dark: bool) -> None:
    with chromium.another() as page:
        page.looks(dark=dark)
        page.go(f"{stand_in.url}/docs")
        page.sees("/api/v1/tags/trigger")
        turned = page.run("getComputedStyle(document.documentElement).filter")
        assert ("invert" in turned) is dark
        page.close()
