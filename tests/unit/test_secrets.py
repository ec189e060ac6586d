"""No secret survives, wherever it stands; what is none mostly does; and no text takes long."""

from __future__ import annotations

import string
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tag_tasks.assets.secrets import masked, masked_secrets, without_known

WORD = string.ascii_letters + string.digits


def of(alphabet: str, least: int, most: int) -> st.SearchStrategy[str]:
    return st.text(alphabet, min_size=least, max_size=most)


def token(prefix: str, alphabet: str, least: int, most: int) -> st.SearchStrategy[str]:
    return of(alphabet, least, most).map(lambda rest: prefix + rest)


UPPER, BASE64 = string.ascii_uppercase + string.digits, WORD + "+/"
TOKENS = st.one_of(
    token("AKIA", UPPER, 16, 16),
    token("ASIA", UPPER, 16, 16),
    token("AIza", WORD + "_-", 35, 35),
    token("ya29.", WORD + "_-", 30, 80),
    *(token(f"gh{letter}_", WORD, 36, 36) for letter in "pousr"),
    token("github_pat_", WORD + "_", 40, 82),
    *(token(f"xox{letter}-", WORD + "-", 20, 60) for letter in "abp"),
    token("sk_live_", WORD, 24, 40),
    token("rk_test_", WORD, 24, 40),
    st.tuples(*[of(WORD + "_-", 20, 60)] * 3).map(lambda parts: "eyJ" + ".".join(parts)),
)
"""By how they begin."""
PEM = st.tuples(
    st.sampled_from(["", "RSA ", "EC ", "OPENSSH ", "ENCRYPTED "]), st.lists(of(BASE64, 64, 64), min_size=1, max_size=6)
)
VALUES = of(WORD + "!@#$%^&*+-./_", 6, 40)
NAMES = st.sampled_from(
    [
        *("password", "PASSWORD", "db_password", "DB_PASSWD", "pwd", "passphrase", "密码", "secret", "client_secret"),
        *("clientSecret", "api_key", "apiKey", "API-KEY", "token", "auth_token", "access_key", "aws_secret_access_key"),
        *("private_key", "AccountKey"),
    ]
)
FORMS = st.sampled_from(
    [
        '{name} = "{value}"',
        "{name}='{value}'",
        "{name}={value}",
        "{name}: {value}",
        '"{name}": "{value}",',
        "'{name}' => '{value}',",
        "<{name}>{value}</{name}>",
        '{name}: str = "{value}"',
        "const {name}: string = `{value}`;",
        "define('{name}', '{value}');",
        'set_{name}("{value}")',
        'x["{name}"] = "{value}"',
        '{name} := "{value}"',
        '{name} = os.getenv("X", "{value}")',
        '{name} = "a" + "{value}"',
        '{name} = """{value}"""',
        "{name}: |\n  {value}",
        '{name} =\n  "{value}"',
    ]
)
AROUND = st.text(max_size=60)


@settings(max_examples=400, deadline=None)
@given(AROUND, TOKENS, AROUND)
def test_no_token_survives(before: str, secret: str, after: str) -> None:
    for mask in (masked, without_known):
        told = mask(before + secret + after)
        assert secret not in told
        assert told.count(secret[8:]) <= before.count(secret[8:]) + after.count(secret[8:])


@settings(max_examples=100, deadline=None)
@given(AROUND, PEM, st.booleans(), AROUND)
def test_no_private_key_survives(before: str, key: tuple[str, list[str]], whole: bool, after: str) -> None:
    kind, lines = key
    end = f"-----END {kind}PRIVATE KEY-----\n" if whole else ""
    told = masked("\n".join([before, f"-----BEGIN {kind}PRIVATE KEY-----", *lines, end]) + (after if whole else ""))
    assert not any(line in told for line in lines)


@settings(max_examples=600, deadline=None)
@given(st.sampled_from(["", "x = 1\n", "// ", "export ", "  "]), NAMES, FORMS, VALUES)
def test_nothing_that_is_called_a_secret_survives(before: str, name: str, form: str, value: str) -> None:
    told = masked(f"{before}{form.format(name=name, value=value)}\nnext = 1\n")
    kept = told.replace(form.format(name=name, value=""), "")
    assert value not in kept or value in form.format(name=name, value="")
    assert told.endswith("next = 1\n") and told.startswith(before)


