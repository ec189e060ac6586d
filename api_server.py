"""The launcher: settings, logs, then gunicorn with the app, or the development server with --debug."""

from __future__ import annotations

import errno
import ipaddress
import logging
import math
import os
import resource
import signal
import socket
import sys
import warnings
from collections.abc import Sequence
from contextlib import suppress
from ipaddress import ip_network
from pathlib import Path
from typing import Any

import click
from gunicorn.app.base import BaseApplication

from tagapi.checking import Finding, reached, tried
from tagapi.logs import configure_logs
from tagapi.metrics.processes import SharedFolder, free_place, take
from tagapi.serving.framing import MOST_LINE
from tagapi.serving.limits import Limits
from tagapi.settings import ENVIRONMENTS, PROFILE, Settings, SettingsError, load_settings

LEVELS = ("DEBUG", "INFO", "WARNING", "ERROR")
MOST_FILES = 65_536  # enough, and some libraries make a table of as many as may be
LEAVING_SECONDS = 15  # after the drain, to let go of what still runs; then the worker is killed


class Server(BaseApplication):  # type: ignore[misc]
    """gunicorn, the app of each worker built after the fork."""

    listening: Sequence[tuple[str, int]] = ()
    """At which addresses and ports; a worker says so before it loads the app."""

    def __init__(self, settings: Settings, host: str, port: int) -> None:
        self._settings = settings
        self._numbers = SharedFolder()
        self._bind = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
        server = settings.server
        self.limits = Limits(
            connections=server.connections,
            buffer_bytes=server.buffer_bytes,
            head_seconds=server.head_seconds,
            body_seconds=server.body_seconds,
            body_rate=server.body_rate,
            send_seconds=server.send_seconds,
        )
        level = settings.logs.requests
        self.requests_level = None if level == "off" else logging.getLevelNamesMapping()[level]
        super().__init__()

    def load_config(self) -> None:
        server = self._settings.server
        options = {
            "bind": self._bind,
            "worker_class": "tagapi.serving.draining.DrainingWorker",
            "workers": server.workers,
            "threads": server.threads,
            "keepalive": 30,
            "timeout": 60,
            "graceful_timeout": math.ceil(self._settings.jobs.drain_seconds + LEAVING_SECONDS),
            "limit_request_line": MOST_LINE,
            # Nobody may say where the app is mounted; which scheme it was, those who are trusted.
            "forwarder_headers": "",
            "forwarded_allow_ips": ",".join(str(ip_network(one, strict=False)) for one in server.trusted_proxies),
            "preload_app": False,
            "control_socket_disable": True,
            "accesslog": None,
            "errorlog": "-",
            "loglevel": "warning",
            "proc_name": "tagapi",
            "pre_fork": _place,
            "post_fork": lambda _server, worker: take(worker.place),
            "child_exit": lambda _server, worker: self._numbers.forget(worker.place),
            "on_exit": lambda _server: self._numbers.remove(),
        }
        for name, value in options.items():
            self.cfg.set(name, value)

    def load(self) -> Any:
        from tagapi.app import create_app

        return create_app(self._settings, self.listening)


