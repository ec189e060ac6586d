"""Settings: read once, typed and frozen, or refused with the name of the key."""

from __future__ import annotations

from dataclasses import FrozenInstanceError
from pathlib import Path
from typing import Any

import pytest

from tagapi.settings import ENVIRONMENTS, Settings, SettingsError, load_settings

GLUE = {
    "TAGAPI_STORAGE__BUCKET": "bucket",
    "TAGAPI_STORAGE__REGION": "eu-west-1",
    "TAGAPI_SPARK__REMOTE": "sc://spark:15002",
    "TAGAPI_REGISTRY__URL": "redis://redis:6379/0",
    "TAGAPI_AUTH__TOKENS_FILE": "/etc/tagapi/tokens.yaml",
}


def refusal(environment: str = "local", **variables: str) -> str:
    with pytest.raises(SettingsError) as refused:
        load_settings(environment, variables)
    return str(refused.value)


def local(**variables: str) -> Settings:
    return load_settings("local", variables)


def test_where_attempts_run_has_a_short_name() -> None:
    settings = local(TAGAPI_EXECUTOR="celery://rediss://:p%40ss@host:6379/1?ssl_cert_reqs=required")
    assert settings.executor.broker == "rediss://:p%40ss@host:6379/1?ssl_cert_reqs=required"
    assert "p%40ss" not in repr(settings)
    assert local(TAGAPI_EXECUTOR="threads").executor.broker is None
    assert local(TAGAPI_ENVIRONMENT="glue-prod").environment == "local", "that is for who asks"


@pytest.mark.parametrize(
    "said",
    ["celery", "celery://", "celery://redis://", "celery://http://host", "redis://host/0", "celery://sqs://", ""],
)
def test_where_attempts_cannot_run_is_refused(said: str) -> None:
    with pytest.raises(SettingsError, match=r"executor\.url: must be threads, or celery:// and a broker"):
        local(TAGAPI_EXECUTOR=said)


def test_local_needs_nothing() -> None:
    settings = local()
    assert settings.environment == "local"
    assert settings.registry.url == f"sqlite:///{Path('data').absolute()}/jobs.db"
    assert settings.spark.remote == "sail"
    assert settings.jobs.max_concurrent == 3


def test_settings_are_frozen() -> None:
    with pytest.raises(FrozenInstanceError):
        local().jobs.max_concurrent = 5  # type: ignore[misc]


def test_a_variable_overrides_its_key() -> None:
    settings = local(TAGAPI_JOBS__MAX_CONCURRENT="5", TAGAPI_JOBS__TIMEOUT_SECONDS="0.5", TAGAPI_LOGS__LEVEL="ERROR")
    assert (settings.jobs.max_concurrent, settings.jobs.timeout_seconds, settings.logs.level) == (5, 0.5, "ERROR")


def test_an_override_wins_over_a_variable() -> None:
    settings = load_settings("local", {"TAGAPI_LOGS__LEVEL": "ERROR"}, {"logs": {"level": "DEBUG"}})
    assert settings.logs.level == "DEBUG"


def test_variables_of_others_do_not_matter() -> None:
    assert local(PATH="/bin", TAGAPIX="1", HOME="/").environment == "local"
    assert local(TAGAPI_URL="https://tagapi.example.org", TAGAPI_TOKEN="tagapi_x") == local()  # the command's


@pytest.mark.parametrize("text", ["12", "true", "null", "1e3", "[a]", "{a: 1}", "*x", "0x10"])
def test_text_stays_text(text: str) -> None:
    assert local(TAGAPI_STORAGE__BUCKET=text).storage.bucket == text


def test_paths_are_absolute_and_follow_the_data_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    settings = local(TAGAPI_DATA__DIR="here")
    assert settings.data.dir == str(tmp_path / "here")
    assert settings.data.user_tags == str(tmp_path / "here" / "user_tags")
    assert settings.data.results == str(tmp_path / "here" / "results")
    assert settings.data.cleaned == str(tmp_path / "here" / "cleaned")
    assert settings.data.source("user_basic_info").path == str(tmp_path / "here" / "sources" / "user_basic_info")
    assert settings.logs.dir == str(tmp_path / "logs")


def test_the_tokens_file_is_found_from_anywhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert local().auth.tokens_file is None
    monkeypatch.chdir(tmp_path)
    assert local(TAGAPI_AUTH__TOKENS_FILE="tokens.yaml").auth.tokens_file == str(tmp_path / "tokens.yaml")


