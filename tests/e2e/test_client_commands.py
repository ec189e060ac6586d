"""The command line against real servers: as programs call it, as people see it, and by its exit codes."""

from __future__ import annotations

import json
import os
import shlex
import shutil
import signal
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from itertools import takewhile
from pathlib import Path
from typing import Any

import click
import pytest
import requests
from click.testing import CliRunner, Result

import tagapi
import tagapi.client
from tagapi.client import Client
from tagapi.client.commands.main import main
from tests.e2e.said import saying
from tests.e2e.scripts import PHASES
from tests.e2e.server import ROOT, Server, until
from tests.e2e.stand_in import FAILS, REASON, RUNS, content_of
from tests.e2e.tasks_client import reached
from tests.e2e.terminal import hear_interrupts, terminal

DONE, FAILED, USAGE, REFUSED, UNREACHABLE, BROKEN, INTERRUPTED = 0, 1, 2, 3, 4, 5, 130
COMMAND = [sys.executable, "-m", "tagapi.client"]
TOKEN = "ann-token"


@pytest.fixture
def variables(stand_in: Server, tmp_path: Path) -> dict[str, str]:
    """Of somebody who has set both."""
    return {**nobody(tmp_path), "TAGAPI_URL": stand_in.url, "TAGAPI_TOKEN": TOKEN}


def nobody(folder: Path) -> dict[str, str]:
    """The environment of somebody who has set nothing."""
    inherited = {key: value for key, value in os.environ.items() if not key.startswith("TAGAPI_")}
    return {**inherited, "XDG_CONFIG_HOME": str(folder / "config"), "PYTHONWARNINGS": "error"}


def run(variables: dict[str, str], *arguments: str, said: str | None = None) -> Result:
    without: dict[str, str | None] = {"TAGAPI_URL": None, "TAGAPI_TOKEN": None}
    return CliRunner().invoke(main, arguments, said, env={**without, **variables}, prog_name="tagapi")


def told(result: Result) -> Any:
    assert result.exit_code == DONE, (result.stdout, result.stderr)
    return json.loads(result.stdout)


@pytest.fixture
def client(stand_in: Server) -> Iterator[Client]:
    with Client(stand_in.url, TOKEN) as one:
        yield one


# -- beginning and following ---------------------------------------------------------------


def test_tags_are_run_and_followed_in_plain_lines(variables: dict[str, str]) -> None:
    result = run(variables, "tags", "run", "1", "--follow")
    assert result.exit_code == DONE
    assert "total_users: 0" in result.stdout.splitlines()
    assert result.stderr.splitlines()[-1] == "SUCCESS 100% (1/1)"
    assert "\x1b" not in result.output


def test_without_following_a_pipe_gets_the_id_alone(variables: dict[str, str], client: Client) -> None:
    job_id = run(variables, "tags", "run", "1").stdout.strip()
    assert client.jobs.get(job_id).status().task == "tags.compute"
    begun = told(run(variables, "tags", "run", "1", "--json", "--key", "cli-key-1"))
    again = told(run(variables, "--json", "tags", "run", "1", "--key", "cli-key-1"))
    assert again == {"task_id": begun["task_id"], "replayed": True}


def test_an_export_is_fetched(variables: dict[str, str], tmp_path: Path) -> None:
    out = tmp_path / "bookings.xlsx"
    result = run(variables, "export", "bookings", "--format", "xlsx", "--filter", "status=confirmed", "--out", str(out))
    assert (result.exit_code, result.stdout) == (DONE, f"{out}\n")
    assert out.read_bytes() == content_of("bookings_export.xlsx")


def test_a_report_is_opened(variables: dict[str, str], tmp_path: Path) -> None:
    seen = tmp_path / "seen"
    viewer = tmp_path / "viewer"
    viewer.write_text(f'#!/bin/sh\necho "$1" > {seen}\n', encoding="utf-8")
    viewer.chmod(0o755)
    out = tmp_path / "report.html"
    ran = subprocess.run(
        [*COMMAND, "report", "--language", "en", "--open", "--out", str(out)],
        env={**variables, "BROWSER": f"{viewer} %s"},
        cwd=ROOT,
        timeout=60,
        check=False,
    )
    assert ran.returncode == DONE
    assert out.read_bytes() == content_of("report_generation.html")
    assert seen.read_text(encoding="utf-8").strip() == out.as_uri()