def _place(server: Any, worker: Any) -> None:
    """What a worker is among those that live, by a number that is free again when it is gone."""
    worker.place = free_place(one.place for one in server.WORKERS.values())


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.option(
    "--env",
    "environment",
    type=click.Choice(ENVIRONMENTS),
    default="local",
    envvar=PROFILE,
    show_default=True,
    help="Which config/<env>.yaml to use; TAGAPI_<SECTION>__<KEY> overrides a key.",
)
@click.option("--host", default="0.0.0.0", show_default=True, help="Address to listen on.")  # noqa: S104 (documented default)
@click.option("--port", type=click.IntRange(0, 65535), default=5000, show_default=True, help="Port to listen on.")
@click.option("--debug", is_flag=True, help="Reloading development server; only in local, on a loopback address.")
@click.option("--workers", type=click.IntRange(1, 64), help="Worker processes, instead of server.workers.")
@click.option("--log-level", type=click.Choice(LEVELS, case_sensitive=False), help="Instead of logs.level.")
@click.option("--check", is_flag=True, help="Try what the settings name, tell all that cannot be used, and end.")
def main(
    environment: str, host: str, port: int, debug: bool, workers: int | None, log_level: str | None, check: bool
) -> None:
    """Serve the tag API: jobs over HTTP, computed with PySpark. Documentation is at /docs."""
    logging.getLogger().addHandler(logging.NullHandler())  # until there are logs, one line says what is wrong
    try:
        overrides: dict[str, dict[str, Any]] = {"logs": {"level": log_level.upper()}} if log_level else {}
        if workers:
            overrides["server"] = {"workers": workers}
        settings = load_settings(environment, overrides=overrides)
    except SettingsError as error:
        raise click.ClickException(str(error)) from None
    if debug and (environment != "local" or not _is_loopback(host)):
        raise click.UsageError("--debug is only for --env local on a loopback address, such as --host 127.0.0.1")
    os.environ.update(settings.storage.variables())
    if check:
        _check(settings)
        return
    unreachable = next((str(finding) for finding in reached(settings) if finding.problem), None)
    if problem := unreachable or _unusable_address(host, port):
        raise click.ClickException(problem)
    try:
        configure_logs(Path(settings.logs.dir), settings.logs.level, settings.logs.max_bytes)
    except OSError as error:
        raise click.ClickException(f"logs.dir: cannot be written: {error}") from None
    _open_as_many_files_as_allowed()
    if debug:
        _serve_debug(settings, host, port)
    else:
        Server(settings, host, port).run()


def _open_as_many_files_as_allowed() -> None:
    """Connections and deliveries together may pass the 1024 that are usual, and may be raised by whoever starts it."""
    enough, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = MOST_FILES if most == resource.RLIM_INFINITY else min(most, MOST_FILES)
    if enough != resource.RLIM_INFINITY and enough < wanted:
        with suppress(OSError, ValueError):  # some systems say that there is no limit, and have one
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, most))


def _check(settings: Settings) -> None:
    """Try everything that the settings name, and tell of each. Raises ClickException where something is missing."""
    warnings.simplefilter("ignore")  # a line for each says enough
    found: list[Finding] = []
    for finding in tried(settings):
        found.append(finding)
        click.echo(f"{'ok' if finding.problem is None else 'NO' if finding.needed else '--'}  {finding}")
    if wrong := [finding for finding in found if finding.problem and finding.needed]:
        raise click.ClickException(f"{len(wrong)} of {len(found)} cannot be used")


def _unusable_address(host: str, port: int) -> str | None:
    """Why nobody can listen there, in one line; gunicorn would try five times and say it five times."""
    if os.environ.get("WERKZEUG_RUN_MAIN") == "true":
        return None  # the reloader listens already, on behalf of this process
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        with socket.socket(family, kind, protocol) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(address)
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            return f"port {port} of {host} is in use; choose another one with --port"
        if error.errno == errno.EACCES:
            return f"port {port} of {host} may not be used by this account; choose another one with --port"
        return f"{host} is no address of this machine ({error.strerror or error}); choose another one with --host"
    return None


def _is_loopback(host: str) -> bool:
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _serve_debug(settings: Settings, host: str, port: int) -> None:
    """Flask's reloading server; the app is built only in the process that serves."""
    from werkzeug.serving import run_simple

    from tagapi.app import create_app

    logging.getLogger("werkzeug").setLevel(logging.INFO)
    serving = os.environ.get("WERKZEUG_RUN_MAIN") == "true"
    app = create_app(settings, [(host, port)]) if serving else _nothing
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    run_simple(host, port, app, use_reloader=True, use_debugger=False, threaded=True)


def _nothing(_environ: Any, _start: Any) -> Any:
    raise RuntimeError("the reloader does not serve")


if __name__ == "__main__":
    main()
