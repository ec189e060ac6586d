"""The gate: who comes in, who may call what, and how many wrong tokens an address may send."""

from __future__ import annotations

import logging
import re
from pathlib import Path

import pytest
from click.testing import CliRunner

from tagapi.auth import (
    BURST,
    MOST_ADDRESSES,
    PER_SECOND,
    AuthenticationRequired,
    OnlyLocal,
    OpenGate,
    PermissionDenied,
    Policy,
    Principal,
    RateLimited,
    TokenGate,
    TokenNotNeeded,
    TokensUnavailable,
    WrongTokens,
    main,
    network_of,
    open_gate,
)
from tagapi.tokens import Entry, Role, TokensError, TokensFile, digest_of, parse
from tests.clock import ManualClock

HERE = "127.0.0.1"
ANN = Principal("ann", Role.USER)
BOB = Principal("bob", Role.ADMIN)


class Guarded:
    """A gate with two tokens, on a manual clock."""

    def __init__(self, folder: Path) -> None:
        self.clock = ManualClock()
        self.path = folder / "tokens.yaml"
        entries = (Entry(ANN, digest_of("user-token")), Entry(BOB, digest_of("admin-token")))
        self.path.write_text("".join(one.lines() for one in entries), encoding="utf-8")
        self.gate = TokenGate(TokensFile(self.path, self.clock.monotonic), self.clock.monotonic)

    def admit(self, authorization: str | None, policy: Policy = Policy.USER, address: str = "192.0.2.1") -> Principal:
        return self.gate.admit(policy, authorization, address).principal

    def exhaust(self, address: str = "192.0.2.1") -> None:
        for _ in range(BURST):
            with pytest.raises(AuthenticationRequired):
                self.admit("Bearer wrong", address=address)


@pytest.fixture
def guarded(tmp_path: Path) -> Guarded:
    return Guarded(tmp_path)


# -- tokens --------------------------------------------------------------------------------


@pytest.mark.parametrize("scheme", ["Bearer ", "bearer ", "BEARER ", "Bearer   "])
def test_a_token_lets_its_principal_in(guarded: Guarded, scheme: str) -> None:
    assert guarded.admit(f"{scheme}user-token") == ANN
    assert guarded.admit(f"{scheme}admin-token", Policy.ADMIN) == BOB


MALFORMED = [
    "",
    "Bearer",
    "Bearer ",
    "user-token",
    "Basic user-token",
    "Token user-token",
    "Bearer\tuser-token",
    "Beareruser-token",
    "Bearer user-token ",
    " Bearer user-token",
    "Bearer user-token, Bearer user-token",
    "Bearer user-token\n",
    "Bearer user\x00-token",
    "Bearer ключ",
    "Bearer \xff",
    "Bearer " + "x" * 513,
    "Bearer " + "x" * 100_000,
]


@pytest.mark.parametrize("authorization", [None, "Bearer wrong", *MALFORMED], ids=lambda one: repr(one)[:30])
def test_nobody_else_comes_in(guarded: Guarded, authorization: str | None) -> None:
    with pytest.raises(AuthenticationRequired):
        guarded.admit(authorization)


def test_what_is_for_admins_is_not_for_users(guarded: Guarded) -> None:
    with pytest.raises(PermissionDenied):
        guarded.admit("Bearer user-token", Policy.ADMIN)


def test_an_admin_sees_everybodys_jobs_and_a_user_their_own() -> None:
    assert (BOB.only, ANN.only) == (None, "ann")


def test_tokens_that_cannot_be_checked_are_not_called_wrong(guarded: Guarded) -> None:
    guarded.path.unlink()
    guarded.clock.advance(5)
    for _ in range(2 * BURST):
        with pytest.raises(TokensUnavailable):
            guarded.admit("Bearer user-token")
    with pytest.raises(AuthenticationRequired):
        guarded.admit(None)


# -- without tokens ------------------------------------------------------------------------


@pytest.mark.parametrize("address", ["127.0.0.1", "127.8.8.8", "::1", "::ffff:127.0.0.1"])
def test_without_tokens_this_machine_is_the_admin(address: str) -> None:
    principal = OpenGate().admit(Policy.ADMIN, None, address).principal
    assert (principal.name, principal.admin) == ("local", True)


@pytest.mark.parametrize("sent", ["Bearer whatever", "Basic eDp5", ""])
def test_without_tokens_one_that_is_sent_makes_nobody_an_admin(sent: str) -> None:
    with pytest.raises(TokenNotNeeded, match="without tokens"):
        OpenGate().admit(Policy.USER, sent, "127.0.0.1")


@pytest.mark.parametrize(
    "address",
    [
        "192.0.2.1",
        "10.0.0.1",
        "::",
        "::ffff:10.0.0.1",
        "2001:db8::1",
        "0.0.0.0",  # noqa: S104
        "",
        None,
        "localhost",
        "127.0.0.1, 192.0.2.1",
    ],
)
def test_without_tokens_no_other_machine_comes_in(address: str | None) -> None:
    with pytest.raises(OnlyLocal, match="TAGAPI_AUTH__TOKENS_FILE"):
        OpenGate().admit(Policy.USER, None, address)


def test_the_setting_decides(tmp_path: Path, guarded: Guarded, caplog: pytest.LogCaptureFixture) -> None:
    assert isinstance(open_gate(str(guarded.path)), TokenGate)
    assert not caplog.records
    assert isinstance(open_gate(None), OpenGate)
    assert [record.message for record in caplog.records] == ["auth_open"]
    with pytest.raises(TokensError):
        open_gate(str(tmp_path / "nothing"))


# -- wrong tokens --------------------------------------------------------------------------


