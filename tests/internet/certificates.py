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
from cryptography.hazmat.primitives.asymmetric import ec

BEGIN, END = datetime(2026, 1, 1, tzinfo=UTC), datetime(2036, 1, 1, tzinfo=UTC)
KEY = ec.generate_private_key(ec.SECP256R1())


def certificate(
    common: str,
    names: Sequence[str] = (),
    addresses: Sequence[str] = (),
    issuer: str | None = None,
    broken: bool = False,
) -> x509.Certificate:
    """With `broken` the extension that has the names is rubbish."""
    named: x509.ExtensionType = x509.SubjectAlternativeName(
        [*(x509.DNSName(one) for one in names), *(x509.IPAddress(ip_address(one)) for one in addresses)]
    )
    if broken:
        named = x509.UnrecognizedExtension(named.oid, b"no names at all")
    made = x509.CertificateBuilder(
        subject_name=_name(common),
        issuer_name=_name(issuer or common),
        public_key=KEY.public_key(),
        serial_number=0xABCDEF,
        not_valid_before=BEGIN,
        not_valid_after=END,
    )
    if broken or names or addresses:
        made = made.add_extension(named, critical=False)
    return made.sign(KEY, hashes.SHA256())


def _name(common: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, common)])


def server(*shown: tuple[str, x509.Certificate]) -> ssl.SSLContext:
    """A server that shows the first, and each of them to who asks for its name."""
    contexts = {name: _context(one) for name, one in shown}
    first = contexts[shown[0][0]]

    def choose(made: ssl.SSLObject, name: str | None, _: ssl.SSLContext) -> None:
        made.context = contexts.get(name or "", first)

    first.sni_callback = choose  # type: ignore[assignment]
    return first


def _context(shown: x509.Certificate) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    with tempfile.TemporaryDirectory() as folder:
        pem = Path(folder) / "server.pem"
        secret = KEY.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        pem.write_bytes(shown.public_bytes(serialization.Encoding.PEM) + secret)
        context.load_cert_chain(pem)
    return context
