"""Secrets in somebody's text, masked before it is kept: their first characters and their length are left.

Rather too much is masked than too little, since whoever reads the text looks for the place and not for the secret.
The time is proportional to the text, whatever stands in it: a pattern that has begun takes all that it has looked at.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from tag_tasks.assets.searching import matches

SHOWN = 4  # characters of a secret that stay
LONG = 12  # characters from which on any stay: of a short one they would be half of it

KNOWN = re.compile(
    "|".join(
        [
            r"(?:A3T[A-Z0-9]|AKIA|ASIA|AGPA|AIDA|AROA|AIPA|ANPA|ANVA)[A-Z0-9]{8,}",  # AWS
            r"AIza[\w-]{8,}|ya29\.[\w-]{8,}|GOCSPX-[\w-]{8,}",  # Google
            r"gh[pousr]_[A-Za-z0-9]{8,}|github_pat_\w{8,}|glpat-[\w-]{8,}",  # GitHub, GitLab
            r"xox[a-z]-[\w-]{8,}|xapp-[\w-]{8,}|hooks\.slack\.com/[\w/-]{8,}",  # Slack
            r"(?:sk|rk|pk)_(?:live|test)_[A-Za-z0-9]{8,}|whsec_[\w+/=-]{8,}",  # Stripe
            r"eyJ[\w.-]{8,}",  # JWT, and other JSON in base64
            r"sk-[\w-]{16,}|npm_[A-Za-z0-9]{16,}|hf_[A-Za-z0-9]{16,}|SG\.[\w.-]{16,}|dop_v1_[a-f0-9]{16,}",
        ]
    ),
    re.ASCII,
)
"""Tokens that are known by how they begin."""

AWS = re.compile(r"A3T|AKIA|ASIA|AGPA|AIDA|AROA|AIPA|ANPA|ANVA")
AWS_LONG = 20  # characters that each of theirs has
ESCAPED = re.compile(r"\\[nrt]")

PRIVATE_KEY = re.compile(r"-----BEGIN [A-Z0-9 ]{0,40}PRIVATE KEY[\s\S]*?(?:-----END [A-Z0-9 ]{0,60}-----|\Z)")
"""To its end, or, where the text is cut, to that of the text."""

LOGIN = re.compile(r"://[^\s/:@]{0,200}:([^\s/@]{1,400})@")
"""The password in a URL."""

HEADER = re.compile(r"\b(?:bearer|basic)\s{1,10}([\w.~+/=-]{8,})", re.ASCII | re.IGNORECASE)

NAME = (
    r"(?:passw(?:or)?d|passwd|passphrase|passcode|\bpass\b|_pass|pwd|secret|token|credential|authorization|_auth\b"
    r"|(?:api|access|account|app|auth|encryption|master|private|secret|shared|signing)[_.-]?key|密码|口令|密钥)"
)
QUOTED = (
    r"""(?:"{3}[\s\S]*?(?:"{3}|\Z)|'{3}[\s\S]*?(?:'{3}|\Z)"""
    r"""|"(?:\\.|[^"\\\n])*["\\]?|'(?:\\.|[^'\\\n])*['\\]?|`(?:\\.|[^`\\\n])*[`\\]?)"""
)
QUOTES = rf"{QUOTED}(?:\s{{0,20}}[+.&]?\s{{0,20}}{QUOTED})*"
ASSIGNED = re.compile(
    rf"{NAME}[\w.-]{{0,40}}[\"'`\]]{{0,2}}\s{{0,10}}"
    rf"(?:[=:>]{{1,3}}\s{{0,20}}(?:[|>][+-]?\s{{1,20}})?({QUOTES}|[^\s\"'`][^\n]*)|[,(]\s{{0,20}}({QUOTES}))",
    re.IGNORECASE,
)
"""What is given to something that is called a secret: texts in quotes, else the rest of the line."""

WORD = re.compile(r"[\w.~+/=-]+", re.ASCII)

RUN = re.compile(r"[A-Za-z0-9+/_=-]{40,}", re.ASCII)
"""May be a key without a name: part of one that was cut, for example."""


