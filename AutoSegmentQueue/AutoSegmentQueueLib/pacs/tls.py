"""TLS for DICOM: contexts for our node and for calling others, TLS 1.2 or newer (PS3.15 B.12: the modified BCP 195 profile)."""

from __future__ import annotations

import ssl
from pathlib import Path

from DicomWorkbenchLib.errors import SettingsError

from AutoSegmentQueueLib.pacs.settings import DicomSettings


def server_context(settings: DicomSettings) -> ssl.SSLContext | None:
    """Return the context of our node; None where it speaks plain DICOM. With an authority callers must show a certificate of it.

    Raises
    ------
    SettingsError : a file cannot be used.
    """
    if settings.tls_cert is None or settings.tls_key is None:
        return None
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    _load(context, settings.tls_cert, settings.tls_key, settings.tls_ca)
    if settings.tls_ca is not None:
        context.verify_mode = ssl.CERT_REQUIRED
    return context


def client_context(ca: Path, cert: Path | None = None, key: Path | None = None) -> ssl.SSLContext:
    """Return the context for calling a peer: its certificate must be of the authority, ours is shown if we have one.

    Raises
    ------
    SettingsError : a file cannot be used.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    _load(context, cert, key, ca)
    return context


def _load(context: ssl.SSLContext, cert: Path | None, key: Path | None, ca: Path | None) -> None:
    try:
        if cert is not None:
            context.load_cert_chain(cert, key, password=_no_password)
        if ca is not None:
            context.load_verify_locations(ca)
    except (OSError, ssl.SSLError) as error:
        named = ", ".join(str(path) for path in (cert, key, ca) if path)
        reason = getattr(error, "reason", None) or getattr(error, "strerror", None) or error
        raise SettingsError(f"the TLS files {named} cannot be used ({reason}); PEM files are expected") from error


def _no_password() -> str:
    raise OSError("the key is encrypted; a service cannot ask for its password")