@settings(max_examples=200, deadline=None)
@given(of(BASE64, 40, 200))
def test_a_part_of_a_key_does_not_survive(run: str) -> None:
    if any(map(str.isdigit, run)) and any(map(str.islower, run)) and any(map(str.isupper, run)):
        assert run not in masked(f"\n{run}\n")


@settings(max_examples=200, deadline=None)
@given(st.text())
def test_any_text_can_be_masked(text: str) -> None:
    assert isinstance(masked(text), str)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("id = AKIAABCDEFGHIJKLMNOP;", "id = AKIA***[20];"),
        ('password = "hunter2"', 'password = "***[7]"'),
        ('password = "a long enough one"', 'password = "a lo***[17]"'),
        ('{"token":"0123456789abcdef","user":"ann"}', '{"token":"0123***[16]","user":"ann"}'),
        ("https://ann:hunter2@corp.example/x", "https://ann:***[7]@corp.example/x"),
        ("Authorization: Bearer abcdef0123456789", "Authorization: Bear***[23]"),
        ("curl -H 'X: Bearer abcdef0123456789' corp.example", "curl -H 'X: Bearer abcd***[16]' corp.example"),
    ],
)
def test_how_it_begins_and_how_long_it_is_stays(text: str, told: str) -> None:
    assert masked(text) == told


@pytest.mark.parametrize(
    "text",
    [
        "def main():\n    return corp.example\n",
        "https://github.com/acme/app/blob/0123456789abcdef0123456789abcdef01234567/a.py#L3",
        "passing tests: 5, compass = north",
        'password = ""',
        "SELECT name FROM users WHERE host = 'db.corp.example'",
    ],
)
def test_what_is_no_secret_stays(text: str) -> None:
    assert masked(text) == text


@pytest.mark.parametrize(
    "piece",
    [
        *("eyJ", "AKIA", "-----BEGIN PRIVATE KEY", "://a:", "://", "password", "password=", "token ", 'secret"'),
        *("a", "a1B", '"', "\\", "'''", "\n", "password: |\n", "sk-", "api_key[", 'pwd("a"+', '"a" ', "-", "_pass"),
        "bearer ",
    ],
)
def test_no_text_takes_long(piece: str) -> None:
    """Four times the text takes about four times as long, and not sixteen times."""

    def seconds(size: int) -> float:
        text = (piece * (size // len(piece) + 1))[:size]
        began = time.process_time()
        masked(text)
        return time.process_time() - began

    small = max(min(seconds(50_000) for _ in range(3)), 0.004)
    assert min(seconds(200_000) for _ in range(2)) < 9 * small


@settings(max_examples=300, deadline=None)
@given(
    st.sampled_from(['"', "'", " ", "=", ":", "/", "(", "\\n", "\n", ">", ""]),
    TOKENS,
    st.sampled_from(['"', " ", ";", "\n", ""]),
)
def test_every_token_that_stands_alone_is_told(before: str, token_: str, after: str) -> None:
    assert list(masked_secrets(before + token_ + after)) == [f"{token_[:4]}***[{len(token_)}]"]


@pytest.mark.parametrize(
    "text",
    [
        '".task-management-overview-page{}"',
        '"sk-toggleable__content-with-border"',
        "const EURASIALOGISTICS=1, ASIAPACIFICREGION=2;",
        "//# sourceMappingURL=data:application/json;base64,eyJ2ZXJzaW9uIjozLCJzb3VyY2VzIjpbXX0=",
        "MSG.constants.notifications, SG.constants.notifications",
        "data:font/woff;base64,d09GAKIAIOSFODNN7EXAMPLEAAABxAIzaSyA1234567890",
        'password = "changeme"; label = "api_key"',
    ],
)
def test_what_only_looks_like_one_is_none(text: str) -> None:
    assert list(masked_secrets(text)) == []


def test_keys_and_passwords_are_told_without_being_told() -> None:
    key = "-----BEGIN EC PRIVATE KEY-----\nMHcCAQEEIB\n-----END EC PRIVATE KEY-----"
    text = f'x = `{key}`; y = "postgres://app:hunter22222@db/"; z = "sk-proj-Ab3dEf6hIj9lMn2pQr5t"'
    told = list(masked_secrets(text))
    assert told == [f"----***[{len(key)}]", "***[11]", "sk-p***[28]"]
