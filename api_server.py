"""The launcher: settings, logs, then gunicorn with the app, or the development server with --debug."""

from __future__ import annotations

import errno
import importlib.util
import ipaddress
import logging
import math
import os
import signal
import socket
import sys
from collections.abc import Sequence
from ipaddress import ip_network
from pathlib import Path
from typing import Any

import click
from gunicorn.app.base import BaseApplication

from tagapi.logs import configure_logs
from tagapi.metrics.processes import SharedFolder
from tagapi.registries import unusable
from tagapi.serving.framing import MOST_LINE
from tagapi.serving.limits import Limits
from tagapi.settings import ENVIRONMENTS, PROFILE, Settings, SettingsError, load_settings
from tagapi.tokens import TokensError, TokensFile

LEVELS = ("DEBUG", "INFO", "WARNING", "ERROR")
LEAVING_SECONDS = 15  # after the drain, to let go of what still runs; then the worker is killed
REACH_SECONDS = 3.0  # for a server that a profile needs to answer at the start


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
            "child_exit": lambda _server, worker: self._numbers.forget(worker.pid),
            "on_exit": lambda _server: self._numbers.remove(),
        }
        for name, value in options.items():
            self.cfg.set(name, value)

    def load(self) -> Any:
        from tagapi.app import create_app

        return create_app(self._settings, self.listening)


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
def main(environment: str, host: str, port: int, debug: bool, workers: int | None, log_level: str | None) -> None:
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
    if problem := unreachable(settings) or _unusable_address(host, port):
        raise click.ClickException(problem)
    try:
        configure_logs(Path(settings.logs.dir), settings.logs.level, settings.logs.max_bytes)
    except OSError as error:
        raise click.ClickException(f"logs.dir: cannot be written: {error}") from None
    if debug:
        _serve_debug(settings, host, port)
    else:
        Server(settings, host, port).run()


def unreachable(settings: Settings) -> str | None:
    """What the settings name and this machine cannot use, in one line."""
    if (tokens := settings.auth.tokens_file) is not None:
        try:
            TokensFile(Path(tokens))
        except TokensError as error:
            return f"auth.tokens_file: {tokens}: {error}"
    remote = settings.spark.remote
    if remote.startswith("local[") and importlib.util.find_spec("py4j") is None:
        return f"spark.remote: {remote} needs JVM Spark, which is not installed"
    if settings.executor.broker is not None and not _installed("celery"):
        return "executor.url: needs Celery, which is not installed: make celery"
    if remote.startswith("sc://"):
        host, _, port = remote.removeprefix("sc://").partition("/")[0].partition(";")[0].partition(":")
        try:
            socket.create_connection((host, int(port or 15002)), REACH_SECONDS).close()
        except (OSError, ValueError) as error:
            return f"spark.remote: {remote} cannot be reached: {error}"
    if settings.data.dir.startswith("s3://") and (problem := _unreachable_bucket(settings)):
        return problem
    problem = unusable(settings.registry.url)
    return problem and f"registry.url: {_without_password(settings.registry.url)} {problem}"


def _installed(package: str) -> bool:
    try:
        return importlib.util.find_spec(package) is not None
    except ValueError:  # it is kept out
        return False


def _without_password(url: str) -> str:
    before, at, after = url.rpartition("@")
    return f"{before.partition('://')[0]}://…@{after}" if at else url


def _unreachable_bucket(settings: Settings) -> str | None:
    from pyarrow.fs import FileType, S3FileSystem

    bucket, region = settings.storage.bucket, settings.storage.region
    try:
        storage = S3FileSystem(region=region, connect_timeout=REACH_SECONDS, request_timeout=REACH_SECONDS)
        found = storage.get_file_info(str(bucket)).type != FileType.NotFound
    except OSError as error:
        return f"storage.bucket: {bucket} in {region} cannot be reached: {str(error).splitlines()[0]}"
    return None if found else f"storage.bucket: {bucket} in {region} does not exist"


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
