"""One frozen Settings, from config/<env>.yaml and the environment, or a message that names the wrong key."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml
from marshmallow import Schema, ValidationError, fields

from tagapi.settings.shapes import MEMORY, SECTIONS, SQLITE
from tagapi.settings.values import Assets, Data, Fofa, GitHub, Google, Jobs, Meta, Settings

__all__ = [
    "ENVIRONMENTS",
    "Assets",
    "Data",
    "Fofa",
    "GitHub",
    "Google",
    "Jobs",
    "Meta",
    "Settings",
    "SettingsError",
    "load_settings",
]

ENVIRONMENTS = ("local", "glue-dev", "glue-prod")
CONFIG = Path(__file__).resolve().parent.parent.parent / "config"
PREFIX = "TAGAPI_"
PROFILE = "TAGAPI_ENVIRONMENT"
"""Which environment, for programs without an option for it."""

NOT_SETTINGS = ("TAGAPI_URL", "TAGAPI_TOKEN", PROFILE)
"""The first two are for the command and the client, in the same shell as likely as not."""

SHORT = {"TAGAPI_EXECUTOR": ("executor", "url")}
GLUE_NEEDS = (
    ("storage", "bucket"),
    ("storage", "region"),
    ("spark", "remote"),
    ("registry", "url"),
    ("auth", "tokens_file"),
)
"""What a glue profile cannot do without."""


class SettingsError(Exception):
    """The settings cannot be used. The message names the key and what is wrong with it."""


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
    if settings.executor.broker and settings.registry.url == MEMORY:
        raise SettingsError(f"executor.url: workers of Celery cannot see {MEMORY}; set registry.url")
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
        if not variable.startswith(PREFIX) or variable in NOT_SETTINGS:
            continue
        section, _, key = variable.removeprefix(PREFIX).lower().partition("__")
        section, key = SHORT.get(variable, (section, key))
        if section not in SECTIONS or key not in _keys(section):
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
    logs, auth, assets = (raw.get(section, {}) for section in ("logs", "auth", "assets"))
    paths = ((data, "user_tags"), (data, "results"), (logs, "dir"), (auth, "tokens_file"), (assets, "scope_file"))
    for holder, key in paths:
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
    """A path as everyone may use it, wherever they stand; a URI as it is, but for slashes at its end."""
    return re.sub(r"(?<=[^:/])/+\Z", "", path) if "://" in path else str(Path(path).absolute())


def _first_problem(where: str, messages: Any) -> str:
    """The first message of a tree of messages, with the path that leads to it."""
    while isinstance(messages, dict):
        key, messages = next(iter(messages.items()))
        if key not in ("_schema", "value"):
            where = f"{where}.{key}"
    text = messages[0] if isinstance(messages, list) else messages
    return f"{where}: {text}"
