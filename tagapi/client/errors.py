"""Everything that can go wrong, as one tree: nobody was reached, the service refused, or the job came to nothing."""

from __future__ import annotations

from tagapi.client.values import JobStatus


class TagapiError(Exception):
    """The root of the tree."""


class Unaskable(TagapiError, ValueError):
    """An address, a token, a name, a key or a value that cannot be sent as it is: nobody was asked."""


class Unreachable(TagapiError):
    """Nobody answers at the address, or somebody who is not this service."""


class Stranger(Unreachable, KeyError):
    """Somebody answers who is not this service: a proxy, or a page that asks for a password."""

    __str__ = Exception.__str__  # as it is, not as a key


class Refused(TagapiError):
    """The service answered, and will not do it. Its text is the service's own."""

    def __init__(
        self,
        message: str,
        *,
        status: int,
        code: str | None = None,
        field: str | None = None,
        retry_after: float | None = None,
        request_id: str | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.status = status
        """Of HTTP."""
        self.code = code
        """The front's own, where it has one."""
        self.field = field
        """Which part of what was sent is to blame, where one is."""
        self.retry_after = retry_after
        """Seconds, where the service says when to ask again."""
        self.request_id = request_id
        """Leads to the request in the service's log."""
        self.after_loss = False
        """An answer was lost before this one: what was asked may have been done already."""


class Invalid(Refused):
    """Something that was sent is wrong: `field` says what, where it is known."""


class NotAllowed(Refused):
    """There is no token, or a wrong one, or it may not do this."""


class NotFound(Refused):
    """There is no such thing, or it is somebody else's."""


class Conflict(Refused):
    """It cannot be done as things stand."""


class Busy(Refused):
    """There is no room for it now, and was none for as long as it was tried again."""


class JobError(TagapiError):
    """A job came to another end than was waited for, or to none yet."""

    def __init__(self, message: str, status: JobStatus) -> None:
        super().__init__(message)
        self.status = status
        self.job_id = status.id


class JobFailed(JobError):
    """It failed. Its text says why, in the service's own words."""


class JobCancelled(JobError):
    """It was cancelled."""


class JobNotFinished(JobError, TimeoutError):
    """It goes on. The wait for it is over, or there was none."""


class DownloadBroken(TagapiError):
    """What arrived, again and again, is not the file whose SHA-256 the service told."""


class LoginUnusable(TagapiError):
    """What `tagapi login` stored cannot be used, and is not."""
