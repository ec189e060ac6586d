"""An S3 on loopback, moto's, in a process of its own, that counts what it is asked for."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
import tempfile
import uuid
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import boto3
import requests
from botocore.config import Config

from tests.e2e.server import free_port, until

BUCKET, REGION = "lake", "eu-west-1"
ANYBODY = {"aws_access_key_id": "AKIDEXAMPLE", "aws_secret_access_key": "secret"}
REQUEST = re.compile(r'"(?P<method>[A-Z]+) (?P<path>\S+) HTTP/1\.1" (?P<status>\d+)')


class S3:
    """Running, with one empty bucket."""

    def __init__(self, endpoint: str, log: Path, process: subprocess.Popen[bytes]) -> None:
        self.endpoint = endpoint
        self._process = process
        self._log = log
        self.variables: Mapping[str, str] = {
            "AWS_ENDPOINT_URL": endpoint,
            "AWS_ALLOW_HTTP": "true",
            "AWS_REGION": REGION,
            "AWS_ACCESS_KEY_ID": "AKIDEXAMPLE",
            "AWS_SECRET_ACCESS_KEY": "secret",
        }
        """Of whoever is to use it."""

    @property
    def client(self) -> Any:
        return boto3.client(
            "s3",
            endpoint_url=self.endpoint,
            region_name=REGION,
            **ANYBODY,
            config=Config(retries={"total_max_attempts": 1}),
        )

    def uri(self, prefix: str) -> str:
        return f"s3://{BUCKET}/{prefix}"

    def keys(self, prefix: str = "") -> list[str]:
        pages = self.client.get_paginator("list_objects_v2").paginate(Bucket=BUCKET, Prefix=prefix)
        return sorted(one["Key"] for page in pages for one in page.get("Contents", ()))

    def upload(self, folder: Path, prefix: str) -> None:
        """All files below a folder."""
        for path in folder.rglob("*"):
            if path.is_file():
                self.client.upload_file(str(path), BUCKET, f"{prefix}/{path.relative_to(folder)}")

    def pause(self) -> None:
        """It answers nobody any more."""
        self._process.send_signal(signal.SIGSTOP)

    def resume(self) -> None:
        self._process.send_signal(signal.SIGCONT)

    def requests(self) -> list[tuple[str, str]]:
        """All that were answered up to now, as method and path."""
        return [(found["method"], found["path"]) for found in REQUEST.finditer(self._log.read_text(errors="replace"))]

    @contextmanager
    def counting(self, counts: Counter[str]) -> Iterator[None]:
        """Counts what is asked for meanwhile, by method."""
        before = len(self.requests())
        yield
        counts.update(method for method, _ in self.requests()[before:])


@contextmanager
def s3() -> Iterator[S3]:
    with tempfile.TemporaryDirectory(prefix="s3-") as folder, (Path(folder) / "log").open("wb") as log:
        port = free_port()
        command = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)]
        with subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log) as process:
            there = S3(f"http://127.0.0.1:{port}", Path(folder) / "log", process)
            try:
                until(lambda: "Running on" in (Path(folder) / "log").read_text(), "S3")
                there.client.create_bucket(Bucket=BUCKET, CreateBucketConfiguration={"LocationConstraint": REGION})
                yield there
            finally:
                process.send_signal(signal.SIGKILL)


def as_user(there: S3, policy: Mapping[str, Any]) -> Mapping[str, str]:
    """The variables of a new user who may what the policy says. From then on nobody may what no policy says."""
    _asks_from_now_on(there, "inf")
    iam = boto3.client("iam", endpoint_url=there.endpoint, region_name=REGION, **ANYBODY)
    name = f"user-{uuid.uuid4().hex}"
    iam.create_user(UserName=name)
    iam.put_user_policy(UserName=name, PolicyName="only", PolicyDocument=json.dumps(policy))
    key = iam.create_access_key(UserName=name)["AccessKey"]
    _asks_from_now_on(there, "0")
    return {
        **there.variables,
        "AWS_ACCESS_KEY_ID": key["AccessKeyId"],
        "AWS_SECRET_ACCESS_KEY": key["SecretAccessKey"],
    }


def _asks_from_now_on(there: S3, requests_free: str) -> None:
    """So many requests of anybody are answered, and from then on only what a policy allows."""
    requests.post(f"{there.endpoint}/moto-api/reset-auth", data=requests_free, timeout=10).raise_for_status()
