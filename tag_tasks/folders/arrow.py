"""How Arrow finds and makes files, on a disk or in a bucket."""

from __future__ import annotations

import pyarrow as pa
from pyarrow.fs import FileSystem, S3FileSystem


def file_system(uri: str) -> tuple[FileSystem, str]:
    """Where Arrow finds what lies at an absolute path or a URI."""
    # A small file is put in one request when it is closed, not in the three of an upload in parts.
    files, path = FileSystem.from_uri(f"{uri}?allow_delayed_open=true" if uri.startswith("s3://") else uri)
    return files, path


def create(files: FileSystem, path: str) -> pa.NativeFile:
    """A new file, to be written, with the folder that it lies in."""
    if not isinstance(files, S3FileSystem):  # which has no folders: each would cost a request, and stay
        files.create_dir(path.rpartition("/")[0])
    return files.open_output_stream(path, compression=None)
