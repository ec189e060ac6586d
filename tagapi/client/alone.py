"""One writer of a file at a time, also among processes."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import IO, Any

if sys.platform != "win32":
    import fcntl


def is_alone(file: IO[Any], path: Path) -> bool:
    """Whether nobody else writes there. It holds until the file is closed."""
    if sys.platform == "win32":
        return True
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return os.fstat(file.fileno()).st_ino == path.stat().st_ino  # else it is of somebody who has just ended
    except (BlockingIOError, FileNotFoundError):
        return False
