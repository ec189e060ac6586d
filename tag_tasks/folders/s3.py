"""A folder in a bucket of S3, or of what speaks its protocol and knows conditional puts.

Arrow writes (in parts, beside the work) and reads; boto3 does what Arrow cannot. Both find credentials in the usual
AWS places, and the address of another S3 in AWS_ENDPOINT_URL.

Source: S3 API reference, PutObject (`If-None-Match: *`: 412 where the key is there, 409 while somebody else puts it),
ListObjectsV2, DeleteObjects; "Sharing objects with presigned URLs".
"""

from __future__ import annotations

import errno
import io
import os
import re
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cached_property
from typing import Any, BinaryIO

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError
from pyarrow.fs import FileSystem

from tag_tasks.folders.arrow import create, file_system
from tag_tasks.folders.folder import CONNECT_SECONDS, READ_SECONDS, S3, TRIES, Entry, Output

READ_AHEAD = 1 << 20  # bytes of a request
WRITTEN_AHEAD = 32 << 20  # bytes that the bucket may not have yet: as many are in memory
DELETED_AT_ONCE = 1000
CONFLICTS = 10  # puts of one key at the same moment that are met in a row
CONFIG = Config(
    signature_version="s3v4",
    connect_timeout=CONNECT_SECONDS,
    read_timeout=READ_SECONDS,
    max_pool_connections=64,  # more than ask at once: a connection too many is a warning
    retries={"mode": "standard", "total_max_attempts": TRIES},
)
REGIONAL = CONFIG.merge(Config(s3={"addressing_style": "virtual"}))
AMAZON = re.compile(r"\.amazonaws\.com(\.cn)?$")
REFUSED = {403: errno.EACCES, 404: errno.ENOENT, 409: errno.EAGAIN, 412: errno.EEXIST}


class S3Folder:
    """See `Folder`."""

    def __init__(self, uri: str) -> None:
        """`uri` is `s3://<bucket>/<prefix>`."""
        self._uri = uri.rstrip("/")
        self._bucket, _, self._prefix = self._uri.removeprefix(S3).partition("/")
        self._making = threading.Lock()

    @cached_property
    def _arrow(self) -> FileSystem:
        return file_system(self._uri)[0]

    @cached_property
    def _client(self) -> Any:
        with self._making:  # sessions of boto3 are not safe to share, its clients are
            # Everybody else reads AWS_REGION; boto3 by itself does not.
            session = boto3.session.Session(region_name=os.environ.get("AWS_REGION"))
            client = session.client("s3", config=CONFIG)
            # Its links would lead to the host of all regions, which younger ones do not have, nor young buckets.
            return session.client("s3", config=REGIONAL) if AMAZON.search(client.meta.endpoint_url) else client

    def make(self, folder: str) -> None:
        """There is nothing to make."""

    def write(self, name: str) -> Output:
        return _Output(create(self._arrow, f"{self._bucket}/{self._key(name)}"))

    def sync(self, name: str) -> None:
        """It is, once it was closed."""

    def create(self, name: str, content: bytes) -> bool:
        for _ in range(CONFLICTS):
            try:
                with _errors():
                    self._put(name, content, IfNoneMatch="*")
                return True
            except FileExistsError:
                return False
            except BlockingIOError:
                continue
        raise OSError(errno.EAGAIN, "others put it at the same moment, again and again")

    def replace(self, name: str, content: bytes) -> None:
        with _errors():
            self._put(name, content)

    def _put(self, name: str, content: bytes, **how: str) -> None:
        self._client.put_object(Bucket=self._bucket, Key=self._key(name), Body=content, **how)

    def open(self, name: str) -> BinaryIO | None:
        try:
            file = self._arrow.open_input_file(f"{self._bucket}/{self._key(name)}")
        except FileNotFoundError:
            return None
        return io.BufferedReader(file, READ_AHEAD)

    def list(self, folder: str) -> Sequence[Entry]:
        prefix = f"{self._key(folder)}/"
        entries = list[Entry]()
        with _errors():
            for page in self._pages(prefix, Delimiter="/"):
                entries += [Entry(one["Prefix"][len(prefix) : -1], None) for one in page.get("CommonPrefixes", ())]
                keys = ((one["Key"][len(prefix) :], one["Size"]) for one in page.get("Contents", ()))
                entries += [Entry(name, size) for name, size in keys if name]
        return sorted(entries, key=lambda entry: entry.name)

    def remove(self, name: str) -> None:
        key = self._key(name)
        with _errors():
            below = [one["Key"] for page in self._pages(f"{key}/") for one in page.get("Contents", ())]
            keys = [key, *below]
            for first in range(0, len(keys), DELETED_AT_ONCE):
                some = [{"Key": one} for one in keys[first : first + DELETED_AT_ONCE]]
                told = self._client.delete_objects(Bucket=self._bucket, Delete={"Objects": some, "Quiet": True})
                if errors := told.get("Errors"):
                    raise OSError(errno.EIO, f"not removed: {errors[0].get('Code')}")

    def link(self, name: str, seconds: float, saved_as: str, content_type: str) -> str | None:
        """It lets whoever has it get this one file until then. `saved_as` is of ASCII, without quotes."""
        told = {
            "Bucket": self._bucket,
            "Key": self._key(name),
            "ResponseContentDisposition": f'attachment; filename="{saved_as}"',
            "ResponseContentType": content_type,
        }
        with _errors():
            url: str = self._client.generate_presigned_url("get_object", Params=told, ExpiresIn=int(seconds))
        return url

    def _pages(self, prefix: str, **how: str) -> Iterator[dict[str, Any]]:
        pages: Iterator[dict[str, Any]] = self._client.get_paginator("list_objects_v2").paginate(
            Bucket=self._bucket, Prefix=prefix, **how
        )
        return pages

    def _key(self, name: str) -> str:
        return f"{self._prefix}/{name}" if self._prefix else name


class _Output:
    """A file that waits for the bucket now and then: Arrow keeps whatever is not there yet in memory, all of it."""

    def __init__(self, file: Output) -> None:
        self._file = file
        self._ahead = 0

    def write(self, data: bytes | memoryview, /) -> int:
        if self._ahead >= WRITTEN_AHEAD:
            self.flush()
        self._ahead += len(data)
        return self._file.write(data)

    def flush(self) -> None:
        self._file.flush()
        self._ahead = 0

    def close(self) -> None:
        self._file.close()

    @property
    def closed(self) -> bool:
        return self._file.closed


@contextmanager
def _errors() -> Iterator[None]:
    """Raise boto3's errors as the OSErrors that everybody else's are."""
    try:
        yield
    except ClientError as error:
        status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
        raise OSError(REFUSED.get(status, errno.EIO), str(error)) from error
    except BotoCoreError as error:
        raise OSError(errno.EIO, str(error)) from error