def test_jobs_are_listed_shown_cancelled_and_retried(variables: dict[str, str], client: Client) -> None:
    job = client.workers.run("bookings_export", batch_size=RUNS)
    lines = run(variables, "jobs", "ls", "--active", "--json").stdout.splitlines()
    assert job.id in [json.loads(line)["task_id"] for line in lines]
    shown = run(variables, "jobs", "show", job.id)
    assert "task: workers.bookings_export" in shown.stdout.splitlines()
    assert "accepted" in shown.stdout
    assert run(variables, "jobs", "cancel", job.id).stdout == "cancelled\n"
    assert run(variables, "jobs", "cancel", job.id).exit_code == REFUSED
    again = told(run(variables, "jobs", "retry", job.id, "--json"))["task_id"]
    assert client.jobs.get(again).status().retry_of == job.id
    client.jobs.get(again).cancel()
    first = run(variables, "jobs").stdout.splitlines()[0].split("\t")
    assert first[0] == again
    assert len(first) == 6


def test_watching_tells_programs_every_event(variables: dict[str, str], client: Client) -> None:
    job = client.tags.run([1])
    result = run(variables, "jobs", "watch", job.id, "--json")
    events = [json.loads(line) for line in result.stdout.splitlines()]
    assert [event["number"] for event in events] == list(range(1, len(events) + 1))
    assert (events[0]["event"], events[-1]["event"], events[-1]["status"]) == ("accepted", "finished", "SUCCESS")


def test_schedules_are_made_paused_and_removed(variables: dict[str, str]) -> None:
    made = told(run(variables, "tags", "run", "1", "--every", "6h", "--json"))["schedule_id"]
    listed = [json.loads(line) for line in run(variables, "schedule", "--json").stdout.splitlines()]
    assert [(one["schedule_id"], one["every_seconds"]) for one in listed] == [(made, 21600)]
    assert told(run(variables, "schedule", "pause", made, "--json"))["paused"]
    assert not told(run(variables, "schedule", "resume", made, "--json"))["paused"]
    assert run(variables, "schedule", "rm", made).exit_code == DONE
    assert run(variables, "schedule").stdout == ""


def test_a_scan_is_of_what_the_targets_are(variables: dict[str, str]) -> None:
    admin = {**variables, "TAGAPI_TOKEN": "root-token"}
    port = ("--option", "port_scan_type=custom", "--option", "port_custom=443")
    scan = told(run(admin, "scan", "198.51.100.0/24", "--option", "port_scan", *port, "--follow", "--json"))
    assert (scan["task"], scan["status"]) == ("celery_task.ip_task", "SUCCESS")
    scan = told(run(admin, "scan", "example.com", "--option", "port_scan_type=test", "--follow", "--json"))
    assert scan["task"] == "celery_task.domain_task"
    assert run(admin, "found", scan["task_id"]).exit_code == DONE
    assert run(variables, "scan", "example.com").exit_code == REFUSED


def test_what_is_typed_is_sent_as_it_is_meant(variables: dict[str, str], tmp_path: Path) -> None:
    users = tmp_path / "users.txt"
    users.write_bytes("\ufeffuser_1\r\nuser_2\r\n\r\n".encode())
    with saying() as said:
        variables = {**variables, "TAGAPI_URL": said.url}
        said.will(200, {"success": True, "task_id": "x", "code": 200, "data": {"celery_id": "x"}})
        assert run(variables, "tags", "run", "1", "--users-file", str(users)).exit_code == DONE
        assert said.bodies[-1]["user_ids"] == ["user_1", "user_2"]
        assert run(variables, "scan", "--type", "fofa_task", "--data", "keyword=007").exit_code == DONE
        assert run(variables, "scan", "--type", "fofa_task", "--data", "query=true").exit_code == DONE
        assert [body["data"] for body in said.bodies[1:]] == [{"keyword": "007"}, {"query": "true"}]
        users.write_bytes(b"user_\xe9\n")
        assert run(variables, "tags", "run", "1", "--users-file", str(users)).exit_code == USAGE
        assert len(said.asked) == 3


