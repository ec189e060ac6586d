"""What the driver sent and what it was told, on disk before it goes on: the only thing that a checker believes."""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any


class Ledger:
    """Append-only lines of JSON, each synced. A line of an answer names the line of its request in `of`."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lock = threading.Lock()
        self._lines = 0

    def write(self, **facts: Any) -> int:
        """One line; answers with its number, which orders what happened before and after."""
        with self._lock:
            self._lines += 1
            with self.path.open("a", encoding="utf-8") as file:
                file.write(json.dumps({"seq": self._lines, **facts}) + "\n")
                file.flush()
                os.fsync(file.fileno())
            return self._lines


def read_ledger(path: Path) -> Iterator[dict[str, Any]]:
    with path.open(encoding="utf-8") as lines:
        for line in lines:
            yield json.loads(line)
