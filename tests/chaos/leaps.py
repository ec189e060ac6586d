"""A clock that several processes share: it goes as the machine's does, and leaps when somebody says so."""

from __future__ import annotations

import os
import struct
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

SIZE = 8  # bytes: a double, the seconds between the machine's monotonic clock and this one


class Clock:
    """Of a file, which one of them makes. It never goes back."""

    def __init__(self, path: Path) -> None:
        self._file = os.open(path, os.O_RDWR | os.O_CREAT)

    def set(self, moment: datetime) -> None:
        os.pwrite(self._file, struct.pack("d", moment.timestamp() - time.monotonic()), 0)

    def now(self) -> datetime:
        (ahead,) = struct.unpack("d", os.pread(self._file, SIZE, 0))
        return datetime.fromtimestamp(ahead + time.monotonic(), UTC)

    def leap(self, ahead: timedelta) -> None:
        self.set(self.now() + ahead)

    def close(self) -> None:
        os.close(self._file)
