"""The tokens file: read strictly, watched for changes, and shut when it cannot be used."""

from __future__ import annotations

import hashlib
import logging
import os
import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import yaml

from tagapi.tokens import (
    LOOK_SECONDS,
    Entry,
    Principal,
    Role,
    TokensError,
    TokensFile,
    append,
    digest_of,
    new_token,
    parse,
)
from tests.clock import ManualClock

ANN = Principal("ann", Role.USER)
BOB = Principal("bob", Role.ADMIN)
DIGEST = "ab" * 32


def lines(**tokens: Principal) -> str:
    return "".join(Entry(principal, digest_of(token)).lines() for token, principal in tokens.items())


class Watched:
    """A tokens file, and a service that reads it on a manual clock."""

    def __init__(self, folder: Path, content: str) -> None:
        self.path = folder / "tokens.yaml"
        self.path.write_text(content, encoding="utf-8")
        self.clock = ManualClock()
        self.tokens = TokensFile(self.path, self.clock.monotonic)

    def later(self) -> TokensFile:
        self.clock.advance(LOOK_SECONDS)
        return self.tokens


@pytest.fixture
def watched(tmp_path: Path) -> Watched:
    return Watched(tmp_path, lines(one=ANN, two=BOB))


def test_a_token_is_its_principals(watched: Watched) -> None:
    assert watched.tokens.entry_of("one").principal == ANN
    assert watched.tokens.entry_of("two").principal == BOB
    for wrong in ("", "three", "One", "one ", hashlib.sha256(b"one").hexdigest()):
        assert watched.tokens.entry_of(wrong) is None


def test_the_file_has_no_token() -> None:
    token, entry = new_token(ANN)
    assert token not in entry.lines()
    assert hashlib.sha256(token.encode()).hexdigest() in entry.lines()
    assert parse(entry.lines().encode()) == (entry,)


def test_tokens_are_long_and_never_the_same() -> None:
    made = {new_token(ANN)[0] for _ in range(1000)}
    assert len(made) == 1000
    assert min(map(len, made)) >= 40


# -- what a file may say -------------------------------------------------------------------


def test_hashes_may_be_written_in_capitals() -> None:
    (entry,) = parse(f"[{{name: ann, role: user, sha256: {DIGEST.upper()}}}]".encode())
    assert entry.digest.hex() == DIGEST


@pytest.mark.parametrize("content", ["", "\n", "# nobody yet\n", "[]", "---\n"])
def test_an_empty_file_lets_nobody_in(content: str) -> None:
    assert parse(content.encode()) == ()


def test_a_name_may_have_two_tokens() -> None:
    assert [entry.principal for entry in parse(lines(old=ANN, new=ANN).encode())] == [ANN, ANN]


@pytest.mark.parametrize("name", ["ann", "Ann.B", "ann@example.org", "анна", "a", "x" * 64, "0", "a+b-c_d"])
def test_names(name: str) -> None:
    (entry,) = parse(Entry(Principal(name, Role.USER), b"x" * 32).lines().encode())
    assert entry.principal.name == name


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("{", "not YAML"),
        ("\tname: x", "not YAML: line 1"),
        ("- name: ann\n  role: user\n  sha256: [", "not YAML"),
        ("- !!python/object/apply:os.system [id]", "not YAML"),
        ("\x00", "not YAML"),
        ("[" * 5000, "not YAML"),
        ("- 2024-13-99", "not YAML"),
        ("x", "must be a list"),
        ("0", "must be a list"),
        ("false", "must be a list"),
        ("{name: ann}", "must be a list"),
        ("- ann", "entry 1: must have exactly"),
        ("- [ann]", "entry 1: must have exactly"),
        ("-", "entry 1: must have exactly"),
        ("- {name: ann, role: user}", "entry 1: must have exactly"),
        (f"- {{name: ann, role: user, sha256: {DIGEST}, token: secret}}", "entry 1: must have exactly"),
        (f"- {{name: , role: user, sha256: {DIGEST}}}", "entry 1: name"),
        (f"- {{name: '', role: user, sha256: {DIGEST}}}", "entry 1: name"),
        (f"- {{name: 12, role: user, sha256: {DIGEST}}}", "entry 1: name"),
        (f"- {{name: a b, role: user, sha256: {DIGEST}}}", "entry 1: name"),
        (f'- {{name: "a\\n", role: user, sha256: {DIGEST}}}', "entry 1: name"),
        (f"- {{name: {'x' * 65}, role: user, sha256: {DIGEST}}}", "entry 1: name"),
        (f"- {{name: ann, role: root, sha256: {DIGEST}}}", "entry 1 (ann): role"),
        (f"- {{name: ann, role: [user], sha256: {DIGEST}}}", "entry 1 (ann): role"),
        (f"- {{name: ann, role: , sha256: {DIGEST}}}", "entry 1 (ann): role"),
        ("- {name: ann, role: user, sha256: secret}", "entry 1 (ann): sha256"),
        (f"- {{name: ann, role: user, sha256: {DIGEST}0}}", "entry 1 (ann): sha256"),
        (f"- {{name: ann, role: user, sha256: {'1' * 64}}}", "entry 1 (ann): sha256"),
        (lines(one=ANN) + lines(two=Principal("ann", Role.ADMIN)), "ann: has two roles"),
        (lines(one=ANN) + lines(one=BOB), "twice"),
    ],
)
def test_what_is_wrong_is_named_and_nothing_quoted(content: str, said: str) -> None:
    with pytest.raises(TokensError) as refused:
        parse(content.encode())
    assert said in str(refused.value)
    assert "secret" not in str(refused.value)