# -- exit codes ----------------------------------------------------------------------------


def test_failed_cancelled_refused_and_unreachable_are_told_apart(variables: dict[str, str], client: Client) -> None:
    failed = client.workers.run("bookings_export", batch_size=FAILS)
    result = run(variables, "jobs", "watch", failed.id)
    assert (result.exit_code, result.stderr.splitlines()[-1]) == (FAILED, f"failed: {REASON}")
    cancelled = client.workers.run("bookings_export", batch_size=RUNS)
    cancelled.cancel()
    assert run(variables, "jobs", "watch", cancelled.id).exit_code == FAILED
    refused = run(variables, "tags", "run", "99")
    assert (refused.exit_code, refused.stdout) == (REFUSED, "")
    assert "无效的标签ID: [99]" in refused.stderr
    assert run({**variables, "TAGAPI_URL": "http://127.0.0.1:1"}, "jobs").exit_code == UNREACHABLE


def test_programs_get_errors_as_json(variables: dict[str, str], client: Client) -> None:
    refused = json.loads(run(variables, "tags", "run", "99", "--json").stderr)
    assert (refused["error"], refused["status"], refused["field"]) == ("Invalid", 400, "tag_ids")
    job = client.workers.run("bookings_export", batch_size=FAILS)
    failed = json.loads(run(variables, "jobs", "watch", job.id, "--json").stderr)
    assert (failed["error"], failed["message"], failed["job_id"]) == ("JobFailed", REASON, job.id)


@pytest.mark.parametrize(
    "wrong",
    [
        ["tags", "run"],
        ["tags", "run", "x"],
        ["tags", "run", "1", "--cron", "0 4 * * *", "--every", "1h"],
        ["tags", "run", "1", "--timezone", "Europe/Madrid"],
        ["tags", "run", "1", "--every", "soon"],
        ["export", "bookings", "--filter", "status"],
        ["export", "bookings", "--out", "/nowhere/at/all"],
        ["scan"],
        ["jobs", "cancel", ".."],
        ["tags", "run", "1", "--key", "a\nb"],
        ["tags", "run", "1", "--key", ""],
        ["scan", "--type", "fofa_task", "--data", "task_type=x"],
        ["scan", "--type", "fofa_task", "--data", "options=x"],
        ["export", "bookings", "--from", "0001-01-01"],
        ["jobs", "ls", "--since", "0001-01-01"],
        ["--url", "nonsense", "jobs"],
        ["nonsense"],
    ],
)
def test_what_is_not_understood_asks_nobody(variables: dict[str, str], wrong: list[str]) -> None:
    with saying() as said:
        said.will(500, {})
        assert run({**variables, "TAGAPI_URL": said.url}, *wrong).exit_code == USAGE
        assert said.asked == []


def test_a_missing_token_says_how_to_have_one(variables: dict[str, str]) -> None:
    result = run({**variables, "TAGAPI_TOKEN": ""}, "jobs")
    assert result.exit_code == REFUSED
    assert "tagapi login" in result.stderr


def test_no_text_of_others_moves_the_cursor(variables: dict[str, str]) -> None:
    hostile = "\x1b[2J\x1b]0;title\x07[bold]x[/bold]\nnext\u202e"
    with saying() as said:
        said.will(400, {"error": "invalid", "message": hostile, "field": f"{hostile}2"})
        refused = run({**variables, "TAGAPI_URL": said.url}, "jobs")
        assert refused.exit_code == REFUSED
        said.answers.clear()
        said.will(200, {"success": True, "available_tags": [{"tag_id": 1, "task_class": hostile, "description": "x"}]})
        listed = run({**variables, "TAGAPI_URL": said.url}, "tags", "ls")
        with terminal([*COMMAND, "tags", "ls"], {**variables, "TAGAPI_URL": said.url}) as seen:
            assert seen.end() == DONE
    for output in (refused.output, listed.output):
        assert not {"\x1b", "\x07", "\u202e"} & set(output)
        assert "[bold]x[/bold]" in output
    assert len(listed.stdout.splitlines()) == 1
    assert "\x1b[2J" not in seen.raw
    assert "\x1b]0" not in seen.raw
    assert "[bold]x[/bold]" in seen.shown


