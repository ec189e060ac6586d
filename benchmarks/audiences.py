"""An audience of half of the users: read, hashed and ready to send, against DuckDB writing the same rows."""

from __future__ import annotations

import os
import time
from pathlib import Path
from statistics import median

import duckdb
from deltalake import DeltaTable

from benchmarks import data
from benchmarks.compute import TAGS, Running, peak
from benchmarks.jobs import done
from benchmarks.report import figure, title
from tests.e2e.server import Client

EXPRESSION = {"any": [3, 6]}
"""Nearly half of the sample's users."""
ROUNDS = 3
SAME = r"""
COPY (
  WITH carriers AS (SELECT user_id FROM read_parquet($first) UNION SELECT user_id FROM read_parquet($second)),
  normal AS (
    SELECT user_id, phone, lower(trim(email)) AS email,
           ltrim(regexp_replace(phone, '[^0-9]', '', 'g'), '0') AS digits
    FROM read_parquet($users) SEMI JOIN carriers USING (user_id))
  SELECT user_id,
         CASE WHEN regexp_full_match(email, '[^@\s]+@[^@\s]+\.[^@\s.]+') THEN sha256(email) ELSE '' END AS email,
         CASE WHEN phone[1] = '+' AND length(digits) BETWEEN 7 AND 15 THEN sha256(digits) ELSE '' END AS phone
  FROM normal
) TO '{target}' (FORMAT parquet)
"""


def run(folder: Path, users: int, _: int) -> None:
    title(f"an audience of half of {users:,} users, ready to send; medians of {ROUNDS}")
    sources = data.sample(folder, users)
    home = folder / str(users)
    with Running(home) as server:
        server.run(TAGS)
        ours, theirs = [], []
        for _ in range(ROUNDS):
            took, members = _counted(server)
            ours.append(took)
            theirs.append(_duckdb_seconds(home / "data" / "user_tags", sources, folder / "duckdb.parquet", members))
        ratio = median(other / one for one, other in zip(ours, theirs, strict=True))
        figure("speed, of DuckDB's", ratio, "×", least=1.0, note=f"{members:,} members in {median(ours):.2f} s")
        _, worker, *_ = server.processes()
        figure("peak memory, API process", peak(worker.pid) / 1024, "MB")


def _counted(server: Client) -> tuple[float, int]:
    """Seconds from POST to the end of a dry run, which computes and stages all that a first sync sends."""
    asked = {
        "platform": "meta",
        "audience": {"name": "bench", "tags": EXPRESSION},
        "consent": "granted",
        "dry_run": True,
        "simulate": True,
    }
    took, result = done(server, "/api/tasks/audiences/sync", asked)
    return took, int(result["members"])


def _duckdb_seconds(tags: Path, sources: Path, target: Path, members: int) -> float:
    table = DeltaTable(tags)
    first, second = (table.file_uris([("tag_id", "=", str(tag))]) for tag in EXPRESSION["any"])
    with duckdb.connect() as connection:
        connection.execute(f"SET threads = {os.cpu_count()}")
        facts = {"first": first, "second": second, "users": f"{sources}/user_basic_info/*.parquet"}
        began = time.perf_counter()
        connection.execute(SAME.replace("{target}", str(target)), facts)
        took = time.perf_counter() - began
        (rows,) = connection.execute("SELECT count(*) FROM read_parquet($1)", [str(target)]).fetchall()[0]
    target.unlink()
    assert rows == members, (rows, members)
    return took
