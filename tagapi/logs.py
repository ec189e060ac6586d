"""Logs: events with a stable name, readable on the console, JSON in `<logs.dir>/api_server.log`.

The modules log with the standard library, facts in `extra`; the job's id is added to every
record that is written while one of its attempts runs.
"""

from __future__ import annotations

import logging
import sys
from pathlib import Path
from typing import Any

import structlog
from concurrent_log_handler import ConcurrentRotatingFileHandler
from structlog.dev import plain_traceback  # the rich one prints local variables, and with them users

from tagapi.jobs.task import running_job

QUIET = ("pyspark", "py4j", "apscheduler", "grpc")
"""Libraries whose warnings are ours to tell, in our words."""

KEPT_FILES = 5


def configure_logs(folder: Path, level: str, max_bytes: int) -> None:
    """Set up the root logger. Safe to repeat: the last call counts."""
    folder.mkdir(parents=True, exist_ok=True)
    shared = [
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.stdlib.ExtraAdder(),
        _add_job,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    console = logging.StreamHandler(sys.stderr)
    console.setFormatter(
        _formatter(
            shared, [structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty(), exception_formatter=plain_traceback)]
        )
    )
    file = ConcurrentRotatingFileHandler(
        str(folder / "api_server.log"), maxBytes=max_bytes, backupCount=KEPT_FILES, encoding="utf-8"
    )
    file.setFormatter(
        _formatter(
            shared, [structlog.processors.format_exc_info, structlog.processors.JSONRenderer(ensure_ascii=False)]
        )
    )
    root = logging.getLogger()
    for handler in root.handlers[:]:
        root.removeHandler(handler)
        handler.close()
    root.addHandler(console)
    root.addHandler(file)
    root.setLevel(level)
    for name in QUIET:
        logging.getLogger(name).setLevel(logging.ERROR)


def _formatter(shared: list[Any], last: list[Any]) -> logging.Formatter:
    remove = structlog.stdlib.ProcessorFormatter.remove_processors_meta
    return structlog.stdlib.ProcessorFormatter(foreign_pre_chain=shared, processors=[remove, *last])


def _add_job(_logger: Any, _method: str, event: structlog.typing.EventDict) -> structlog.typing.EventDict:
    if (job_id := running_job.get()) is not None:
        event.setdefault("job_id", job_id)
    return event
