"""An S3 on loopback, moto's, in a process of its own, that counts what it is asked for."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import boto3
from botocore.config import Config

from tests.e2e.server import free_port, until

BUCKET, REGION = "lake", "eu-west-1"
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
            aws_access_key_id="AKIDEXAMPLE",
            aws_secret_access_key="secret",
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
