"""TLS for Dask's connections and for files, out of one folder: ``ca.pem``, ``node.pem``, ``node-key.pem``.

Both sides show a certificate of the same authority, and that is what is checked: who has none takes no part. Names of hosts are not
compared, as in Dask: nodes of a cluster change their addresses.
"""

from __future__ import annotations

import ssl
from pathlib import Path
from typing import Any

from DicomWorkbenchLib.errors import SettingsError

CA, CERTIFICATE, KEY = "ca.pem", "node.pem", "node-key.pem"


def dask_security(folder: Path | None) -> Any:
    """Return Dask's ``Security`` for a folder of certificates, None without one.

    Raises
    ------
    SettingsError : a file is missing.
    """
    if folder is None:
        return None
    from distributed.security import Security

    ca, certificate, key = _files(folder)
    roles = {
        f"tls_{role}_{kind}": path
        for role in ("client", "scheduler", "worker")
        for kind, path in (("cert", certificate), ("key", key))
    }
    return Security(tls_ca_file=ca, require_encryption=True, **roles)


def ssl_context(folder: Path, *, server: bool) -> ssl.SSLContext:
    """Return a context in which both sides must show a certificate of the folder's authority.

    Raises
    ------
    SettingsError : a file is missing or cannot be used.
    """
    ca, certificate, key = _files(folder)
    try:
        return context_of(ca, certificate, key, server=server)
    except (OSError, ssl.SSLError) as error:
        raise SettingsError(f"the certificates in {folder} cannot be used: {error}") from error


def context_of(ca: str, certificate: str, key: str, *, server: bool) -> ssl.SSLContext:
    """Return a context in which both sides must show a certificate of one authority.

    Raises
    ------
    OSError : a file cannot be used.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER if server else ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.check_hostname = False
    context.verify_mode = ssl.CERT_REQUIRED
    context.load_verify_locations(ca)
    context.load_cert_chain(certificate, key)
    return context


def _files(folder: Path) -> tuple[str, str, str]:
    paths = [folder / name for name in (CA, CERTIFICATE, KEY)]
    missing = [path.name for path in paths if not path.is_file()]
    if missing:
        raise SettingsError(
            f"{folder} has no {', '.join(missing)}; `queue cluster certificates {folder}` makes what is needed"
        )
    ca, certificate, key = map(str, paths)
    return ca, certificate, key
