"""Other systems by the one text that names them: ``AET@HOST:PORT`` for DICOM, an address for DICOMweb."""

from __future__ import annotations

import re
from dataclasses import dataclass
from urllib.parse import urlsplit

from DicomWorkbenchLib.errors import SettingsError

# PS3.5 6.2, VR AE: at most 16 characters, no backslash, no control characters, not only spaces
_AE_TITLE = re.compile(r"^(?=.*[^ ])[\x20-\x5b\x5d-\x7e]{1,16}$")
_DIMSE = re.compile(r"^(?P<ae>[^@]+)@(?P<host>\[[0-9a-fA-F:.]+\]|[^@:\s]+):(?P<port>\d{1,5})$")


@dataclass(frozen=True)
class DimsePeer:
    """A DICOM application entity."""

    ae_title: str
    host: str
    port: int

    def __str__(self) -> str:
        return f"{self.ae_title}@{self.host}:{self.port}"


@dataclass(frozen=True)
class WebPeer:
    """A DICOMweb service; ``url`` without a slash at its end."""

    url: str

    def __str__(self) -> str:
        return self.url


Peer = DimsePeer | WebPeer


def parse_peer(text: str) -> Peer:
    """Read ``AET@HOST:PORT`` or a DICOMweb address.

    Raises
    ------
    SettingsError : it is neither, or it holds a password.
    """
    if text.startswith(("http://", "https://")):
        return _web(text)
    found = _DIMSE.match(text)
    if found is None or not 0 < int(found["port"]) < 65536:
        raise SettingsError(f"a peer is written AET@HOST:PORT or as an address http(s)://..., got {text!r}")
    check_ae_title(found["ae"])
    return DimsePeer(found["ae"].strip(), found["host"].strip("[]"), int(found["port"]))


def check_ae_title(title: str) -> None:
    """See that a text can be an AE title.

    Raises
    ------
    SettingsError : it cannot.
    """
    if not _AE_TITLE.match(title):
        raise SettingsError(f"an AE title has 1 to 16 plain characters without backslash, got {title!r}")


def _web(text: str) -> WebPeer:
    parts = urlsplit(text)
    if not parts.hostname:
        raise SettingsError("the DICOMweb address names no machine; it is written http(s)://HOST[:PORT]/PATH")
    if parts.username or parts.password:
        raise SettingsError(
            "a DICOMweb address must not hold a name or password, which other programs of this machine could read; "
            "put them into the environment or a netrc file (see docs/queue-pacs.md)"
        )
    return WebPeer(text.rstrip("/"))
