"""Destinations by their text, ready to be sent to."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.util import find_spec
from typing import Protocol

from DicomWorkbenchLib.errors import DependencyError

from AutoSegmentQueueLib.pacs.commitment import CommitmentListener
from AutoSegmentQueueLib.pacs.dimse_client import Caller
from AutoSegmentQueueLib.pacs.peers import DimsePeer, parse_peer
from AutoSegmentQueueLib.pacs.send_objects import SendObject
from AutoSegmentQueueLib.pacs.send_settings import SendSettings
from AutoSegmentQueueLib.pacs.tls import client_context


class Destination(Protocol):
    """Something that takes objects and says that it keeps them."""

    def store(self, objects: Sequence[SendObject]) -> None:
        """Send objects; see `send_errors`."""

    def confirm(self, objects: Sequence[SendObject]) -> None:
        """Return once the destination has said that it keeps all objects; see `send_errors`."""


def destination_of(text: str, settings: SendSettings, listener: CommitmentListener | None = None) -> Destination:
    """Return the destination a text names: ``AET@HOST:PORT`` or a DICOMweb address.

    Raises
    ------
    SettingsError : it names none, or the TLS files cannot be used.
    DependencyError : pynetdicom or dicomweb-client is not installed.
    """
    peer = parse_peer(text)
    tls = client_context(settings.tls_ca, settings.tls_cert, settings.tls_key) if settings.tls_ca else None
    caller = Caller(settings.ae_title, settings.seconds, tls)
    if isinstance(peer, DimsePeer):
        if find_spec("pynetdicom") is None:
            raise DependencyError("pynetdicom", extra="pacs")
        from AutoSegmentQueueLib.pacs.send_dimse import DimseDestination

        return DimseDestination(peer, settings, caller, listener)
    from AutoSegmentQueueLib.pacs.send_web import WebDestination

    return WebDestination(peer, caller)
