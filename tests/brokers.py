"""Real message brokers on loopback, each in processes of its own, to be killed, frozen and started again."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Protocol

from kombu import Connection

from tests.e2e.server import free_port, until
from tests.valkey import Valkey

START_SECONDS = 60.0
RABBIT_BIN = Path("/usr/lib/rabbitmq/bin")
NO_RABBIT = None if (RABBIT_BIN / "rabbitmq-server").exists() else "there is no rabbitmq-server here"
"""Why it cannot be tried, if so."""


class Broker(Protocol):
    """A server of messages, which forgets them when it is killed."""

    url: str

    def start(self) -> None: ...
    def kill(self) -> None: ...
    def freeze(self) -> None: ...
    def thaw(self) -> None: ...
    def remove(self) -> None: ...


class Rabbit:
    """RabbitMQ, everything of it on loopback, in `folder`."""

    def __init__(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="rabbit-"))
        self.port, distribution, names = free_port(), free_port(), free_port()
        self.url = f"amqp://guest:guest@127.0.0.1:{self.port}//"
        (self.folder / "plugins").write_text("[].")
        self._names = names
        self._environment = {
            **os.environ,
            "HOME": str(self.folder),
            "RABBITMQ_NODENAME": f"tagapi-{self.port}@localhost",
            "RABBITMQ_NODE_IP_ADDRESS": "127.0.0.1",
            "RABBITMQ_NODE_PORT": str(self.port),
            "RABBITMQ_DIST_PORT": str(distribution),
            "RABBITMQ_MNESIA_BASE": str(self.folder / "mnesia"),
            "RABBITMQ_LOG_BASE": str(self.folder / "log"),
            "RABBITMQ_ENABLED_PLUGINS_FILE": str(self.folder / "plugins"),
            "RABBITMQ_CONF_ENV_FILE": os.devnull,
            "RABBITMQ_CONFIG_FILE": str(self.folder / "none"),
            "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": "-kernel inet_dist_use_interface {127,0,0,1}",
            "ERL_EPMD_ADDRESS": "127.0.0.1",
            "ERL_EPMD_PORT": str(names),
        }
        self._processes: dict[str, subprocess.Popen[bytes]] = {}

    def _run(self, *command: str) -> None:
        with (self.folder / "output.txt").open("ab") as told:
            self._processes[command[0]] = subprocess.Popen(
                command,
                env=self._environment,
                cwd=self.folder,
                stdin=subprocess.DEVNULL,
                stdout=told,
                stderr=told,
                start_new_session=True,
            )

    def start(self) -> None:
        if "epmd" not in self._processes:
            self._run("epmd", "-address", "127.0.0.1", "-port", str(self._names))
        self._run(str(RABBIT_BIN / "rabbitmq-server"))
        until(self._answers, "RabbitMQ answers", START_SECONDS)

    def _answers(self) -> bool:
        with suppress(OSError), Connection(self.url, connect_timeout=1) as connection:
            connection.connect()
            return True
        return False

    def _signal(self, number: int) -> None:
        server = self._processes[str(RABBIT_BIN / "rabbitmq-server")]
        with suppress(ProcessLookupError):
            os.killpg(server.pid, number)
        if number == signal.SIGKILL:
            server.wait()

    def kill(self) -> None:
        self._signal(signal.SIGKILL)

    def freeze(self) -> None:
        self._signal(signal.SIGSTOP)

    def thaw(self) -> None:
        self._signal(signal.SIGCONT)

    def remove(self) -> None:
        self.kill()
        names = self._processes["epmd"]
        names.kill()
        names.wait()
        shutil.rmtree(self.folder, ignore_errors=True)


BROKERS: Mapping[str, Callable[[], Broker]] = {"redis": Valkey, "rabbitmq": Rabbit}


@contextmanager
def broker(kind: str) -> Iterator[Broker]:
    """A broker that answers, by its name in BROKERS."""
    one = BROKERS[kind]()
    one.start()
    try:
        yield one
    finally:
        one.remove()
