"""A server with failpoints in a process of its own, to be given orders, and the places where it keeps jobs."""

from __future__ import annotations

import signal
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import psutil
import requests

from tests.chaos.failpoints import Order, Orders
from tests.chaos.server import FOLDER
from tests.e2e.server import Client, Server, until
from tests.valkey import Valkey

SETTINGS: Mapping[str, str] = {
    "TAGAPI_JOBS__LEASE_SECONDS": "1.5",
    "TAGAPI_JOBS__MAX_RECOVERIES": "1000",  # so that the kills themselves fail no job
    "TAGAPI_JOBS__MAX_CONCURRENT": "4",
    "TAGAPI_JOBS__MAX_QUEUED": "1000000",
    "TAGAPI_JOBS__MAX_QUEUED_PER_USER": "1000000",
    "TAGAPI_LOGS__MAX_BYTES": "100000000",  # nothing that a checker looks for is rotated away
}


@dataclass(frozen=True, slots=True)
class Store:
    """Where jobs are kept, and the settings that say so."""

    name: str
    settings: Mapping[str, str]
    valkey: Valkey | None = None


@contextmanager
def open_store(name: str, folder: Path) -> Iterator[Store]:
    """`sqlite` beside the data, or `redis`: a server of its own that syncs each write to disk."""
    if name == "sqlite":
        yield Store(name, {"TAGAPI_REGISTRY__URL": f"sqlite:///{folder}/data/jobs.db"})
        return
    with Valkey(folder / "valkey", appendfsync="always") as valkey:
        yield Store(name, {"TAGAPI_REGISTRY__URL": valkey.url}, valkey)


class ChaosServer(Server):
    """The launcher of `server.py`; several may share one `folder` of data, each with a `name` of its own."""

    def __init__(
        self,
        folder: Path,
        store: Store,
        name: str = "api",
        order: Order | None = None,
        options: Sequence[str] = (),
        **more: str,
    ) -> None:
        own = folder / name
        own.mkdir(parents=True, exist_ok=True)
        self.own = own
        self.orders = Orders(own)
        self.orders.place(order)
        logs = {"TAGAPI_LOGS__DIR": str(own / "logs"), FOLDER: str(own)}
        variables = {**SETTINGS, **store.settings, **logs, **more}
        program = ("-m", "tests.chaos.server", "--env", "local")
        super().__init__(folder, variables, options, program, own / "output.txt")

    @property
    def log_file(self) -> Path:
        return self.own / "logs" / "api_server.log"

    def another(self) -> Client:
        """A further connection, for another thread."""
        return Client(self.url)

    def answers(self) -> bool:
        """Whether it answers at all."""
        with suppress(requests.RequestException):
            return self.get("/health/live").status_code == 200
        return False

    def workers(self) -> list[psutil.Process]:
        """gunicorn's workers: the launcher's children."""
        return psutil.Process(self.pid).children()

    def thaw(self) -> None:
        """SIGCONT to everything that it started."""
        for one in self.processes():
            with suppress(psutil.NoSuchProcess):
                one.send_signal(signal.SIGCONT)

    def frozen(self) -> bool:
        return all(one.status() == psutil.STATUS_STOPPED for one in self.processes())

    def obeyed(self, seconds: float = 30.0) -> int:
        """Wait until its order is carried out; by which process."""
        return until(self.orders.done, "the order is carried out", seconds, every=0.005) or 0

    def wait_dead(self, seconds: float) -> bool:
        """Whether it dies within so many seconds."""
        try:
            self._process.wait(max(0.0, seconds))
        except subprocess.TimeoutExpired:
            return False
        return True

    def exit_code(self) -> int | None:
        return self._process.poll()

    def terminate(self) -> None:
        """SIGTERM to the launcher, as an orchestrator does."""
        self._process.send_signal(signal.SIGTERM)
