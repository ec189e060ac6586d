"""An export of a million of many documents, against DuckDB writing the same rows in the same order; and reading it."""

from __future__ import annotations

import http.client
import os
import shutil
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from statistics import median

import duckdb

from benchmarks.compute import Running, peak
from benchmarks.report import figure, title
from tag_tasks.documents.sample import write_sample
from tests.e2e.export_client import STREAM, ask, export, make_collector, task, told
from tests.e2e.server import Client, Server, until

EXPORTED = 1_000_000
SMALL = 1_000  # documents of a collector whose opening is compared
QUERY = "battery OR phone"
"""Nearly a quarter of the sample's documents."""
BACK = timedelta(days=365)
"""From when on: of ten million that is more than a million."""
ROUNDS = 3
OPENINGS = 30
PIECE = 1 << 20  # bytes that a reader takes at once
SAME = r"""
COPY (
  SELECT * FROM read_parquet($files)
  WHERE published >= $since
    AND (regexp_matches(strip_accents(lower(title)), '\b(battery|phone)\b')
      OR regexp_matches(strip_accents(lower(content)), '\b(battery|phone)\b'))
  ORDER BY published, id LIMIT {limit}
) TO '{target}' (FORMAT parquet)
"""


def run(folder: Path, _users: int, _jobs: int) -> None:
    documents = int(os.environ.get("BENCH_DOCUMENTS", 10_000_000))
    title(f"an export of {EXPORTED:,} of {documents:,} documents, and reading it; medians of {ROUNDS}")
    home = folder / f"documents-{documents}"
    sources = _sample(home / "data" / "sources", documents)
    shutil.rmtree(home / "data" / "collectors", ignore_errors=True)
    with Running(home) as server:
        worker = server.processes()[1]
        idle = worker.memory_info().rss / 2**20
        _exports(server, sources, folder / "duckdb.parquet")
        figure("API memory at its peak, above idle", peak(worker.pid) / 1024 - idle, "MB")
    with Running(home) as server:
        _reading(server)


def _sample(sources: Path, documents: int) -> Path:
    if not (sources / "documents").is_dir():
        write_sample(sources, documents, datetime.now(UTC).date())
    return sources


# -- exports -------------------------------------------------------------------------------


def _exports(server: Server, sources: Path, target: Path) -> None:
    since = (datetime.now(UTC) - BACK).replace(hour=0, minute=0, second=0, microsecond=0)
    ours, theirs, firsts = [], [], []
    for number in range(ROUNDS):
        took, first, exported = _exported(server, f"bench_{number}", since)
        ours.append(took)
        firsts.append(first)
        theirs.append(_duckdb_seconds(sources, target, since, exported))
    ratio = median(other / one for one, other in zip(ours, theirs, strict=True))
    note = f"{exported:,} in {median(ours):.1f} s, DuckDB {median(theirs):.1f} s"
    figure("speed, of DuckDB selecting, ordering and writing the same", ratio, "×", least=0.5, note=note)
    figure("first documents can be read after", median(firsts), "s", most=3)


def _exported(server: Client, name: str, since: datetime) -> tuple[float, float, int]:
    """Seconds from POST to the end, and to the first documents; and how many there are."""
    make_collector(server, name)
    began = time.perf_counter()
    asked = ask(server, name, QUERY, start=f"{since:%Y-%m-%d}", limit=EXPORTED)
    job = told(asked)["result_tasks"]["tasks"][0]["id"]
    until(lambda: task(server, job)["ready"], "the first documents", 120)
    first = time.perf_counter() - began
    over = ("finished", "result_limit_reached")
    until(lambda: task(server, job)["status"] in over, "the export ends", 600)
    return time.perf_counter() - began, first, task(server, job)["processed"]


def _duckdb_seconds(sources: Path, target: Path, since: datetime, exported: int) -> float:
    asked = SAME.replace("{target}", str(target)).replace("{limit}", str(EXPORTED))
    with duckdb.connect() as connection:
        connection.execute(f"SET threads = {os.cpu_count()}")
        began = time.perf_counter()
        connection.execute(asked, {"files": f"{sources}/documents/*.parquet", "since": since})
        took = time.perf_counter() - began
        (rows,) = connection.execute("SELECT count(*) FROM read_parquet($1)", [str(target)]).fetchall()[0]
    target.unlink()
    assert rows == exported, (rows, exported)
    return took


# -- reading -------------------------------------------------------------------------------


def _reading(server: Server) -> None:
    worker = server.processes()[1]
    _read_all(server, "bench_0", max_hits=10_000)  # warms up
    idle = worker.memory_info().rss / 2**20
    speeds = []
    for _ in range(ROUNDS):
        began = time.perf_counter()
        lines = _read_all(server, "bench_0")
        speeds.append(lines / (time.perf_counter() - began))
    figure("documents read a second over loopback, by one reader", median(speeds), "/s", least=60_000)
    figure("API memory at its peak, above idle", peak(worker.pid) / 1024 - idle, "MB", most=150)
    make_collector(server, "bench_small")
    assert export(server, "bench_small", QUERY, limit=SMALL)["processed"] == SMALL
    small, large = (_opening(server, name) for name in ("bench_small", "bench_0"))
    note = f"{large * 1000:.1f} ms"
    figure("opening at an offset: a million documents / a thousand", large / small, "×", most=2, note=note)


def _read_all(server: Server, name: str, **asked: int) -> int:
    """Lines of documents that a plain client takes in; it looks at nothing, so that it costs little."""
    options = "".join(f"&{key}={value}" for key, value in asked.items())
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=60)
    connection.request("GET", f"{STREAM}/c/{name}/results?end_behaviour=stop{options}")
    answer = connection.getresponse()
    assert answer.status == 200
    lines = 0
    while piece := answer.read(PIECE):
        lines += piece.count(b'"CT_RESULT"')
    connection.close()
    return lines


def _opening(server: Server, name: str) -> float:
    """Seconds until the first document behind an offset in the middle is there; the least of many."""
    offset = _middle(server, name)
    path = f"{STREAM}/c/{name}/results?end_behaviour=stop&max_hits=1&resume_offset={offset}"
    return min(_timed(lambda: server.get(path).content) for _ in range(OPENINGS))


def _middle(server: Server, name: str) -> str:
    whole = SMALL if name == "bench_small" else EXPORTED
    text = server.get(f"{STREAM}/c/{name}/results?end_behaviour=stop&max_hits={whole // 2}").text
    return text.rstrip().rpartition('"resume_offset":"')[2].partition('"')[0]


def _timed(work: Callable[[], object]) -> float:
    began = time.perf_counter()
    work()
    return time.perf_counter() - began
