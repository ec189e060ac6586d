"""How Arrow finds and makes files, on a disk or in a bucket."""

from __future__ import annotations

import os

import pyarrow as pa
from pyarrow.fs import AwsStandardS3RetryStrategy, FileSystem, S3FileSystem, resolve_s3_region

from tag_tasks.folders.folder import CONNECT_SECONDS, READ_SECONDS, S3, TRIES


def file_system(uri: str) -> tuple[FileSystem, str]:
    """Where Arrow finds what lies at an absolute path or a URI."""
    if not uri.startswith(S3):
        files, path = FileSystem.from_uri(uri)
        return files, path
    path = uri.removeprefix(S3).rstrip("/")
    return _bucket(path.partition("/")[0]), path


def _bucket(name: str) -> S3FileSystem:
    """A bucket, found as everybody else finds it. Arrow would do so by itself, and then try a request for minutes."""
    endpoint = os.environ.get("AWS_ENDPOINT_URL_S3") or os.environ.get("AWS_ENDPOINT_URL") or ""
    scheme, _, host = endpoint.rstrip("/").rpartition("://")
    region = os.environ.get("AWS_REGION") or (None if host else resolve_s3_region(name))
    return S3FileSystem(
        region=region,
        endpoint_override=host or None,
        scheme=scheme or None,
        connect_timeout=CONNECT_SECONDS,
        request_timeout=READ_SECONDS,
        retry_strategy=AwsStandardS3RetryStrategy(max_attempts=TRIES),
        # A small file is put in one request when it is closed, not in the three of an upload in parts.
        allow_delayed_open=True,
    )


def create(files: FileSystem, path: str) -> pa.NativeFile:
    """A new file, to be written, with the folder that it lies in."""
    if not isinstance(files, S3FileSystem):  # which has no folders: each would cost a request, and stay
        files.create_dir(path.rpartition("/")[0])
    return files.open_output_stream(path, compression=None)
