"""An authority of one's own and a certificate for the nodes of a cluster, made in a second."""

from __future__ import annotations

import datetime
import ipaddress
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from DicomWorkbenchLib.errors import DependencyError, OutputError
from DicomWorkbenchLib.outputs import cannot_write

from AutoSegmentQueueLib.cluster.tls import CA, CERTIFICATE, KEY

CA_KEY = "ca-key.pem"
VALID_DAYS = 825  # what browsers and libraries accept at most for a certificate of a server


def make_certificates(folder: Path, hosts: Sequence[str] = ()) -> list[Path]:
    """Write ``ca.pem``, ``ca-key.pem``, ``node.pem`` and ``node-key.pem``; keys are readable by their owner only.

    Parameters
    ----------
    hosts : names and addresses that go into the certificate beside localhost.

    Raises
    ------
    OutputError : there is one already, or the folder cannot be written.
    """
    try:
        from cryptography.hazmat.primitives.asymmetric import ec
    except ImportError as error:
        raise DependencyError("the Python package cryptography", extra="cluster") from error
    taken = [name for name in (CA, CA_KEY, CERTIFICATE, KEY) if (folder / name).exists()]
    if taken:
        raise OutputError(f"{folder} holds {', '.join(taken)} already; choose another folder")
    ca_key, node_key = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    ca = _certificate("DicomWorkbench cluster authority", ca_key, None, ca_key, [])
    node = _certificate("DicomWorkbench cluster node", node_key, ca, ca_key, ["localhost", "127.0.0.1", "::1", *hosts])
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        written = [_write_key(folder / CA_KEY, ca_key), _write_key(folder / KEY, node_key)]
        written += [_write(folder / CA, _pem(ca)), _write(folder / CERTIFICATE, _pem(node))]
    except OSError as error:
        raise cannot_write(folder, error) from error
    return written


def _certificate(name: str, key: Any, issuer: Any, issuer_key: Any, hosts: Sequence[str]) -> Any:
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes
    from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = datetime.datetime.now(datetime.UTC)
    authority = issuer is None
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject if authority else issuer.subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(hours=1))  # clocks of nodes differ
        .not_valid_after(now + datetime.timedelta(days=VALID_DAYS))
        .add_extension(x509.BasicConstraints(ca=authority, path_length=0 if authority else None), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer_key.public_key()), critical=False)
        .add_extension(_key_usage(authority=authority), critical=True)
    )
    if not authority:
        names = x509.SubjectAlternativeName([_general_name(host) for host in dict.fromkeys(hosts)])
        both = [ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH]
        builder = builder.add_extension(names, critical=False).add_extension(
            x509.ExtendedKeyUsage(both), critical=False
        )
    return builder.sign(issuer_key, hashes.SHA256())


def _key_usage(*, authority: bool) -> Any:
    from cryptography import x509

    return x509.KeyUsage(
        digital_signature=True,
        key_cert_sign=authority,
        crl_sign=authority,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


def _general_name(host: str) -> Any:
    from cryptography import x509

    try:
        return x509.IPAddress(ipaddress.ip_address(host))
    except ValueError:
        return x509.DNSName(host)


def _pem(certificate: Any) -> bytes:
    from cryptography.hazmat.primitives.serialization import Encoding

    pem: bytes = certificate.public_bytes(Encoding.PEM)
    return pem


def _write_key(path: Path, key: Any) -> Path:
    from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

    return _write(path, key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()), mode=0o600)


def _write(path: Path, content: bytes, mode: int = 0o644) -> Path:
    path.touch(mode=mode)
    path.write_bytes(content)
    return path
