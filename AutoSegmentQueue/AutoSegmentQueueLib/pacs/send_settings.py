"""Where results are sent, how often that is tried, and what counts as kept."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from random import random
from typing import Literal, get_args

from DicomWorkbenchLib.errors import SettingsError

from AutoSegmentQueueLib.pacs.peers import check_ae_title, parse_peer

Confirmation = Literal["auto", "commitment", "search"]


@dataclass(frozen=True)
class SendSettings:
    """Sending to a PACS.

    Attributes
    ----------
    to : destinations of every result, each ``AET@HOST:PORT`` or a DICOMweb address; routing rules may name others.
    ae_title : our own when we send.
    associations : at once to one destination, where a result has many objects.
    seconds : longest wait for one answer.
    attempts : after so many failures a delivery is given up; a destination that cannot be reached does not count.
    days : after so long it is given up in any case.
    first_seconds, longest_seconds : wait before the second attempt; it doubles up to the longest.
    confirmation : how a DICOM node says that it keeps the objects: "commitment" (storage commitment), "search" (C-FIND of each
        object), "auto" (commitment where there is a port for the answer and the node takes part in it, else the search). DICOMweb: QIDO-RS.
    commitment_port : where a node brings its answer to a commitment request, if it calls us for that; None: only as long as we stay.
    commitment_address : interface of that port.
    commitment_seconds : how long its answer is waited for.
    tls_ca, tls_cert, tls_key : PEM files: authority of the destinations, and what we show of ourselves. With an authority DICOM nodes are
        called by TLS.
    """

    to: tuple[str, ...] = ()
    ae_title: str = "WORKBENCH"
    associations: int = 4
    seconds: float = 60.0
    attempts: int = 20
    days: float = 7.0
    first_seconds: float = 5.0
    longest_seconds: float = 3600.0
    confirmation: Confirmation = "auto"
    commitment_port: int | None = None
    commitment_address: str = "127.0.0.1"
    commitment_seconds: float = 30.0
    tls_ca: Path | None = None
    tls_cert: Path | None = None
    tls_key: Path | None = None

    def __post_init__(self) -> None:
        for peer in self.to:
            parse_peer(peer)
        check_ae_title(self.ae_title)
        for name in ("associations", "attempts"):
            if getattr(self, name) < 1:
                raise SettingsError(f"{name} must be at least 1, got {getattr(self, name)}")
        for name in ("seconds", "days", "first_seconds", "longest_seconds", "commitment_seconds"):
            if getattr(self, name) <= 0:
                raise SettingsError(f"{name} must be positive, got {getattr(self, name)}")
        if self.confirmation not in get_args(Confirmation):
            raise SettingsError(f"confirmation must be auto, commitment or search, got {self.confirmation!r}")
        if (self.tls_cert is None) != (self.tls_key is None):
            raise SettingsError("TLS needs both a certificate and its key (--send-tls-cert and --send-tls-key)")
        if self.tls_cert and not self.tls_ca:
            raise SettingsError(
                "a certificate of ours (--send-tls-cert) needs the destinations' authority (--send-tls-ca)"
            )

    def wait_seconds(self, failures: int) -> float:
        """Return how long to wait after so many failures: doubling, with up to half of it left to chance."""
        longest = min(self.first_seconds * 2.0 ** min(failures - 1, 30), self.longest_seconds)
        return longest * (0.5 + 0.5 * random())
