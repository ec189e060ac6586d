"""Where the Spark server is: a supervised child of this process, or an address somewhere else."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
import threading
import time
from typing import Protocol

from tag_tasks.spark import server

log = logging.getLogger(__name__)

RESPAWN_AT_LEAST = 0.05  # seconds before a dead child is replaced
RESPAWN_AT_MOST = 5.0  # doubled up to this while children die young
YOUNG = 10.0  # seconds
BORN_WITHIN = 120.0  # seconds until a child listens, or is killed: a JVM on a busy machine takes half a minute
CLIENT_ONLY = "SPARK_CONNECT_MODE_ENABLED"
"""Set by PySpark with the first session: a JVM server that inherits it takes itself for a client, and never starts."""


class SparkEndpoint(Protocol):
    """A Spark Connect server that can be talked to, most of the time."""

    lost: int
    """How many servers that were ours have ended, each to be replaced by another."""

    def start(self) -> None:
        """Begin to look after the server; returns at once."""

    def address(self) -> str | None:
        """`sc://host:port`, or None while there is no server."""

    def restart(self) -> bool:
        """Give up on the server as it is, where that is ours to do; answers whether it was."""

    def stop(self) -> None:
        """Let go of the server."""


def spark_endpoint(remote: str) -> SparkEndpoint:
    """The endpoint of `spark.remote`: `sail`, `local[N]` or `sc://host:port`. Raises ValueError for any other."""
    if remote.startswith("sc://"):
        return RemoteServer(remote)
    if remote == "sail" or (remote.startswith("local[") and remote.endswith("]")):
        return ChildServer(remote)
    raise ValueError(f"unknown Spark {remote!r}; known: sail, local[N], sc://host:port")


class RemoteServer:
    """A Spark Connect server that others look after."""

    lost = 0

    def __init__(self, address: str) -> None:
        self._address = address

    def start(self) -> None:
        """Nothing to do: it runs."""

    def address(self) -> str | None:
        return self._address

    def restart(self) -> bool:
        log.warning("spark_restart_skipped", extra={"why": "the server is not ours"})
        return False

    def stop(self) -> None:
        """Nothing to do: it goes on."""


class ChildServer:
    """An embedded server in a process of its own, so that what kills a query cannot take the API with it."""

    def __init__(self, engine: str) -> None:
        self._engine = engine
        self._address: str | None = None
        self._child: subprocess.Popen[bytes] | None = None
        self._stopping = threading.Event()
        self.lost = 0

    def start(self) -> None:
        threading.Thread(target=self._supervise, name="spark-supervisor", daemon=True).start()

    def address(self) -> str | None:
        return self._address

    def restart(self) -> bool:
        if (child := self._child) is None:
            return False
        log.warning("spark_killed", extra={"pid": child.pid})
        child.kill()
        return True

    def stop(self) -> None:
        self._stopping.set()
        self._address = None
        if (child := self._child) is not None:
            child.kill()
            child.wait()

    def _supervise(self) -> None:
        """Keep one child alive until `stop`."""
        pause = RESPAWN_AT_LEAST
        while not self._stopping.is_set():
            born = time.monotonic()
            try:
                self._run_child()
            except Exception:  # no memory or no handles for a child now: there may be some later
                log.exception("spark_not_started")
            if self._stopping.is_set():
                return
            self.lost += 1
            pause = RESPAWN_AT_LEAST if time.monotonic() - born > YOUNG else min(RESPAWN_AT_MOST, pause * 2)
            log.warning("spark_lost", extra={"back_in_seconds": pause})
            self._stopping.wait(pause)

    def _run_child(self) -> None:
        """One child, from its birth to its death."""
        child = subprocess.Popen(
            # By its path, not as a module: the package would import PySpark first, a second that every start waits for.
            [sys.executable, "-P", server.__file__, self._engine],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env={key: value for key, value in os.environ.items() if key != CLIENT_ONLY} | server.SAIL_SETTINGS,
        )
        self._child = child
        assert child.stdout is not None
        with child:
            hanging = threading.Timer(BORN_WITHIN, child.kill)
            hanging.daemon = True
            hanging.start()
            line = child.stdout.readline()
            hanging.cancel()
            if line.strip().isdigit():
                self._address = f"sc://127.0.0.1:{int(line)}"
                log.info("spark_started", extra={"engine": self._engine, "address": self._address, "pid": child.pid})
            child.wait()
            self._address = None
