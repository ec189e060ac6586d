"""The Python client of tagapi, and its command line. Needs requests, click and rich, and nothing else of tagapi.

from tagapi.client import Client

client = Client("http://127.0.0.1:5000")
job = client.tags.run([1, 2], dry_run=True)
print(job.wait(progress=print))
"""

from importlib import import_module

TYPE_CHECKING = False  # as that of typing, which would have to be read first

if TYPE_CHECKING:
    from tagapi.client.client import Client
    from tagapi.client.collectors import Batch, Reading
    from tagapi.client.errors import (
        Busy,
        Conflict,
        DownloadBroken,
        Invalid,
        JobCancelled,
        JobError,
        JobFailed,
        JobNotFinished,
        LoginUnusable,
        NotAllowed,
        NotFound,
        Refused,
        Stranger,
        TagapiError,
        Unaskable,
        Unreachable,
    )
    from tagapi.client.job import Job
    from tagapi.client.values import Event, JobStatus, Progress, Schedule

__version__ = "0.1.0"

__all__ = [
    "Batch",
    "Busy",
    "Client",
    "Conflict",
    "DownloadBroken",
    "Event",
    "Invalid",
    "Job",
    "JobCancelled",
    "JobError",
    "JobFailed",
    "JobNotFinished",
    "JobStatus",
    "LoginUnusable",
    "NotAllowed",
    "NotFound",
    "Progress",
    "Reading",
    "Refused",
    "Schedule",
    "Stranger",
    "TagapiError",
    "Unaskable",
    "Unreachable",
]

_WHERE = ("client", "collectors", "errors", "job", "values")


def _first(name: str) -> object:
    """A name that is asked for, of the module that has it: the command is there before `requests` is."""
    if name in __all__:
        for module in (import_module(f"{__name__}.{where}") for where in _WHERE):
            if hasattr(module, name):
                return getattr(module, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


if not TYPE_CHECKING:  # who checks types knows every name
    __getattr__ = _first


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
