"""What a run says: of each part on each store as it ends, and one table at the end."""

from __future__ import annotations

import os
import platform
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import psutil

from tests.chaos.verdict import KINDS, Verdict


@dataclass(frozen=True, slots=True)
class Result:
    """What came of one part on one store."""

    part: str
    store: str
    verdict: Verdict
    seconds: float
    notes: Mapping[str, object] = field(default_factory=dict)
    """What was done and measured, in words."""


def box() -> str:
    """The machine, in one line."""
    memory = psutil.virtual_memory().total / 2**30
    system = f"{platform.system()} {platform.machine()}, Python {platform.python_version()}"
    return f"{os.cpu_count()} cores, {memory:.0f} GB, {system}"


def show(one: Result) -> None:
    """Print what was done and seen, and the evidence of what went wrong."""
    print(f"\n{one.part}, {one.store}, {one.seconds:.0f} s: {'clean' if one.verdict.clean else 'NOT CLEAN'}")
    for name, note in one.notes.items():
        print(f"  {name}: {note}")
    facts = ", ".join(f"{name} {count}" for name, count in sorted(one.verdict.facts.items()))
    print(f"  seen: {facts or 'nothing'}")
    for line in one.verdict.evidence():
        print(f"  ! {line}")
    print(flush=True)


def show_table(results: Sequence[Result], seed: int) -> None:
    """Print what was counted; all zeros is what is wanted."""
    print(f"\nseed {seed}; {box()}\n")
    print(f"{'part':<16}{'store':<8}" + "".join(f"{kind:>12}" for kind in KINDS) + f"{'seconds':>10}")
    for one in results:
        counts = "".join(f"{count:>12}" for count in one.verdict.counts.values())
        print(f"{one.part:<16}{one.store:<8}{counts}{one.seconds:>10.0f}")
    print()