def masked(text: str) -> str:
    """The text with each secret masked."""
    return _without(text, [*_known(text), *_guessed(text)])


def masked_secrets(text: str) -> Iterator[str]:
    """Each secret of the text, masked; of what could be none, such as a long run of letters, nothing is said."""
    for first, last in _joined([*_certain(text), *_given_out(text)]):
        yield _mask(text[first:last].strip("\"'`"))


def without_known(text: str) -> str:
    """The text of a path, or a URL, with what is certainly a secret masked: the rest of it stays what it is."""
    return _without(text, list(_known(text)))


def masked_url(text: str) -> str:
    """The text of a URL. Its path stays what it is, what is certainly a secret aside: it would not be known again."""
    path, mark, query = text.partition("?")
    return without_known(path) + mark + masked(query)


def _known(text: str) -> Iterator[tuple[int, int]]:
    yield from (found.span() for found in matches(KNOWN, text))
    yield from _bounded(text)


def _bounded(text: str) -> Iterator[tuple[int, int]]:
    """What is known by what stands around it."""
    yield from (found.span() for found in matches(PRIVATE_KEY, text))
    yield from (found.span(1) for found in matches(LOGIN, text))


def _certain(text: str) -> Iterator[tuple[int, int]]:
    """What is known, without what only looks like a token's beginning: in the middle of words, or of data in base64."""
    for found in matches(KNOWN, text):
        if _stands_alone(text, found.start()) and _is_token(found[0]):
            yield found.span()
    yield from _bounded(text)


def _stands_alone(text: str, at: int) -> bool:
    before = text[max(at - 1, 0) : at]
    return (
        not (before.isalnum() or before in ("_", "-", "+")) or ESCAPED.fullmatch(text, max(at - 2, 0), at) is not None
    )


def _is_token(word: str) -> bool:
    if AWS.match(word):
        return len(word) == AWS_LONG
    if word.startswith("eyJ"):
        return "." in word  # else it is JSON alone, such as a map of sources
    return not word.startswith(("sk-", "SG.")) or _mixed(word)  # names of styles, and of minified code


def _guessed(text: str) -> Iterator[tuple[int, int]]:
    yield from (found.span(1) for found in matches(HEADER, text))
    for found in matches(ASSIGNED, text):
        yield found.span(1 if found[1] is not None else 2)
    yield from (found.span() for found in matches(RUN, text) if _mixed(found[0]))


def _given_out(text: str) -> Iterator[tuple[int, int]]:
    """What is given to something called a secret, as one word in quotes that is random enough to be one."""
    for found in matches(ASSIGNED, text):
        first, last = found.span(1 if found[1] is not None else 2)
        bare = text[first:last].strip("\"'`")
        quoted = text[first] in "\"'`" and len(bare) >= LONG and WORD.fullmatch(bare) is not None
        if quoted and len(set(bare)) >= LONG - 2 and any(map(str.isdigit, bare)):
            yield first, last


def _mixed(run: str) -> bool:
    """As random text is: with letters of both cases, and digits."""
    return any(map(str.isdigit, run)) and any(map(str.islower, run)) and any(map(str.isupper, run))


def _without(text: str, spans: list[tuple[int, int]]) -> str:
    """The text with these parts masked; of parts that meet, all of them as one."""
    pieces, at = list[str](), 0
    for first, last in _joined(spans):
        pieces += [text[at:first], _mask(text[first:last])]
        at = last
    return "".join([*pieces, text[at:]])


def _joined(spans: list[tuple[int, int]]) -> list[tuple[int, int]]:
    joined: list[tuple[int, int]] = []
    for first, last in sorted(spans):
        if joined and first <= joined[-1][1]:
            joined[-1] = joined[-1][0], max(last, joined[-1][1])
        elif first < last:
            joined.append((first, last))
    return joined


def _mask(secret: str) -> str:
    """`AKIA***[20]`: how it begins, and its length. The quotes around it stay."""
    quote = secret[0] if secret[0] in "\"'`" else ""
    bare = secret.strip("\"'`") if quote else secret
    if not bare:
        return secret
    return f"{quote}{bare[:SHOWN] if len(bare) >= LONG else ''}***[{len(bare)}]{quote}"
