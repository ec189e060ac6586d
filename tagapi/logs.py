"""Logs: events with a stable name, readable on the console, JSON in `<logs.dir>/api_server.log`.

The modules log with the standard library, facts in `extra`; the job's id is added to every
record that is written while one of its attempts runs, and so is the id of the HTTP request that
started it; what is written while a request is served carries that one's.

A record whose `extra` has `records` stands for as many events of its name, and is written without ado.
"""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import orjson
import structlog
from concurrent_log_handler import ConcurrentRotatingFileHandler
from structlog.dev import plain_traceback  # the rich one prints local variables, and with them users

from tagapi.jobs.task import request_in_context, running_job

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
        _add_ids,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    console = logging.StreamHandler(sys.stderr)
    console.setFormatter(
        _formatter(
            shared,
            [
                _leave_out_empty,
                structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty(), exception_formatter=plain_traceback),
            ],
            _line,
        )
    )
    file = ConcurrentRotatingFileHandler(
        str(folder / "api_server.log"), maxBytes=max_bytes, backupCount=KEPT_FILES, encoding="utf-8"
    )
    file.setFormatter(
        _formatter(
            shared,
            [structlog.processors.format_exc_info, structlog.processors.JSONRenderer(ensure_ascii=False)],
            _json,
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


Line = Callable[[Mapping[str, Any]], str]


class _Formatter(structlog.stdlib.ProcessorFormatter):
    """structlog's, and for a record of many events a line each, made by `line`."""

    def __init__(self, line: Line, **more: Any) -> None:
        super().__init__(**more)
        self._line = line

    def format(self, record: logging.LogRecord) -> str:
        if (many := getattr(record, "records", None)) is None:
            return super().format(record)
        named = {"event": record.msg, "level": record.levelname.lower(), "logger": record.name}
        return "\n".join(self._line({**one, **named}) for one in many)


def _formatter(shared: list[Any], last: list[Any], line: Line) -> logging.Formatter:
    remove = structlog.stdlib.ProcessorFormatter.remove_processors_meta
    return _Formatter(line, foreign_pre_chain=shared, processors=[remove, *last])


def _json(event: Mapping[str, Any]) -> str:
    return orjson.dumps(event, option=orjson.OPT_UTC_Z).decode()


def _line(event: Mapping[str, Any]) -> str:
    named = ("timestamp", "level", "event", "logger")
    at, level, name, logger = (event[key] for key in named)
    facts = " ".join(f"{key}={value}" for key, value in event.items() if key not in named and value is not None)
    return f"{at:%Y-%m-%dT%H:%M:%S.%fZ} [{level:<9}] {name:<30} [{logger}] {facts}"


def _leave_out_empty(_logger: Any, _method: str, event: structlog.typing.EventDict) -> structlog.typing.EventDict:
    """On the console: `reason=` tells nobody anything."""
    return {key: value for key, value in event.items() if value is not None and value != ""}


def _add_ids(_logger: Any, _method: str, event: structlog.typing.EventDict) -> structlog.typing.EventDict:
    if (job_id := running_job.get()) is not None:
        event.setdefault("job_id", job_id)
    if (request_id := request_in_context.get()) is not None:
        event.setdefault("request_id", request_id)
    return event
