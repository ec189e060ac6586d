"""What a certificate says, as values. Anybody may have made it, so each part is read for itself, and may be broken."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any, TypeVar

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import dsa, ec, ed448, ed25519, rsa

from tag_tasks.assets.found import cut
from tag_tasks.assets.probes.text import line

MOST_NAMES = 1000
UNREADABLE = (
    ValueError,
    TypeError,
    OverflowError,
    UnsupportedAlgorithm,
    x509.InvalidVersion,
    x509.DuplicateExtension,
    x509.UnsupportedGeneralNameType,
)
Oid = x509.SignatureAlgorithmOID
SIGNATURES = {
    Oid.RSA_WITH_MD5: "md5WithRSA",
    Oid.RSA_WITH_SHA1: "sha1WithRSA",
    Oid.RSA_WITH_SHA256: "sha256WithRSA",
    Oid.RSA_WITH_SHA384: "sha384WithRSA",
    Oid.RSA_WITH_SHA512: "sha512WithRSA",
    Oid.RSASSA_PSS: "RSASSA-PSS",
    Oid.ECDSA_WITH_SHA1: "ecdsaWithSHA1",
    Oid.ECDSA_WITH_SHA256: "ecdsaWithSHA256",
    Oid.ECDSA_WITH_SHA384: "ecdsaWithSHA384",
    Oid.ECDSA_WITH_SHA512: "ecdsaWithSHA512",
    Oid.ED25519: "Ed25519",
    Oid.ED448: "Ed448",
}
"""Any other is told by its number."""
T = TypeVar("T")


@dataclass(frozen=True, kw_only=True, slots=True)
class Certificate:
    """What could be read of it; None, or nothing, is what could not."""

    sha256: str
    """Of the whole, in hexadecimal digits."""
    subject: str | None = None
    """As in RFC 4514: `CN=www.corp.example,O=Corp`."""
    issuer: str | None = None
    serial: str | None = None
    """In hexadecimal digits."""
    names: tuple[str, ...] = ()
    """For which it is: names, some with a star, and addresses; where it has none of these, its common name."""
    not_before: str | None = None
    """As ISO 8601, in UTC."""
    not_after: str | None = None
    signature: str | None = None
    """By which algorithm it is signed."""
    key_type: str | None = None
    """RSA, EC, DSA, Ed25519 or Ed448."""
    bits: int | None = None
    self_signed: bool | None = None
    """It names itself as its issuer; whether the signature is right is not looked at."""
    broken: tuple[str, ...] = ()
    """Which parts are not readable."""

    def facts(self) -> dict[str, Any]:
        """For a row; its key has the hash already."""
        told = asdict(self)
        del told["sha256"]
        return {**told, "names": [*self.names], "broken": [*self.broken]}


def certificate_of(der: bytes) -> Certificate:
    """Whatever the bytes are, it is a certificate, if a broken one."""
    sha256 = hashlib.sha256(der).hexdigest()
    try:
        return _read(x509.load_der_x509_certificate(der), sha256)
    except UNREADABLE:
        return Certificate(sha256=sha256, broken=("everything",))


def _read(one: x509.Certificate, sha256: str) -> Certificate:
    broken: list[str] = []

    def part(name: str, read: Callable[[], T]) -> T | None:
        try:
            return read()
        except UNREADABLE:
            broken.append(name)
            return None

    key_type, bits = part("key", lambda: _key(one)) or (None, None)
    return Certificate(
        sha256=sha256,
        subject=part("subject", lambda: _name(one.subject)),
        issuer=part("issuer", lambda: _name(one.issuer)),
        serial=part("serial", lambda: f"{one.serial_number:x}"),
        names=tuple(part("names", lambda: _names(one)) or ()),
        not_before=part("not_before", lambda: _time(one.not_valid_before_utc)),
        not_after=part("not_after", lambda: _time(one.not_valid_after_utc)),
        signature=part("signature", lambda: _signature(one)),
        key_type=key_type,
        bits=bits,
        self_signed=part("self_signed", lambda: one.subject == one.issuer),
        broken=tuple(broken),
    )


def _name(name: x509.Name) -> str:
    return cut(line(name.rfc4514_string()))


def _names(one: x509.Certificate) -> list[str]:
    try:
        named = one.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        common = one.subject.get_attributes_for_oid(x509.NameOID.COMMON_NAME)
        return [cut(line(str(one.value))) for one in common[:MOST_NAMES]]
    return list(dict.fromkeys(_alternatives(named)))[:MOST_NAMES]


def _alternatives(named: x509.SubjectAlternativeName) -> Iterator[str]:
    for one in named:
        if isinstance(one, x509.DNSName):
            yield cut(line(one.value.lower()))
        elif isinstance(one, x509.IPAddress):
            yield str(one.value)


def _time(at: datetime) -> str:
    return at.isoformat().replace("+00:00", "Z")


def _signature(one: x509.Certificate) -> str:
    oid = one.signature_algorithm_oid
    return SIGNATURES.get(oid, oid.dotted_string)


def _key(one: x509.Certificate) -> tuple[str, int | None]:
    key = one.public_key()
    if isinstance(key, rsa.RSAPublicKey):
        return "RSA", key.key_size
    if isinstance(key, ec.EllipticCurvePublicKey):
        return "EC", key.key_size
    if isinstance(key, dsa.DSAPublicKey):
        return "DSA", key.key_size
    if isinstance(key, ed25519.Ed25519PublicKey):
        return "Ed25519", 256
    if isinstance(key, ed448.Ed448PublicKey):
        return "Ed448", 456
    return cut(type(key).__name__), None
