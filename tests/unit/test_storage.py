"""What the storage says is a hiccup, or it is not: errors as Arrow and delta-rs really word them."""

from __future__ import annotations

import errno
from pathlib import Path

import pyarrow as pa
import pytest
from deltalake import DeltaTable
from deltalake.exceptions import DeltaError, DeltaProtocolError, SchemaMismatchError, TableNotFoundError
from pyarrow.fs import FileSystem
from pyspark.errors.exceptions.connect import SparkConnectGrpcException

from tag_tasks.spark.session import translated_errors
from tag_tasks.storage import storage_errors
from tagapi.jobs.errors import Contended, JobError, TaskFailed, Transient

WALK = "Error interacting with object store: Generic LocalFileSystem error: Unable to walk dir: IO error for operation"
REFUSED = """Kernel error -> Generic S3 error
          \x1b[31m↳\x1b[0m Error performing GET http://127.0.0.1:9/b/t/_delta_log/_last_checkpoint - HTTP error
           \x1b[31m↳\x1b[0m error sending request
            \x1b[31m↳\x1b[0m tcp connect error: Connection refused (os error 111)
"""
HICCUPS = {
    "an I/O error": OSError(errno.EIO, "Input/output error"),
    "a stale handle": OSError(errno.ESTALE, "Stale file handle"),
    "try again": BlockingIOError(errno.EAGAIN, "Resource temporarily unavailable"),
    "a full disk": OSError(errno.ENOSPC, "No space left on device"),
    "out of handles": OSError(errno.EMFILE, "Too many open files"),
    "a timeout": TimeoutError(errno.ETIMEDOUT, "Connection timed out"),
    "a timeout without a number": TimeoutError("timed out"),
    "an I/O error in the log": OSError(
        "Kernel error -> Generic LocalFileSystem error\n Input/output error (os error 5)"
    ),
    "an I/O error in a commit": DeltaError(f"Generic DeltaTable error: {WALK} on /t: Input/output error (os error 5)"),
    "an I/O error at the start": TableNotFoundError(
        "Could not create local directory: /t\nError: Os { code: 5, kind: X }"
    ),
    "a store that is away": OSError(REFUSED),
    "a store that slows down": OSError("Generic S3 error: Error after 10 retries: 503 Slow Down"),
}
HOPELESS = {
    "no such table": TableNotFoundError('Local path "/none" does not exist or you don\'t have access!'),
    "no folder to make it in": TableNotFoundError("Could not create local directory\nError: Os { code: 20, kind: N }"),
    "no such file": FileNotFoundError(errno.ENOENT, "No such file or directory"),
    "not allowed": PermissionError(errno.EACCES, "Permission denied"),
    "read-only": OSError(errno.EROFS, "Read-only file system"),
    "not allowed in a commit": DeltaError(f"Generic DeltaTable error: {WALK} on /t: Permission denied (os error 13)"),
    "not allowed by the store": OSError("Generic S3 error: PermissionDenied: 403 Forbidden: AccessDenied"),
    "not allowed by the store, says Arrow": OSError("When getting key 'a': AWS Error ACCESS_DENIED during HeadObject"),
    "no such key, says Arrow": FileNotFoundError("Path does not exist 'b/a'"),
    "no such bucket": OSError("Generic S3 error: 404 Not Found: NoSuchBucket"),
    "another schema": SchemaMismatchError("the schemas differ"),
    "another protocol": DeltaProtocolError("Unsupported minimum reader version 99"),
    "a kernel that is too old": DeltaError("Kernel error: Unsupported: Unsupported minimum reader version 99"),
    "a log that is none": DeltaError(
        "Kernel error: Json error: Encountered unexpected 'g'\n   0: <unknown>\n   1: <unknown>"
    ),
    "a file that is none": pa.ArrowInvalid("Parquet magic bytes not found in footer."),
}


def told(error: BaseException) -> JobError:
    with pytest.raises(JobError) as raised, storage_errors("the table cannot be read"):
        raise error
    return raised.value


@pytest.mark.parametrize("what", HICCUPS)
def test_a_hiccup_is_tried_again(what: str) -> None:
    assert type(told(HICCUPS[what])) is Transient


@pytest.mark.parametrize("what", HOPELESS)
def test_what_will_not_change_by_itself_fails(what: str) -> None:
    assert type(told(HOPELESS[what])) is TaskFailed


@pytest.mark.parametrize("what", [*HICCUPS, *HOPELESS])
def test_people_are_told_in_a_line(what: str) -> None:
    text = str(told({**HICCUPS, **HOPELESS}[what]))
    assert text.startswith("the table cannot be read: ")
    assert len(text) < 500
    assert not set("\n\x1b") & set(text)
    assert "<unknown>" not in text


def test_the_cause_is_told_not_only_where_it_was_met() -> None:
    assert "Connection refused" in str(told(OSError(REFUSED)))


def test_errors_that_are_ours_stay_as_they_are() -> None:
    ours = Contended(reason="somebody else was faster")
    assert told(ours) is ours
    with pytest.raises(ZeroDivisionError), storage_errors("it cannot"):
        raise ZeroDivisionError


def test_real_errors_are_told_apart(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("no folder")
    with pytest.raises(TaskFailed), storage_errors("it cannot"):
        DeltaTable(str(tmp_path / "none"))
    with pytest.raises(TaskFailed), storage_errors("it cannot"):
        DeltaTable.create(str(tmp_path / "file" / "table"), pa.schema([("a", pa.string())]), mode="ignore")
    files, root = FileSystem.from_uri(str(tmp_path))
    with pytest.raises(TaskFailed), storage_errors("it cannot"):
        files.open_input_file(f"{root}/none")


@pytest.mark.parametrize(
    ("said", "kind"),
    [
        (
            "Generic LocalFileSystem error: Unable to open file /d/part.parquet: Input/output error (os error 5)",
            Transient,
        ),
        ("Unable to open file /d/part.parquet: No such file or directory (os error 2)", TaskFailed),
        ("cannot resolve column balance", TaskFailed),
    ],
)
def test_spark_meets_the_same_storage(said: str, kind: type[JobError]) -> None:
    with pytest.raises(JobError) as raised, translated_errors():
        raise SparkConnectGrpcException(said)
    assert type(raised.value) is kind
