"""The second opinion: the eight rules in SQL, asked of the sources themselves."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from pathlib import Path

import duckdb

RULES: Mapping[int, tuple[str, str]] = {
    1: ("user_asset_summary", "total_asset_value >= 100000"),
    2: ("user_activity_summary", "trade_count_30d > 10"),
    3: ("user_basic_info", "risk_score BETWEEN 0 AND 30"),
    4: ("user_basic_info", "registration_date BETWEEN DATE '{today}' - 30 AND DATE '{today}'"),
    5: ("user_basic_info", "user_level IN ('VIP2', 'VIP3') AND kyc_status = 'verified'"),
    6: ("user_asset_summary", "cash_balance >= 50000"),
    7: ("user_basic_info", "age BETWEEN 18 AND 30"),
    8: ("user_activity_summary", "last_login_date BETWEEN DATE '{today}' - 7 AND DATE '{today}'"),
}


def table(sources: Path, name: str) -> str:
    return f"read_parquet('{sources / name}/*.parquet')"


def members(sources: Path, tag_id: int, today: date) -> list[str]:
    """Who carries the tag, by ascending code points."""
    source, rule = RULES[tag_id]
    query = f"SELECT DISTINCT user_id FROM {table(sources, source)} WHERE {rule.format(today=today)}"
    with duckdb.connect() as connection:
        return sorted(row[0] for row in connection.execute(query).fetchall())


def users(sources: Path) -> list[str]:
    """Everyone who exists."""
    with duckdb.connect() as connection:
        query = f"SELECT DISTINCT user_id FROM {table(sources, 'user_basic_info')}"
        return sorted(row[0] for row in connection.execute(query).fetchall())


def change(sources: Path, name: str, assignments: Mapping[str, str], where: str) -> None:
    """Rewrite a source as one file with the assignments made where the condition holds."""
    changed = ", ".join(f"CASE WHEN {where} THEN {value} ELSE {key} END AS {key}" for key, value in assignments.items())
    file, fresh = sources / name / "part-00000.parquet", sources / name / "fresh.unfinished"
    with duckdb.connect() as connection:
        connection.execute("SET TimeZone = 'UTC'")
        select = f"SELECT * REPLACE ({changed}) FROM {table(sources, name)}"
        connection.execute(f"COPY ({select}) TO '{fresh}' (FORMAT parquet)")
    fresh.replace(file)
