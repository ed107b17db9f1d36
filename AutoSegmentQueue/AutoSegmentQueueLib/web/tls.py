"""A certificate the queue makes for itself: encrypts, and is known by its fingerprint; browsers ask once whether to trust it."""

from __future__ import annotations

import datetime
import ipaddress
import os
import socket
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from DicomWorkbenchLib.errors import DependencyError, OutputError, SettingsError

from AutoSegmentQueueLib.home import Home
from AutoSegmentQueueLib.web.settings import WebSettings

if TYPE_CHECKING:
    from cryptography.x509 import GeneralName

_DAYS = 397  # browsers take no longer one
_RENEW_DAYS = 30


def ready(home: Home, web: WebSettings) -> tuple[WebSettings, str]:
    """Return settings that name a certificate, making one if that is wanted, and its fingerprint (SHA-256, in hex).

    Raises
    ------
    SettingsError : the files cannot be read as certificate and key.
    OutputError : the certificate cannot be written.
    """
    if not web.has_tls:
        return web, ""
    if web.tls_self_made:
        cert, key = home.root / "tls" / "cert.pem", home.root / "tls" / "key.pem"
        if not _is_good(cert, key, names_of(web)):
            _make(cert, key, names_of(web))
        web = replace(web, tls_self_made=False, tls_cert=cert, tls_key=key)
    _check(web)
    assert web.tls_cert
    return web, fingerprint(web.tls_cert)


def names_of(web: WebSettings) -> list[str]:
    """Return the names and addresses a certificate has to hold."""
    names = ["localhost", "127.0.0.1", "::1", socket.gethostname(), *web.allowed_hosts]
    if web.host not in ("0.0.0.0", "::"):
        names.append(web.host)
    return list(dict.fromkeys(names))


def fingerprint(cert: Path) -> str:
    """Return the SHA-256 of a certificate as browsers show it."""
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes

    digest = x509.load_pem_x509_certificate(cert.read_bytes()).fingerprint(hashes.SHA256())
    return ":".join(f"{byte:02X}" for byte in digest)


def _check(web: WebSettings) -> None:
    import ssl

    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(str(web.tls_cert), str(web.tls_key))
    except (OSError, ssl.SSLError) as error:
        raise SettingsError(f"{web.tls_cert} and {web.tls_key} cannot be used: {error.strerror or error}") from error


def _is_good(cert: Path, key: Path, names: list[str]) -> bool:
    from cryptography import x509

    if not (cert.exists() and key.exists()):
        return False
    try:
        found = x509.load_pem_x509_certificate(cert.read_bytes())
        alternatives = found.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except (OSError, ValueError, x509.ExtensionNotFound):
        return False
    soon = datetime.datetime.now(datetime.UTC) + datetime.timedelta(days=_RENEW_DAYS)
    held = {str(one.value) for one in alternatives}
    return found.not_valid_after_utc > soon and held >= set(names)


def _make(cert: Path, key: Path, names: list[str]) -> None:
    try:
        from cryptography import x509
        from cryptography.hazmat.primitives import hashes, serialization
        from cryptography.hazmat.primitives.asymmetric import ec
        from cryptography.x509.oid import NameOID
    except ImportError:
        raise DependencyError("cryptography", extra="queue") from None
    secret = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "DicomWorkbench queue")])
    now = datetime.datetime.now(datetime.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(secret.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(hours=1))
        .not_valid_after(now + datetime.timedelta(days=_DAYS))
        .add_extension(x509.SubjectAlternativeName([_general(name) for name in names]), critical=False)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .sign(secret, hashes.SHA256())
    )
    plain = serialization.NoEncryption()
    private = secret.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, plain)
    try:
        cert.parent.mkdir(mode=0o700, exist_ok=True)
        _write_secret(key, private)
        cert.write_bytes(made.public_bytes(serialization.Encoding.PEM))
    except OSError as error:
        raise OutputError(f"the certificate cannot be written to {cert.parent}: {error.strerror}") from error


def _general(name: str) -> GeneralName:
    from cryptography import x509

    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)


def _write_secret(path: Path, content: bytes) -> None:
    path.unlink(missing_ok=True)
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(content)
