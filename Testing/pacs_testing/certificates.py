"""Certificates for tests of TLS: an authority with a server and a client, and a stranger whose authority nobody knows."""

from __future__ import annotations

import datetime
import ipaddress
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

_BEGIN = datetime.datetime(2020, 1, 1)
_END = datetime.datetime(2120, 1, 1)


@dataclass(frozen=True)
class Certificates:
    """Paths of PEM files; each certificate is valid for 127.0.0.1 and localhost."""

    folder: Path

    def __getattr__(self, name: str) -> Path:
        """``ca``, ``server``, ``server_key``, ``client``, ``client_key``, ``stranger_ca``, ``stranger``, ``stranger_key``."""
        if name.startswith("_"):
            raise AttributeError(name)
        return self.folder / f"{name}.pem"


def make_certificates(folder: Path) -> Certificates:
    """Write all of them into a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    for prefix, holders in (("", ("server", "client")), ("stranger_", ("stranger",))):
        authority_key = ec.generate_private_key(ec.SECP256R1())
        authority_name = _name(f"Test authority {prefix}")
        authority = _certificate(authority_name, authority_name, authority_key, authority_key, is_authority=True)
        _write(folder / f"{prefix}ca.pem", authority)
        for holder in holders:
            key = ec.generate_private_key(ec.SECP256R1())
            certificate = _certificate(_name(holder), authority_name, key, authority_key, is_authority=False)
            _write(folder / f"{holder}.pem", certificate)
            _write_key(folder / f"{holder}_key.pem", key)
    return Certificates(folder)


def _name(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text.strip())])


def _certificate(
    subject: x509.Name,
    issuer: x509.Name,
    key: ec.EllipticCurvePrivateKey,
    signer: ec.EllipticCurvePrivateKey,
    *,
    is_authority: bool,
) -> x509.Certificate:
    here = [x509.DNSName("localhost"), x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]
    usages = [ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH]
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(_BEGIN)
        .not_valid_after(_END)
        .add_extension(x509.BasicConstraints(is_authority, None), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(signer.public_key()), critical=False)
        .add_extension(_key_usage(is_authority), critical=True)
    )
    if not is_authority:
        builder = builder.add_extension(x509.SubjectAlternativeName(here), critical=False)
        builder = builder.add_extension(x509.ExtendedKeyUsage(usages), critical=False)
    return builder.sign(signer, hashes.SHA256())


def _key_usage(is_authority: bool) -> x509.KeyUsage:
    names = (
        "content_commitment",
        "key_encipherment",
        "data_encipherment",
        "key_agreement",
        "encipher_only",
        "decipher_only",
    )
    return x509.KeyUsage(
        digital_signature=True, key_cert_sign=is_authority, crl_sign=is_authority, **dict.fromkeys(names, False)
    )


def _write(path: Path, certificate: x509.Certificate) -> None:
    path.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))


def _write_key(path: Path, key: ec.EllipticCurvePrivateKey) -> None:
    path.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.TraditionalOpenSSL, serialization.NoEncryption()
        )
    )
