"""One server for the session, on sample data, and as many others as a test asks for."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tagapi.tokens import Entry, Principal, Role, digest_of
from tests.e2e import browser
from tests.e2e.browser import Page
from tests.e2e.server import Server, make_sample, refusing_spark

USERS = 2000

StartServer = Callable[..., Server]


@pytest.fixture(scope="session")
def sample(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The sources of USERS users, for reading only."""
    return make_sample(tmp_path_factory.mktemp("sample"), USERS)


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory, sample: Path) -> Iterator[Server]:
    """A ready server with sample data, shared by all: leave its sources alone."""
    folder = tmp_path_factory.mktemp("server")
    shutil.copytree(sample, folder / "data" / "sources")
    yield from served(Server(folder))


def served(server: Server, ready: bool = True) -> Iterator[Server]:
    """A server from ready to exit code 0."""
    try:
        server.wait_alive()
        if ready:
            server.wait_ready()
        yield server
        assert server.stop() == 0, server.output.read_text(encoding="utf-8")
    finally:
        server.kill()


@pytest.fixture(scope="session")
def tagged(server: Server) -> Server:
    """The shared server, every tag computed for everyone at least once."""
    server.run(list(range(1, 9)))
    return server


@pytest.fixture(scope="session")
def chromium(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Page]:
    """The first page of a real browser; the test is skipped where there is none."""
    if (path := browser.found()) is None:
        pytest.skip(f"there is no browser here: none of {', '.join(browser.NAMES)}")
    with browser.browser(path, tmp_path_factory.mktemp("browser")) as page:
        yield page


PRINCIPALS = {
    "ann-token": Principal("ann", Role.USER),
    "bob-token": Principal("bob", Role.USER),
    "cleo-token": Principal("cleo", Role.USER),
    "pia-token": Principal("pia", Role.USER, frozenset({"publish"})),
    "root-token": Principal("root", Role.ADMIN),
}
"""Who has which token, where tokens are asked for."""


def write_tokens(path: Path, principals: dict[str, Principal] = PRINCIPALS) -> Path:
    """A tokens file, as it may be written while a service reads it: whole, by a rename."""
    aside = path.with_suffix(".new")
    aside.write_text("".join(Entry(one, digest_of(token)).lines() for token, one in principals.items()), "utf-8")
    return aside.replace(path)


@pytest.fixture(scope="session")
def stand_in(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server with tokens whose tasks do what the test says, without Spark: see `stand_in.py`."""
    folder = tmp_path_factory.mktemp("stand_in")
    variables = {"TAGAPI_AUTH__TOKENS_FILE": str(write_tokens(folder / "tokens.yaml"))}
    variables |= {"TAGAPI_JOBS__MAX_CONCURRENT": "8"}
    yield from served(Server(folder, variables, program=("-m", "tests.e2e.stand_in")), ready=False)


@pytest.fixture
def start_server(tmp_path: Path, sample: Path) -> Iterator[StartServer]:
    """`start_server(jobs__max_queued=2)`: a server of the test's own, on its own copy of the sample, or of `sources`.

    Keywords are settings, as in TAGAPI_JOBS__MAX_QUEUED. With `ready=False` only /health is waited for.
    """
    started: list[Server] = []

    def start(sources: Path | None = None, ready: bool = True, **settings: object) -> Server:
        folder = tmp_path / f"server{len(started)}"
        shutil.copytree(sources or sample, folder / "data" / "sources")
        server = Server(folder, {f"TAGAPI_{key.upper()}": str(value) for key, value in settings.items()})
        started.append(server)
        server.wait_alive()
        if ready:
            server.wait_ready()
        return server

    try:
        yield start
        for server in started:
            assert server.stop() == 0, server.output.read_text(encoding="utf-8")
    finally:
        for server in started:
            server.kill()


HASTY = {"jobs__drain_seconds": 0.1}
"""For a server that has nothing to finish."""


@pytest.fixture
def start_still_server(start_server: StartServer) -> Iterator[StartServer]:
    """Like `start_server`, but Spark never comes up there: every task stays as submitted."""
    with refusing_spark() as address:
        yield lambda **settings: start_server(ready=False, spark__remote=address, **{**HASTY, **settings})


@pytest.fixture(scope="session")
def still(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server without data or Spark, shared by all: every task stays as submitted."""
    with refusing_spark() as address:
        settings = {**HASTY, "spark__remote": address}
        variables = {f"TAGAPI_{key.upper()}": str(value) for key, value in settings.items()}
        yield from served(Server(tmp_path_factory.mktemp("still"), variables), ready=False)