def test_results_may_lie_in_a_bucket_below_a_prefix() -> None:
    assert local(TAGAPI_DATA__RESULTS="s3://bucket/results").data.results == "s3://bucket/results"
    for elsewhere in ("s3://bucket", "s3:///results", "gs://bucket/results", "file:///tmp/results"):
        assert "data.results" in refusal(TAGAPI_DATA__RESULTS=elsewhere)


def test_a_prefix_is_one_that_everybody_who_reads_there_takes_for_the_same() -> None:
    jobs = {"TAGAPI_REGISTRY__URL": "redis://redis"}
    data = local(TAGAPI_DATA__DIR="s3://bucket/tags/", TAGAPI_DATA__RESULTS="s3://bucket/a/b=c/", **jobs).data
    assert (data.dir, data.user_tags, data.results) == (
        "s3://bucket/tags",
        "s3://bucket/tags/user_tags",
        "s3://bucket/a/b=c",
    )
    for odd in ("a//b", "a b", "a%20b", "\u00fc", "a?b=c", "a#b", "/a"):
        for key in ("DIR", "USER_TAGS", "RESULTS"):
            told = refusal(**{f"TAGAPI_DATA__{key}": f"s3://bucket/{odd}", **jobs})
            assert told.startswith(f"data.{key.lower()}: must be a folder, or s3://"), told
    for nowhere in ("s3://", "s3:///", "s3:///tags"):
        assert refusal(TAGAPI_DATA__DIR=nowhere, **jobs).startswith("data.dir: must be")


def test_another_s3_is_told_to_whoever_speaks_to_it() -> None:
    storage = local(TAGAPI_STORAGE__REGION="eu-west-1", TAGAPI_STORAGE__ENDPOINT="http://127.0.0.1:9000").storage
    told = {"AWS_REGION": "eu-west-1", "AWS_ENDPOINT_URL": "http://127.0.0.1:9000", "AWS_ALLOW_HTTP": "true"}
    assert storage.variables() == told
    assert "AWS_ALLOW_HTTP" not in local(TAGAPI_STORAGE__ENDPOINT="https://minio.example.lan").storage.variables()
    assert local().storage.variables() == {}
    assert "storage.endpoint" in refusal(TAGAPI_STORAGE__ENDPOINT="minio:9000")


def test_tables_elsewhere() -> None:
    settings = local(
        TAGAPI_DATA__USER_TAGS="s3://lake/tags",
        TAGAPI_DATA__SOURCES="{user_basic_info: {path: s3://lake/u, format: delta}, user_asset_summary: {path: /a}}",
    )
    assert settings.data.user_tags == "s3://lake/tags"
    users, assets = settings.data.source("user_basic_info"), settings.data.source("user_asset_summary")
    assert (users.path, users.format) == ("s3://lake/u", "delta")
    assert (assets.path, assets.format) == ("/a", "parquet")


@pytest.mark.parametrize("environment", [name for name in ENVIRONMENTS if name != "local"])
def test_glue_keeps_its_data_in_its_bucket(environment: str) -> None:
    settings = load_settings(environment, GLUE)
    assert settings.data.dir == "s3://bucket/tagapi"
    assert settings.data.user_tags == "s3://bucket/tagapi/user_tags"
    assert settings.data.cleaned == "s3://bucket/tagapi/cleaned"
    assert settings.data.results == "s3://bucket/tagapi/results"
    assert settings.data.source("user_basic_info").path == "s3://bucket/tagapi/sources/user_basic_info"


@pytest.mark.parametrize("environment", [name for name in ENVIRONMENTS if name != "local"])
@pytest.mark.parametrize("missing", GLUE)
@pytest.mark.parametrize("how", ["absent", "empty"])
def test_glue_names_what_it_cannot_do_without(environment: str, missing: str, how: str) -> None:
    given = {key: value for key, value in GLUE.items() if key != missing} | ({missing: ""} if how == "empty" else {})
    text = refusal(environment, **given)
    assert missing in text
    assert missing.removeprefix("TAGAPI_").lower().replace("__", ".") in text


@pytest.mark.parametrize(
    "variable",
    [
        "TAGAPI_",
        "TAGAPI_NOPE",
        "TAGAPI_JOBS",
        "TAGAPI_JOBS__",
        "TAGAPI___MAX_QUEUED",
        "TAGAPI_JOBS__NOPE",
        "TAGAPI_JOBS_MAX_QUEUED",
        "TAGAPI_NOPE__MAX_QUEUED",
        "TAGAPI_JOBS__MAX_QUEUED__X",
    ],
)
def test_an_unknown_variable_is_named(variable: str) -> None:
    assert variable in refusal(**{variable: "1"})


