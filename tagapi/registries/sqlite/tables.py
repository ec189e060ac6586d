"""The tables of a SQLite registry, and what one statement writes to several of them.

A statement lets go of the interpreter while it runs, and then has to come by it again among
all the threads that serve requests. So an admission, or a job's way from list to list, is one
statement to a view, which a trigger carries out.
"""

from __future__ import annotations

import apsw

from tagapi.jobs.model import DEFAULT_LANE
from tagapi.jobs.registry import CHANGES_KEPT
from tagapi.registries.versions import check_version

BLOCK = 1024  # job numbers that share a row of the tally
PAGE_SIZE = 1024  # bytes: an admission touches some thirty pages, and each of them is written to the log whole
SCHEMA_VERSION = 6
INDEXES = """
CREATE INDEX jobs_due ON jobs (lane, due, number) WHERE due IS NOT NULL;

CREATE INDEX jobs_finished ON jobs (lane, finished, number) WHERE finished IS NOT NULL;
"""
CHANGES = f"""
CREATE TABLE changes (seq INTEGER PRIMARY KEY AUTOINCREMENT, number INTEGER NOT NULL);

CREATE TRIGGER change AFTER UPDATE OF version ON jobs BEGIN
  INSERT INTO changes (number) VALUES (new.number);
END;

CREATE TRIGGER keep_changes AFTER INSERT ON changes BEGIN
  DELETE FROM changes WHERE seq <= new.seq - {CHANGES_KEPT};
END;
"""
SCHEDULES = """
CREATE TABLE schedules (
  number INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL UNIQUE, version INTEGER NOT NULL, owner TEXT NOT NULL,
  namespace TEXT NOT NULL, due INTEGER, schedule BLOB NOT NULL
);

CREATE INDEX schedules_due ON schedules (due, number) WHERE due IS NOT NULL;

CREATE INDEX schedules_owner ON schedules (owner, number);

CREATE INDEX schedules_namespace ON schedules (namespace, number);
"""
OUTBOX = """
CREATE TABLE webhooks (
  number INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL UNIQUE, version INTEGER NOT NULL, owner TEXT NOT NULL,
  webhook BLOB NOT NULL
);

CREATE TABLE webhooks_generation (generation TEXT NOT NULL);

INSERT INTO webhooks_generation VALUES ('');

CREATE TABLE deliveries (
  number INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL UNIQUE, version INTEGER NOT NULL, webhook TEXT NOT NULL,
  due INTEGER, happened INTEGER NOT NULL, delivery BLOB NOT NULL
);

CREATE INDEX deliveries_webhook ON deliveries (webhook, number);

CREATE INDEX deliveries_due ON deliveries (webhook, due, number) WHERE due IS NOT NULL;
"""
ADMITTED = """
CREATE VIEW admitted (number, id, version, moving, due, finished, leased, lane, request, enters, owner, route, value)
  AS SELECT NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL;

CREATE TRIGGER admit INSTEAD OF INSERT ON admitted BEGIN
  INSERT INTO jobs (number, id, version, moving, due, finished, leased, lane)
    VALUES (new.number, new.id, new.version, new.moving, new.due, new.finished, new.leased, new.lane);
  INSERT INTO requests VALUES (new.number, new.request);
  INSERT INTO keys SELECT new.owner, new.route, new.value, new.number WHERE new.value IS NOT NULL;
  INSERT INTO moved VALUES (new.number, '[]', new.enters);
  INSERT INTO changes (number) VALUES (new.number);
END;
"""
SCHEMA = f"""
CREATE TABLE jobs (
  number INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL UNIQUE, version INTEGER NOT NULL, moving BLOB NOT NULL,
  due INTEGER, finished INTEGER, leased INTEGER NOT NULL, lane TEXT NOT NULL DEFAULT '{DEFAULT_LANE}'
);

{INDEXES}
CREATE INDEX jobs_leased ON jobs (number) WHERE leased = 1;

CREATE TABLE requests (number INTEGER PRIMARY KEY, request BLOB NOT NULL);

CREATE TABLE keys (
  owner TEXT, route TEXT, value TEXT, number INTEGER NOT NULL UNIQUE, PRIMARY KEY (owner, route, value)
) WITHOUT ROWID;

CREATE TABLE listed (listing INTEGER, number INTEGER, PRIMARY KEY (listing, number)) WITHOUT ROWID;

CREATE TABLE tally (listing INTEGER, block INTEGER, jobs INTEGER NOT NULL, PRIMARY KEY (listing, block)) WITHOUT ROWID;

CREATE TABLE locks (name TEXT PRIMARY KEY, holder TEXT NOT NULL, until INTEGER NOT NULL) WITHOUT ROWID;

CREATE VIEW moved (number, leaves, enters) AS SELECT NULL, NULL, NULL;

CREATE TRIGGER move INSTEAD OF INSERT ON moved BEGIN
  DELETE FROM listed WHERE number = new.number AND listing IN (SELECT value FROM json_each(new.leaves));
  UPDATE tally SET jobs = jobs - 1
    WHERE block = new.number / {BLOCK} AND listing IN (SELECT value FROM json_each(new.leaves));
  DELETE FROM tally
    WHERE jobs = 0 AND block = new.number / {BLOCK} AND listing IN (SELECT value FROM json_each(new.leaves));
  INSERT INTO listed SELECT value, new.number FROM json_each(new.enters);
  INSERT INTO tally SELECT value, new.number / {BLOCK}, 1 FROM json_each(new.enters) WHERE true
    ON CONFLICT DO UPDATE SET jobs = jobs + 1;
END;

{CHANGES}
{ADMITTED}
{SCHEDULES}
{OUTBOX}
CREATE TRIGGER forget AFTER DELETE ON jobs BEGIN
  DELETE FROM requests WHERE number = old.number;
  DELETE FROM keys WHERE number = old.number;
END;
"""


