"""One frozen Settings, from config/<env>.yaml and the environment, or a message that names the wrong key."""

from __future__ import annotations

import ipaddress
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml
from marshmallow import RAISE, Schema, ValidationError, fields, post_load, validate

ENVIRONMENTS = ("local", "glue-dev", "glue-prod")
CONFIG = Path(__file__).resolve().parent.parent / "config"
PREFIX = "TAGAPI_"
GLUE_NEEDS = (
    ("storage", "bucket"),
    ("storage", "region"),
    ("spark", "remote"),
    ("registry", "url"),
    ("auth", "tokens_file"),
)
"""What a glue profile cannot do without."""


LEAST_BUFFER = 10 * 1000 * 1000  # bytes: at least one body of the largest size has to fit
HOST_NAME = r"\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+"
URL = r"https?://[^\s/?#@]+(/[^\s?#]*)?"
LEVELS = ("DEBUG", "INFO", "WARNING", "ERROR")
MEMORY = "memory://"
SQLITE = "sqlite:///"
REGISTRIES = rf"{MEMORY}|{SQLITE}[^?#]+|(rediss?|unix)://.+"


class SettingsError(Exception):
    """The settings cannot be used. The message names the key and what is wrong with it."""


@dataclass(frozen=True, slots=True)
class Server:
    threads: int
    workers: int
    connections: int
    buffer_bytes: int
    head_seconds: float
    body_seconds: float
    body_rate: float
    send_seconds: float
    max_pushes: int
    hosts: Sequence[str]
    trusted_proxies: Sequence[str]


@dataclass(frozen=True, slots=True)
class Table:
    path: str
    format: str


@dataclass(frozen=True, slots=True)
class Data:
    dir: str
    user_tags: str
    results: str
    """Of jobs that leave files: a local or shared folder, never a URI."""

    sources: Mapping[str, Table]

    @property
    def cleaned(self) -> str:
        """Where the cleanup puts what it has cleaned."""
        return f"{self.dir}/cleaned"

    @property
    def sent(self) -> str:
        """Where it is kept who is in the audiences of the platforms."""
        return f"{self.dir}/audiences"

    @property
    def models(self) -> str:
        return f"{self.dir}/models"

    @property
    def user_segments(self) -> str:
        """Where it is kept who is in which segment."""
        return f"{self.dir}/user_segments"

    def source(self, name: str) -> Table:
        """Where the table `name` lies: as configured, else `<dir>/sources/<name>` in Parquet."""
        return self.sources.get(name, Table(f"{self.dir}/sources/{name}", "parquet"))


@dataclass(frozen=True, slots=True)
class Logs:
    dir: str
    level: str
    requests: str
    """The level of the event of each request, or `off`."""

    max_bytes: int


@dataclass(frozen=True, slots=True)
class Auth:
    tokens_file: str | None


@dataclass(frozen=True, slots=True)
class Registry:
    url: str


@dataclass(frozen=True, slots=True)
class Spark:
    remote: str


@dataclass(frozen=True, slots=True)
class Storage:
    bucket: str | None
    region: str | None


@dataclass(frozen=True, slots=True)
class Jobs:
    max_concurrent: int
    max_queued: int
    max_queued_per_user: int
    timeout_seconds: float
    lease_seconds: float
    max_recoveries: int
    drain_seconds: float
    retention_hours: float
    max_publishing: int
    max_syncs: int
    retention_days_outside: float


@dataclass(frozen=True, slots=True)
class Meta:
    """The account in which Meta's campaigns and audiences are made."""

    base_url: str
    api_version: str
    account_id: str | None
    page_id: str | None
    access_token: str | None = field(repr=False)
    settle_seconds: float


@dataclass(frozen=True, slots=True)
class Google:
    """The account in which Google's are made."""

    base_url: str
    data_manager_url: str
    token_url: str
    api_version: str
    customer_id: str | None
    login_customer_id: str | None
    developer_token: str | None = field(repr=False)
    client_id: str | None
    client_secret: str | None = field(repr=False)
    refresh_token: str | None = field(repr=False)
    settle_seconds: float


@dataclass(frozen=True, slots=True)
class Tags:
    late_seconds: float


@dataclass(frozen=True, slots=True)
class Sample:
    users: int
    bookings: int


@dataclass(frozen=True, slots=True)
class Settings:
    """Everything that can be set. Paths are absolute or URIs."""

    environment: str
    server: Server
    data: Data
    logs: Logs
    auth: Auth
    registry: Registry
    spark: Spark
    storage: Storage
    jobs: Jobs
    tags: Tags
    meta: Meta
    google: Google
    sample: Sample


# -- what is accepted ----------------------------------------------------------------------


def _count(least: int = 1, most: int = 10**9) -> fields.Integer:
    return fields.Integer(strict=True, required=True, validate=validate.Range(min=least, max=most))


