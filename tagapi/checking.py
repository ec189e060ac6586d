"""What the settings name, looked at: whether it is there, before the start; whether it does its work, for `--check`."""

from __future__ import annotations

import errno
import importlib.util
import socket
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from urllib.parse import urlsplit

from tagapi.own import PORTS
from tagapi.registries import unusable
from tagapi.settings import Settings
from tagapi.tokens import TokensError, TokensFile

REACH_SECONDS = 3.0  # for a server that is needed to answer
SPARK_SECONDS = 60.0  # for Spark to begin to answer
S3 = "s3://"
CHECK = ".check"
TWO_WIN = "lets two create the same file (If-None-Match is not minded): commits would be lost"


@dataclass(frozen=True, slots=True)
class Finding:
    """What was looked at, by its key in the settings, and what is wrong with it; None where nothing is."""

    key: str
    where: str
    problem: str | None
    needed: bool = True
    """Whether the service can do nothing without; else only jobs that read it fail."""

    def __str__(self) -> str:
        return f"{self.key}: {self.where} {self.problem or 'can be used'}"


def reached(settings: Settings) -> Iterator[Finding]:
    """Whether what is named is there. Takes seconds where it is not, and a moment where it is."""
    if (tokens := settings.auth.tokens_file) is not None:
        yield Finding("auth.tokens_file", tokens, _tokens(tokens))
    yield Finding("spark.remote", settings.spark.remote, _spark(settings.spark.remote))
    for place in _in_buckets(settings):
        bucket = place.removeprefix(S3).partition("/")[0]
        where = f"the bucket {bucket}" + (f" in {settings.storage.region}" if settings.storage.region else "")
        yield Finding("storage", where, _bucket(place))
    url = settings.registry.url
    yield Finding("registry.url", without_password(url), unusable(url))
    if settings.executor.broker is not None:
        yield Finding("executor.url", "Celery", _celery())


def tried(settings: Settings) -> Iterator[Finding]:
    """The same, and whether what is there does its work: places are written to, Spark reads every table."""
    unreached = set[str]()
    for finding in reached(settings):
        yield finding
        if finding.problem is not None:
            unreached.add(finding.key)
    data, away = settings.data, "storage" in unreached
    for key, place in (("data.dir", data.dir), ("data.user_tags", data.user_tags), ("data.results", data.results)):
        if not (away and place.startswith(S3)):
            yield Finding(key, place, _refused(partial(_write, place)))
    if (broker := settings.executor.broker) is not None:
        yield Finding("executor.url", without_password(broker), _broker(broker))
    if "spark.remote" not in unreached and not away:
        yield from _tables(settings)


def without_password(url: str) -> str:
    before, at, after = url.rpartition("@")
    return f"{before.partition('://')[0]}://…@{after}" if at else url


def _in_buckets(settings: Settings) -> list[str]:
    """A place in each bucket that there is to be."""
    data = settings.data
    places = [data.dir, data.user_tags, data.results, *(table.path for table in data.sources.values())]
    return sorted(
        {place.removeprefix(S3).partition("/")[0]: place for place in places if place.startswith(S3)}.values()
    )


def _tokens(path: str) -> str | None:
    try:
        TokensFile(Path(path))
    except TokensError as error:
        return str(error)
    return None


def _spark(remote: str) -> str | None:
    if remote.startswith("local[") and importlib.util.find_spec("py4j") is None:
        return "needs JVM Spark, which is not installed"
    if not remote.startswith("sc://"):
        return None
    host, _, port = remote.removeprefix("sc://").partition("/")[0].partition(";")[0].partition(":")
    return _connected(lambda: (host, int(port or 15002)))


def _celery() -> str | None:
    try:
        found = importlib.util.find_spec("celery")
    except ValueError:  # it is kept out
        found = None
    return None if found else "is not installed: make celery"


def _broker(url: str) -> str | None:
    """The service starts without, and accepts jobs, which begin when it is there."""
    parts = urlsplit(url)
    return _connected(lambda: (parts.hostname or "", parts.port or PORTS[parts.scheme]))


def _connected(address: Callable[[], tuple[str, int]]) -> str | None:
    """An address may have a port that is none."""
    try:
        socket.create_connection(address(), REACH_SECONDS).close()
    except (OSError, ValueError) as error:
        return f"cannot be reached: {error}"
    return None


def _bucket(place: str) -> str | None:
    from tag_tasks.folders import folder_at

    try:
        folder_at(place).list(CHECK)
    except OSError as error:
        return "does not exist" if error.errno == errno.ENOENT else f"cannot be used: {error.strerror or error}"
    return None


def _refused(work: Callable[[], str | None]) -> str | None:
    try:
        return work()
    except OSError as error:
        return f"cannot be used: {error.strerror or error}"


def _write(place: str) -> str | None:
    """Everything that a commit needs, in a folder of its own, which is gone at the end."""
    from tag_tasks.folders import folder_at

    folder, name = folder_at(place), f"{CHECK}-{uuid.uuid4().hex}"
    folder.make(name)
    try:
        if not folder.create(f"{name}/once", b"first"):
            return "cannot be used: it does not say what is there"
        if folder.create(f"{name}/once", b"second"):
            return TWO_WIN
        file = folder.open(f"{name}/once")
        if file is None:
            return "cannot be read"
        with file:
            if file.read() != b"first":
                return TWO_WIN
        if not folder.list(name):
            return "cannot be listed"
    finally:
        folder.remove(name)
    return None


def _tables(settings: Settings) -> Iterator[Finding]:
    from tag_tasks.means import KNOWN_SOURCES
    from tag_tasks.spark.endpoint import spark_endpoint
    from tag_tasks.spark.session import Spark
    from tagapi.engine import sources_of
    from tagapi.jobs.errors import JobError

    sources = sources_of(settings.data)
    spark = Spark(spark_endpoint(settings.spark.remote))
    spark.start()
    try:
        until = time.monotonic() + SPARK_SECONDS
        while not spark.ready():
            if time.monotonic() > until:
                yield Finding("spark.remote", settings.spark.remote, f"does not answer within {SPARK_SECONDS:g} s")
                return
            time.sleep(0.1)
        with spark.session() as session:
            for name in sorted(KNOWN_SOURCES.keys() | settings.data.sources.keys()):
                problem = None
                try:
                    sources.check(session, name, KNOWN_SOURCES.get(name, ()))
                except JobError as error:
                    problem = str(error).rpartition("cannot be read: ")[2]
                problem = problem and f"cannot be read: {problem}"
                yield Finding(f"data.sources.{name}", sources.path(name), problem, needed=False)
    except JobError as error:
        yield Finding("spark.remote", settings.spark.remote, f"does not work: {error}")
    finally:
        with suppress(Exception):
            spark.stop()
