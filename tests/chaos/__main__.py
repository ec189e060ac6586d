"""`python -m tests.chaos [part ...]`: every part, or those that are named, at full size.

KILLS and JOBS set the size of the kills on each store, PUBLICATIONS how many campaigns are published on each
platform, EXPORTS how many exports of documents there are on each store, SCHEDULES how many schedules there are on
each, SCANS how often the service is killed while it scans, BUCKET_KILLS while its files lie in S3, WEBHOOK_CHANGES how
many changes of jobs are told on each, TROUBLES how much workers of Celery, their brokers and messages meet on each,
SEED makes a run like another one, CHAOS_STORES names the stores ("sqlite redis"). Ends with 1 where any count is not
zero; then the folder, with ledgers, logs, tables and registries, is kept.
"""

from __future__ import annotations

import os
import random
import shutil
import sys
import tempfile
from collections.abc import Sequence
from functools import partial
from pathlib import Path

from tests.chaos.ground import Arena
from tests.chaos.parts import PARTS, Size, run_parts
from tests.chaos.report import show, show_table


def main(names: Sequence[str]) -> int:
    if unknown := [name for name in names if name not in PARTS]:
        print(f"no part {', '.join(unknown)}; there are {', '.join(PARTS)}")
        return 2
    seed = int(os.environ.get("SEED") or random.randrange(1_000_000))
    stores = (os.environ.get("CHAOS_STORES") or "sqlite redis").split()
    size = Size(
        kills=int(os.environ.get("KILLS") or 200),
        jobs=int(os.environ.get("JOBS") or 10_000),
        publications=int(os.environ.get("PUBLICATIONS") or 300),
        exports=int(os.environ.get("EXPORTS") or 200),
        schedules=int(os.environ.get("SCHEDULES") or 1000),
        scans=int(os.environ.get("SCANS") or 100),
        webhook_changes=int(os.environ.get("WEBHOOK_CHANGES") or 1000),
        troubles=int(os.environ.get("TROUBLES") or 50),
        bucket_kills=int(os.environ.get("BUCKET_KILLS") or 30),
    )
    folder = Path(tempfile.mkdtemp(prefix="chaos-"))
    print(f"seed {seed}, in {folder}", flush=True)
    results = []
    for result in run_parts(names or list(PARTS), stores, size, Arena(folder, seed, partial(print, flush=True))):
        results.append(result)
        show(result)
    show_table(results, seed)
    if all(one.verdict.clean for one in results):
        shutil.rmtree(folder, ignore_errors=True)
        return 0
    print(f"not clean: see {folder}")
    return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
