"""The tables of a SQLite registry."""

from __future__ import annotations

import sqlite3

SCHEMA_VERSION = 1
SCHEMA = """
CREATE TABLE jobs (
  number INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL UNIQUE, version INTEGER NOT NULL, moving BLOB NOT NULL,
  due INTEGER, finished INTEGER, leased INTEGER NOT NULL
);
CREATE INDEX jobs_due ON jobs (due, number) WHERE due IS NOT NULL;
CREATE INDEX jobs_finished ON jobs (finished, number) WHERE finished IS NOT NULL;
CREATE INDEX jobs_leased ON jobs (number) WHERE leased = 1;
CREATE TABLE requests (number INTEGER PRIMARY KEY, request BLOB NOT NULL);
CREATE TABLE keys (
  owner TEXT, route TEXT, value TEXT, number INTEGER NOT NULL UNIQUE, PRIMARY KEY (owner, route, value)
) WITHOUT ROWID;
CREATE TABLE listed (listing INTEGER, number INTEGER, PRIMARY KEY (listing, number)) WITHOUT ROWID;
CREATE TABLE tally (listing INTEGER, block INTEGER, jobs INTEGER NOT NULL, PRIMARY KEY (listing, block)) WITHOUT ROWID;
CREATE TABLE held (name TEXT PRIMARY KEY, holder TEXT NOT NULL, until INTEGER NOT NULL) WITHOUT ROWID;
"""


def make_tables(connection: sqlite3.Connection) -> None:
    """The tables, where the file is new. Raises sqlite3.Error for a file of another version."""
    if connection.execute("PRAGMA user_version").fetchone() == (SCHEMA_VERSION,):
        return
    connection.execute("BEGIN IMMEDIATE")
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    if version not in (0, SCHEMA_VERSION):
        raise sqlite3.NotSupportedError(f"the file has version {version} of the tables, not {SCHEMA_VERSION}")
    if version == 0:
        for statement in SCHEMA.split(";"):
            connection.execute(statement)
        connection.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")
    connection.execute("COMMIT")
