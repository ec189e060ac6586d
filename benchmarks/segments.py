"""Segments over all users: what a training takes of the API's memory, and a prediction against the eight tags."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks import data
from benchmarks.compute import Running, full_job, peak
from benchmarks.jobs import done
from benchmarks.report import figure, title
from tests.e2e.server import Client

ROUNDS = 3
SEGMENTS = 4


def run(folder: Path, users: int, _: int) -> None:
    title(f"{SEGMENTS} segments over {users:,} users; medians of {ROUNDS}")
    data.sample(folder, users)
    home = folder / str(users)
    for table in ("models", "user_segments"):
        shutil.rmtree(home / "data" / table, ignore_errors=True)
    with Running(home) as server:
        worker = server.processes()[1]
        idle = worker.memory_info().rss / 2**20
        seconds, trained = _job(server, "train", {"segments": SEGMENTS})
        figure("training", seconds, "s", note=f"on {trained['trained_on']:,} of {trained['users']:,} users")
        figure("API memory at its peak, above idle", peak(worker.pid) / 1024 - idle, "MB", most=300)
        _job(server, "predict", {})  # warms up
        full_job(server)
        ours, theirs = [], []
        for _ in range(ROUNDS):
            theirs.append(full_job(server))
            ours.append(_job(server, "predict", {})[0])
        ratio = median(one / other for one, other in zip(ours, theirs, strict=True))
        figure("prediction / full job of eight tags", ratio, "×", most=3, note=f"{median(ours):.2f} s")


def _job(server: Client, work: str, more: Mapping[str, Any]) -> tuple[float, Mapping[str, Any]]:
    return done(server, f"/api/tasks/segments/{work}", {"model": "bench", **more})