def test_a_file_that_is_none_refuses_the_start(tmp_path: Path) -> None:
    with pytest.raises(TokensError, match="No such file"):
        TokensFile(tmp_path / "nothing.yaml")
    with pytest.raises(TokensError, match="not a file"):
        TokensFile(tmp_path)
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(TokensError, match="not a file"):
        TokensFile(tmp_path / "pipe")


# -- changes -------------------------------------------------------------------------------


def test_a_removed_entry_is_revoked(watched: Watched) -> None:
    watched.path.write_text(lines(two=BOB), encoding="utf-8")
    assert watched.later().entry_of("one") is None
    assert watched.tokens.entry_of("two").principal == BOB


def test_removing_the_last_entry_revokes_it(watched: Watched) -> None:
    watched.path.write_text("", encoding="utf-8")
    assert watched.later().entry_of("one") is None


def test_a_new_entry_lets_in(watched: Watched) -> None:
    append(watched.path, Entry(Principal("cat", Role.USER), digest_of("three")))
    assert watched.later().entry_of("three").principal == Principal("cat", Role.USER)


def test_a_changed_role_counts(watched: Watched) -> None:
    watched.path.write_text(lines(one=Principal("ann", Role.ADMIN)), encoding="utf-8")
    assert watched.later().entry_of("one").principal == Principal("ann", Role.ADMIN)


def test_a_change_counts_though_size_and_time_stay(watched: Watched) -> None:
    seen = watched.path.stat()
    watched.path.write_text(lines(uno=ANN, two=BOB), encoding="utf-8")
    os.utime(watched.path, ns=(seen.st_atime_ns, seen.st_mtime_ns))
    assert watched.path.stat().st_size == seen.st_size
    assert watched.later().entry_of("one") is None
    assert watched.tokens.entry_of("uno").principal == ANN


def test_a_file_that_is_renamed_into_place_counts(watched: Watched) -> None:
    aside = watched.path.with_name("aside.yaml")
    aside.write_text(lines(three=ANN), encoding="utf-8")
    aside.replace(watched.path)
    assert watched.later().entry_of("one") is None
    assert watched.tokens.entry_of("three").principal == ANN


def test_a_link_that_is_turned_counts(tmp_path: Path) -> None:
    """As secrets are mounted: a link to a folder, replaced by another."""
    for name, content in (("old", lines(one=ANN)), ("new", lines(two=ANN))):
        (tmp_path / name).mkdir()
        (tmp_path / name / "tokens.yaml").write_text(content, encoding="utf-8")
    link = tmp_path / "current"
    link.symlink_to("old")
    clock = ManualClock()
    tokens = TokensFile(link / "tokens.yaml", clock.monotonic)
    (tmp_path / "aside").symlink_to("new")
    (tmp_path / "aside").replace(link)
    clock.advance(LOOK_SECONDS)
    assert tokens.entry_of("one") is None
    assert tokens.entry_of("two").principal == ANN


def test_the_file_is_not_read_for_every_request(watched: Watched, monkeypatch: pytest.MonkeyPatch) -> None:
    reads = []
    monkeypatch.setattr("tagapi.tokens.read", lambda path: reads.append(path) or path.read_bytes())
    for _ in range(100):
        watched.tokens.entry_of("one")
    assert reads == []
    watched.later().entry_of("one")
    watched.tokens.entry_of("one")
    assert len(reads) == 1


def _break(path: Path, how: str) -> None:
    if how == "removed":
        path.unlink()
    elif how == "a folder":
        path.unlink()
        path.mkdir()
    else:
        path.write_text(how, encoding="utf-8")


