"""The settings as values: a section each, every key once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

CELERY = "celery://"


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
    """Of jobs that leave files: a folder, local or shared, or `s3://<bucket>/<prefix>`."""

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
    def collectors(self) -> str:
        """Where what was exported is kept until it is read."""
        return f"{self.dir}/collectors"

    @property
    def assets(self) -> str:
        """Where it is kept what is known of the scopes."""
        return f"{self.dir}/assets"

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
class Executor:
    """Where attempts run."""

    url: str = field(repr=False)
    """`threads` of the service's own processes, or `celery://` and the URL of a broker."""

    metrics: str | None
    """`host:port` at which a worker of Celery tells its numbers."""

    @property
    def broker(self) -> str | None:
        """Its URL; None where attempts run in the service."""
        return self.url.removeprefix(CELERY) if self.url.startswith(CELERY) else None


@dataclass(frozen=True, slots=True)
class Spark:
    remote: str


@dataclass(frozen=True, slots=True)
class Storage:
    """What lies in S3, or in what speaks its protocol. Credentials come from the usual AWS places."""

    bucket: str | None
    region: str | None
    endpoint: str | None
    link_seconds: float | None
    """For how long a result may be had by a link from the bucket; None sends it through the service."""

    def variables(self) -> Mapping[str, str]:
        """How Arrow, delta-rs, Spark and boto3 are told of it, each of which reads its environment."""
        told = {"AWS_REGION": self.region, "AWS_ENDPOINT_URL": self.endpoint}
        if self.endpoint is not None and self.endpoint.startswith("http://"):
            told["AWS_ALLOW_HTTP"] = "true"
        return {name: value for name, value in told.items() if value is not None}


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
    max_exports: int
    max_scans: int
    max_monitors: int
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
class Export:
    credits_monthly: int
    """Documents that a user may export in a month; 0 is without limit."""

    retention_days: float


@dataclass(frozen=True, slots=True)
class Assets:
    """What security work on one's own assets may contact, and how much at once."""

    scope_file: str | None
    """None: nothing is contacted."""

    nameservers: str
    """`host:port`, comma-separated; empty for those of the system."""

    sockets: int
    """In the whole process."""

    per_address: int
    """Connections at once to one address."""

    per_second: float
    """New connections to one address; 0 is without limit."""

    own: Sequence[str]
    """`host:port` of the service, for workers of Celery, which cannot know where it listens."""

    target_seconds: float
    target_bytes: int


@dataclass(frozen=True, slots=True)
class Fofa:
    """The account at FOFA; without a key nothing is asked there."""

    base_url: str
    email: str | None
    key: str | None = field(repr=False)


@dataclass(frozen=True, slots=True)
class GitHub:
    """The account at GitHub; without a token nothing is asked there."""

    base_url: str
    token: str | None = field(repr=False)


@dataclass(frozen=True, slots=True)
class Webhooks:
    """Where they may lead beside the internet, and how many there may be."""

    allow: Sequence[str]
    """Addresses, networks and names of hosts that are no addresses of the internet; http may be spoken there."""

    max_per_user: int
    retry_seconds: float
    """After the first failure; each later one waits thrice as long as the one before it."""

    retry_at_most_seconds: float


@dataclass(frozen=True, slots=True)
class Sample:
    users: int
    bookings: int
    documents: int


@dataclass(frozen=True, slots=True)
class Settings:
    """Everything that can be set. Paths are absolute or URIs."""

    environment: str
    server: Server
    data: Data
    logs: Logs
    auth: Auth
    registry: Registry
    executor: Executor
    spark: Spark
    storage: Storage
    jobs: Jobs
    tags: Tags
    meta: Meta
    google: Google
    export: Export
    assets: Assets
    fofa: Fofa
    github: GitHub
    webhooks: Webhooks
    sample: Sample
