"""How several processes tell one set of numbers: each in files of its own, in a folder that they share.

The launcher makes the folder, before anything imports prometheus_client, which looks for it at its import; the sums of
a process stay there when it is gone, however it went. Its files are named by its place among those that live: whoever
comes in its place goes on in them, so there are never more of them than there were processes at once.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import tempfile
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from itertools import count
from pathlib import Path

FOLDER = "PROMETHEUS_MULTIPROC_DIR"
PLACE = "PROMETHEUS_MULTIPROC_PLACE"
MEMORY = Path("/dev/shm")  # noqa: S108 (a folder of our own is made in it)
PREFIX = "tagapi-metrics-"
YOUNG = 60.0  # seconds: whoever made the folder may be about to lock it


class SharedFolder:
    """Of one launcher and its workers, from here to `remove`.

    It lies in memory, where there is such a place: the files are written through a mapping, and on a disk that is full
    that kills the process.
    """

    def __init__(self, place: Path | None = None) -> None:
        self._place = place or (MEMORY if os.access(MEMORY, os.W_OK) else Path(tempfile.gettempdir()))
        self._clear()
        self.path = Path(tempfile.mkdtemp(prefix=PREFIX, dir=self._place))
        self._handle = os.open(self.path, os.O_RDONLY)
        fcntl.flock(self._handle, fcntl.LOCK_EX | fcntl.LOCK_NB)  # held by the workers, too, as long as one lives
        self._owner = os.getpid()
        os.environ[FOLDER] = str(self.path)

    def forget(self, place: int) -> None:
        """A worker is gone, and with it whatever was open or up in it."""
        for file in self.path.glob(f"gauge_live*_{place}.db"):
            file.unlink(missing_ok=True)

    def remove(self) -> None:
        if os.getpid() == self._owner:
            shutil.rmtree(self.path, ignore_errors=True)

    def _clear(self) -> None:
        """Remove what launchers left that were killed."""
        for folder in self._place.glob(f"{PREFIX}*"):
            with suppress(OSError), _locked(folder):
                if time.time() - folder.stat().st_mtime > YOUNG:
                    shutil.rmtree(folder)


def free_place(taken: Iterable[int]) -> int:
    """The first that none of the living has."""
    have = {*taken}
    return next(place for place in count() if place not in have)


def take(place: int) -> None:
    """In the worker's own process, before anything imports prometheus_client."""
    os.environ[PLACE] = str(place)


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """Raises OSError where somebody else holds it, or owns it."""
    handle = os.open(folder, os.O_RDONLY | os.O_NOFOLLOW | os.O_DIRECTORY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    finally:
        os.close(handle)