def _duration(least: float = 0.001, most: float = 365 * 86_400) -> fields.Float:
    return fields.Float(required=True, validate=validate.Range(min=least, max=most))


def _text(**more: Any) -> fields.String:
    return fields.String(required=True, validate=validate.Length(min=1), **more)


def _check_network(text: str) -> None:
    try:
        ipaddress.ip_network(text, strict=False)
    except ValueError:
        raise ValidationError("must be an address or a network, such as 10.0.0.0/8") from None


class _Level(fields.String):
    """A level, or `off`, which YAML reads as false."""

    def _deserialize(self, value: Any, *args: Any, **kwargs: Any) -> Any:
        return super()._deserialize("off" if value is False else value, *args, **kwargs)


class _Section(Schema):
    """A section: every key once, none unknown."""

    class Meta:
        unknown = RAISE

    makes: type

    @post_load
    def _made(self, values: dict[str, Any], **_: Any) -> Any:
        return self.makes(**values)


def _form(pattern: str, said: str) -> fields.String:
    return fields.String(required=True, validate=validate.Regexp(f"(?:{pattern})\\Z", error=f"must be {said}"))


def _digits() -> fields.String:
    return fields.String(required=True, allow_none=True, validate=validate.Regexp(r"\d+\Z", error="must be digits"))


def _secret() -> fields.String:
    """What goes into a header, so it is one word."""
    return fields.String(
        required=True, allow_none=True, validate=validate.Regexp(r"[\x21-\x7e]+\Z", error="must be one word of ASCII")
    )


def _section(kind: type, **keys: fields.Field[Any]) -> fields.Nested:
    schema = type(f"{kind.__name__}Schema", (_Section,), {**keys, "makes": kind})
    return fields.Nested(schema, required=True)


_TABLE = _section(Table, path=_text(), format=fields.String(load_default="parquet"))

SECTIONS: Mapping[str, fields.Nested] = {
    "server": _section(
        Server,
        threads=_count(1, 1000),
        workers=_count(1, 64),
        connections=_count(10, 100_000),
        buffer_bytes=_count(LEAST_BUFFER),
        head_seconds=_duration(),
        body_seconds=_duration(),
        body_rate=_duration(most=10**9),
        send_seconds=_duration(),
        max_pushes=_count(1, 10_000),
        hosts=fields.List(_form(HOST_NAME, "a host name or address, without a port"), required=True),
        trusted_proxies=fields.List(fields.String(validate=_check_network), required=True),
    ),
    "data": _section(
        Data,
        dir=_text(),
        user_tags=_text(),
        results=_form(r"(?!.*://).+", "a folder, local or shared: a result appears by one rename"),
        sources=fields.Dict(_text(), _TABLE, required=True),
    ),
    "logs": _section(
        Logs,
        dir=_text(),
        level=fields.String(required=True, validate=validate.OneOf(LEVELS)),
        requests=_Level(required=True, validate=validate.OneOf([*LEVELS, "off"])),
        max_bytes=_count(10_000),
    ),
    "auth": _section(Auth, tokens_file=_text(allow_none=True)),
    "registry": _section(Registry, url=_form(REGISTRIES, "memory://, sqlite:///path, redis://, rediss:// or unix://")),
    "spark": _section(Spark, remote=_form(r"sail|local\[(\*|\d+)\]|sc://.+", "sail, local[N] or sc://host:port")),
    "storage": _section(Storage, bucket=_text(allow_none=True), region=_text(allow_none=True)),
    "jobs": _section(
        Jobs,
        max_concurrent=_count(1, 256),
        max_queued=_count(),
        max_queued_per_user=_count(),
        timeout_seconds=_duration(),
        lease_seconds=_duration(least=1),
        max_recoveries=_count(0),
        drain_seconds=_duration(),
        retention_hours=_duration(),
        max_publishing=_count(1, 256),
        max_syncs=_count(1, 64),
        retention_days_outside=_duration(),
    ),
    "meta": _section(
        Meta,
        base_url=_form(URL, "an http or https address"),
        api_version=_form(r"v\d+(\.\d+)?", "like v23.0"),
        account_id=_digits(),
        page_id=_digits(),
        access_token=_secret(),
        settle_seconds=_duration(least=0),
    ),
    "google": _section(
        Google,
        base_url=_form(URL, "an http or https address"),
        data_manager_url=_form(URL, "an http or https address"),
        token_url=_form(URL, "an http or https address"),
        api_version=_form(r"v\d+(\.\d+)?", "like v21"),
        customer_id=_digits(),
        login_customer_id=_digits(),
        developer_token=_secret(),
        client_id=_secret(),
        client_secret=_secret(),
        refresh_token=_secret(),
        settle_seconds=_duration(least=0),
    ),
    "tags": _section(Tags, late_seconds=_duration(least=0)),
    "sample": _section(Sample, users=_count(1, 100_000_000), bookings=_count(1, 100_000_000)),
}


