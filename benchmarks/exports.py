"""Exports of a large table, against DuckDB writing the same rows in the same order from the same files.

A job runs in a process of its own that has what the API process has: Spark's client, the
task, and nothing of the table but what passes through.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
import uuid
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from statistics import median
from typing import Any

import duckdb

from benchmarks.report import figure, title
from tag_tasks.datasets.export import BookingsExport
from tag_tasks.datasets.results import ResultFolder
from tag_tasks.datasets.sample import write_sample
from tag_tasks.datasets.tables import BOOKINGS, TABLES
from tag_tasks.folders import folder_at
from tag_tasks.spark.endpoint import spark_endpoint
from tag_tasks.spark.session import Spark
from tag_tasks.spark.sources import Source, Sources

ROUNDS = 3
FORMATS = {"csv": "FORMAT csv, HEADER", "parquet": "FORMAT parquet"}
LEAST = {"csv": 0.5, "parquet": 0.7}
MEMORY = 300  # MB above idle
SMALL = 100_000  # rows of the workbook that is timed: it is rendered and packed cell by cell


def run(folder: Path, users: int, jobs: int) -> None:
    bookings = int(os.environ.get("BENCH_BOOKINGS", 5_000_000))
    title(f"exports of {bookings:,} bookings, ordered, on disk when done; medians of {ROUNDS}")
    sources = _sample(folder, bookings)
    for form, options in FORMATS.items():
        ours, theirs = [], []
        for _ in range(ROUNDS):  # by turns: both meet the same neighbours
            ours.append(_job(folder, sources, form))
            theirs.append(_duckdb_seconds(sources, folder / f"duckdb.{form}", options))
        speed = median(other / one["seconds"] for one, other in zip(ours, theirs, strict=True))
        seconds = f"{median(one['seconds'] for one in ours):.1f} s, DuckDB {median(theirs):.1f} s"
        figure(f"{form}: speed / DuckDB's COPY (... ORDER BY id)", speed, "×", least=LEAST[form], note=seconds)
        most = max(one["memory"] for one in ours)
        figure(f"{form}: peak memory of the API process above idle", most, "MB", most=MEMORY)
        figure(f"{form}: peak memory of the Spark child", max(one["child"] for one in ours), "MB")
    workbook = _job(folder, _sample(folder, SMALL), "xlsx")
    figure(f"xlsx: {SMALL:,} bookings", workbook["seconds"], "s")


def _sample(folder: Path, bookings: int) -> Path:
    """The sources of so many bookings, made where they are missing."""
    sources = folder / f"bookings-{bookings}"
    if not all((sources / table).is_dir() for table in TABLES):
        write_sample(sources, bookings, datetime.now(UTC).date())
    return sources


def _job(folder: Path, sources: Path, form: str) -> dict[str, float]:
    """One export in a fresh process."""
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.exports", str(folder / "results"), str(sources), form],
        capture_output=True,
        encoding="utf-8",
        check=True,
    )
    measured: dict[str, float] = json.loads(done.stdout)
    return measured


def _duckdb_seconds(sources: Path, target: Path, options: str) -> float:
    shown = ", ".join(f'{column} AS "{header}"' for header, column in BOOKINGS.export.items())
    with duckdb.connect() as connection:
        connection.execute(f"SET threads = {os.cpu_count()}")
        began = time.perf_counter()
        connection.execute(
            f"COPY (SELECT {shown} FROM '{sources}/bookings/*.parquet' ORDER BY id) TO '{target}' ({options})"
        )
        return time.perf_counter() - began


# -- in the measured process ---------------------------------------------------------------


@dataclass
class Context:
    """An attempt that nobody cancels."""

    arguments: dict[str, Any]
    job_id: str = field(default_factory=lambda: str(uuid.uuid4()))
    submitted_at: datetime = field(default_factory=lambda: datetime.now(UTC))

    @property
    def attempt_name(self) -> str:
        return f"{self.job_id}-1"

    def progress(self, done: int, total: int) -> None:
        """Nobody looks."""

    def check(self) -> None:
        """Nobody cancels."""

    def on_cancel(self, stop: Callable[[], None]) -> AbstractContextManager[object]:
        """Nobody cancels."""
        return nullcontext()

    def begin_commit(self, result: Any) -> None:
        """Nobody else commits."""


def measure(results: Path, sources: Path, form: str) -> dict[str, float]:
    """Seconds, and megabytes at the peak: of this process above what it had before, and of the Spark child."""
    spark = Spark(spark_endpoint("sail"))
    spark.start()
    try:
        while not spark.ready():
            time.sleep(0.05)
        tables = Sources({name: Source(str(sources / name)) for name in TABLES})
        task = BookingsExport(spark, tables, ResultFolder(folder_at(str(results))))
        asked = {"batch_size": 1000, "filters": {}, "date_from": None, "date_to": None, "format": form}
        idle = _memory(os.getpid(), "VmRSS")
        began = time.perf_counter()
        task.run(Context(asked))
        seconds = time.perf_counter() - began
        child = spark._endpoint._child.pid  # type: ignore[attr-defined]
        return {
            "seconds": seconds,
            "memory": _memory(os.getpid(), "VmHWM") - idle,
            "child": _memory(child, "VmHWM"),
        }
    finally:
        spark.stop()
        shutil.rmtree(results, ignore_errors=True)


def _memory(pid: int, what: str) -> float:
    """Resident memory in MB, as the kernel counts it."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(float(line.split()[1]) / 1024 for line in lines if line.startswith(what))


if __name__ == "__main__":
    print(json.dumps(measure(Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3])))