def test_who_has_seen_enough_is_no_failure_of_a_job(variables: dict[str, str]) -> None:
    with saying() as said:
        tags = [{"tag_id": one, "task_class": "x" * 100, "description": "x"} for one in range(5000)]
        said.will(200, {"success": True, "available_tags": tags})
        ran = subprocess.run(
            [str(shutil.which("bash")), "-c", f"{' '.join(COMMAND)} tags ls | head -n 1; echo ${{PIPESTATUS[0]}}"],
            env={**variables, "TAGAPI_URL": said.url},
            cwd=ROOT,
            capture_output=True,
            encoding="utf-8",
            timeout=60,
            check=False,
        )
    assert (ran.stdout.splitlines()[1:], ran.stderr) == (["141"], "")


@pytest.mark.parametrize(("how", "shown"), [("2>/dev/null", r"\u5434"), (">&-", ""), ("<&-", r"\u5434")])
def test_no_stream_has_to_be_there_or_to_know_every_letter(variables: dict[str, str], how: str, shown: str) -> None:
    with saying() as said:
        said.will(200, {"success": True, "available_tags": [{"tag_id": 1, "task_class": "吴", "description": "x"}]})
        ran = subprocess.run(
            f"{' '.join(COMMAND)} tags ls {how}",
            shell=True,
            env={**variables, "TAGAPI_URL": said.url, "PYTHONIOENCODING": "latin-1"},
            cwd=ROOT,
            capture_output=True,
            encoding="latin-1",
            timeout=60,
            check=False,
        )
    assert (ran.returncode, ran.stderr) == (DONE, "")
    assert shown in ran.stdout


# -- on a terminal -------------------------------------------------------------------------


def test_a_terminal_shows_tables_and_bars(variables: dict[str, str], client: Client) -> None:
    job = client.workers.run("bookings_export", batch_size=PHASES)
    with terminal([*COMMAND, "jobs", "watch", job.id], variables) as seen:
        seen.until("STARTED escribir")
        assert "━" in seen.shown
        job.cancel()
        assert seen.end() == FAILED
        assert "the job was cancelled" in seen.shown
    with terminal([*COMMAND, "jobs", "ls", "--limit", "3"], variables) as seen:
        assert seen.end() == DONE
        assert seen.shown.split()[:4] == ["id", "status", "done", "task"]
        assert "REVOKED" in seen.shown


def test_a_narrow_terminal_shows_all_of_a_table(variables: dict[str, str], client: Client) -> None:
    job = client.workers.run("bookings_export", batch_size=RUNS)
    with terminal(["env", "COLUMNS=20", *COMMAND, "jobs", "ls", "--limit", "1"], variables) as seen:
        assert seen.end() == DONE
    job.cancel()
    for part in (job.id, "STARTED", "workers.bookings_export", "ann"):
        assert part in seen.shown


@pytest.mark.parametrize(
    ("answer", "code", "status"),
    [("c\n", FAILED, "REVOKED"), ("\n", INTERRUPTED, "STARTED"), ("\x03", INTERRUPTED, "STARTED")],
)
def test_an_interrupt_asks_whether_to_cancel_or_to_leave(
    variables: dict[str, str], stand_in: Server, client: Client, answer: str, code: int, status: str
) -> None:
    job = client.workers.run("bookings_export", batch_size=RUNS)
    reached(_seen_by_ann(stand_in), job.id, "STARTED")
    with terminal([*COMMAND, "jobs", "watch", job.id], variables) as seen:
        seen.until("50%")
        seen.interrupt()
        seen.until("Cancel the job")
        if answer == "\x03":
            seen.interrupt()
        else:
            seen.type(answer)
        assert seen.end() == code
        assert (f"tagapi jobs watch {job.id}" in seen.shown) == (code == INTERRUPTED)
    assert job.status().status == status
    if status == "STARTED":
        job.cancel()


def _seen_by_ann(stand_in: Server) -> Any:
    from tests.e2e.server import Client as Plain

    return Plain(stand_in.url, TOKEN)


