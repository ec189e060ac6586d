"""`make bench`: everything, or the parts that are named: `python -m benchmarks compute http`.

BENCH_USERS (10,000,000), BENCH_BOOKINGS (5,000,000), BENCH_DOCUMENTS (10,000,000) and BENCH_JOBS (200) set the size.
The data are made once and kept in the folder that BENCH_DIR names, by default one in the system's temporary folder.
"""

from __future__ import annotations

import os
import platform
import sys
import tempfile
from pathlib import Path

from benchmarks import (
    assets,
    audiences,
    compute,
    documents,
    executors,
    exports,
    http,
    pages,
    registries,
    report,
    segments,
)

PARTS = {
    "compute": compute.run,
    "http": http.run,
    "pages": pages.run,
    "registries": registries.run,
    "exports": exports.run,
    "executors": executors.run,
    "audiences": audiences.run,
    "segments": segments.run,
    "documents": documents.run,
    "assets": assets.run,
}


def main(names: list[str]) -> None:
    if unknown := [name for name in names if name not in PARTS]:
        sys.exit(f"unknown part {unknown[0]}; known: {', '.join(PARTS)}")
    folder = Path(os.environ.get("BENCH_DIR", Path(tempfile.gettempdir()) / "tagapi-bench"))
    users, jobs = int(os.environ.get("BENCH_USERS", 10_000_000)), int(os.environ.get("BENCH_JOBS", 200))
    print(f"{os.cpu_count()} cores, {platform.machine()}, Python {platform.python_version()}, N = {users:,} users")
    for name in names or PARTS:
        PARTS[name](folder, users, jobs)
    report.verdict()


if __name__ == "__main__":
    main(sys.argv[1:])
