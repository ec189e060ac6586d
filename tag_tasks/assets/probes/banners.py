"""What a service is, by what it says first. Pure functions over the bytes, of which there are few."""

from __future__ import annotations

import re
from dataclasses import dataclass

from tag_tasks.assets.found import cut
from tag_tasks.assets.probes.text import printable

MOST_WORD = 100  # characters of a product or a version


@dataclass(frozen=True, slots=True)
class Known:
    """A service, and what it says of itself."""

    service: str
    product: str | None = None
    version: str | None = None


VERSION = r"(?P<version>v?[0-9][0-9A-Za-z.+~_-]{0,60})"
MAIL = r"Postfix|Exim|Sendmail|Haraka|OpenSMTPD|Microsoft ESMTP|Exchange"
FTP = r"vsFTPd|ProFTPD|Pure-FTPd|FileZilla Server|Microsoft FTP|wu-ftpd|glFTPd|Serv-U"
BOXES = r"Dovecot|Courier|Cyrus|UW IMAP|Microsoft Exchange|Zimbra"

SHAPES = (
    ("ssh", rf"SSH-[0-9.]{{1,5}}-(?P<product>[A-Za-z]{{1,40}})?[_-]?{VERSION}?"),
    ("vnc", r"RFB (?P<version>[0-9]{3}\.[0-9]{3})"),
    ("ftp", rf"220[ -][^\n]{{0,200}}?(?P<product>{FTP})[^\n0-9]{{0,20}}{VERSION}?"),
    ("smtp", rf"220[ -][^\n]{{0,200}}?(?P<product>{MAIL})[^\n0-9]{{0,20}}{VERSION}?"),
    ("smtp", r"220[ -][^\n]{0,200}?E?SMTP"),
    ("ftp", r"220[ -][^\n]{0,200}?FTP"),
    ("smtp", r"(421|554)[ -][^\n]{0,200}?(SMTP|mail)"),
    ("pop3", rf"\+OK[^\n]{{0,100}}?(?P<product>{BOXES})[^\n0-9]{{0,20}}{VERSION}?"),
    ("pop3", r"\+OK"),
    ("imap", rf"\* (OK|PREAUTH|BYE)[^\n]{{0,300}}?(?P<product>{BOXES})[^\n0-9]{{0,20}}{VERSION}?"),
    ("imap", r"\* (OK|PREAUTH|BYE)"),
    ("nntp", r"20[01] [^\n]{0,200}?(NNTP|news|INN)"),
    ("redis", r"-(DENIED|ERR|NOAUTH|LOADING)"),
    ("rsync", r"@RSYNCD: (?P<version>[0-9.]{1,10})"),
    ("svn", r"\( success \("),
    ("irc", r":[^\n]{1,100} NOTICE "),
    ("sieve", r'"IMPLEMENTATION" "(?P<product>[^"\n]{1,60})"'),
    ("http", r"HTTP/1\.[01] [0-9]{3}"),
    ("amqp", r"AMQP"),
    ("xmpp", r"<\?xml[^\n]{0,200}?jabber|<stream:"),
    ("mysql", r"Host .{0,100} is not allowed to connect to this (?P<product>MySQL|MariaDB) server"),
)
"""A service by the beginning of its text; the first shape that fits is taken. Each repetition has a bound."""
COMPILED = tuple((service, re.compile(shape, re.IGNORECASE)) for service, shape in SHAPES)

MYSQL = re.compile(rb"...\x00\x0a([\x21-\x7e]{1,60})\x00", re.DOTALL)
MYSQL_ERROR = re.compile(rb"...\x00\xff..(?:#.....)?(?=Host |Too many|.{0,100}(?:MySQL|MariaDB))", re.DOTALL)
TELNET = re.compile(rb"(\xff[\xfb-\xfe].)+", re.DOTALL)
WELCOME = re.compile(r"[^\n]{0,200}(login|username|password):", re.IGNORECASE)


def text_of(said: bytes) -> str:
    """For people; without what telnet negotiates first."""
    plain = TELNET.sub(b"", said, count=1) if said.startswith(b"\xff") else said
    return cut(printable(plain.decode("utf-8", "replace").strip()))


def whole(said: bytes) -> bool:
    """Whether it is one of those that end without a line."""
    return any(one.match(said) for one in (MYSQL, MYSQL_ERROR, TELNET))


def known(said: bytes) -> Known | None:
    """The service that says this first; None where it is none that is known."""
    if (found := MYSQL.match(said)) is not None:
        version = found[1].decode("ascii")
        return Known("mysql", "MariaDB" if "mariadb" in version.lower() else "MySQL", version)
    if MYSQL_ERROR.match(said):
        return Known("mysql")
    if TELNET.match(said):
        return Known("telnet")
    text = said.decode("latin-1").lstrip("\r\n")
    for service, shape in COMPILED:
        if (match := shape.match(text)) is not None:
            parts = match.groupdict()
            return Known(service, _word(parts.get("product")), _word(parts.get("version")))
    return Known("telnet") if WELCOME.match(text) else None


def _word(text: str | None) -> str | None:
    return text[:MOST_WORD] if text else None