def test_an_interrupt_in_a_pipe_leaves_the_job_and_says_how_to_go_on(variables: dict[str, str], client: Client) -> None:
    job = client.workers.run("bookings_export", batch_size=RUNS)
    with subprocess.Popen(
        [*COMMAND, "jobs", "watch", job.id],
        env=variables,
        cwd=ROOT,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        encoding="utf-8",
        preexec_fn=hear_interrupts,
    ) as watching:
        assert watching.stderr is not None
        while "50%" not in watching.stderr.readline():
            assert watching.poll() is None
        watching.send_signal(signal.SIGINT)
        _, rest = watching.communicate(timeout=30)
    assert watching.returncode == INTERRUPTED
    assert f"tagapi jobs watch {job.id}" in rest
    assert job.status().status == "STARTED"
    job.cancel()


# -- who asks ------------------------------------------------------------------------------


def test_a_login_is_tried_and_kept_for_its_owner_alone(stand_in: Server, tmp_path: Path) -> None:
    variables = nobody(tmp_path)
    kept = tmp_path / "config" / "tagapi" / "login.json"
    with terminal([*COMMAND, "login"], variables) as seen:
        seen.until("Address of the service [http://127.0.0.1:5000]: ")
        seen.type(f"{stand_in.url}\n")
        seen.until("Token")
        seen.type("wrong-token\n")
        assert seen.end() == REFUSED
        assert "wrong-token" not in seen.raw
    assert not kept.exists()
    with terminal([*COMMAND, "login"], variables) as seen:
        seen.until("Address of the service")
        seen.type(f"{stand_in.url}\n")
        seen.until("Token")
        seen.type(f"{TOKEN}\n")
        assert seen.end() == DONE
        assert TOKEN not in seen.raw
    assert kept.stat().st_mode & 0o777 == 0o600
    assert [one.name for one in kept.parent.iterdir()] == ["login.json"]
    assert run(variables, "jobs").exit_code == DONE
    kept.chmod(0o644)
    assert "chmod 600" in run(variables, "jobs").stderr
    assert run(variables, "logout").exit_code == DONE
    assert not kept.exists()


@pytest.mark.parametrize("kept", ["[]", '{"url": "http://127.0.0.1:1", "token": 5}', "{"])
def test_a_stored_login_that_is_none_is_no_crash(tmp_path: Path, kept: str) -> None:
    path = tmp_path / "config" / "tagapi" / "login.json"
    path.parent.mkdir(parents=True)
    path.touch(mode=0o600)
    path.write_text(kept, "utf-8")
    assert run(nobody(tmp_path), "jobs").exit_code in (UNREACHABLE, BROKEN)


def test_an_address_that_is_none_is_not_tried_to_log_in(variables: dict[str, str]) -> None:
    assert run(variables, "--url", "http://[::1", "login", said=f"{TOKEN}\n").exit_code == USAGE


def test_a_login_reads_a_pipe_and_its_token_goes_to_its_address_alone(stand_in: Server, tmp_path: Path) -> None:
    variables = nobody(tmp_path)
    assert run(variables, "--url", stand_in.url, "login", said=f"{TOKEN}\n").exit_code == DONE
    assert run(variables, "jobs").exit_code == DONE
    with saying() as elsewhere:
        elsewhere.will(200, {"tasks": [], "total": 0, "next": None})
        assert run(variables, "--url", elsewhere.url, "jobs").exit_code == DONE
        assert "authorization" not in elsewhere.asked[0][1]
        assert run({**variables, "TAGAPI_TOKEN": "other"}, "--url", elsewhere.url, "jobs").exit_code == DONE
        assert elsewhere.asked[1][1]["authorization"] == "Bearer other"


def test_no_command_takes_a_token_as_an_argument(variables: dict[str, str]) -> None:
    assert run(variables, "login", "--token", TOKEN).exit_code == USAGE
    assert run(variables, "--token", TOKEN, "jobs").exit_code == USAGE


# -- collectors ----------------------------------------------------------------------------


