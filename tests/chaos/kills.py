"""The part `kills`: SIGKILL at every failpoint and at random, under load."""

from __future__ import annotations

from tests.chaos.driver import Driver
from tests.chaos.ground import Arena
from tests.chaos.process import open_store
from tests.chaos.report import Result


def run(arena: Arena, store_name: str, kills: int, jobs: int, first: int = 0) -> Result:
    with open_store(store_name, arena.folder) as store:
        done = Driver(arena, store, kills, jobs, first).run()
    notes = {
        "kills": ", ".join(f"{name} {count}" for name, count in sorted(done.kills.items())),
        "kills in all": done.kills.total(),
        "jobs sent": done.sent,
        "seconds to finish everything after the last start": round(done.settling_seconds),
        "exit code": done.exit_code,
    }
    # Whatever is to be killed at has to have been met: a run that proves less than it says is no proof.
    done.verdict.failed += [f"{name} was not met" for name in done.missed]
    return Result("kills", store_name, done.verdict, done.seconds, notes)
