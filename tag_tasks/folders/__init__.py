"""Where files lie that are not a table's: a folder of a disk, or a prefix of a bucket, spoken to in the same way."""

from __future__ import annotations

from tag_tasks.folders.folder import S3, Entry, Folder, Output
from tag_tasks.folders.local import LocalFolder

__all__ = ["Entry", "Folder", "Output", "folder_at"]


def folder_at(uri: str) -> Folder:
    """The folder at an absolute path, or at `s3://<bucket>/<prefix>`."""
    if not uri.startswith(S3):
        return LocalFolder(uri)
    from tag_tasks.folders.s3 import S3Folder  # boto3 takes a third of a second to import, and most need none

    return S3Folder(uri)
