"""Where this machine has no more sockets to give: that is no answer of the target, which may be there."""

from __future__ import annotations

import errno

from tagapi.jobs.errors import Transient

NO_ROOM = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM})


def check_room(error: object) -> None:
    """Raise Transient where this is such an error: another attempt looks again."""
    if isinstance(error, OSError) and error.errno in NO_ROOM:
        raise Transient(reason=f"no socket can be made: {error.strerror}") from error
