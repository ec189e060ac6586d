"""The launcher: what it refuses, in one line that names the key, and what it leaves in the logs."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import time
from pathlib import Path

import pytest

from tests.e2e.conftest import StartServer
from tests.e2e.server import Server, free_port, refusing_spark, run_python

EVERYWHERE = "0.0.0.0"  # noqa: S104 (to be refused)
GLUE = {
    "TAGAPI_STORAGE__BUCKET": "bucket",
    "TAGAPI_STORAGE__REGION": "eu-west-1",
    "TAGAPI_SPARK__REMOTE": "sc://127.0.0.1:1",
    "TAGAPI_REGISTRY__URL": "memory://",
    "TAGAPI_AUTH__TOKENS_FILE": os.devnull,
}


def launch(folder: Path, *options: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """A start that is expected to end at once; on a port of its own, in case it does not."""
    return run_python(
        "api_server.py", "--port", str(free_port()), *options, folder=folder, variables=variables, seconds=20
    )


def refused(done: subprocess.CompletedProcess[str]) -> str:
    """The one line in which the launcher says why it does not start."""
    assert done.returncode in (1, 2), (done.returncode, done.stderr)
    assert "Traceback" not in done.stderr
    *usage, line = done.stderr.strip().splitlines()
    assert line.startswith("Error: ")
    assert all(one.startswith(("Usage: ", "Try ")) or not one for one in usage), done.stderr
    return line


@pytest.mark.parametrize("option", ["--help", "-h"])
def test_help_names_the_documented_options(tmp_path: Path, option: str) -> None:
    done = launch(tmp_path, option)
    assert done.returncode == 0
    for name in ("--env", "--host", "--port", "--debug", "--log-level", "glue-dev", "glue-prod", "5000"):
        assert name in done.stdout


@pytest.mark.parametrize(
    ("variable", "value", "named"),
    [
        ("TAGAPI_JOBS__NOPE", "1", "TAGAPI_JOBS__NOPE"),
        ("TAGAPI_NOPE", "1", "TAGAPI_NOPE"),
        ("TAGAPI_JOBS__MAX_CONCURRENT", "many", "jobs.max_concurrent"),
        ("TAGAPI_LOGS__LEVEL", "LOUD", "logs.level"),
        ("TAGAPI_REGISTRY__URL", "mongodb://127.0.0.1/jobs", "registry.url"),
        ("TAGAPI_SPARK__REMOTE", "hadoop", "spark.remote"),
        ("TAGAPI_SPARK__REMOTE", "sc://127.0.0.1:1", "spark.remote"),
        ("TAGAPI_LOGS__DIR", "/proc/nowhere", "logs.dir"),
        ("TAGAPI_DATA__SOURCES", "{user_basic_info: {path: /lake, nope: 1}}", "data.sources"),
    ],
)
def test_a_setting_that_cannot_be_used_is_named(tmp_path: Path, variable: str, value: str, named: str) -> None:
    assert named in refused(launch(tmp_path, **{variable: value}))


@pytest.mark.parametrize("missing", ["storage.bucket", "storage.region", "spark.remote", "auth.tokens_file"])
def test_glue_names_what_it_cannot_do_without(tmp_path: Path, missing: str) -> None:
    variable = f"TAGAPI_{missing.replace('.', '__').upper()}"
    given = {key: value for key, value in GLUE.items() if key != variable}
    line = refused(launch(tmp_path, "--env", "glue-dev", **given))
    assert missing in line
    assert variable in line


def test_glue_without_its_spark_says_so(tmp_path: Path) -> None:
    tokens = tmp_path / "tokens.yaml"
    tokens.touch()
    line = refused(launch(tmp_path, "--env", "glue-dev", **GLUE | {"TAGAPI_AUTH__TOKENS_FILE": str(tokens)}))
    assert "spark.remote" in line
    assert "sc://127.0.0.1:1" in line


@pytest.mark.parametrize("content", [None, "- {name: ann}", "- ["])
def test_a_tokens_file_that_cannot_be_used_is_named(tmp_path: Path, content: str | None) -> None:
    tokens = tmp_path / "tokens.yaml"
    if content is not None:
        tokens.write_text(content, encoding="utf-8")
    line = refused(launch(tmp_path, TAGAPI_AUTH__TOKENS_FILE=str(tokens)))
    assert "auth.tokens_file" in line
    assert str(tokens) in line


@pytest.mark.parametrize("env", ["glue-dev", "glue-prod"])
def test_debug_is_refused_away_from_home(tmp_path: Path, env: str) -> None:
    assert "--debug" in refused(launch(tmp_path, "--debug", "--env", env, "--host", "127.0.0.1", **GLUE))


@pytest.mark.parametrize("options", [[], ["--host", EVERYWHERE], ["--host", "::"], ["--host", "example.com"]])
def test_debug_is_refused_where_others_could_reach_it(tmp_path: Path, options: list[str]) -> None:
    assert "--debug" in refused(launch(tmp_path, "--debug", *options))


@pytest.mark.parametrize(
    ("option", "value"), [("--env", "nope"), ("--port", "70000"), ("--port", "x"), ("--log-level", "LOUD")]
)
def test_an_option_that_cannot_be_used_is_named(tmp_path: Path, option: str, value: str) -> None:
    assert option in refused(launch(tmp_path, option, value))


def test_a_port_that_is_taken_ends_the_start(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        done = launch(tmp_path, "--host", "127.0.0.1", "--port", port)
    assert refused(done) == f"Error: port {port} of 127.0.0.1 is in use; choose another one with --port"


def test_a_check_tells_of_everything_and_starts_nothing(tmp_path: Path) -> None:
    assert run_python("sample_data.py", "--users", "10", folder=tmp_path).returncode == 0
    (tmp_path / "data" / "sources" / "documents").rename(tmp_path / "elsewhere")
    done = launch(tmp_path, "--check")
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert {line[:2] for line in lines if "documents" not in line} == {"ok"}
    [documents] = [line for line in lines if "data.sources.documents" in line]
    assert documents.startswith("-- ") and "there are no files" in documents
    assert {path.name for path in (tmp_path / "data").iterdir()} >= {"jobs.db", "sources"}
    assert not (tmp_path / "logs").exists()


def test_a_check_that_finds_something_missing_fails(tmp_path: Path) -> None:
    wrong = {"TAGAPI_SPARK__REMOTE": "sc://127.0.0.1:1", "TAGAPI_AUTH__TOKENS_FILE": str(tmp_path / "none")}
    done = launch(tmp_path, "--check", **wrong)
    assert refused(done) == "Error: 2 of 6 cannot be used"
    assert [line[4:].partition(":")[0] for line in done.stdout.splitlines() if line.startswith("NO")] == [
        "auth.tokens_file",
        "spark.remote",
    ]


@pytest.mark.parametrize("host", ["192.0.2.1", "nowhere.invalid"])
def test_an_address_that_is_not_this_machines_is_named(tmp_path: Path, host: str) -> None:
    line = refused(launch(tmp_path, "--host", host))
    assert host in line
    assert "--host" in line


def test_sample_data_is_made_once(tmp_path: Path) -> None:
    first, again = (run_python("sample_data.py", "--users", "10", folder=tmp_path) for _ in range(2))
    assert (first.returncode, again.returncode) == (0, 0)
    assert "10 users" in first.stdout
    assert "100000 bookings" in first.stdout
    assert "100000 documents" in first.stdout
    assert again.stdout.count("nothing to do") == 3


# -- logs ----------------------------------------------------------------------------------


def test_every_record_of_a_job_carries_its_id(server: Server) -> None:
    tasks = [server.trigger([1, 2, 3], user_ids=[f"user_{number:06d}"]) for number in range(1, 7)]
    for task_id in tasks:
        server.wait(task_id)
    server.delete(f"/api/v1/tasks/{tasks[0]}")

    records = [json.loads(line) for line in server.log_file.read_text(encoding="utf-8").splitlines()]
    assert all({"event", "level", "logger", "timestamp"} <= set(record) for record in records)
    for task_id in tasks:
        events = [record["event"] for record in records if record.get("job_id") == task_id]
        assert events == ["job_accepted", "attempt_started", "attempt_ended"]
    told = ("job_accepted", "attempt_started", "attempt_ended", "cancel_requested")
    assert all(record.get("job_id") for record in records if record["event"] in told)
    console = server.output.read_text(encoding="utf-8")
    assert all(task_id in console for task_id in tasks)
    assert "reason=" not in console, "nothing went wrong"


def test_a_job_that_fails_is_logged_once_as_an_error(start_server: StartServer) -> None:
    server = start_server()
    shutil.rmtree(server.sources / "user_asset_summary")
    task_id = server.trigger([1])
    error = server.wait(task_id)["error"]
    records = [json.loads(line) for line in server.log_file.read_text(encoding="utf-8").splitlines()]
    errors = [record for record in records if record["level"] == "error"]
    assert [(one["event"], one["job_id"], one["reason"]) for one in errors] == [("attempt_ended", task_id, error)]
    assert len([record for record in records if "exception" in record]) <= 1


# -- stopping ------------------------------------------------------------------------------


def test_debug_serves_on_loopback_and_stops_whole(tmp_path: Path, sample: Path) -> None:
    shutil.copytree(sample, tmp_path / "data" / "sources")
    server = Server(tmp_path, options=["--debug", "--log-level", "WARNING"])
    try:
        server.wait_alive()
        server.wait_ready()
        assert server.run([1], user_ids=["user_000001"])["total_users"] == 1
        assert server.stop() == 0
        records = [json.loads(line) for line in server.log_file.read_text(encoding="utf-8").splitlines()]
        ours = [record for record in records if record["logger"].startswith(("tagapi", "tag_tasks"))]
        assert all(record["level"] not in ("debug", "info") for record in ours)
    finally:
        server.kill()


def test_a_server_with_nothing_to_finish_stops_at_once(tmp_path: Path) -> None:
    """Even one that waits for a Spark that does not come; its queue holds a task that nobody began."""
    with refusing_spark() as address:
        server = Server(tmp_path, {"TAGAPI_SPARK__REMOTE": address})
        try:
            server.wait_alive()
            server.trigger([1])
            began = time.monotonic()
            assert server.stop() == 0
            assert time.monotonic() - began < 10
        finally:
            server.kill()
