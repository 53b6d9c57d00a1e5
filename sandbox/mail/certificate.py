"""The mail server's certificate, signed by itself, for this machine's own address.

Belongs here: making it, once a state directory. Does not belong here: who trusts it (`SMTP_URL` names
it as its authority).
"""

from __future__ import annotations

import ipaddress
from datetime import UTC, datetime, timedelta
from pathlib import Path

LIFETIME = timedelta(days=365)


def certificate(directory: Path) -> tuple[Path, Path]:
    """The files of the certificate and of its key; made where there are none, or where they end within a week."""
    from cryptography import x509

    held, key = directory / "mail.pem", directory / "mail.key"
    if held.is_file() and key.is_file():
        until = x509.load_pem_x509_certificate(held.read_bytes()).not_valid_after_utc
        if until > datetime.now(UTC) + timedelta(days=7):
            return held, key
    directory.mkdir(parents=True, exist_ok=True)
    _make(held, key)
    return held, key


def _make(held: Path, key: Path) -> None:
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.x509.oid import NameOID

    private = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "sandbox mail")])
    now = datetime.now(UTC)
    own = [x509.IPAddress(ipaddress.ip_address("127.0.0.1")), x509.DNSName("localhost")]
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(private.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + LIFETIME)
        .add_extension(x509.SubjectAlternativeName(own), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(private, hashes.SHA256())
    )
    plain = serialization.NoEncryption()
    key.touch(mode=0o600)
    key.write_bytes(private.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, plain))
    held.write_bytes(made.public_bytes(serialization.Encoding.PEM))