@pytest.mark.parametrize("how", ["removed", "a folder", "- [", "- {name: ann}", "text"])
def test_while_the_file_is_broken_nobody_comes_in(watched: Watched, caplog: pytest.LogCaptureFixture, how: str) -> None:
    caplog.set_level(logging.INFO)
    kept = watched.path.read_bytes()
    _break(watched.path, how)
    for _ in range(5):
        with pytest.raises(TokensError):
            watched.later().entry_of("one")
    errors = [record for record in caplog.records if record.levelno == logging.ERROR]
    assert [record.message for record in errors] == ["tokens_unusable"], "loudly, and once"
    assert errors[0].file == str(watched.path)  # type: ignore[attr-defined]

    if watched.path.is_dir():
        watched.path.rmdir()
    watched.path.write_bytes(kept)
    assert watched.later().entry_of("one").principal == ANN
    assert caplog.records[-1].message == "tokens_read"


@pytest.mark.skipif(os.geteuid() == 0, reason="root reads everything")
def test_a_file_that_may_not_be_read_lets_nobody_in(watched: Watched) -> None:
    watched.path.chmod(0)
    with pytest.raises(TokensError, match="Permission denied"):
        watched.later().entry_of("one")


def test_what_is_logged_quotes_nothing(watched: Watched, caplog: pytest.LogCaptureFixture) -> None:
    watched.path.write_text("- {name: ann, role: user, sha256: tagapi_secret}", encoding="utf-8")
    with pytest.raises(TokensError):
        watched.later().entry_of("one")
    assert "secret" not in str([vars(record) for record in caplog.records])


def test_many_threads_see_the_same(watched: Watched) -> None:
    def ask(number: int) -> bool:
        watched.clock.advance(LOOK_SECONDS / 3)
        return watched.tokens.entry_of("one").principal == ANN

    with ThreadPoolExecutor(16) as pool:
        assert all(pool.map(ask, range(500)))


# -- adding --------------------------------------------------------------------------------


@pytest.mark.parametrize("before", [None, "", "[]", "[]\n", "# who may ask\n", lines(one=BOB), lines(one=BOB).rstrip()])
def test_an_entry_is_added_after_what_is_there(tmp_path: Path, before: str | None) -> None:
    path = tmp_path / "tokens.yaml"
    if before is not None:
        path.write_text(before, encoding="utf-8")
    append(path, Entry(ANN, digest_of("new")))
    entries = parse(path.read_bytes())
    assert entries[-1].principal == ANN
    assert len(entries) == (2 if before and "bob" in before else 1)
    assert ("# who may ask" in path.read_text(encoding="utf-8")) == (before == "# who may ask\n")
    assert yaml.safe_load(path.read_text(encoding="utf-8"))
    assert [one.name for one in tmp_path.iterdir()] == ["tokens.yaml"]


def test_a_new_file_is_for_its_owner_and_an_old_one_keeps_its_mode(tmp_path: Path) -> None:
    path = tmp_path / "tokens.yaml"
    append(path, Entry(ANN, digest_of("one")))
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    path.chmod(0o640)
    append(path, Entry(ANN, digest_of("two")))
    assert stat.S_IMODE(path.stat().st_mode) == 0o640


@pytest.mark.parametrize("before", ["- [", lines(x=Principal("ann", Role.ADMIN)), "text"])
def test_a_file_that_would_be_broken_stays_as_it_was(tmp_path: Path, before: str) -> None:
    path = tmp_path / "tokens.yaml"
    path.write_text(before, encoding="utf-8")
    with pytest.raises(TokensError):
        append(path, Entry(ANN, digest_of("new")))
    assert path.read_text(encoding="utf-8") == before
    assert [one.name for one in tmp_path.iterdir()] == ["tokens.yaml"]


def test_a_link_stays_a_link(tmp_path: Path) -> None:
    (tmp_path / "real.yaml").write_text(lines(one=BOB), encoding="utf-8")
    (tmp_path / "link.yaml").symlink_to("real.yaml")
    append(tmp_path / "link.yaml", Entry(ANN, digest_of("new")))
    assert (tmp_path / "link.yaml").is_symlink()
    assert len(parse((tmp_path / "real.yaml").read_bytes())) == 2


def test_entries_that_are_added_at_once_are_all_there(tmp_path: Path) -> None:
    path = tmp_path / "tokens.yaml"

    def add(number: int) -> None:
        append(path, Entry(Principal(f"user{number}", Role.USER), digest_of(str(number))))

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(add, range(40)))
    assert len(parse(path.read_bytes())) == 40
