"""Certificates, made as they are needed, the right ones and those that nobody should have made."""

from __future__ import annotations

import ssl
import tempfile
from collections.abc import Sequence
from datetime import UTC, datetime
from ipaddress import ip_address
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

BEGIN, END = datetime(2026, 1, 1, tzinfo=UTC), datetime(2036, 1, 1, tzinfo=UTC)
KEY = ec.derive_private_key(20260101, ec.SECP256R1())
Key = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey | ed25519.Ed25519PrivateKey


def certificate(
    common: str,
    names: Sequence[str] = (),
    addresses: Sequence[str] = (),
    issuer: str | None = None,
    key: Key = KEY,
) -> bytes:
    """In DER."""
    made = x509.CertificateBuilder(
        subject_name=_name(common),
        issuer_name=_name(issuer or common),
        public_key=key.public_key(),
        serial_number=0xABCDEF,
        not_valid_before=BEGIN,
        not_valid_after=END,
    )
    if named := [*(x509.DNSName(one) for one in names), *(x509.IPAddress(ip_address(one)) for one in addresses)]:
        made = made.add_extension(x509.SubjectAlternativeName(named), critical=False)
    return made.sign(key, None if isinstance(key, ed25519.Ed25519PrivateKey) else hashes.SHA256()).public_bytes(
        serialization.Encoding.DER
    )


def broken(der: bytes) -> bytes:
    """The certificate, from a day in the 99th month: a server shows it, and not everybody can read it."""
    assert der.count(b"260101000000Z") == 1
    return der.replace(b"260101000000Z", b"269901000000Z")


def _name(common: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, common)] if common else [])


def server(*shown: tuple[str, bytes]) -> ssl.SSLContext:
    """A server that shows the first, and each of them to who asks for its name."""
    contexts = {name: _context(one) for name, one in shown}
    first = contexts[shown[0][0]]

    def choose(made: ssl.SSLObject, name: str | None, _: ssl.SSLContext) -> None:
        made.context = contexts.get(name or "", first)

    first.sni_callback = choose  # type: ignore[assignment]
    return first


def _context(shown: bytes) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    with tempfile.TemporaryDirectory() as folder:
        pem = Path(folder) / "server.pem"
        secret = KEY.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        pem.write_bytes(ssl.DER_cert_to_PEM_cert(shown).encode() + secret)
        context.load_cert_chain(pem)
    return context