# -- loading -------------------------------------------------------------------------------


def load_settings(
    environment: str,
    variables: Mapping[str, str] | None = None,
    overrides: Mapping[str, Mapping[str, Any]] | None = None,
) -> Settings:
    """The settings of an environment. Raises SettingsError, naming the key.

    `variables` stand for the process environment; `overrides` (from the command line) win over both.
    """
    raw = _from_yaml(CONFIG / f"{environment}.yaml")
    _override(raw, os.environ if variables is None else variables)
    for section, keys in (overrides or {}).items():
        raw[section] |= keys
    _fill_paths(raw, environment)
    loaded: dict[str, Any] = {}
    for name, keys_of in SECTIONS.items():
        try:
            loaded[name] = keys_of.deserialize(raw.get(name))
        except ValidationError as error:
            raise SettingsError(_first_problem(name, error.messages)) from None
    if unknown := raw.keys() - SECTIONS.keys():
        raise SettingsError(f"{sorted(unknown)[0]}: unknown section")
    settings = Settings(environment=environment, **loaded)
    if settings.server.workers > 1 and settings.registry.url == MEMORY:
        raise SettingsError(f"server.workers: only one can use {MEMORY}, which no other process sees; set registry.url")
    return settings


def _from_yaml(path: Path) -> dict[str, Any]:
    try:
        raw = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, yaml.YAMLError) as error:
        raise SettingsError(f"{path}: cannot be read: {error}") from None
    if not isinstance(raw, dict) or not all(isinstance(section, dict) for section in raw.values()):
        raise SettingsError(f"{path}: must be sections of keys")
    return raw


def _override(raw: dict[str, Any], variables: Mapping[str, str]) -> None:
    for variable, text in variables.items():
        if not variable.startswith(PREFIX):
            continue
        section, separator, key = variable.removeprefix(PREFIX).lower().partition("__")
        if not separator or section not in SECTIONS or key not in _keys(section):
            raise SettingsError(f"{variable}: no such setting")
        is_text = isinstance(_keys(section)[key], fields.String)
        try:
            raw.setdefault(section, {})[key] = text if is_text else yaml.safe_load(text)
        except yaml.YAMLError:
            raise SettingsError(f"{variable}: cannot be read") from None


def _keys(section: str) -> Mapping[str, fields.Field[Any]]:
    schema: Schema = SECTIONS[section].schema
    return schema.fields


def _fill_paths(raw: dict[str, Any], environment: str) -> None:
    """Defaults that follow from other keys, and absolute paths."""
    if environment != "local":
        for section, key in GLUE_NEEDS:
            if not raw.get(section, {}).get(key):
                variable = f"{PREFIX}{section}__{key}".upper()
                raise SettingsError(
                    f"{section}.{key}: needed by {environment}; set it in its YAML file or as {variable}"
                )
    data = raw.get("data", {})
    if data.get("dir") is None and environment != "local":
        data["dir"] = f"s3://{raw['storage']['bucket']}/tagapi"
    if isinstance(data.get("dir"), str) and data["dir"]:
        data["dir"] = absolute(data["dir"])
        for key in ("user_tags", "results"):
            if data.get(key) is None:
                data[key] = f"{data['dir']}/{key}"
    _fill_registry(raw.get("registry", {}), data.get("dir"))
    logs, auth = raw.get("logs", {}), raw.get("auth", {})
    for holder, key in ((data, "user_tags"), (data, "results"), (logs, "dir"), (auth, "tokens_file")):
        if isinstance(holder.get(key), str) and holder[key]:
            holder[key] = absolute(holder[key])


def _fill_registry(registry: dict[str, Any], folder: Any) -> None:
    """Beside the data, where nothing else is said; a file of jobs by its absolute path."""
    if "url" in registry and registry["url"] is None and isinstance(folder, str):
        if "://" in folder:
            raise SettingsError(f"registry.url: needed, since jobs cannot be kept in data.dir, {folder}")
        registry["url"] = f"{SQLITE}{folder}/jobs.db"
    url = registry.get("url")
    if isinstance(url, str) and url.startswith(SQLITE) and url != SQLITE:
        registry["url"] = SQLITE + absolute(url.removeprefix(SQLITE))


def absolute(path: str) -> str:
    """A path as everyone may use it, wherever they stand; a URI as it is."""
    return path if "://" in path else str(Path(path).absolute())


def _first_problem(where: str, messages: Any) -> str:
    """The first message of a tree of messages, with the path that leads to it."""
    while isinstance(messages, dict):
        key, messages = next(iter(messages.items()))
        if key not in ("_schema", "value"):
            where = f"{where}.{key}"
    text = messages[0] if isinstance(messages, list) else messages
    return f"{where}: {text}"
