"""The tokens file: who may ask, each token kept as nothing but its SHA-256.

A YAML list of `{name, role: user|admin, sha256}`, with `may: [publish, audience, scan, metrics]` where a user may do
more. It is looked at again every second in which somebody asks, so that removing an entry revokes its token;
while it cannot be used, nobody comes in. Nothing of its content but names is ever told: a token may
stand there by mistake.
"""

from __future__ import annotations

import enum
import fcntl
import hashlib
import hmac
import logging
import os
import re
import secrets
import shutil
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

log = logging.getLogger(__name__)

LOOK_SECONDS = 1.0  # between two looks at the file; revoking is promised within five
NAME = re.compile(r"\w[\w.@+-]{0,63}")
SHA256 = re.compile(r"[0-9a-fA-F]{64}")
PREFIX = "tagapi_"  # so that scanners for leaked secrets, and people, know one when they see it
SECRET_BYTES = 32
KEYS = {"name", "role", "sha256"}
MAY = "may"
RIGHTS = ("publish", "audience", "scan", "metrics")
"""What a user may be allowed beside; an admin may all of it."""

LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # ten times faster, where PyYAML was built with it


class Role(enum.Enum):
    """What a principal may do."""

    USER = "user"
    """Start jobs; see and cancel their own."""

    ADMIN = "admin"
    """All that there is to do, to everybody's jobs."""


@dataclass(frozen=True, slots=True)
class Principal:
    """Who asks. Jobs belong to the name, whichever token it came with."""

    name: str
    role: Role
    rights: frozenset[str] = frozenset()
    """Some of RIGHTS."""

    def may(self, right: str) -> bool:
        return self.admin or right in self.rights

    @property
    def admin(self) -> bool:
        return self.role is Role.ADMIN

    @property
    def only(self) -> str | None:
        """The owner whose jobs alone this principal sees; None for one who sees everybody's."""
        return None if self.admin else self.name


@dataclass(frozen=True, slots=True)
class Entry:
    """A token that lets its principal in."""

    principal: Principal
    digest: bytes

    def lines(self) -> str:
        """The entry as it stands in the file."""
        name, role, rights = self.principal.name, self.principal.role.value, sorted(self.principal.rights)
        may = f"  may: [{', '.join(rights)}]\n" if rights else ""
        return f'- name: "{name}"\n  role: {role}\n{may}  sha256: "{self.digest.hex()}"\n'

    def check(self) -> None:
        """Raise TokensError for an entry that no file may have."""
        role, digest, may = self.principal.role.value, self.digest.hex(), sorted(self.principal.rights)
        _entry(1, {"name": self.principal.name, "role": role, "sha256": digest, MAY: may})


class TokensError(Exception):
    """The tokens file cannot be used. The message says where and why, and nothing of its content but names."""


def digest_of(token: str) -> bytes:
    return hashlib.sha256(token.encode()).digest()


def new_token(principal: Principal) -> tuple[str, Entry]:
    """A token that nobody else has, and the entry that lets it in."""
    token = PREFIX + secrets.token_urlsafe(SECRET_BYTES)
    return token, Entry(principal, digest_of(token))


# -- reading -------------------------------------------------------------------------------


def parse(raw: bytes) -> tuple[Entry, ...]:
    """The entries of a file; none in an empty one. Raises TokensError."""
    try:
        listed = yaml.load(raw, Loader=LOADER)  # noqa: S506 (LOADER is one of the safe ones)
    except yaml.YAMLError as error:  # whose text quotes the file
        mark = getattr(error, "problem_mark", None)
        raise TokensError("is not YAML" + (f": line {mark.line + 1}" if mark else "")) from None
    except (ValueError, RecursionError):  # an impossible date, a nesting without end
        raise TokensError("is not YAML") from None
    if not isinstance(listed, list | None):
        raise TokensError("must be a list of {name, role, sha256}")
    entries = tuple(_entry(number, one) for number, one in enumerate(listed or (), 1))
    _check_together(entries)
    return entries


def _entry(number: int, given: Any) -> Entry:
    if not isinstance(given, dict) or given.keys() - {MAY} != KEYS:
        raise TokensError(f"entry {number}: must have exactly name, role and sha256, and may have may")
    name, role, digest = given["name"], given["role"], given["sha256"]
    if not isinstance(name, str) or not NAME.fullmatch(name):
        raise TokensError(f"entry {number}: name: must be 1 to 64 letters, digits and _ . @ + -")
    if role not in [one.value for one in Role]:
        raise TokensError(f"entry {number} ({name}): role: must be user or admin")
    if not isinstance(digest, str) or not SHA256.fullmatch(digest):
        raise TokensError(f"entry {number} ({name}): sha256: must be 64 hexadecimal digits")
    return Entry(
        Principal(name, Role(role), _rights(f"entry {number} ({name})", given.get(MAY, []))), bytes.fromhex(digest)
    )