MIGRATIONS = {
    3: "ALTER TABLE held RENAME TO locks",
    4: f"ALTER TABLE jobs ADD COLUMN lane TEXT NOT NULL DEFAULT '{DEFAULT_LANE}';"
    f"DROP INDEX jobs_due; DROP INDEX jobs_finished; DROP VIEW admitted; {INDEXES} {CHANGES} {ADMITTED}",
    5: SCHEDULES,
    6: OUTBOX,
}
"""By the version that each leads to. What a table holds is brought up to date when it is read: `versions.py`."""


def make_tables(connection: apsw.Connection) -> None:
    """The tables, where the file is new; those of this release, where it is of an earlier one.

    Raises StoreTooNew, and apsw.Error for a file of no release, or without a log; the file is then left as it is.
    """
    version = _checked_version(connection)
    connection.pragma("page_size", PAGE_SIZE)  # of a file that is new
    if connection.pragma("journal_mode", "wal") != "wal":
        raise apsw.Error("no write-ahead log can be kept beside the file")
    if version == SCHEMA_VERSION:
        return
    connection.execute("BEGIN IMMEDIATE")
    _migrate(connection, _checked_version(connection))  # read again: somebody may have been faster
    connection.pragma("user_version", SCHEMA_VERSION)
    connection.execute("COMMIT")


def _checked_version(connection: apsw.Connection) -> int:
    """0 for a file that is new."""
    version = int(connection.pragma("user_version"))
    check_version(version, SCHEMA_VERSION)
    if version and version + 1 < min(MIGRATIONS):
        raise apsw.Error(f"its tables are of version {version}, from which no way leads to {SCHEMA_VERSION}")
    return version


def _migrate(connection: apsw.Connection, version: int) -> None:
    if version == 0:
        connection.execute(SCHEMA)
        return
    for step in range(version + 1, SCHEMA_VERSION + 1):
        connection.execute(MIGRATIONS[step])
