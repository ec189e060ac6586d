"""The Python client of tagapi, and its command line. Needs requests, click and rich, and nothing else of tagapi.

from tagapi.client import Client

client = Client("http://127.0.0.1:5000")
job = client.tags.run([1, 2], dry_run=True)
print(job.wait(progress=print))
"""

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
