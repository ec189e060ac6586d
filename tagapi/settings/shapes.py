"""What each key of the settings may be."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Mapping
from typing import Any

from marshmallow import RAISE, Schema, ValidationError, fields, post_load, validate

from tagapi.settings.values import (
    Assets,
    Auth,
    Data,
    Executor,
    Export,
    Fofa,
    GitHub,
    Google,
    Jobs,
    Logs,
    Meta,
    Registry,
    Sample,
    Server,
    Spark,
    Storage,
    Table,
    Tags,
    Webhooks,
)

LEAST_BUFFER = 10 * 1000 * 1000  # bytes: at least one body of the largest size has to fit
HOST_NAME = r"\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+"
URL = r"(https://[^\s/?#@]+|http://(127\.0\.0\.1|localhost|\[::1\])(:\d+)?)(/[^\s?#]*)?"
"""Tokens go there: only what stays on this machine may be unencrypted."""
ADDRESS = "an https address, or an http one of this machine"
SERVERS = r"([0-9.]+|\[[0-9A-Fa-f:.]+\])?(:\d{1,5})?(, ?([0-9.]+|\[[0-9A-Fa-f:.]+\])(:\d{1,5})?)*"
PREFIXED = r"s3://[A-Za-z0-9.-]+(/[A-Za-z0-9!_.'()=+-]+)"
"""Whatever else a name has, some of those who read and write there take it for something else."""
PLACE = "a folder, or s3://bucket/prefix of letters, digits and !_.'()=+- between single slashes"
LEVELS = ("DEBUG", "INFO", "WARNING", "ERROR")
MEMORY = "memory://"
SQLITE = "sqlite:///"
THREADS = "threads"
EXECUTORS = rf"{THREADS}|celery://(redis|rediss|amqp|amqps)://[^\s/?#]+.*"
SOCKET = r"(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+):\d{1,5}"
REGISTRIES = rf"{MEMORY}|{SQLITE}[^?#]+|(rediss?|unix)://.+"


def _count(least: int = 1, most: int = 10**9) -> fields.Integer:
    return fields.Integer(strict=True, required=True, validate=validate.Range(min=least, max=most))


def _duration(least: float = 0.001, most: float = 365 * 86_400, **more: Any) -> fields.Float:
    return fields.Float(required=True, validate=validate.Range(min=least, max=most), **more)


def _text(**more: Any) -> fields.String:
    return fields.String(required=True, validate=validate.Length(min=1), **more)


def _check_network(text: str) -> None:
    try:
        ipaddress.ip_network(text, strict=False)
    except ValueError:
        raise ValidationError("must be an address or a network, such as 10.0.0.0/8") from None


def _check_host(text: str) -> None:
    if not re.fullmatch(HOST_NAME, text):
        try:
            _check_network(text)
        except ValidationError:
            raise ValidationError("must be an address, a network or the name of a host, without a port") from None


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


def _form(pattern: str, said: str, **more: Any) -> fields.String:
    checked = validate.Regexp(f"(?:{pattern})\\Z", error=f"must be {said}")
    return fields.String(required=True, validate=checked, **more)


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
        dir=_form(rf"(?!s3://).+|{PREFIXED}*", PLACE),
        user_tags=_form(rf"(?!s3://).+|{PREFIXED}+", PLACE),
        results=_form(rf"(?!.*://).+|{PREFIXED}+", PLACE),
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
    "executor": _section(
        Executor,
        url=_form(
            EXECUTORS, f"{THREADS}, or celery:// and a broker: celery://redis://host:6379/1, celery://amqp://host//"
        ),
        metrics=fields.String(
            required=True, allow_none=True, validate=validate.Regexp(rf"{SOCKET}\Z", error="must be host:port")
        ),
    ),
    "spark": _section(Spark, remote=_form(r"sail|local\[(\*|\d+)\]|sc://.+", "sail, local[N] or sc://host:port")),
    "storage": _section(
        Storage,
        bucket=_text(allow_none=True),
        region=_text(allow_none=True),
        endpoint=_form(URL, ADDRESS, allow_none=True),
        link_seconds=_duration(least=1, most=604_800, allow_none=True),
    ),
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
        max_exports=_count(1, 64),
        max_scans=_count(1, 64),
        max_monitors=_count(1, 64),
        retention_days_outside=_duration(),
    ),
    "meta": _section(
        Meta,
        base_url=_form(URL, ADDRESS),
        api_version=_form(r"v\d+(\.\d+)?", "like v23.0"),
        account_id=_digits(),
        page_id=_digits(),
        access_token=_secret(),
        settle_seconds=_duration(least=0),
    ),
    "google": _section(
        Google,
        base_url=_form(URL, ADDRESS),
        data_manager_url=_form(URL, ADDRESS),
        token_url=_form(URL, ADDRESS),
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
    "export": _section(Export, credits_monthly=_count(0), retention_days=_duration()),
    "assets": _section(
        Assets,
        scope_file=_text(allow_none=True),
        nameservers=_form(SERVERS, "host:port of name servers, with commas between them"),
        sockets=_count(1, 4096),
        per_address=_count(1, 4096),
        per_second=_duration(least=0, most=10**6),
        own=fields.List(_form(SOCKET, "host:port"), required=True),
        target_seconds=_duration(most=600),
        target_bytes=_count(1, 64 * 1024 * 1024),
    ),
    "fofa": _section(Fofa, base_url=_form(URL, ADDRESS), email=_secret(), key=_secret()),
    "github": _section(GitHub, base_url=_form(URL, ADDRESS), token=_secret()),
    "webhooks": _section(
        Webhooks,
        allow=fields.List(fields.String(validate=_check_host), required=True),
        max_per_user=_count(1, 1000),
        retry_seconds=_duration(most=3600),
        retry_at_most_seconds=_duration(most=86_400),
    ),
    "sample": _section(
        Sample,
        users=_count(1, 100_000_000),
        bookings=_count(1, 100_000_000),
        documents=_count(1, 100_000_000),
    ),
}
