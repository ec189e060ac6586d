"""Who hears of every change of a job, once it is written: what the core tells to those who count."""

from __future__ import annotations

from tagapi.jobs.model import Job


class Observer:
    """Hears nothing; others hear more. Told by the process that wrote, from any of its threads.

    A write of which its caller was told that the store went away is not told, though it may have happened.
    """

    def written(self, before: Job | None, after: Job) -> None:
        """A job became what it is; `before` is None for one that was accepted. Must not raise, and not wait."""