COUNTS = [
    "server.threads",
    "server.connections",
    "server.buffer_bytes",
    "logs.max_bytes",
    "jobs.max_concurrent",
    "jobs.max_queued",
    "jobs.max_queued_per_user",
    "jobs.max_recoveries",
    "tags.late_seconds",
    "sample.users",
    "sample.bookings",
    "sample.documents",
    "jobs.max_exports",
    "export.credits_monthly",
]
SECONDS = [
    "server.head_seconds",
    "server.body_seconds",
    "server.send_seconds",
    "jobs.timeout_seconds",
    "jobs.lease_seconds",
    "jobs.drain_seconds",
    "jobs.retention_hours",
    "export.retention_days",
]
TEXTS = ["auth.tokens_file", "data.dir", "data.user_tags", "logs.dir", "logs.level", "registry.url", "spark.remote"]


def variable_of(key: str) -> str:
    return f"TAGAPI_{key.replace('.', '__').upper()}"


@pytest.mark.parametrize("key", COUNTS)
@pytest.mark.parametrize("value", ["many", "-1"])
def test_a_wrong_count_is_named(key: str, value: str) -> None:
    assert key in refusal(**{variable_of(key): value})


@pytest.mark.parametrize("value", ["1.5", "true", "null", "", "[1]", "{}", "10000000000", '"5"', "0"])
def test_a_count_is_a_whole_number_in_range(value: str) -> None:
    assert "jobs.max_queued" in refusal(TAGAPI_JOBS__MAX_QUEUED=value)


def test_text_that_is_no_yaml_is_named() -> None:
    assert "TAGAPI_JOBS__MAX_QUEUED" in refusal(TAGAPI_JOBS__MAX_QUEUED="[1")


@pytest.mark.parametrize("key", SECONDS)
@pytest.mark.parametrize("value", ["soon", "-1"])
def test_wrong_seconds_are_named(key: str, value: str) -> None:
    assert key in refusal(**{variable_of(key): value})


@pytest.mark.parametrize("value", ["0", "true", "null", "", "[1]", ".nan", ".inf", "1m"])
def test_seconds_are_a_number_above_zero(value: str) -> None:
    assert "jobs.lease_seconds" in refusal(TAGAPI_JOBS__LEASE_SECONDS=value)


@pytest.mark.parametrize("key", TEXTS)
def test_an_empty_text_is_named(key: str) -> None:
    assert key in refusal(**{variable_of(key): ""})


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("registry.url", "mongodb://127.0.0.1"),
        ("registry.url", "memory"),
        ("spark.remote", "hadoop"),
        ("spark.remote", "local"),
        ("spark.remote", "local[2"),
        ("spark.remote", "http://127.0.0.1"),
    ],
)
def test_an_unknown_kind_is_named(key: str, value: str) -> None:
    assert key in refusal(**{variable_of(key): value})


@pytest.mark.parametrize("value", ["sail", "local[4]", "sc://spark:15002"])
def test_the_known_kinds_of_spark(value: str) -> None:
    assert local(TAGAPI_SPARK__REMOTE=value).spark.remote == value


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("server.hosts", "api.example"),
        ("server.hosts", "[api.example:80]"),
        ("server.hosts", "['http://api.example']"),
        ("server.hosts", "['']"),
        ("server.trusted_proxies", "10.0.0.1"),
        ("server.trusted_proxies", "[proxy.example]"),
        ("server.trusted_proxies", "[10.0.0.0/99]"),
        ("webhooks.allow", "10.0.0.1"),
        ("webhooks.allow", "[10.0.0.0/99]"),
        ("webhooks.allow", "['hooks.example:80']"),
        ("webhooks.allow", "['http://hooks.example']"),
        ("webhooks.allow", "['']"),
        ("webhooks.max_per_user", "0"),
        ("webhooks.retry_seconds", "0"),
        ("webhooks.retry_at_most_seconds", "100000"),
        ("logs.requests", "LOUD"),
        ("logs.requests", "true"),
    ],
)
def test_what_is_no_host_no_address_and_no_level_is_named(key: str, value: str) -> None:
    assert key in refusal(**{variable_of(key): value})


def test_webhooks_may_lead_to_addresses_networks_and_hosts() -> None:
    listed = ["10.0.0.1", "10.0.0.0/8", "fd00::/8", "::1", "[::1]", "hooks.example"]
    assert local(TAGAPI_WEBHOOKS__ALLOW=str(listed)).webhooks.allow == listed