def test_too_many_wrong_tokens_are_refused_for_a_while(guarded: Guarded) -> None:
    guarded.exhaust()
    with pytest.raises(RateLimited) as refused:
        guarded.admit("Bearer wrong")
    guarded.clock.advance(refused.value.facts["retry_after"])
    for _ in range(int(PER_SECOND)):
        with pytest.raises(AuthenticationRequired):
            guarded.admit("Bearer wrong")
    with pytest.raises(RateLimited):
        guarded.admit("Bearer wrong")


def test_a_malformed_header_counts_as_a_wrong_token(guarded: Guarded) -> None:
    for _ in range(BURST):
        with pytest.raises(AuthenticationRequired):
            guarded.admit("Basic xyz")
    with pytest.raises(RateLimited):
        guarded.admit("Basic xyz")


def test_a_right_token_comes_in_however_many_wrong_ones_were_there(guarded: Guarded) -> None:
    guarded.exhaust()
    for _ in range(100):
        with pytest.raises(RateLimited):
            guarded.admit("Bearer wrong")
        assert guarded.admit("Bearer user-token") == ANN


def test_no_token_is_no_wrong_token(guarded: Guarded) -> None:
    guarded.exhaust()
    for _ in range(2 * BURST):
        with pytest.raises(AuthenticationRequired):
            guarded.admit(None)


def test_other_addresses_are_not_concerned(guarded: Guarded) -> None:
    guarded.exhaust()
    with pytest.raises(AuthenticationRequired):
        guarded.admit("Bearer wrong", address="192.0.2.2")


def test_a_refusal_does_not_prolong_itself(guarded: Guarded) -> None:
    guarded.exhaust()
    for _ in range(1000):
        with pytest.raises(RateLimited):
            guarded.admit("Bearer wrong")
    guarded.clock.advance(BURST / PER_SECOND)
    guarded.exhaust()


def test_a_flood_is_logged_once_a_minute(guarded: Guarded, caplog: pytest.LogCaptureFixture) -> None:
    guarded.exhaust()
    for _ in range(100):
        with pytest.raises(RateLimited):
            guarded.admit("Bearer wrong")
    assert [record.message for record in caplog.records] == ["wrong_tokens_limited"]
    assert "wrong" not in str([{**vars(record), "msg": "", "message": ""} for record in caplog.records])
    guarded.clock.advance(60)
    guarded.exhaust()
    with pytest.raises(RateLimited):
        guarded.admit("Bearer wrong")
    assert len(caplog.records) == 2


def test_memory_is_bounded_and_forgets_the_quietest() -> None:
    clock = ManualClock()
    wrong = WrongTokens(clock.monotonic)
    for _ in range(BURST):
        wrong.count("192.0.2.1")
    for number in range(MOST_ADDRESSES - 1):
        wrong.count(f"10.{number >> 16}.{number >> 8 & 255}.{number & 255}")
    with pytest.raises(RateLimited):
        wrong.count("192.0.2.1")
    for number in range(MOST_ADDRESSES):
        wrong.count(f"11.{number >> 16}.{number >> 8 & 255}.{number & 255}")
    wrong.count("192.0.2.1")
    assert len(wrong._buckets) == MOST_ADDRESSES


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("2001:db8::1", "2001:db8::2", True),
        ("2001:db8::1", "2001:db8:0:1::1", False),
        ("::ffff:192.0.2.1", "192.0.2.1", True),
        ("192.0.2.1", "192.0.2.2", False),
        ("", "x", False),
    ],
)
def test_what_one_sender_can_send_from_counts_together(one: str, other: str, same: bool) -> None:
    assert (network_of(one) == network_of(other)) == same


# -- the command ---------------------------------------------------------------------------


def run(*arguments: str) -> tuple[int, str]:
    done = CliRunner().invoke(main, ["new", *arguments])
    return done.exit_code, done.output


def token_in(output: str) -> str:
    (token,) = re.findall(r"tagapi_[\w-]{40,}", output)
    return token


@pytest.mark.parametrize("role", list(Role))
def test_new_prints_the_token_once_with_the_lines_to_add(role: Role) -> None:
    code, output = run("ann", "--role", role.value)
    assert code == 0
    token = token_in(output)
    assert "TAGAPI_AUTH__TOKENS_FILE" in output
    (entry,) = parse(output[output.index("- name") :].encode())
    assert entry == Entry(Principal("ann", role), digest_of(token))


def test_new_makes_users_unless_told_otherwise() -> None:
    assert "role: user" in run("ann")[1]


def test_new_appends_to_a_file(tmp_path: Path) -> None:
    path = tmp_path / "tokens.yaml"
    tokens = {}
    for name in ("ann", "bob"):
        code, output = run(name, "--file", str(path))
        assert code == 0
        tokens[name] = token_in(output)
    kept = TokensFile(path)
    assert {name: kept.entry_of(token).principal for name, token in tokens.items()} == {
        name: Principal(name, Role.USER) for name in tokens
    }
    assert not any(token in path.read_text(encoding="utf-8") for token in tokens.values())


@pytest.mark.parametrize("name", ["", "a b", "a\nb", 'a"', "-" * 3 + "x", "x" * 65])
def test_a_name_that_is_none_is_refused(name: str) -> None:
    code, output = run("--", name)
    assert code == 1
    assert "name" in output
    assert "tagapi_" not in output


def test_a_file_that_cannot_be_added_to_is_named(tmp_path: Path) -> None:
    broken = tmp_path / "broken.yaml"
    broken.write_text("- [", encoding="utf-8")
    for path in (broken, tmp_path / "nowhere" / "tokens.yaml"):
        code, output = run("ann", "--file", str(path))
        assert code == 1
        assert str(path) in output
        assert "tagapi_" not in output


@pytest.fixture(autouse=True)
def _warnings(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING)
