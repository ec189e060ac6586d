"""A real server in a process of its own, and a small client for it. Fit for tests, benchmarks and chaos alike."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Protocol, TypeVar

import psutil
import requests

ROOT = Path(__file__).resolve().parents[2]
FINISHED = ("completed", "failed", "cancelled")
START_SECONDS = 60.0
STOP_SECONDS = 45.0
POLL = 0.05  # seconds between two looks


Seen = TypeVar("Seen")


class Late(AssertionError):
    """What was waited for did not happen in time."""


def until(look: Callable[[], Seen], what: str, seconds: float = 30.0, every: float = POLL) -> Seen:
    """The first truthy answer of `look`; Late after so many seconds."""
    deadline = time.monotonic() + seconds
    while not (seen := look()):
        if time.monotonic() > deadline:
            raise Late(f"{what}: not within {seconds} s")
        time.sleep(every)
    return seen


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def refusing_spark() -> Iterator[str]:
    """The address of a Spark that hangs up on everyone: the launcher finds it, and what is submitted stays queued."""
    with socket.create_server(("127.0.0.1", 0), backlog=128) as listening:

        def hang_up() -> None:
            with suppress(OSError):
                while True:
                    listening.accept()[0].close()

        thread = threading.Thread(target=hang_up, name="refusing-spark", daemon=True)
        thread.start()
        try:
            yield f"sc://127.0.0.1:{listening.getsockname()[1]}"
        finally:
            with suppress(OSError):
                listening.shutdown(socket.SHUT_RDWR)
            thread.join(5)


def environment(folder: Path, variables: Mapping[str, str] | None = None) -> dict[str, str]:
    """A process environment whose data and logs lie in `folder`; no other setting comes from outside."""
    inherited = {key: value for key, value in os.environ.items() if not key.startswith("TAGAPI_")}
    places = {"TAGAPI_DATA__DIR": str(folder / "data"), "TAGAPI_LOGS__DIR": str(folder / "logs")}
    return {**inherited, **places, **(variables or {})}


def run_python(
    *arguments: str | Path, folder: Path, variables: Mapping[str, str] | None = None, seconds: float = 60.0
) -> subprocess.CompletedProcess[str]:
    """Run one of the repository's programs to its end."""
    return subprocess.run(
        [sys.executable, *map(str, arguments)],
        cwd=ROOT,
        env=environment(folder, variables),
        capture_output=True,
        encoding="utf-8",
        timeout=seconds,
        check=False,
    )


def make_sample(folder: Path, users: int, bookings: int = 1000, documents: int = 2000) -> Path:
    """Sample data in `folder`/data; answers with the folder of the sources."""
    counts = {"--users": users, "--bookings": bookings, "--documents": documents}
    options = [part for option, count in counts.items() for part in (option, str(count))]
    made = run_python("sample_data.py", "--env", "local", *options, folder=folder)
    assert made.returncode == 0, made.stderr
    return folder / "data" / "sources"


class Carrier(Protocol):
    """What runs the attempts of a server that runs none itself."""

    def wait_ready(self) -> None: ...
    def processes(self) -> list[psutil.Process]: ...
    def stop(self) -> int: ...
    def kill(self) -> None: ...


class Client:
    """Requests to a server, on one connection. Not for several threads at once."""

    def __init__(self, url: str, token: str | None = None) -> None:
        self.url = url
        self._session = requests.Session()
        self._session.trust_env = False
        if token is not None:
            self._session.headers["Authorization"] = f"Bearer {token}"

    def close(self) -> None:
        self._session.close()

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def request(self, method: str, path: str, **more: Any) -> requests.Response:
        """Any request; `path` as it is to stand on the wire."""
        return self._session.request(method, f"{self.url}{path}", timeout=30, allow_redirects=False, **more)

    def get(self, path: str, **parameters: Any) -> requests.Response:
        return self.request("GET", path, params=parameters)

    def post(self, path: str, body: Any, headers: Mapping[str, str] | None = None) -> requests.Response:
        return self.request("POST", path, json=body, headers=headers)

    def delete(self, path: str) -> requests.Response:
        return self.request("DELETE", path)

    def read(self, path: str, **parameters: Any) -> dict[str, Any]:
        """The body of a GET that succeeds."""
        response = self.get(path, **parameters)
        assert response.status_code == 200, response.text
        body: dict[str, Any] = response.json()
        return body

    # -- tag tasks -------------------------------------------------------------------------

    def ask(self, headers: Mapping[str, str] | None = None, **body: Any) -> requests.Response:
        """A trigger, whatever comes of it."""
        return self.post("/api/v1/tags/trigger", body, headers)

    def trigger(self, tag_ids: list[int], **more: Any) -> str:
        """Start a task; answers with its id."""
        response = self.ask(tag_ids=tag_ids, **more)
        assert response.status_code == 202, response.text
        return str(response.json()["task_id"])

    def status(self, task_id: str) -> dict[str, Any]:
        found: dict[str, Any] = self.read(f"/api/v1/tasks/{task_id}/status")["status"]
        return found

    def wait(self, task_id: str, seconds: float = 60.0, every: float = POLL) -> dict[str, Any]:
        """The task's status once it has finished, however it did."""

        def look() -> dict[str, Any] | None:
            seen = self.status(task_id)
            return seen if seen["status"] in FINISHED else None

        return until(look, f"task {task_id} finishes", seconds, every) or {}

    def run(self, tag_ids: list[int], **more: Any) -> dict[str, Any]:
        """The result of a task that completes."""
        status = self.wait(self.trigger(tag_ids, **more))
        assert status["status"] == "completed", status
        result: dict[str, Any] = status["result"]
        return result

    def total(self) -> int:
        """How many tasks there are."""
        return int(self.read("/api/v1/tasks", page_size=1)["total"])

    def members(self, tag_id: int, limit: int = 10_000) -> list[str]:
        """All members of a tag, in the order of the pages."""
        found: list[str] = []
        page = self.read(f"/api/v1/tags/{tag_id}/users", limit=limit)
        while True:
            found += page["users"]
            if page["next_cursor"] is None:
                return found
            page = self.read(f"/api/v1/tags/{tag_id}/users", limit=limit, cursor=page["next_cursor"])


