"""A worker of Celery in a process of its own; and one beside each server, where TAGAPI_TEST_EXECUTOR asks for that."""

from __future__ import annotations

import atexit
import os
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from functools import cache
from itertools import count
from pathlib import Path

import psutil
import pytest

from tests.e2e.server import ROOT, START_SECONDS, STOP_SECONDS, environment, until
from tests.valkey import Valkey

VARIABLE = "TAGAPI_TEST_EXECUTOR"
"""`celery`: every server of the tests leaves its attempts to a worker of Celery."""

of_the_service_itself = pytest.mark.skipif(
    os.environ.get(VARIABLE) == "celery", reason="is about attempts that run in the service"
)
"""What is true where a server's own threads run its attempts, and told elsewhere else."""

DATABASES = 10_000
MEMORY = "memory://"
_names = count(1)
_databases = count()


class Worker:
    """`celery -A tagapi.worker worker`, with the data, logs and settings of the server in `folder`."""

    def __init__(
        self,
        folder: Path,
        variables: Mapping[str, str],
        name: str | None = None,
        options: Sequence[str] = (),
        app: str = "tagapi.worker",
    ) -> None:
        self.name = f"{name or f'test{next(_names)}-{os.getpid()}'}@localhost"
        self.output = folder / f"{self.name}.txt"
        command = [sys.executable, "-W", "ignore", "-m", "celery", "-A", app, "worker", "-n", self.name, *options]
        with self.output.open("ab") as told:
            self._process = subprocess.Popen(
                command,
                cwd=ROOT,
                env=environment(folder, variables),
                stdin=subprocess.DEVNULL,
                stdout=told,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    @property
    def pid(self) -> int:
        return self._process.pid

    def told(self) -> str:
        return self.output.read_text(encoding="utf-8", errors="replace")

    def wait_ready(self) -> None:
        """Until the broker has answered it."""

        def look() -> bool:
            assert self._process.poll() is None, f"the worker ended: {self.told()}"
            return "worker_started" in self.told()

        until(look, f"{self.name} is ready", START_SECONDS)

    def processes(self) -> list[psutil.Process]:
        with suppress(psutil.NoSuchProcess):
            worker = psutil.Process(self.pid)
            return [worker, *worker.children(recursive=True)]
        return []

    def signal(self, number: int) -> None:
        self._process.send_signal(number)

    def wait(self, seconds: float = STOP_SECONDS) -> int:
        """Its exit code."""
        return self._process.wait(seconds)

    def stop(self) -> int:
        """SIGTERM, as an orchestrator stops it. Answers with the exit code; nothing of it is left behind."""
        family = self.processes()
        if self._process.poll() is None:
            self.signal(signal.SIGTERM)
        try:
            code = self.wait()
            _, left = psutil.wait_procs(family, timeout=5)
            assert not left, f"left behind: {left}"
            return code
        finally:
            self.kill()

    def kill(self) -> None:
        """SIGKILL to everything of it."""
        with suppress(ProcessLookupError):
            os.killpg(self.pid, signal.SIGKILL)
        self._process.wait()


@cache
def _broker() -> Valkey:
    """One for the whole run; it ends with the process."""
    server = Valkey(databases=str(DATABASES))
    server.start()
    atexit.register(server.remove)
    return server


def new_broker() -> str:
    """The URL of a broker that is nobody else's: a database of its own."""
    return f"{_broker().url.rpartition('/')[0]}/{next(_databases)}"


def carried(variables: Mapping[str, str]) -> bool:
    """Whether the attempts of a server with these settings are to run in a worker of Celery beside it."""
    free = "TAGAPI_EXECUTOR" not in variables and variables.get("TAGAPI_REGISTRY__URL") != MEMORY
    return os.environ.get(VARIABLE) == "celery" and free
