"""A terminal with a program in it: what it shows, and what is typed."""

from __future__ import annotations

import os
import pty
import re
import select
import signal
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress

from tests.e2e.server import ROOT, Late

ESCAPES = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]|\x1b\][^\x07]*\x07")
PATIENCE = 30.0  # seconds


class Terminal:
    """Both ends of one."""

    def __init__(self, process: subprocess.Popen[bytes], handle: int) -> None:
        self._process, self._handle = process, handle
        self.raw = ""

    @property
    def shown(self) -> str:
        """All that was ever shown, without what moves and colours it."""
        return ESCAPES.sub("", self.raw)

    def until(self, text: str) -> str:
        deadline = time.monotonic() + PATIENCE
        while text not in self.shown:
            if time.monotonic() > deadline or not self._read():
                raise Late(f"{text!r} is not shown, but {self.shown!r}")
        return self.shown

    def type(self, text: str) -> None:
        os.write(self._handle, text.encode())

    def interrupt(self) -> None:
        """Ctrl-C."""
        self._process.send_signal(signal.SIGINT)

    def interrupt_until(self, text: str) -> None:
        """The same, once more where nobody heard: Python may just be about to wait for a line."""
        deadline = time.monotonic() + PATIENCE
        while text not in self.shown:
            if time.monotonic() > deadline:
                raise Late(f"{text!r} is not shown, but {self.shown!r}")
            self.interrupt()
            while text not in self.shown and select.select([self._handle], [], [], 1.0)[0] and self._read():
                pass

    def end(self) -> int:
        """The exit code, once everything was shown."""
        while self._read():
            pass
        return self._process.wait(PATIENCE)

    def _read(self) -> bool:
        if not select.select([self._handle], [], [], PATIENCE)[0]:
            return False
        with suppress(OSError):  # which is how a terminal says that nobody is there any more
            piece = os.read(self._handle, 65536)
            self.raw += piece.decode("utf-8", "replace")
            return bool(piece)
        return False


def hear_interrupts() -> None:
    """What a shell begins in the background ignores them, and so do its children."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


@contextmanager
def terminal(command: Sequence[str], environment: Mapping[str, str]) -> Iterator[Terminal]:
    ours, theirs = pty.openpty()
    settings = {**environment, "TERM": "xterm-256color", "COLUMNS": "100", "LINES": "40"}
    process = subprocess.Popen(
        command,
        cwd=ROOT,
        env=settings,
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        start_new_session=True,
        preexec_fn=hear_interrupts,
    )
    os.close(theirs)
    try:
        yield Terminal(process, ours)
    finally:
        process.kill()
        process.wait()
        os.close(ours)