class Server(Client):
    """`api_server.py --env local`, or another program, its data, logs and output in `folder`; on a free port, unless
    one is named."""

    def __init__(
        self,
        folder: Path,
        variables: Mapping[str, str] | None = None,
        options: Sequence[str] = (),
        program: Sequence[str] = ("api_server.py", "--env", "local"),
        output: Path | None = None,
        port: int | None = None,
    ) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        self.port = port or free_port()
        self.output = output or folder / "output.txt"
        super().__init__(f"http://127.0.0.1:{self.port}")
        variables = dict(variables or {})
        self.worker = self._carrier(variables, program)
        command = [sys.executable, *program, "--host", "127.0.0.1", "--port", str(self.port)]
        with self.output.open("ab") as told:
            self._process = subprocess.Popen(
                [*command, *options],
                cwd=ROOT,
                env=environment(folder, variables),
                stdin=subprocess.DEVNULL,
                stdout=told,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def _carrier(self, variables: dict[str, str], program: Sequence[str]) -> Carrier | None:
        """The worker of Celery that runs its attempts, where that is asked for; the settings say so then."""
        from tests.e2e import carried

        apps = {"api_server.py": "tagapi.worker", "tests.e2e.stand_in": "tests.e2e.stand_in_worker"}
        app = next((apps[part] for part in program if part in apps), None)
        if app is None or not carried.carried(variables):
            return None
        variables["TAGAPI_EXECUTOR"] = f"celery://{carried.new_broker()}"
        known = {"TAGAPI_ASSETS__OWN": f'["127.0.0.1:{self.port}"]'}  # so that no scan of the worker's goes there
        return carried.Worker(self.folder, {**variables, **known}, app=app)

    @property
    def sources(self) -> Path:
        return self.folder / "data" / "sources"

    @property
    def log_file(self) -> Path:
        return self.folder / "logs" / "api_server.log"

    @property
    def pid(self) -> int:
        """Of the launcher, whose children are the worker and, below that, an embedded Spark."""
        return self._process.pid

    def processes(self) -> list[psutil.Process]:
        """The launcher and everything below it."""
        with suppress(psutil.NoSuchProcess):
            launcher = psutil.Process(self.pid)
            return [launcher, *launcher.children(recursive=True)]
        return []

    def spark(self) -> psutil.Process:
        """The embedded Spark that attempts use, once there is one."""

        def look() -> list[psutil.Process]:
            with suppress(psutil.NoSuchProcess):
                family = self.processes() if self.worker is None else self.worker.processes()
                return [one for one in family if any("spark/server.py" in part for part in one.cmdline())]
            return []

        return until(look, "Spark runs")[0]

    def wait_alive(self) -> None:
        """Until it answers at all."""
        self._until_answers("/health")

    def wait_ready(self) -> None:
        """Until jobs begin at once."""
        self._until_answers("/health/ready")
        if self.worker is not None:
            self.worker.wait_ready()

    def _until_answers(self, path: str) -> None:
        def look() -> bool:
            assert self._process.poll() is None, f"the server ended: {self.output.read_text(encoding='utf-8')}"
            with suppress(requests.ConnectionError, requests.Timeout):  # it listens before it has begun
                return self.get(path).status_code == 200
            return False

        until(look, f"{path} answers 200", START_SECONDS)

    def stop(self) -> int:
        """SIGTERM, as an orchestrator stops it. Answers with the exit code; nothing of it is left behind."""
        self.close()
        family = self.processes()
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGTERM)
        try:
            code = self._process.wait(STOP_SECONDS)
            _, left = psutil.wait_procs(family, timeout=5)
            assert not left, f"left behind: {left}"
            return code or (0 if self.worker is None else self.worker.stop())
        finally:
            self.kill()

    def kill(self) -> None:
        """SIGKILL to everything that it started and that is still there."""
        self.close()
        with suppress(ProcessLookupError):
            os.killpg(self.pid, signal.SIGKILL)
        self._process.wait()
        if self.worker is not None:
            self.worker.kill()