@pytest.fixture(scope="module")
def filled(tagged: Server, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The environment of who has filled a collector."""
    variables = {**nobody(tmp_path_factory.mktemp("home")), "TAGAPI_URL": tagged.url}
    assert run(variables, "collector", "create", "cli").exit_code == DONE
    everything = ("--start", "2020-01-01", "--query", "published:[* TO *]")
    assert run(variables, "collector", "fill", "cli", *everything, "--follow").exit_code == DONE
    return variables


def test_a_collector_is_read_on_into_a_file_once(filled: dict[str, str], tmp_path: Path) -> None:
    whole = [json.loads(line)["id"] for line in run(filled, "collector", "read", "cli").stdout.splitlines()]
    assert len(whole) == len(set(whole)) >= 1500
    out, state = tmp_path / "docs.jsonl", tmp_path / "state.json"
    read = ("collector", "read", "cli", "--out", str(out), "--resume", str(state))
    assert run(filled, *read, "--limit", "500").exit_code == DONE
    with out.open("ab") as file:
        file.write(b'{"id": "of a batch whose place was not kept"')
    with saying() as elsewhere:
        assert run({**filled, "TAGAPI_URL": elsewhere.url}, *read).exit_code == USAGE  # it is a place at one service
        assert elsewhere.asked == []
    assert run(filled, *read).exit_code == DONE
    assert run(filled, *read).exit_code == DONE
    assert [json.loads(line)["id"] for line in out.read_text("utf-8").splitlines()] == whole
    state.unlink()
    assert run(filled, *read).exit_code == USAGE  # what is there would be had twice
    assert len(out.read_text("utf-8").splitlines()) == len(whole)


def test_a_place_is_kept_before_there_is_anything_to_lose(filled: dict[str, str], tmp_path: Path) -> None:
    out, state = tmp_path / "docs.jsonl", tmp_path / "later" / "state.json"
    read = ("collector", "read", "cli", "--out", str(out), "--resume", str(state))
    assert run(filled, *read).exit_code == BROKEN
    state.parent.mkdir()
    assert run(filled, *read).exit_code == DONE
    assert len(out.read_text("utf-8").splitlines()) >= 1500
    assert [one.name for one in state.parent.iterdir()] == ["state.json"]


def test_one_command_at_a_time_keeps_its_place_in_a_file(filled: dict[str, str], tmp_path: Path) -> None:
    out, state = tmp_path / "docs.jsonl", tmp_path / "state.json"
    read = ("collector", "read", "cli", "--out", str(out), "--resume", str(state))
    with subprocess.Popen([*COMMAND, *read, "--wait"], env=filled, cwd=ROOT, stderr=subprocess.PIPE) as first:
        until(lambda: state.exists() and json.loads(state.read_text("utf-8"))["offset"] != "earliest", "it reads")
        second = run(filled, *read)
        assert (second.exit_code, "another command" in second.stderr) == (USAGE, True)
        first.terminate()
        first.communicate(timeout=30)
    assert run(filled, *read).exit_code == DONE
    ids = [json.loads(line)["id"] for line in out.read_text("utf-8").splitlines()]
    assert len(ids) == len(set(ids)) >= 1500


def test_a_reader_that_has_seen_enough_ends_the_reading(filled: dict[str, str], tmp_path: Path) -> None:
    state = tmp_path / "state.json"
    ran = subprocess.run(
        f"{sys.executable} -m tagapi.client collector read cli --resume {state} | head -n 1",
        shell=True,
        env=filled,
        cwd=ROOT,
        capture_output=True,
        timeout=60,
        check=False,
    )
    assert json.loads(ran.stdout)["id"]
    assert b"Traceback" not in ran.stderr


# -- as it is installed --------------------------------------------------------------------


def test_setup_makes_the_command_with_its_completion(variables: dict[str, str], tmp_path: Path) -> None:
    bin_ = tmp_path / "venv" / "bin"
    bin_.mkdir(parents=True)
    (bin_ / "python").symlink_to(sys.executable)
    made = subprocess.run(
        [
            *(str(shutil.which("make")), f"VENV={tmp_path}/venv", f"{bin_}/tagapi"),
            *("-o", f"{tmp_path}/venv/run.stamp", "-o", f"{tmp_path}/venv/uv.stamp"),
        ],
        cwd=ROOT,
        capture_output=True,
        encoding="utf-8",
        timeout=60,
        check=False,
    )
    assert made.returncode == 0, made.stderr
    script = (bin_ / "tagapi").read_text("utf-8").replace(f"{bin_}/python", sys.executable)
    (bin_ / "tagapi").write_text(script, "utf-8")  # the link leads to no environment of its own

    def ask(*arguments: str, **more: str) -> str:
        command = [str(bin_ / "tagapi"), *arguments]
        ran = subprocess.run(
            command,
            env={**variables, **more},
            cwd=tmp_path,
            capture_output=True,
            encoding="utf-8",
            timeout=60,
            check=True,
        )
        return ran.stdout

    assert ask("--version").strip() == f"tagapi, version {tagapi.client.__version__}"
    assert "_TAGAPI_COMPLETE=bash_complete" in ask(_TAGAPI_COMPLETE="bash_source")
    assert ask(_TAGAPI_COMPLETE="bash_complete", COMP_WORDS="tagapi jo", COMP_CWORD="1") == "plain,jobs\n"


def test_the_client_has_the_versions_of_the_service() -> None:
    assert tagapi.client.__version__ == tagapi.__version__
    service, client = (
        tomllib.loads((ROOT / place / "pyproject.toml").read_text("utf-8"))["project"]
        for place in (".", "tagapi/client")
    )
    assert set(client["dependencies"]) < set(service["dependencies"])
    assert client["requires-python"] == service["requires-python"]


def test_clients_alone_need_three_libraries(stand_in: Server, variables: dict[str, str], tmp_path: Path) -> None:
    uv = shutil.which("uv", path=f"{ROOT}/.venv/bin:{os.environ['PATH']}")
    venv, folder = tmp_path / "venv", tmp_path / "client"
    shutil.copytree(ROOT / "tagapi" / "client", folder, ignore=shutil.ignore_patterns("__pycache__"))
    python = str(venv / "bin" / "python")
    subprocess.run([sys.executable, "-m", "venv", *(["--without-pip"] if uv else []), str(venv)], check=True)
    install = [uv, "pip", "install", "--python", python] if uv else [python, "-m", "pip", "install"]
    installed = subprocess.run([*install, str(folder)], capture_output=True, encoding="utf-8", timeout=100, check=False)
    if installed.returncode != 0 and _no_registry():
        pytest.skip(f"no registry of packages answers here: {installed.stderr[-300:]}")
    assert installed.returncode == 0, installed.stderr
    listing = "import importlib.metadata as m; print(*sorted(one.name.lower() for one in m.distributions()))"
    there = subprocess.run([python, "-c", listing], capture_output=True, encoding="utf-8", check=True).stdout.split()
    needed = {"tagapi-client", "click", "requests", "rich"}
    theirs = {"certifi", "charset-normalizer", "idna", "urllib3", "markdown-it-py", "mdurl", "pygments"}
    assert needed <= set(there) <= needed | theirs | {"pip", "setuptools"}
    used = subprocess.run(
        [str(venv / "bin" / "tagapi"), "tags", "run", "1", "--follow", "--json"],
        env=variables,
        cwd=tmp_path,
        capture_output=True,
        encoding="utf-8",
        timeout=60,
        check=False,
    )
    assert used.returncode == DONE, used.stderr
    assert json.loads(used.stdout)["status"] == "SUCCESS"


def _no_registry() -> bool:
    index = os.environ.get("PIP_INDEX_URL") or os.environ.get("UV_INDEX_URL") or "https://pypi.org/simple/"
    try:
        return requests.get(f"{index.rstrip('/')}/hatchling/", timeout=10).status_code >= 400
    except requests.RequestException:
        return True


def test_every_command_shows_how_it_is_used(variables: dict[str, str]) -> None:
    """And the options of its examples are there."""
    for words, command in _commands(main, ("tagapi",)):
        shown = run(variables, *words[1:], "--help").stdout.splitlines()
        examples = [shlex.split(line, posix=True) for line in shown if line.startswith(f"  {' '.join(words)}")]
        assert examples, f"{' '.join(words)} --help has no example"
        if not isinstance(command, click.Group):
            parser = command.make_parser(click.Context(command))
            for example in examples:
                parser.parse_args(list(takewhile("|".__ne__, example))[len(words) :])


def _commands(command: click.Command, words: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], click.Command]]:
    yield words, command
    if isinstance(command, click.Group):
        for name, inner in command.commands.items():
            yield from _commands(inner, (*words, name))