def _rights(where: str, given: Any) -> frozenset[str]:
    if not isinstance(given, list) or not all(isinstance(one, str) and one in RIGHTS for one in given):
        raise TokensError(f"{where}: may: must be a list of {', '.join(RIGHTS)}")
    return frozenset(given)


def _check_together(entries: Sequence[Entry]) -> None:
    """A name may have several tokens, so that one can replace another, but one role; a token has one name."""
    known: defaultdict[str, set[Principal]] = defaultdict(set)
    for entry in entries:
        known[entry.principal.name].add(entry.principal)
    for name, given in known.items():
        if len({principal.role for principal in given}) > 1:
            raise TokensError(f"{name}: has two roles")
        if len(given) > 1:
            raise TokensError(f"{name}: may do more with one token than with another")
    if len({entry.digest for entry in entries}) < len(entries):
        raise TokensError("one sha256 is there twice")


def read(path: Path) -> bytes:
    """The file's content. Raises TokensError."""
    try:
        if path.exists() and not path.is_file():  # a pipe would be waited for
            raise TokensError("is not a file")
        return path.read_bytes()
    except OSError as error:
        raise TokensError(f"cannot be read: {error.strerror}") from None


class TokensFile:
    """The entries as the file has them, at most LOOK_SECONDS old. Safe to use from many threads."""

    def __init__(self, path: Path, monotonic: Callable[[], float] = time.monotonic) -> None:
        """Raises TokensError for a file that cannot be used."""
        self._path = path
        self._monotonic = monotonic
        self._lock = threading.Lock()
        self._raw: bytes | None = read(path)
        self._entries: tuple[Entry, ...] | None = parse(self._raw)
        self._trouble = ""
        self._looked = monotonic()

    def entry_of(self, token: str) -> Entry | None:
        """The entry of this token; None where it is nobody's. Raises TokensError while the file cannot be used.

        Every entry is compared, each in constant time: how long it takes tells nothing.
        """
        digest, found = digest_of(token), None
        for entry in self.entries():
            if hmac.compare_digest(entry.digest, digest):
                found = entry
        return found

    def entries(self) -> tuple[Entry, ...]:
        """Who has a token now. Raises TokensError while the file cannot be used."""
        with self._lock:
            if self._monotonic() - self._looked >= LOOK_SECONDS:
                self._looked = self._monotonic()
                self._look()
            if self._entries is None:
                raise TokensError(self._trouble)
            return self._entries

    def _look(self) -> None:
        """Take over what has changed. The content is compared: times and sizes may stay as they were."""
        try:
            raw = read(self._path)
            if raw == self._raw:
                return
            self._raw = None
            self._entries, self._raw, self._trouble = parse(raw), raw, ""
            log.info("tokens_read", extra={"file": str(self._path), "tokens": len(self._entries)})
        except TokensError as error:
            if str(error) != self._trouble:
                extra = {"file": str(self._path), "reason": str(error), "consequence": "nobody is let in"}
                log.error("tokens_unusable", extra=extra)
            self._raw, self._entries, self._trouble = None, None, str(error)


# -- writing -------------------------------------------------------------------------------


def append(path: Path, entry: Entry) -> None:
    """Add an entry; readers see the file before or after, never half of it. Raises TokensError, having changed nothing.

    A new file is for its owner's eyes only; an existing one keeps its mode, its comments and its order.
    """
    path = path.resolve()
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        fcntl.flock(folder, fcntl.LOCK_EX)  # two who add at once
        before = read(path) if path.exists() else b""
        kept = b"" if before.strip() == b"[]" else before  # which takes no lines after it
        after = kept + (b"\n" if kept and not kept.endswith(b"\n") else b"") + entry.lines().encode()
        parse(after)
        _replace(path, after)
        os.fsync(folder)
    finally:
        os.close(folder)


def _replace(path: Path, content: bytes) -> None:
    aside = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    try:
        with os.fdopen(os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        if path.exists():
            shutil.copymode(path, aside)
        aside.replace(path)
    finally:
        aside.unlink(missing_ok=True)