def test_hosts_and_proxies_are_lists() -> None:
    server = local(TAGAPI_SERVER__HOSTS="[api.example, 10.0.0.1]", TAGAPI_SERVER__TRUSTED_PROXIES="['::1']").server
    assert (server.hosts, server.trusted_proxies) == (["api.example", "10.0.0.1"], ["::1"])


def test_requests_can_be_left_out_of_the_logs() -> None:
    """Also from YAML, where `off` is false."""
    assert local(TAGAPI_LOGS__REQUESTS="off").logs.requests == "off"
    assert load_settings("local", {}, overrides={"logs": {"requests": False}}).logs.requests == "off"


@pytest.mark.parametrize("value", ["LOUD", "info", "10"])
def test_a_wrong_level_is_named(value: str) -> None:
    assert "logs.level" in refusal(TAGAPI_LOGS__LEVEL=value)


@pytest.mark.parametrize(
    ("value", "key"),
    [
        ("1", "data.sources"),
        ("[a]", "data.sources"),
        ("null", "data.sources"),
        ("{users: /lake}", "data.sources.users"),
        ("{users: {format: delta}}", "data.sources.users.path"),
        ("{users: {path: ''}}", "data.sources.users.path"),
        ("{users: {path: 1}}", "data.sources.users.path"),
        ("{users: {path: /lake, nope: 1}}", "data.sources.users.nope"),
    ],
)
def test_a_wrong_table_is_named(value: str, key: str) -> None:
    assert key in refusal(TAGAPI_DATA__SOURCES=value)


@pytest.mark.parametrize(
    ("yaml", "named"),
    [
        ("jobs: [", "local.yaml"),
        ("- jobs", "local.yaml"),
        ("jobs: 1", "local.yaml"),
        ("", "local.yaml"),
        ("server: {threads: 1}\n", "data"),
    ],
)
def test_a_file_that_cannot_be_used_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, yaml: str, named: str
) -> None:
    _config(tmp_path, monkeypatch, yaml)
    assert named in refusal()


def test_a_file_that_is_missing_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tagapi.settings.CONFIG", tmp_path)
    assert "local.yaml" in refusal()


@pytest.mark.parametrize(
    ("old", "new", "named"),
    [
        ("  threads: 16", "  thread: 16", "server.thread"),
        ("  max_queued: 1000", "  max_queued: x", "jobs.max_queued"),
        ("sample:", "samples:", "sample"),
        ("registry:", "extra: {a: 1}\nregistry:", "extra"),
    ],
)
def test_a_wrong_key_in_a_file_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, old: str, new: str, named: str
) -> None:
    import tagapi.settings

    text = (tagapi.settings.CONFIG / "local.yaml").read_text(encoding="utf-8")
    assert old in text
    _config(tmp_path, monkeypatch, text.replace(old, new))
    assert named in refusal()


def _config(folder: Path, monkeypatch: pytest.MonkeyPatch, text: Any) -> None:
    (folder / "local.yaml").write_text(text, encoding="utf-8")
    monkeypatch.setattr("tagapi.settings.CONFIG", folder)


# -- where jobs are kept --------------------------------------------------------------------


@pytest.mark.parametrize(
    "url", ["memory://", "sqlite:////var/jobs.db", "redis://h:1/0", "rediss://u:p@h:1", "unix:///run/redis.sock?db=1"]
)
def test_registries(url: str) -> None:
    assert local(TAGAPI_REGISTRY__URL=url).registry.url == url


@pytest.mark.parametrize(
    "url", ["", "memory", "memory://x", "sqlite://", "sqlite:///", "mysql://h/d", "redis:", "jobs.db"]
)
def test_what_is_no_registry(url: str) -> None:
    assert refusal(TAGAPI_REGISTRY__URL=url).startswith("registry.url: must be ")


def test_a_relative_file_of_jobs_is_made_absolute(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert local(TAGAPI_REGISTRY__URL="sqlite:///here/jobs.db").registry.url == f"sqlite:///{tmp_path}/here/jobs.db"


def test_jobs_are_not_kept_in_a_bucket() -> None:
    assert refusal(TAGAPI_DATA__DIR="s3://bucket/tags").startswith("registry.url: needed")


def test_several_workers_need_a_registry_that_they_share() -> None:
    assert refusal(TAGAPI_SERVER__WORKERS="2", TAGAPI_REGISTRY__URL="memory://").startswith("server.workers: ")
    assert local(TAGAPI_SERVER__WORKERS="2").server.workers == 2
